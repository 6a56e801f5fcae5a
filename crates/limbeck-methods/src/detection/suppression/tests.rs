use super::*;
use crate::testing::{numbers, random};

/// Boxes of some ten pixels in an image of a hundred, with three classes.
fn predictions(count: usize) -> Vec<f64> {
    let drawn = numbers(&random("predictions", [count, 8]));
    let share = |x: f64| 1.0 / (1.0 + (-x).exp());
    drawn
        .chunks(8)
        .flat_map(|row| {
            [
                50.0 + 20.0 * row[0],
                50.0 + 20.0 * row[1],
                10.0 + 20.0 * share(row[2]),
                10.0 + 20.0 * share(row[3]),
                share(row[4]),
                share(row[5]),
                share(row[6]),
                share(row[7]),
            ]
        })
        .collect()
}

fn config() -> SuppressionConfig {
    SuppressionConfig {
        confidence: 0.2,
        iou: 0.45,
        ..Default::default()
    }
}

fn overlap(a: &Kept, b: &Kept) -> f64 {
    let area = |kept: &Kept| {
        let [x1, y1, x2, y2] = kept.bounds;
        Area::new(&[(x1 + x2) / 2.0, (y1 + y2) / 2.0, x2 - x1, y2 - y1])
    };
    area(a).iou(&area(b))
}

