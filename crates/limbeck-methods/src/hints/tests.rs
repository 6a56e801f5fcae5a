//! Laws of the method; those of the selection are tested beside it.

use super::*;
use crate::testing::{assert_close, labels, network, network_probe, number, numbers, random};

fn make(config: HintsConfig) -> Result<Hints, MethodError> {
    let mut cast = Cast::new(network("resnet8", 1));
    Hints::new(config, &network_probe(), &mut cast)
}

#[test]
fn nothing_is_chosen_before_the_stage_and_centres_come_back() {
    let mut method = make(HintsConfig::default()).unwrap();
    assert!(method.state().is_empty() && method.chosen().is_empty());
    method.centres = Some(vec![0, 3, 4]);
    let state = method.state();
    let mut other = make(HintsConfig::default()).unwrap();
    other.load_state(state).unwrap();
    let pair = |s: &str, t: &str| (s.to_owned(), t.to_owned());
    let expected = [
        pair("stage1", "block0"),
        pair("stage2", "block3"),
        pair("stage3", "block4"),
    ];
    assert_eq!(other.chosen(), expected);
    let mut wrong = method.state();
    let deep = Tensor::<1>::from_data([0.0, 99.0], &burn::tensor::Device::flex());
    wrong.insert(Hints::CENTRES.to_owned(), (vec![2], deep));
    let error = other.load_state(wrong).unwrap_err().to_string();
    assert!(error.contains("[0, 99]"), "{error}");
}

#[test]
fn equal_maps_cost_nothing_and_lists_of_different_lengths_are_refused() {
    let method = make(HintsConfig::default()).unwrap();
    let map = random("m", [2, 3, 4, 4]);
    let found = method
        .transfer(vec![map.clone()], vec![map.clone()])
        .unwrap();
    assert_close(&[number(&found[0])], &[0.0]);
    let error = method
        .transfer(vec![map.clone(), map.clone()], vec![map])
        .unwrap_err();
    assert!(error.to_string().contains("2 student maps"), "{error}");
}

#[test]
fn images_that_the_teacher_knows_better_weigh_more() {
    let method = make(HintsConfig::default()).unwrap();
    let student = random("s", [2, 5]);
    let sure = random("t", [2, 5]).slice_assign(
        [0..1, 0..1],
        random("x", [1, 1]).zeros_like().add_scalar(9.0),
    );
    let (_, weights) = method.weighted_soft(student, sure, &labels(&[0, 0]));
    let weights = numbers(&weights);
    assert!(weights.iter().all(|w| (0.0..=1.0).contains(w)));
    assert!(weights[0] > 0.99 && weights[1] < weights[0]);
}

#[test]
fn settings_out_of_range_and_pairs_are_refused() {
    for (config, key) in [
        (
            HintsConfig {
                hints: Some(7),
                ..HintsConfig::default()
            },
            "`hints` must be 1 to the 6 blocks",
        ),
        (
            HintsConfig {
                temperature: 0.0,
                ..HintsConfig::default()
            },
            "`temperature`",
        ),
        (
            HintsConfig {
                weight: -1.0,
                ..HintsConfig::default()
            },
            "`weight`",
        ),
        (
            HintsConfig {
                images: 0,
                ..HintsConfig::default()
            },
            "`images`",
        ),
    ] {
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
    let mut probe = network_probe();
    probe.pairs = Some(vec![("stage1".to_owned(), "stage1".to_owned())]);
    let mut cast = Cast::new(network("resnet8", 1));
    let error = Hints::new(HintsConfig::default(), &probe, &mut cast).unwrap_err();
    assert!(error.to_string().contains("leave `pairs` out"), "{error}");
}
