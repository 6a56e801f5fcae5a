//! What can be set of the loss.

use crate::detection::DetectionError;

/// How much each part of the loss counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    /// 1 − CIoU.
    pub bounds: f64,
    /// Cross entropy of objectness.
    pub objectness: f64,
    /// Cross entropy of classes.
    pub classes: f64,
}

impl Default for Gains {
    /// YOLOv5's for training from scratch (`data/hyps/hyp.scratch.yaml`).
    fn default() -> Self {
        Self {
            bounds: 0.05,
            objectness: 1.0,
            classes: 0.5,
        }
    }
}

impl Gains {
    /// The same for a network of `levels` levels and `classes` classes on images of `side` pixels, as YOLOv5
    /// does once before training: they are meant for 3 levels, 80 classes and 640 pixels.
    pub fn scaled(self, levels: usize, classes: usize, side: usize) -> Self {
        let levels = 3.0 / levels as f64;
        let side = side as f64 / 640.0;
        Self {
            bounds: self.bounds * levels,
            objectness: self.objectness * side * side * levels,
            classes: self.classes * classes as f64 / 80.0 * levels,
        }
    }
}

/// What can be set. Defaults are YOLOv5's for training from scratch (`data/hyps/hyp.scratch.yaml`).
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionLossConfig {
    /// How much each part counts, scaled already.
    pub gains: Gains,
    /// Objectness of each level, finest first; one for each level (default 4, 1, 0.4).
    pub balance: Vec<f64>,
    /// Sides of a box may be less than so many times longer or shorter than an anchor's (default 4, at least 1).
    pub anchor_ratio: f64,
    /// How much of an entry's objectness is its CIoU and not 1 (0 to 1, default 1).
    pub objectness_overlap: f64,
    /// Weight of what is there in objectness (default 1).
    pub objectness_positive_weight: f64,
    /// Weight of the right class (default 1).
    pub class_positive_weight: f64,
    /// γ of focal loss; 0 is none (default 0).
    pub focal_gamma: f64,
    /// ε of label smoothing (0 to 1, default 0).
    pub label_smoothing: f64,
}

impl Default for DetectionLossConfig {
    fn default() -> Self {
        Self {
            gains: Gains::default(),
            balance: vec![4.0, 1.0, 0.4],
            anchor_ratio: 4.0,
            objectness_overlap: 1.0,
            objectness_positive_weight: 1.0,
            class_positive_weight: 1.0,
            focal_gamma: 0.0,
            label_smoothing: 0.0,
        }
    }
}

impl DetectionLossConfig {
    /// Whether all is in range, for a network of `levels` levels.
    pub(super) fn check(&self, levels: usize) -> Result<(), DetectionError> {
        if self.balance.len() != levels {
            return Err(DetectionError::Setting {
                key: "balance",
                expected: "one number for each level of the anchors",
                found: format!("{:?} for {levels} levels", self.balance),
            });
        }
        let positive = "a finite number of 0 or more";
        let share = "between 0 and 1";
        let most = f64::MAX;
        let gains = self.gains;
        let balance = self
            .balance
            .iter()
            .map(|&b| ("balance", b, [0.0, most], positive));
        [
            ("gains.bounds", gains.bounds, [0.0, most], positive),
            ("gains.objectness", gains.objectness, [0.0, most], positive),
            ("gains.classes", gains.classes, [0.0, most], positive),
            (
                "anchor_ratio",
                self.anchor_ratio,
                [1.0, most],
                "a finite number of 1 or more",
            ),
            (
                "objectness_overlap",
                self.objectness_overlap,
                [0.0, 1.0],
                share,
            ),
            (
                "objectness_positive_weight",
                self.objectness_positive_weight,
                [0.0, most],
                positive,
            ),
            (
                "class_positive_weight",
                self.class_positive_weight,
                [0.0, most],
                positive,
            ),
            ("focal_gamma", self.focal_gamma, [0.0, most], positive),
            ("label_smoothing", self.label_smoothing, [0.0, 1.0], share),
        ]
        .into_iter()
        .chain(balance)
        .try_for_each(|(key, value, [least, most], expected)| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(DetectionError::Setting {
                key,
                expected,
                found: value.to_string(),
            })
        })
    }
}
