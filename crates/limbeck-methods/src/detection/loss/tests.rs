//! Laws of the loss.

use super::*;
use crate::{
    detection::AnchorLevel,
    testing::{assert_close, gradient, leaf, number, numbers, random},
};

fn anchors() -> Anchors {
    let level = |stride, side: f64| AnchorLevel {
        stride,
        sizes: vec![[side, side], [side, 2.0 * side]],
    };
    Anchors::new(vec![level(8, 8.0), level(16, 20.0), level(32, 40.0)]).unwrap()
}

/// Maps of two images of 32×32 pixels.
fn raw(classes: usize) -> Vec<Tensor<5>> {
    [4, 2, 1]
        .into_iter()
        .map(|side| random(&format!("raw {side}"), [2, 2, side, side, 5 + classes]))
        .collect()
}

fn target(image: usize, class: usize, center: [f64; 2], side: f64) -> TargetBox {
    TargetBox {
        image,
        class,
        center,
        size: [side, side],
    }
}

fn targets() -> [TargetBox; 3] {
    [
        target(0, 2, [0.3, 0.6], 0.4),
        target(1, 0, [0.55, 0.45], 0.7),
        target(1, 1, [0.9, 0.1], 0.25),
    ]
}

fn terms(config: DetectionLossConfig, raw: &[Tensor<5>], targets: &[TargetBox]) -> [f64; 4] {
    let loss = DetectionLoss::new(config, anchors()).unwrap();
    let terms = loss.terms(raw, targets).unwrap();
    let total = terms.total();
    [&terms.bounds, &terms.objectness, &terms.classes, &total].map(number)
}

#[test]
fn without_targets_objectness_alone_is_learnt() {
    let [bounds, objectness, classes, total] = terms(DetectionLossConfig::default(), &raw(3), &[]);
    assert_eq!([bounds, classes], [0.0, 0.0]);
    assert!(objectness > 0.0);
    assert_close(&[total], &[2.0 * objectness]);
}

#[test]
fn one_class_has_no_class_term() {
    let one = [target(0, 0, [0.3, 0.6], 0.4)];
    let [bounds, _, classes, _] = terms(DetectionLossConfig::default(), &raw(1), &one);
    assert!(bounds > 0.0);
    assert_eq!(classes, 0.0);
}

#[test]
fn gains_scale_their_parts() {
    let plain = terms(DetectionLossConfig::default(), &raw(3), &targets());
    let config = DetectionLossConfig {
        gains: Gains {
            bounds: 0.1,
            objectness: 3.0,
            classes: 2.0,
        },
        ..Default::default()
    };
    let scaled = terms(config, &raw(3), &targets());
    assert_close(
        &scaled[..3],
        &[2.0 * plain[0], 3.0 * plain[1], 4.0 * plain[2]],
    );
    let gains = Gains::default().scaled(3, 20, 320);
    assert_close(
        &[gains.bounds, gains.objectness, gains.classes],
        &[0.05, 0.25, 0.125],
    );
}

#[test]
fn the_last_of_several_boxes_of_a_cell_sets_its_objectness() {
    // The same place, other sizes: only objectness depends on the order.
    let [small, large] = [0.4, 0.6].map(|side| target(0, 2, [0.3, 0.6], side));
    let config = DetectionLossConfig::default;
    let order = terms(config(), &raw(3), &[small, large]);
    let reverse = terms(config(), &raw(3), &[large, small]);
    assert_close(&[order[0], order[2]], &[reverse[0], reverse[2]]);
    assert!((order[1] - reverse[1]).abs() > 1e-6);
    assert_eq!(order, terms(config(), &raw(3), &[small, large]));
}

#[test]
fn focal_loss_is_less_where_the_network_is_sure_and_right() {
    let config = DetectionLossConfig {
        focal_gamma: 2.0,
        ..Default::default()
    };
    let loss = DetectionLoss::new(config, anchors()).unwrap();
    let value = |logit: f64, wanted: f64| {
        let one = |x| crate::testing::tensor(vec![x], [1, 1]);
        number(&loss.cross_entropy(one(logit), one(wanted), 1.0))
    };
    let p = 1.0 / (1.0 + (-1.5f64).exp());
    assert_close(
        &[value(1.5, 1.0), value(1.5, 0.0)],
        &[
            -0.25 * (1.0 - p) * (1.0 - p) * p.ln(),
            -0.75 * p * p * (1.0 - p).ln(),
        ],
    );
}

