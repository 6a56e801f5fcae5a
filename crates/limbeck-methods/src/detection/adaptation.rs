//! What SSDA-YOLO adds to a detector's loss: boxes of a teacher for images of another domain, and a
//! consistency between two styles of one image.
//!
//! Real images are drawn in the style of the other domain besides. The student learns the labels from source
//! images in both styles (L_r, L_f), and from real target images the boxes that the teacher finds in them in
//! the style of the source (L_t). With L the whole YOLOv5 loss of a batch:
//!
//! L_r + L_f + λ·L_t + α·(L_r − L_f)²
//!
//! (Zhou, Jiang and Lu, CVIU 2023, and `ssda_yolov5_train.py` of hnuzhy/SSDA-YOLO.) A batch in which the
//! teacher finds nothing adds no L_t; the authors' code draws a box at random there.

use burn::tensor::Tensor;

use super::{Anchors, DetectionError, DetectionLoss, Kept, SuppressionConfig, TargetBox, detect};

/// What the authors keep of a teacher's boxes.
pub const PSEUDO_LABELS: SuppressionConfig = SuppressionConfig {
    confidence: 0.5,
    iou: 0.3,
    multi_label: true,
    agnostic: false,
    candidates: 30_000,
    detections: 20,
};

/// A teacher's boxes as targets, image by image, surest first; `raw` are its maps `[B, A, H, W, 5 + K]` of
/// images of `image` pixels, height and width. No gradient flows.
///
/// # Errors
/// Those of [`detect`].
pub fn pseudo_labels(
    anchors: &Anchors,
    raw: &[Tensor<5>],
    [height, width]: [usize; 2],
    config: &SuppressionConfig,
) -> Result<Vec<TargetBox>, DetectionError> {
    let extent = [width as f64, height as f64];
    let target = |image: usize, kept: &Kept| {
        let [left, top, right, bottom] = kept.bounds;
        TargetBox {
            image,
            class: kept.class,
            center: [
                0.5 * (left + right) / extent[0],
                0.5 * (top + bottom) / extent[1],
            ],
            size: [(right - left) / extent[0], (bottom - top) / extent[1]],
        }
    };
    let images = detect(anchors, raw, config)?;
    Ok(images
        .iter()
        .enumerate()
        .flat_map(|(image, kept)| kept.iter().map(move |kept| target(image, kept)))
        .collect())
}

/// How much each part counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptationConfig {
    /// λ (0 or more, default 0.005).
    pub pseudo_weight: f64,
    /// α (0 or more, default 2).
    pub consistency_weight: f64,
}

impl Default for AdaptationConfig {
    /// The authors' (README of hnuzhy/SSDA-YOLO).
    fn default() -> Self {
        Self {
            pseudo_weight: 0.005,
            consistency_weight: 2.0,
        }
    }
}

/// The student's raw maps `[B, A, H, W, 5 + K]` of three batches.
#[derive(Clone, Copy, Debug)]
pub struct AdaptationMaps<'a> {
    /// Of source images.
    pub source_real: &'a [Tensor<5>],
    /// Of the same in the target's style.
    pub source_fake: &'a [Tensor<5>],
    /// Of target images.
    pub target_real: &'a [Tensor<5>],
}

/// The parts of the loss, each `[1]`.
#[derive(Clone, Debug)]
pub struct AdaptationTerms {
    /// L_r.
    pub source_real: Tensor<1>,
    /// L_f.
    pub source_fake: Tensor<1>,
    /// L_t, without λ.
    pub distillation: Tensor<1>,
    /// α·(L_r − L_f)².
    pub consistency: Tensor<1>,
    /// The sum of all, L_t times λ.
    pub total: Tensor<1>,
}

