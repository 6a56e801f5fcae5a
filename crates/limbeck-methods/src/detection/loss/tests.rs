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
