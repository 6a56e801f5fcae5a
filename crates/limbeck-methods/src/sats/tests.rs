//! Laws of `sats`.

use burn::tensor::activation::softmax;
use limbeck_nn::Network;

use super::*;
use crate::testing::{assert_close, gradient, leaf, map, network, number, probe, random, tensor};

const GRID: [usize; 2] = [2, 3];

/// Attention of `name`, `[2, 2, 6, 4]`.
fn probabilities(name: &str) -> Tensor<4> {
    softmax(random(name, [2, 2, 6, 4]), 3)
}

/// Labels of two images of 2×3 pixels.
fn labels(ids: [i64; 12]) -> Labels {
    Labels::of(&masks(&ids, [2, 2, 3]))
}

fn masks(ids: &[i64], shape: [usize; 3]) -> Tensor<3, Int> {
    Tensor::from_data(TensorData::new(ids.to_vec(), shape), &Device::flex())
}

const USUAL: [i64; 12] = [1, 1, 2, 0, 255, 2, 0, 0, 0, 255, 0, 0];

fn loss(pooling: Pooling, student: &Tensor<4>, teacher: &Tensor<4>, ids: [i64; 12]) -> Tensor<1> {
    let transfer = AttentionTransfer {
        pooling,
        layout: RowLayout::Permuted,
    };
    let one = |map: &Tensor<4>| [map.clone()];
    transfer.loss(&one(student), &one(teacher), &[GRID], &labels(ids))
}

#[test]
fn only_the_means_of_classes_count_and_their_names_do_not() {
    let (student, teacher) = (probabilities("s"), probabilities("t"));
    let found = number(&loss(Pooling::Class, &student, &teacher, USUAL));
    assert!(found > 0.0);
    // Positions 0 and 1 of the first image are of one class.
    let order = Tensor::from_data([1i64, 0, 2, 3, 4, 5], &Device::flex());
    let swapped = student.clone().select(2, order);
    let again = number(&loss(Pooling::Class, &swapped, &teacher, USUAL));
    assert_close(&[again], &[found]);
    let renamed = USUAL.map(|id| match id {
        1 => 7,
        2 => 3,
        other => other,
    });
    let again = number(&loss(Pooling::Class, &student, &teacher, renamed));
    assert_close(&[again], &[found]);
    let nothing = number(&loss(Pooling::Class, &teacher, &teacher, USUAL));
    assert!(nothing < 1e-12);
    let apart = loss(Pooling::None, &student, &teacher, USUAL);
    let together = loss(Pooling::Global, &student, &teacher, USUAL);
    assert!(number(&together) <= number(&apart));
}

#[test]
fn background_and_void_get_no_gradient_and_an_image_without_more_adds_nothing() {
    let (student, teacher) = (leaf(probabilities("s")), leaf(probabilities("t")));
    let found = loss(Pooling::Class, &student, &teacher.clone().inner(), USUAL);
    let gradients = found.backward();
    let arrived = gradient(&student, &gradients).unwrap();
    for (index, &gradient) in arrived.iter().enumerate() {
        let (image, position) = (index / 48, index / 4 % 6);
        let counts = image == 0 && ![0, 255].contains(&USUAL[position]);
        assert_eq!(gradient != 0.0, counts, "{index}");
    }
    let equal = leaf(probabilities("s"));
    let found = loss(Pooling::Class, &equal, &probabilities("s"), USUAL);
    let gradients = found.backward();
    let arrived = gradient(&equal, &gradients).unwrap();
    assert!(arrived.iter().all(|&x| x == 0.0));
}

#[test]
fn without_new_classes_the_distillation_is_least_for_the_teachers_own_logits() {
    let teacher = random::<4>("t", [1, 3, 2, 2]);
    let cost =
        |student: Tensor<4>| number(&unbiased::distillation(student, teacher.clone(), 1.0).mean());
    let least = cost(teacher.clone());
    assert!(cost(random("s", [1, 3, 2, 2])) > least);
    // A new class that nothing has changes nothing.
    let nothing = Tensor::full([1, 2, 2, 2], -700.0, (&Device::flex(), DType::F64));
    let wider = Tensor::cat(vec![teacher.clone(), nothing], 1);
    assert_close(&[cost(wider)], &[least]);
    // What background loses to a new class costs nothing.
    let logs = burn::tensor::activation::log_softmax(teacher.clone(), 1);
    let half = logs.clone().narrow(1, 0, 1).sub_scalar(2f64.ln());
    let split = Tensor::cat(vec![half.clone(), logs.narrow(1, 1, 2), half], 1);
    assert_close(&[cost(split)], &[least]);
}

