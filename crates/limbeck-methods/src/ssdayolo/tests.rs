use super::*;
use crate::testing::random;

fn target(image: usize, class: usize, center: [f64; 2], side: f64) -> TargetBox {
    TargetBox {
        image,
        class,
        center,
        size: [side, side],
    }
}

#[test]
fn a_box_is_right_on_an_object_of_its_class_in_its_image() {
    let method = || SsdaYolo {
        config: SsdaYoloConfig::default(),
        like: random("like", [1]),
        found: 0,
        right: 0,
    };
    let (mut other, mut method) = (method(), method());
    let truth = [target(0, 1, [0.5, 0.5], 0.2), target(1, 0, [0.2, 0.2], 0.1)];
    let pseudo = [
        target(0, 1, [0.52, 0.5], 0.2),
        target(0, 0, [0.5, 0.5], 0.2),
        target(1, 1, [0.5, 0.5], 0.2),
        target(1, 0, [0.3, 0.2], 0.1),
    ];
    method.judge(&pseudo, &truth);
    assert_eq!((method.right, method.found), (1, 4));
    let state = method.state();
    other.load_state(state).unwrap();
    assert_eq!((other.right, other.found), (1, 4));
    assert!(other.load_state(State::new()).is_err());
}

#[test]
fn overlaps_are_those_of_shares() {
    let one = target(0, 0, [0.5, 0.5], 0.2);
    assert!((overlap(&one, &one) - 1.0).abs() < 1e-12);
    assert!((overlap(&one, &target(0, 0, [0.6, 0.5], 0.2)) - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(overlap(&one, &target(0, 0, [0.9, 0.5], 0.2)), 0.0);
}
