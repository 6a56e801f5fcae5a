//! Non-maximum suppression: of boxes of one class that overlap, the most certain one.

mod crowd;

use super::DetectionError;
use crowd::{Crowd, MANY};

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
    let area = |candidate: &Candidate| {
        let start = candidate.row as usize * (5 + classes);
        Area::new(&predictions[start..start + 4])
    };
    let mut all = [
        f64::INFINITY,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NEG_INFINITY,
    ];
    // Nobody looks at them where too few can be kept.
    let bounded = candidates
        .iter()
        .filter(|_| candidates.len().min(config.detections) >= MANY);
    for candidate in bounded {
        let [left, top, right, bottom] = area(candidate).bounds;
        all = [
            all[0].min(left),
            all[1].min(top),
            all[2].max(right),
            all[3].max(bottom),
        ];
    }
    let groups = if config.agnostic { 1 } else { classes };
    let mut groups: Vec<Crowd> = (0..groups).map(|_| Crowd::default()).collect();
    let mut kept = Vec::new();
    for candidate in candidates {
        if kept.len() == config.detections {
            break;
        }
        let area = area(candidate);
        let class = candidate.class as usize;
        let group = &mut groups[if config.agnostic { 0 } else { class }];
        if group.overlaps(&area, config.iou) {
            continue;
        }
        group.push(area, &all, config.iou);
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
mod tests;