/// All rows against all others, by the definition.
fn plain(predictions: &[f64], config: &SuppressionConfig) -> Vec<Kept> {
    let mut all = Vec::new();
    for row in predictions
        .chunks(8)
        .filter(|row| row[4] > config.confidence)
    {
        for class in 0..3 {
            let score = row[4] * row[5 + class];
            if score > config.confidence {
                let bounds = Area::new(row).bounds;
                all.push(Kept {
                    bounds,
                    score,
                    class,
                });
            }
        }
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut alive = vec![true; all.len()];
    for i in 0..all.len() {
        for j in i + 1..all.len() {
            let same = config.agnostic || all[i].class == all[j].class;
            if alive[i] && same && overlap(&all[i], &all[j]) > config.iou {
                alive[j] = false;
            }
        }
    }
    let mut kept = Vec::new();
    for (candidate, alive) in all.into_iter().zip(alive) {
        if alive && kept.len() < config.detections {
            kept.push(candidate);
        }
    }
    kept
}

#[test]
fn the_same_as_by_the_definition() {
    let predictions = predictions(300);
    for (agnostic, detections) in [(false, 300), (true, 300), (false, 7)] {
        let config = SuppressionConfig {
            agnostic,
            detections,
            ..config()
        };
        let found = suppress(&predictions, 3, &config).unwrap();
        assert_eq!(found, plain(&predictions, &config));
        assert!(found.len() > 5 && found.len() <= detections);
    }
}

#[test]
fn sorted_apart_and_idempotent() {
    let found = suppress(&predictions(300), 3, &config()).unwrap();
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
    for (i, a) in found.iter().enumerate() {
        for b in found[..i].iter().filter(|b| b.class == a.class) {
            assert!(overlap(a, b) <= 0.45);
        }
    }
    let again: Vec<f64> = found
        .iter()
        .flat_map(|kept| {
            let [x1, y1, x2, y2] = kept.bounds;
            let mut row = [
                (x1 + x2) / 2.0,
                (y1 + y2) / 2.0,
                x2 - x1,
                y2 - y1,
                1.0,
                0.0,
                0.0,
                0.0,
            ];
            row[5 + kept.class] = kept.score;
            row
        })
        .collect();
    let second = suppress(&again, 3, &config()).unwrap();
    let key =
        |kept: &[Kept]| -> Vec<(f64, usize)> { kept.iter().map(|k| (k.score, k.class)).collect() };
    assert_eq!(key(&second), key(&found));
}

#[test]
fn a_box_stands_for_all_its_classes_or_for_the_best() {
    let row = [50.0, 50.0, 10.0, 10.0, 1.0, 0.5, 0.75, 0.1];
    let classes = |multi_label| -> Vec<usize> {
        let config = SuppressionConfig {
            multi_label,
            ..config()
        };
        let found = suppress(&row, 3, &config).unwrap();
        found.iter().map(|kept| kept.class).collect()
    };
    assert_eq!(classes(true), [1, 0]);
    assert_eq!(classes(false), [1]);
}

#[test]
fn equal_scores_keep_the_order_of_the_rows_whatever_the_cut() {
    let row = |x: f64| [x, 50.0, 1.0, 1.0, 1.0, 0.5];
    let rows: Vec<f64> = (0..40).flat_map(|i| row(3.0 * f64::from(i))).collect();
    for candidates in [0, 1, 13, 40] {
        let config = SuppressionConfig {
            candidates,
            ..config()
        };
        let found = suppress(&rows, 1, &config).unwrap();
        let lefts: Vec<f64> = found.iter().map(|kept| kept.bounds[0]).collect();
        let expected: Vec<f64> = (0..candidates).map(|i| 3.0 * i as f64 - 0.5).collect();
        assert_eq!(lefts, expected);
    }
}

#[test]
fn all_classes_of_all_cells_of_a_large_image() {
    let (rows, classes) = (25_200, 80);
    let mut state = 1u64;
    let mut share = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    let predictions: Vec<f64> = (0..rows * (5 + classes))
        .map(|i| match i % (5 + classes) {
            0 | 1 => 640.0 * share(),
            2 | 3 => 5.0 + 100.0 * share(),
            _ => share(),
        })
        .collect();
    let config = SuppressionConfig::default();
    let found = suppress(&predictions, classes, &config).unwrap();
    assert_eq!(found.len(), 300);
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
    // Whatever is cut off beyond these candidates would not have been looked at.
    let all = SuppressionConfig {
        candidates: usize::MAX,
        ..config
    };
    assert_eq!(suppress(&predictions, classes, &all).unwrap(), found);
}

#[test]
fn what_is_no_prediction_is_refused() {
    let row = [50.0, 50.0, 10.0, 10.0, 1.0, 0.5];
    let found = |row: &[f64], confidence| {
        let config = SuppressionConfig {
            confidence,
            ..config()
        };
        suppress(row, 1, &config)
    };
    assert!(found(&row, 0.5).unwrap().is_empty());
    assert!(found(&[], 0.5).unwrap().is_empty());
    assert!(found(&row[..5], 0.5).is_err());
    assert!(found(&row, 1.5).is_err());
    assert!(suppress(&[], 0, &config()).is_err());
    let mut wrong = row;
    for place in [0, 3, 4, 5] {
        wrong[place] = f64::NAN;
        assert!(found(&wrong, 0.2).is_err());
        wrong = row;
    }
}

#[test]
fn crowds_are_the_same_as_by_the_definition() {
    let drawn = numbers(&random("crowd", [3 * MANY, 4]));
    let share = |x: f64| 1.0 / (1.0 + (-x).exp());
    // In one class far more than a list is gone through of; a few without area, a few turned inside out.
    let predictions: Vec<f64> = drawn
        .chunks(4)
        .enumerate()
        .flat_map(|(index, row)| {
            let side = match index % 100 {
                7 => 0.0,
                9 => -4.0,
                _ => 3.0 + 20.0 * share(2.0 * row[2]) * share(row[3]),
            };
            let score = 1.0 - 0.0001 * index as f64;
            let [x, y] = [0, 1].map(|axis| 1000.0 * share(row[axis]) - 300.0);
            [
                x,
                y,
                side,
                side.abs() * (0.5 + share(row[3])),
                score,
                1.0,
                0.0,
                0.0,
            ]
        })
        .collect();
    for iou in [0.0, 0.1, 0.25, 0.45, 0.5, 0.7, 1.0] {
        let config = SuppressionConfig {
            iou,
            agnostic: true,
            detections: usize::MAX,
            confidence: 0.2,
            ..Default::default()
        };
        let found = suppress(&predictions, 3, &config).unwrap();
        assert_eq!(found, plain(&predictions, &config), "{iou}");
        assert!(found.len() > MANY || iou < 0.25, "{iou}: {}", found.len());
    }
    // Far away from where rounding is as large as the boxes.
    let far: Vec<f64> = predictions
        .chunks(8)
        .flat_map(|row| [&[1e12 + row[0], row[1], row[2] * 1e-3], &row[3..]].concat())
        .collect();
    let config = SuppressionConfig {
        detections: usize::MAX,
        ..config()
    };
    assert_eq!(suppress(&far, 3, &config).unwrap(), plain(&far, &config));
}