#[test]
fn far_logits_give_finite_losses_and_gradients() {
    for gamma in [0.0, 0.5, 1.5] {
        let config = DetectionLossConfig {
            focal_gamma: gamma,
            ..Default::default()
        };
        let loss = DetectionLoss::new(config, anchors()).unwrap();
        let maps: Vec<Tensor<5>> = raw(3)
            .into_iter()
            .map(|map| leaf(map.mul_scalar(300.0)))
            .collect();
        let total = loss.terms(&maps, &targets()).unwrap().total();
        assert!(number(&total).is_finite());
        let gradients = total.backward();
        for map in &maps {
            let gradient = gradient(map, &gradients).unwrap();
            assert!(gradient.iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn gradients_reach_assigned_cells_and_objectness_alone() {
    let loss = DetectionLoss::new(DetectionLossConfig::default(), anchors()).unwrap();
    let maps: Vec<Tensor<5>> = raw(3).into_iter().map(leaf).collect();
    let assigned = loss.assign(&maps, &targets()).unwrap();
    let gradients = loss.terms(&maps, &targets()).unwrap().total().backward();
    for (map, entries) in maps.iter().zip(&assigned) {
        let [_, anchors, height, width, numbers] = map.dims();
        let rows = gradient(map, &gradients).unwrap();
        for (place, row) in rows.chunks(numbers).enumerate() {
            let learnt = entries.iter().any(|a| {
                let plane = a.image * anchors + a.anchor;
                place == (plane * height + a.cell[0]) * width + a.cell[1]
            });
            assert!(row[4] != 0.0);
            assert_eq!(row[0] != 0.0, learnt);
            assert_eq!(row[5] != 0.0, learnt);
        }
    }
    assert!(assigned.iter().all(|entries| !entries.is_empty()));
}

#[test]
fn what_cannot_be_learnt_is_refused() {
    let default = DetectionLossConfig::default;
    let loss = DetectionLoss::new(default(), anchors()).unwrap();
    for wrong in [
        target(2, 0, [0.5; 2], 0.5),
        target(0, 3, [0.5; 2], 0.5),
        target(0, 0, [f64::INFINITY, 0.5], 0.5),
    ] {
        assert!(loss.terms(&raw(3), &[wrong]).is_err());
    }
    assert!(loss.terms(&raw(3)[..2], &[]).is_err());
    for wrong in [
        DetectionLossConfig {
            balance: vec![1.0],
            ..default()
        },
        DetectionLossConfig {
            balance: vec![1.0, f64::NAN, 1.0],
            ..default()
        },
        DetectionLossConfig {
            focal_gamma: -1.0,
            ..default()
        },
        DetectionLossConfig {
            label_smoothing: 1.5,
            ..default()
        },
        DetectionLossConfig {
            anchor_ratio: 0.5,
            ..default()
        },
    ] {
        assert!(DetectionLoss::new(wrong, anchors()).is_err());
    }
}

#[test]
fn a_perfect_box_costs_nothing() {
    // Of raw zeros, the box of a cell's middle and of the anchor's size is meant.
    let zeros: Vec<Tensor<5>> = raw(3).into_iter().map(|map| map.mul_scalar(0.0)).collect();
    let exact = target(0, 1, [0.625 - 0.25, 0.625 - 0.25], 0.25);
    let loss = DetectionLoss::new(DetectionLossConfig::default(), anchors()).unwrap();
    let entries = loss.assign(&zeros, &[exact]).unwrap();
    let own = entries[0].iter().find(|a| a.anchor == 0).unwrap();
    assert_close(&own.bounds, &[0.5, 0.5, 1.0, 1.0]);
    let row = crate::testing::tensor(vec![0.0; 8], [1, 8]);
    let size = crate::testing::tensor(own.anchor_size.to_vec(), [1, 2]);
    assert_close(&numbers(&predicted(&row, &size)), &own.bounds);
}

/// A loss whose anchors are squares, so that shapes of square boxes have no share in CIoU.
fn square_loss() -> DetectionLoss {
    let level = |stride, side: f64| AnchorLevel {
        stride,
        sizes: vec![[side, side]],
    };
    let anchors = Anchors::new(vec![level(8, 8.0), level(16, 20.0), level(32, 40.0)]);
    DetectionLoss::new(DetectionLossConfig::default(), anchors.unwrap()).unwrap()
}

/// Maps for it in which all predicted boxes are squares.
fn square_maps() -> Vec<Tensor<5>> {
    let map = |side| {
        let map = random::<5>(&format!("square {side}"), [2, 1, side, side, 8]);
        let part = |from, count| map.clone().narrow(4, from, count);
        Tensor::cat(vec![part(0, 3), part(2, 1), part(4, 4)], 4)
    };
    [4, 2, 1].into_iter().map(map).collect()
}

fn sides_of(targets: &[TargetBox]) -> Vec<f64> {
    let sides = |t: &TargetBox| [t.center[0], t.center[1], t.size[0], t.size[1]];
    targets.iter().flat_map(sides).collect()
}

#[test]
fn boxes_that_move_have_the_loss_of_those_that_stand_still_and_a_slope() {
    let (loss, maps) = (square_loss(), square_maps());
    let terms = |sides: Tensor<2>| {
        let boxes = MovingBoxes {
            boxes: targets().to_vec(),
            sides: Some(sides),
        };
        loss.terms_of_moving(&maps, &boxes).unwrap()
    };
    let numbers = sides_of(&targets());
    let rows = |numbers: Vec<f64>| crate::testing::tensor(numbers, [3, 4]);
    let still = loss.terms(&maps, &targets()).unwrap();
    let sides = leaf(rows(numbers.clone()));
    let moving = terms(sides.clone());
    let parts = |terms: &DetectionTerms| {
        [&terms.bounds, &terms.objectness, &terms.classes].map(|part| number(&part.clone().inner()))
    };
    assert_close(&parts(&moving), &parts(&still));
    let found = gradient(&sides, &moving.bounds.backward()).unwrap();
    for (i, found) in found.iter().enumerate() {
        let value = |by: f64| {
            let mut moved = numbers.clone();
            moved[i] += by;
            number(&terms(rows(moved)).bounds)
        };
        let expected = (value(1e-6) - value(-1e-6)) / 2e-6;
        assert!(
            (found - expected).abs() < 1e-7,
            "{i}: {found}, not {expected}"
        );
    }
    assert!(found.iter().any(|slope| slope.abs() > 1e-3));
    let wrong = MovingBoxes {
        boxes: targets()[1..].to_vec(),
        sides: Some(rows(numbers)),
    };
    let error = loss.terms_of_moving(&maps, &wrong).unwrap_err();
    assert!(error.to_string().contains("[2, 4]"), "{error}");
}

#[test]
fn the_turned_loss_wants_what_is_there_to_be_missed() {
    let loss = DetectionLoss::new(DetectionLossConfig::default(), anchors()).unwrap();
    let maps: Vec<Tensor<5>> = raw(3).into_iter().map(leaf).collect();
    let boxes = MovingBoxes::still(targets().to_vec());
    let turned = loss.turned(&maps, &boxes).unwrap();
    let plain = loss.terms(&maps, &targets()).unwrap();
    assert_close(&[number(&turned.bounds)], &[-number(&plain.bounds)]);

    let assigned = loss.assign(&maps, &targets()).unwrap();
    let scores = turned.objectness.clone() + turned.classes.clone();
    let gradients = scores.backward();
    for (level, (map, entries)) in maps.iter().zip(&assigned).enumerate() {
        let [_, anchors, height, width, numbers] = map.dims();
        let found = gradient(map, &gradients).unwrap();
        let mut learns = vec![[false; 8]; found.len() / numbers];
        for a in entries {
            let plane = a.image * anchors + a.anchor;
            let place = (plane * height + a.cell[0]) * width + a.cell[1];
            learns[place][4] = true;
            learns[place][5 + a.class] = true;
        }
        let slopes = found.chunks_exact(numbers).zip(&learns);
        for (row, (slopes, learns)) in slopes.enumerate() {
            for (slope, learns) in slopes.iter().zip(learns) {
                let fits = match learns {
                    true => *slope > 0.0,
                    false => *slope == 0.0,
                };
                assert!(fits, "level {level}, row {row}: {slopes:?}");
            }
        }
        // What the slopes are, by differences, where the first entry is.
        if let Some(a) = entries.first() {
            let plane = a.image * anchors + a.anchor;
            let row = (plane * height + a.cell[0]) * width + a.cell[1];
            for column in [4, 5 + a.class] {
                let place = row * numbers + column;
                let value = |by: f64| {
                    let mut maps = raw(3);
                    let mut values = crate::testing::numbers(&maps[level]);
                    values[place] += by;
                    maps[level] = crate::testing::tensor(values, maps[level].dims());
                    let turned = loss.turned(&maps, &boxes).unwrap();
                    number(&(turned.objectness + turned.classes))
                };
                let expected = (value(1e-5) - value(-1e-5)) / 2e-5;
                assert!((found[place] - expected).abs() < 1e-8, "{column}");
            }
        }
    }
    assert!(assigned.iter().any(|entries| !entries.is_empty()));

    let nothing = loss.turned(&raw(3), &MovingBoxes::still(Vec::new()));
    assert_eq!(number(&nothing.unwrap().sum()), 0.0);
    let one = MovingBoxes::still(vec![target(0, 0, [0.3, 0.6], 0.4)]);
    assert_eq!(number(&loss.turned(&raw(1), &one).unwrap().classes), 0.0);
    // Sure of everything, there is still a number.
    let sure: Vec<_> = raw(3).iter().map(|map| map.ones_like() * 1e3).collect();
    let value = number(&loss.turned(&sure, &boxes).unwrap().sum());
    assert!(value.is_finite() && value > 0.0, "{value}");
}
