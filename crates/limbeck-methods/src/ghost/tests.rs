use limbeck_nn::{Mode, Taps};

use super::*;
use crate::testing::{
    assert_close, build, leaf, map, number, numbers, outputs, probe, random, terms,
};

fn make(config: GhostConfig) -> (Ghost, limbeck_nn::Store) {
    let taps = [map("stage1", [3, 4, 4]), map("stage2", [5, 2, 2])];
    build(&probe(&taps, &taps), |probe, builder| {
        Ghost::new(config, probe, builder)
    })
    .unwrap()
}

fn pass(store: &limbeck_nn::Store) -> Pass<'_> {
    Pass::new(store, Mode::Train, Taps::none(), 7)
}

/// What the first layer brings, and its switch.
fn guide(
    method: &Ghost,
    store: &limbeck_nn::Store,
    maps: [Tensor<4>; 2],
    draws: Tensor<1>,
) -> (Tensor<1>, Tensor<1>) {
    let seen = Seen::of(maps);
    let logit = method.logit(&mut pass(store), 0, &seen);
    let switch = method.switch(logit, draws);
    (method.guidance(&seen, switch.clone()), switch)
}

/// Draws that open (`true`) or close the switch whatever the layers say.
fn draws(open: [bool; 4]) -> Tensor<1> {
    let draws = open.map(|open| if open { 1e-30 } else { 1e30 });
    crate::testing::tensor(draws.to_vec(), [4])
}

#[test]
fn equal_networks_and_closed_switches_cost_nothing() {
    let (method, store) = make(GhostConfig::default());
    let (s, t) = (random("s", [4, 3, 4, 4]), random("t", [4, 3, 4, 4]));
    let (loss, _) = guide(&method, &store, [s.clone(), s.clone()], draws([true; 4]));
    assert_close(&[number(&loss)], &[0.0]);
    let (loss, switch) = guide(&method, &store, [s, t], draws([false; 4]));
    assert_close(&numbers(&switch), &[0.0; 4]);
    assert_close(&[number(&loss)], &[0.0]);
}

#[test]
fn an_image_counts_where_its_switch_is_open_and_scale_does_not_matter() {
    let (method, store) = make(GhostConfig::default());
    let (s, t) = (random("s", [4, 3, 4, 4]), random("t", [4, 3, 4, 4]));
    let loss = |open, s: Tensor<4>| number(&guide(&method, &store, [s, t.clone()], draws(open)).0);
    let each: f64 = (0..4)
        .map(|image| loss(std::array::from_fn(|i| i == image), s.clone()))
        .sum();
    let all = loss([true; 4], s.clone());
    assert!(all > 0.0);
    assert_close(&[all], &[each]);
    assert_close(&[loss([true; 4], s.mul_scalar(3.0))], &[all]);
}

#[test]
fn switches_are_drawn_anew_in_each_step_and_the_same_for_the_same_step() {
    let (method, store) = make(GhostConfig::default());
    let maps = [random("s", [4, 3, 4, 4]), random("t", [4, 3, 4, 4])];
    let mut open = 0.0;
    for seed in 0..50 {
        let draws = || exponential(seed, 4, &maps[0]);
        assert_eq!(numbers(&draws()), numbers(&draws()));
        let (_, switch) = guide(&method, &store, maps.clone(), draws());
        let switch = numbers(&switch);
        assert!(switch.iter().all(|&a| a == 0.0 || a == 1.0));
        open += switch.iter().sum::<f64>();
    }
    assert!(open > 20.0 && open < 180.0, "{open} of 200");
}

#[test]
fn a_frozen_switch_is_not_trained_and_lets_gradients_through() {
    for frozen_scm in [false, true] {
        let (method, store) = make(GhostConfig {
            frozen_scm,
            ..GhostConfig::default()
        });
        assert_eq!(store.trained_count() == 0, frozen_scm);
        let tracked = store.tracked();
        let s = leaf(random("s", [4, 3, 4, 4]));
        let maps = [s.clone(), random("t", [4, 3, 4, 4])];
        let (_, switch) = guide(&method, &tracked, maps, draws([true, false, true, true]));
        let mut gradients = switch.sum().backward();
        let of_map = crate::testing::gradient(&s, &gradients).unwrap();
        assert!(of_map.iter().all(|g| g.is_finite()));
        let of_modules = tracked.gradients(&mut gradients);
        assert_eq!(of_modules.iter().all(Option::is_none), frozen_scm);
    }
}

#[test]
fn stages_of_equal_shape_are_guided_and_others_may_be_named() {
    let student = [map("stage1", [3, 4, 4]), map("stage2", [5, 2, 2])];
    let teacher = [map("stage1", [3, 4, 4]), map("stage2", [6, 2, 2])];
    let make = |probe: &Probe| build(probe, |p, b| Ghost::new(GhostConfig::default(), p, b));
    let mut probe = probe(&student, &teacher);
    let (mut method, store) = make(&probe).unwrap();
    assert_eq!(method.pairs(), [("stage1".to_owned(), "stage1".to_owned())]);
    let (s, t) = (outputs("s", 4, &student), outputs("t", 4, &teacher));
    let found = terms(&mut method, &store, &s, &t);
    assert_eq!((found[0].name.as_str(), found[0].weight), ("ghost", 400.0));
    probe.pairs = Some(vec![("stage1".to_owned(), "stage2".to_owned())]);
    let (mut method, store) = make(&probe).unwrap();
    let found = number(&terms(&mut method, &store, &s, &t)[0].value);
    assert!(found >= 0.0 && found.is_finite());
    probe.pairs = None;
    probe.batch = 1;
    let error = make(&probe).unwrap_err().to_string();
    assert!(error.contains("at least 2"), "{error}");
}