#[test]
fn background_becomes_what_is_certain_or_void_and_labels_stay() {
    let mask = masks(&[0, 0, 2, 255], [1, 1, 4]);
    // Certain of class 1, of nothing, of class 1 twice.
    let logits = tensor(
        vec![
            0.0, 0.0, 0.0, 0.0, //
            9.0, 0.1, 9.0, 9.0,
        ],
        [1, 2, 1, 4],
    );
    let certainty = Certainty::of(logits, &mask, 3);
    let labelled = Thresholds::new(vec![0.3, 0.3]).label(&mask, &certainty);
    let found: Vec<i64> = labelled.to_data().iter::<i64>().collect();
    assert_eq!(found, [1, 255, 2, 255]);
    let mut medians = pseudo_labels::Medians::new(2);
    medians.add(&mask, &certainty);
    let found = medians.thresholds();
    // Two pixels of class 1: the lower of the middle two, near certainty; none of class 0.
    assert_eq!(found.values(), [0.005, 0.005]);
}

/// Two networks with this many classes and these channels of attention.
fn dense(classes: [usize; 2], heads: [usize; 2]) -> Probe {
    let attention = |heads| Tap {
        name: "attention1".to_owned(),
        kind: TapKind::Attention([heads, 6, 4]),
    };
    let mut probe = probe(&[], &[]);
    let taps = |side: usize| {
        vec![
            attention(heads[side]),
            map("stage1", [3, 2, 3]),
            map("logits", [classes[side], 2, 3]),
        ]
    };
    probe.student = taps(0);
    probe.teacher = Some(taps(1));
    probe.classes = classes[0];
    probe
}

fn make(config: SatsConfig, probe: &Probe) -> Result<Sats, MethodError> {
    let student: Network = network("resnet8", 1);
    Sats::new(config, probe, &mut Cast::new(student))
}

#[test]
fn networks_that_do_not_fit_are_refused() {
    let refused = |probe: &Probe| {
        let made = make(SatsConfig::default(), probe);
        made.unwrap_err().to_string()
    };
    let error = refused(&dense([3, 4], [2, 2]));
    assert!(error.contains("3 classes, fewer than the 4"), "{error}");
    let error = refused(&dense([5, 4], [2, 3]));
    assert!(error.contains("same heads, positions and keys"), "{error}");
    let mut cnn = dense([5, 4], [2, 2]);
    cnn.student.remove(0);
    let error = refused(&cnn);
    assert!(error.contains("`attention_weight` to 0"), "{error}");
    let without = SatsConfig {
        attention_weight: 0.0,
        ..SatsConfig::default()
    };
    assert!(make(without, &cnn).is_ok());
    let error = refused(&probe(&[], &[]));
    assert!(error.contains("a map of logits"), "{error}");
}

#[test]
fn labels_are_asked_for_where_there_are_new_classes_and_thresholds_are_kept() {
    let mut same = dense([4, 4], [2, 2]);
    same.training.images = 7;
    assert_eq!(make(SatsConfig::default(), &same).unwrap().sampled(), 0);
    let mut more = dense([6, 4], [2, 2]);
    more.training.images = 7;
    let mut method = make(SatsConfig::default(), &more).unwrap();
    assert_eq!(method.sampled(), 7);
    assert!(method.state().is_empty());
    method.thresholds = Some(Thresholds::new(vec![0.1, 0.2, 0.3, 0.4]));
    let state = method.state();
    let mut resumed = make(SatsConfig::default(), &more).unwrap();
    resumed.load_state(state.clone()).unwrap();
    assert_eq!(resumed.thresholds, method.thresholds);
    let mut other = make(SatsConfig::default(), &dense([6, 5], [2, 2])).unwrap();
    let error = other.load_state(state).unwrap_err().to_string();
    assert!(error.contains("4 thresholds, expected 5"), "{error}");
}

#[test]
fn labels_are_reduced_as_pil_does_it() {
    let ids: Vec<i64> = (0..20).collect();
    let found = Labels::of(&masks(&ids, [1, 4, 5])).reduced([2, 2]);
    // Rows 1 and 3, columns 1 and 3.
    assert_eq!(found, [[6, 8, 16, 18]]);
}