/// The loss of a step, with the labels `targets` of both source batches and the teacher's boxes `pseudo` of the
/// target batch.
///
/// # Errors
/// [`DetectionError::Setting`] for a weight below 0, and those of [`DetectionLoss::terms`].
pub fn adapt(
    loss: &DetectionLoss,
    maps: AdaptationMaps<'_>,
    targets: &[TargetBox],
    pseudo: &[TargetBox],
    config: &AdaptationConfig,
) -> Result<AdaptationTerms, DetectionError> {
    let weights = [
        ("pseudo_weight", config.pseudo_weight),
        ("consistency_weight", config.consistency_weight),
    ];
    for (key, value) in weights {
        if !(0.0..=f64::MAX).contains(&value) {
            return Err(DetectionError::Setting {
                key,
                expected: "a finite number of 0 or more",
                found: value.to_string(),
            });
        }
    }
    let source_real = loss.terms(maps.source_real, targets)?.total();
    let source_fake = loss.terms(maps.source_fake, targets)?.total();
    let distillation = match pseudo.is_empty() {
        true => source_real.clone().inner().zeros_like(),
        false => loss.terms(maps.target_real, pseudo)?.total(),
    };
    let difference = source_real.clone() - source_fake.clone();
    let consistency = (difference.clone() * difference).mul_scalar(config.consistency_weight);
    let total = source_real.clone()
        + source_fake.clone()
        + distillation.clone().mul_scalar(config.pseudo_weight)
        + consistency.clone();
    Ok(AdaptationTerms {
        source_real,
        source_fake,
        distillation,
        consistency,
        total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        detection::DetectionLossConfig,
        testing::{gradient, leaf, number, numbers, random},
    };

    /// Maps of two images of 64×64 pixels with two classes.
    fn maps(name: &str) -> Vec<Tensor<5>> {
        [8, 4, 2]
            .into_iter()
            .map(|side| random(&format!("{name} {side}"), [2, 3, side, side, 7]))
            .collect()
    }

    fn loss() -> DetectionLoss {
        DetectionLoss::new(DetectionLossConfig::default(), Anchors::yolov5()).unwrap()
    }

    fn target() -> TargetBox {
        TargetBox {
            image: 1,
            class: 0,
            center: [0.4, 0.6],
            size: [0.3, 0.2],
        }
    }

    fn terms(
        [source_real, source_fake, target_real]: [&[Tensor<5>]; 3],
        pseudo: &[TargetBox],
        config: AdaptationConfig,
    ) -> Result<AdaptationTerms, DetectionError> {
        let maps = AdaptationMaps {
            source_real,
            source_fake,
            target_real,
        };
        adapt(&loss(), maps, &[target()], pseudo, &config)
    }

    #[test]
    fn two_equal_styles_are_consistent() {
        let [real, other] = ["real", "other"].map(maps);
        let config = AdaptationConfig::default();
        let same = terms([&real, &real, &other], &[], config).unwrap();
        assert_eq!(number(&same.consistency), 0.0);
        let differing = terms([&real, &other, &other], &[], config).unwrap();
        assert!(number(&differing.consistency) > 0.0);
    }

    #[test]
    fn without_boxes_or_weights_the_target_images_teach_nothing() {
        let [real, fake, target_real] = ["real", "fake", "target"].map(maps);
        let none = AdaptationConfig {
            pseudo_weight: 0.0,
            consistency_weight: 0.0,
        };
        let plain = terms([&real, &fake, &target_real], &[target()], none).unwrap();
        let sum = number(&plain.source_real) + number(&plain.source_fake);
        assert_eq!(number(&plain.total), sum);
        let tracked: Vec<Tensor<5>> = target_real.into_iter().map(leaf).collect();
        let real: Vec<Tensor<5>> = real.into_iter().map(leaf).collect();
        let default = AdaptationConfig::default();
        let found = terms([&real, &fake, &tracked], &[], default).unwrap();
        assert_eq!(number(&found.distillation), 0.0);
        let gradients = found.total.backward();
        assert!(gradient(&tracked[0], &gradients).is_none());
        assert!(gradient(&real[0], &gradients).is_some());
    }

    #[test]
    fn a_teacher_s_boxes_are_shares_of_the_image() {
        let anchors = Anchors::yolov5();
        let raw = maps("teacher");
        let config = SuppressionConfig {
            confidence: 0.3,
            ..PSEUDO_LABELS
        };
        let found = pseudo_labels(&anchors, &raw, [64, 64], &config).unwrap();
        let kept = detect(&anchors, &raw, &config).unwrap();
        assert_eq!(found.len(), kept[0].len() + kept[1].len());
        assert!(kept.iter().all(|kept| !kept.is_empty() && kept.len() <= 20));
        let first = found[0];
        let [left, _, right, _] = kept[0][0].bounds;
        assert!((first.center[0] * 64.0 - 0.5 * (left + right)).abs() < 1e-9);
        assert!((first.size[0] * 64.0 - (right - left)).abs() < 1e-9);
        // They can be learnt.
        let terms = loss().terms(&raw, &found).unwrap();
        assert!(numbers(&terms.total())[0].is_finite());
    }

    #[test]
    fn negative_weights_are_refused() {
        let real = maps("real");
        let wrong = AdaptationConfig {
            pseudo_weight: -1.0,
            ..Default::default()
        };
        assert!(terms([&real, &real, &real], &[], wrong).is_err());
    }
}
