use burn::tensor::activation::softmax;

use super::*;
use crate::{
    detection::{Anchors, DetectionLossConfig},
    softmax::softened_kl,
    testing::{assert_close, gradient, leaf, number, numbers, random},
};

/// Two images of 64×64 pixels and two classes.
const LEVELS: [[usize; 2]; 3] = [[8, 8], [4, 4], [2, 2]];
const COUNT: usize = 3 * (64 + 16 + 4);

fn task() -> Detection {
    let loss = DetectionLoss::new(DetectionLossConfig::default(), Anchors::yolov5());
    Detection::new(loss.unwrap())
}

fn prediction(cells: Tensor<3>) -> Feature {
    Feature::Cells {
        cells,
        anchors: 3,
        levels: LEVELS.to_vec(),
    }
}

fn raw(name: &str) -> Tensor<3> {
    random(name, [2, COUNT, 7])
}

fn target() -> Target {
    Target::Boxes {
        boxes: vec![TargetBox {
            image: 1,
            class: 1,
            center: [0.4, 0.6],
            size: [0.3, 0.2],
        }],
        images: 2,
    }
}

#[test]
fn the_loss_is_that_of_the_levels_times_the_images() {
    let (task, cells) = (task(), raw("cells"));
    let Target::Boxes { boxes, .. } = target() else {
        unreachable!()
    };
    let outputs = Outputs {
        prediction: prediction(cells.clone()),
        features: Default::default(),
    };
    let terms = task.terms(&outputs, &target()).unwrap();
    let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
    assert_eq!(names, ["box", "objectness", "class"]);
    let sum: f64 = terms.iter().map(|term| number(&term.value)).sum();
    let mut maps = Vec::new();
    let mut first = 0;
    for [rows, columns] in LEVELS {
        let count = 3 * rows * columns;
        let level = cells.clone().narrow(1, first, count);
        maps.push(level.reshape([2, 3, rows, columns, 7]));
        first += count;
    }
    let whole = task.loss.terms(&maps, &boxes).unwrap().total();
    assert_close(&[sum], &[number(&whole)]);
    assert!(task.terms(&outputs, &Target::None).unwrap().is_empty());
}

#[test]
fn rows_are_distributions_of_what_a_cell_shows() {
    let rows = log_probabilities(raw("cells").reshape([2 * COUNT, 7]));
    let sums = numbers(&rows.clone().exp().sum_dim(1));
    assert_close(&sums, &vec![1.0; 2 * COUNT]);
    assert_close(&numbers(&softmax(rows.clone(), 1)), &numbers(&rows.exp()));
}

#[test]
fn kept_are_cells_with_a_box_to_learn_or_that_the_teacher_sees() {
    let task = task();
    // The teacher sees something in one cell alone.
    let silent = raw("teacher").mul_scalar(0.0);
    let places = Tensor::cat(
        vec![
            silent.clone().narrow(2, 0, 4),
            silent.clone().narrow(2, 4, 1).sub_scalar(20.0),
            silent.narrow(2, 5, 2),
        ],
        2,
    );
    let seen = Tensor::cat(
        vec![
            places.clone().narrow(1, 0, 5),
            places.clone().narrow(1, 5, 1).add_scalar(21.0),
            places.narrow(1, 6, COUNT - 6),
        ],
        1,
    );
    let rows = |target: &Target| {
        let (student, teacher) = (prediction(raw("cells")), prediction(seen.clone()));
        task.rows(&student, Some(&teacher), target).unwrap()
    };
    assert_eq!(rows(&Target::None).student.dims(), [2, 3]);
    let with_boxes = rows(&target());
    let labels: Vec<i64> = with_boxes.labels.unwrap().into_data().iter().collect();
    assert!(labels.len() > 2 && labels[0] == 0, "{labels:?}");
    assert!(labels[1..].iter().all(|&label| label == 0 || label == 2));
    assert!(labels.contains(&2));
    assert_eq!(with_boxes.student.dims(), [labels.len(), 3]);
}

#[test]
fn where_nothing_is_seen_there_is_nothing_to_compare_and_no_gradient() {
    let task = task();
    let silent = prediction(raw("t").mul_scalar(0.0).sub_scalar(20.0));
    let cells = leaf(raw("cells"));
    let rows = task
        .rows(&prediction(cells.clone()), Some(&silent), &Target::None)
        .unwrap();
    let value = softened_kl(rows.student, rows.teacher.unwrap(), 1.0);
    assert_close(&[number(&value)], &[0.0]);
    let slope = gradient(&cells, &value.backward()).unwrap();
    assert!(slope.iter().all(|&slope| slope == 0.0));
}

#[test]
fn other_cells_and_other_predictions_are_told() {
    let task = task();
    let student = prediction(raw("cells"));
    let other = Feature::Cells {
        cells: random("t", [2, 12, 7]),
        anchors: 3,
        levels: vec![[2, 2]],
    };
    let error = task
        .rows(&student, Some(&other), &Target::None)
        .unwrap_err();
    assert!(error.to_string().contains("[12, 7]"), "{error}");
    let vector = Feature::Vector(random("v", [2, 7]));
    let error = task.rows(&vector, None, &Target::None).unwrap_err();
    assert!(error.to_string().contains("cells of a detector"), "{error}");
}
