//! Non-maximum suppression: of boxes of one class that overlap, the most certain one.

use super::DetectionError;

/// What is kept. Defaults are those that YOLOv5 evaluates with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuppressionConfig {
    /// Objectness and score must be above it (0 to 1, default 0.001).
    pub confidence: f64,
    /// Two boxes are taken for one above this IoU (0 to 1, default 0.6).
    pub iou: f64,
    /// Whether a box stands for every class above `confidence`, or for its best one alone (default: every).
    pub multi_label: bool,
    /// Whether boxes of different classes suppress one another (default: no).
    pub agnostic: bool,
    /// So many of the highest scores are looked at, at most (default 30,000).
    pub candidates: usize,
    /// So many are kept, at most (default 300).
    pub detections: usize,
}

impl Default for SuppressionConfig {
    fn default() -> Self {
        Self {
            confidence: 0.001,
            iou: 0.6,
            multi_label: true,
            agnostic: false,
            candidates: 30_000,
            detections: 300,
        }
    }
}

/// A box that was kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// Left, top, right, bottom, in the unit of the predictions.
    pub bounds: [f64; 4],
    /// Objectness times the class's probability.
    pub score: f64,
    /// Class.
    pub class: usize,
}

/// What is kept of the predictions `[N, 5 + K]` of one image, row after row as
/// [`decode`](super::decode) gives them, by descending score; among equal scores by row, then by class.
///
/// YOLOv5 keeps classes apart by moving each 4096 pixels further; here they never meet, which is the
/// same for images below that size.
///
/// # Errors
/// [`DetectionError::Setting`] for a threshold out of its range, [`DetectionError::Shape`] for numbers
/// that are no rows, [`DetectionError::Row`] for a prediction that is not finite.
pub fn suppress(
    predictions: &[f64],
    classes: usize,
    config: &SuppressionConfig,
) -> Result<Vec<Kept>, DetectionError> {
    for (key, value) in [("confidence", config.confidence), ("iou", config.iou)] {
        if !(0.0..=1.0).contains(&value) {
            return Err(DetectionError::Setting {
                key,
                expected: "between 0 and 1",
                found: value.to_string(),
            });
        }
    }
    let width = 5 + classes;
    if classes == 0 || !predictions.len().is_multiple_of(width) {
        return Err(DetectionError::Shape {
            what: "predictions".to_owned(),
            expected: format!("rows of {width} numbers, of at least one class"),
            found: format!("{} numbers", predictions.len()),
        });
    }
    let mut candidates = candidates(predictions, classes, config)?;
    let by_score = |a: &Candidate, b: &Candidate| {
        let place = |c: &Candidate| (c.row, c.class);
        b.score
            .total_cmp(&a.score)
            .then_with(|| place(a).cmp(&place(b)))
    };
    if candidates.len() > config.candidates {
        if config.candidates > 0 {
            candidates.select_nth_unstable_by(config.candidates - 1, by_score);
        }
        candidates.truncate(config.candidates);
    }
    candidates.sort_unstable_by(by_score);
    Ok(greedy(predictions, classes, &candidates, config))
}

/// A box with a class.
struct Candidate {
    score: f64,
    row: u32,
    class: u32,
}

fn candidates(
    predictions: &[f64],
    classes: usize,
    config: &SuppressionConfig,
) -> Result<Vec<Candidate>, DetectionError> {
    let mut found = Vec::new();
    for (index, row) in predictions.chunks_exact(5 + classes).enumerate() {
        let objectness = row[4];
        if objectness <= config.confidence {
            continue;
        }
        if !row.iter().all(|x| x.is_finite()) {
            return Err(DetectionError::Row {
                what: "prediction",
                index,
                reason: "it is not finite".to_owned(),
            });
        }
        let scores = || row[5..].iter().map(|class| objectness * class).enumerate();
        let mut take = |(class, score): (usize, f64)| {
            if score > config.confidence {
                found.push(Candidate {
                    score,
                    row: index as u32,
                    class: class as u32,
                });
            }
        };
        match config.multi_label {
            true => scores().for_each(take),
            // The first of equals.
            false => take(scores().fold((0, f64::NEG_INFINITY), |best, next| {
                if next.1 > best.1 { next } else { best }
            })),
        }
    }
    Ok(found)
}

/// A candidate is dropped where one of its class that was kept before overlaps it: what was dropped suppresses
/// nothing, so what was kept is all that there is to compare with.
fn greedy(
    predictions: &[f64],
    classes: usize,
    candidates: &[Candidate],
    config: &SuppressionConfig,
) -> Vec<Kept> {
    let groups = if config.agnostic { 1 } else { classes };
    let mut groups: Vec<Vec<Area>> = vec![Vec::new(); groups];
    let mut kept = Vec::new();
    for candidate in candidates {
        if kept.len() == config.detections {
            break;
        }
        let start = candidate.row as usize * (5 + classes);
        let area = Area::new(&predictions[start..start + 4]);
        let class = candidate.class as usize;
        let group = &mut groups[if config.agnostic { 0 } else { class }];
        if group.iter().any(|other| area.iou(other) > config.iou) {
            continue;
        }
        group.push(area);
        kept.push(Kept {
            bounds: area.bounds,
            score: candidate.score,
            class,
        });
    }
    kept
}

#[derive(Clone, Copy)]
struct Area {
    bounds: [f64; 4],
    area: f64,
}

impl Area {
    /// From centre x, centre y, width and height.
    fn new(row: &[f64]) -> Self {
        let [left, right] = [-0.5, 0.5].map(|side| row[0] + side * row[2]);
        let [top, bottom] = [-0.5, 0.5].map(|side| row[1] + side * row[3]);
        Self {
            bounds: [left, top, right, bottom],
            area: (right - left) * (bottom - top),
        }
    }

    /// NaN of two empty boxes, which suppress nothing.
    fn iou(&self, other: &Self) -> f64 {
        let [a, b] = [&self.bounds, &other.bounds];
        let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
        let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
        let intersection = width * height;
        intersection / (self.area + other.area - intersection)
    }
}

#[cfg(test)]
mod tests {
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
        let key = |kept: &[Kept]| -> Vec<(f64, usize)> {
            kept.iter().map(|k| (k.score, k.class)).collect()
        };
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
}
