//! Laws of the terms, the acts and the settings.

use serde_json::json;

use super::*;
use crate::{
    Batch, HeldOut, STUDENT,
    rehearsal::{self, cast, learners, play, trained},
    testing::{assert_close, gradient, labels, leaf, network_probe, numbers, random},
};

fn make(config: KdclConfig) -> Result<(Kdcl, Cast), MethodError> {
    let mut cast = cast();
    let method = Kdcl::new(config, &network_probe(), &mut cast)?;
    Ok((method, cast))
}

fn with(ensemble: Ensemble) -> KdclConfig {
    KdclConfig {
        peers: Some("resnet14+ resnet8".to_owned()),
        ensemble,
        ..KdclConfig::default()
    }
}

const ALL: [Ensemble; 5] = [
    Ensemble::Naive,
    Ensemble::Linear,
    Ensemble::MinLogit,
    Ensemble::General,
    Ensemble::Mean,
];

#[test]
fn all_networks_learn_from_views_of_their_own() {
    for ensemble in ALL {
        let (mut method, cast) = make(with(ensemble)).unwrap();
        assert_eq!(method.stages(10)[0].images.views, 3);
        let (names, arrived) = learners(&mut method, &cast);
        assert_eq!(
            names,
            [
                "task",
                "task.peer1",
                "task.peer2",
                "kd",
                "kd.peer1",
                "kd.peer2"
            ]
        );
        assert_eq!(arrived.len(), 3);
        for (member, count) in arrived {
            assert_eq!(count, trained(&cast, &member), "{member}");
        }
        assert!(method.warnings().is_empty());
    }
}

#[test]
fn no_gradient_flows_through_the_target() {
    for ensemble in ALL {
        let (mut method, _) = make(with(ensemble)).unwrap();
        let logits = ["a", "b", "c"].map(|name| leaf(random::<2>(name, [4, 5])));
        let target = method.target(&logits, &labels(&[0, 1, 2, 3])).unwrap();
        assert!(!target.logits.is_tracked());
        let first = method.losses(&logits, &target).remove(0);
        let gradients = first.value.backward();
        assert!(gradient(&logits[0], &gradients).is_some());
        assert!(gradient(&logits[1], &gradients).is_none());
    }
}

struct Held(Vec<Batch>);

impl HeldOut for Held {
    fn look(
        &self,
        look: &mut dyn FnMut(&Batch) -> Result<(), MethodError>,
    ) -> Result<(), MethodError> {
        self.0.iter().try_for_each(look)
    }
}

fn end_epoch(method: &mut Kdcl, cast: &mut Cast, held: Vec<Batch>) -> Result<(), MethodError> {
    let held = Held(held);
    let mut interlude = Interlude {
        cast,
        teacher: None,
        held_out: Some(&held),
    };
    method.end_epoch(0, &mut interlude)
}

#[test]
fn weights_are_renewed_after_each_epoch_remembered_and_part_of_the_state() {
    let (mut method, mut cast) = make(with(Ensemble::General)).unwrap();
    assert_eq!(method.held_out(), 0.1);
    let before = numbers(method.weights());
    assert_close(&before, &[1.0 / 3.0; 3]);
    end_epoch(&mut method, &mut cast, vec![rehearsal::batch(1)]).unwrap();
    let after = numbers(method.weights());
    assert_ne!(before, after);
    let (mut other, _) = make(with(Ensemble::General)).unwrap();
    other.load_state(method.state()).unwrap();
    assert_eq!(numbers(other.weights()), after);
    let terms = |method: &mut Kdcl| {
        let (_, terms, _) = play(method, &cast, 0).unwrap();
        terms
            .iter()
            .flat_map(|term| numbers(&term.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(terms(&mut other), terms(&mut method));
    let error = other.load_state(State::new()).unwrap_err().to_string();
    assert!(error.contains("weights"), "{error}");
}

#[test]
fn an_empty_held_out_part_is_refused_and_networks_that_agree_are_told() {
    let (mut method, mut cast) = make(with(Ensemble::General)).unwrap();
    let error = end_epoch(&mut method, &mut cast, Vec::new()).unwrap_err();
    assert!(error.to_string().contains("raise `held_out`"), "{error}");
    let student = cast.network(STUDENT).unwrap().clone();
    cast.add_network("peer1", student.clone());
    cast.add_network("peer2", student);
    end_epoch(&mut method, &mut cast, vec![rehearsal::batch(1)]).unwrap();
    let warnings = method.warnings();
    assert!(warnings[0].contains("linearly dependent"), "{warnings:?}");
    assert!(method.warnings().is_empty());
}

#[test]
fn a_search_that_does_not_end_is_told_once() {
    let (mut method, _) = make(with(Ensemble::Linear)).unwrap();
    let mut logits = ["a", "b", "c"].map(|name| random::<2>(name, [4, 5]));
    logits[1] = logits[1].clone().mul_scalar(f64::NAN);
    for _ in 0..2 {
        method.target(&logits, &labels(&[0, 1, 2, 3])).unwrap();
    }
    let warnings = method.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("did not end"), "{warnings:?}");
}

#[test]
fn settings_out_of_range_are_refused() {
    for (settings, text) in [
        (json!({ "temperature": 0.0 }), "`temperature` must be"),
        (json!({ "ce_weight": -1.0 }), "`ce_weight` must be"),
        (json!({ "kd_weight": -0.1 }), "`kd_weight` must be"),
        (
            json!({ "held_out": 0.0 }),
            "`held_out` must be above 0 and below 1",
        ),
        (json!({ "held_out": 1.0 }), "`held_out` must be"),
        (json!({ "peers": "resnet7" }), "resnet7"),
    ] {
        let config = serde_json::from_value(settings).unwrap();
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn logits_that_do_not_fit_together_are_refused() {
    let (mut method, _) = make(KdclConfig::default()).unwrap();
    let labels = labels(&[0, 1, 2, 3]);
    let other = [random("a", [4, 5]), random("b", [4, 6])];
    let error = method.target(&other, &labels).unwrap_err().to_string();
    assert!(error.contains("the same shape"), "{error}");
    let error = method.target(&other[..1], &labels).unwrap_err().to_string();
    assert!(error.contains("of 2 networks"), "{error}");
}
