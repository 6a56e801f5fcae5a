use super::*;
use crate::{
    Cast,
    detection::{Anchors, DetectionLossConfig},
    testing::{gradient, leaf, network, network_probe, number, random},
    tst::TstConfig,
};

/// Two images of 64×64 pixels and two classes.
const LEVELS: [[usize; 2]; 3] = [[8, 8], [4, 4], [2, 2]];
const COUNT: usize = 3 * (64 + 16 + 4);

fn prediction(cells: Tensor<3>) -> Feature {
    Feature::Cells {
        cells,
        anchors: 3,
        levels: LEVELS.to_vec(),
    }
}

fn loss() -> DetectionLoss {
    DetectionLoss::new(DetectionLossConfig::default(), Anchors::yolov5()).unwrap()
}

fn method(config: TstConfig) -> Tst {
    let mut cast = Cast::new(network("resnet8", 1));
    Tst::new(config, &network_probe(), &mut cast).unwrap()
}

fn boxes() -> MovingBoxes {
    MovingBoxes::still(vec![TargetBox {
        image: 1,
        class: 1,
        center: [0.4, 0.6],
        size: [0.3, 0.2],
    }])
}

#[test]
fn the_search_wants_the_teacher_to_see_and_the_student_to_miss() {
    let method = method(TstConfig {
        teacher_weight: 2.0,
        student_weight: 0.5,
        ..TstConfig::default()
    });
    let loss = loss();
    let [student, teacher] = ["z", "u"].map(|name| leaf(random(name, [2, COUNT, 7])));
    let predictions = [&student, &teacher].map(|cells| prediction(cells.clone()));
    let [knows, fails] = method
        .search_terms_of_cells(&loss, &predictions[0], &predictions[1], &boxes())
        .unwrap();
    assert_eq!((knows.weight, fails.weight), (2.0, 0.5));
    assert_eq!(
        [knows.name.as_str(), fails.name.as_str()],
        ["search.teacher", "search.student"]
    );
    // The teacher's is the task's loss, a mean over the images.
    let plain = loss.terms(&maps(&predictions[1]).unwrap(), &boxes().boxes);
    let plain = number(&plain.unwrap().sum());
    assert!((number(&knows.value) - plain).abs() < 1e-12);
    let gradients = (knows.value + fails.value).backward();
    let [student, teacher] = [&student, &teacher].map(|it| gradient(it, &gradients).unwrap());
    let assigned = loss.assign(&maps(&predictions[0]).unwrap(), &boxes().boxes);
    let (mut first, mut seen) = (0, 0);
    for (entries, [rows, columns]) in assigned.unwrap().iter().zip(LEVELS) {
        for entry in entries {
            let cell = (entry.anchor * rows + entry.cell[0]) * columns + entry.cell[1];
            let labelled = 7 * (entry.image * COUNT + first + cell) + 5 + entry.class;
            assert!(student[labelled] > 0.0 && teacher[labelled] < 0.0);
            assert!(student[labelled - 1 - entry.class] > 0.0);
            seen += 1;
        }
        first += 3 * rows * columns;
    }
    assert!(seen > 0);
    let nothing = MovingBoxes::still(Vec::new());
    let [knows, fails] = method
        .search_terms_of_cells(&loss, &predictions[0], &predictions[1], &nothing)
        .unwrap();
    assert!(number(&knows.value) > 0.0);
    assert_eq!(number(&fails.value), 0.0);
}

#[test]
fn halves_are_the_augmented_and_the_original_images() {
    let cells = random("z", [4, COUNT, 7]);
    let outputs = Outputs {
        prediction: prediction(cells.clone()),
        features: BTreeMap::new(),
    };
    let [augmented, original] = halves(&outputs).unwrap();
    let both = [augmented, original].map(|half| half.prediction.to_rows());
    let both = crate::testing::numbers(&Tensor::cat(both.to_vec(), 0));
    assert_eq!(both, crate::testing::numbers(&cells));
    let logits = Outputs::from_logits(random("z", [4, 7]));
    let error = halves(&logits).unwrap_err().to_string();
    assert!(error.contains("detectors"), "{error}");
}
