//! What users set of DINO and of methods that are made of it.

use limbeck_nn::model::vit::VisionTransformerConfig;
use serde::{Deserialize, Serialize};

use super::views::ViewKind;
use crate::{
    MethodError,
    criterion::{require_at_least, require_positive, require_share},
};

/// Settings of [`Dino`](super::Dino).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DinoConfig {
    /// Number of prototypes K.
    pub prototypes: usize,
    /// Inner width of the head's perceptron.
    pub hidden: usize,
    /// Numbers of what is compared with the prototypes.
    pub bottleneck: usize,
    /// Whether prototypes keep a length of one.
    pub norm_last_layer: bool,
    /// Epochs before the prototypes learn.
    pub frozen_epochs: usize,
    /// What the student's logits are divided by.
    pub student_temperature: f64,
    /// What the teacher's are divided by.
    pub teacher_temperature: f64,
    /// The same in the first epoch.
    pub warmup_temperature: f64,
    /// Epochs from one to the other.
    pub warmup_epochs: usize,
    /// Share of the teacher that stays at the first step; it rises to 1.
    pub momentum: f64,
    /// Share of the centre that stays at each step.
    pub centre_momentum: f64,
    /// Number of small crops besides the two large ones.
    pub local_crops: usize,
    /// Side of the large crops; the student's images' where missing.
    pub global_size: Option<usize>,
    /// Side of the small crops; half of the large ones' where missing.
    pub local_size: Option<usize>,
    /// Least area of a large crop and greatest of a small one, as a share of the image's.
    pub global_scale: f64,
    /// Least area of a small crop.
    pub local_scale: f64,
    /// How many times as high and wide as the student's the images are that crops are cut from.
    pub enlarged: usize,
    /// Probability of a mirror image.
    pub flip: f64,
    /// Probability of other colours.
    pub jitter: f64,
    /// Probability of no colours.
    pub grey: f64,
    /// Whether views are blurred.
    pub blur: bool,
    /// Probability that the second large crop has its bright half turned around.
    pub solarise: f64,
}

impl Default for DinoConfig {
    fn default() -> Self {
        Self {
            prototypes: 1024,
            hidden: 512,
            bottleneck: 256,
            norm_last_layer: true,
            frozen_epochs: 1,
            student_temperature: 0.1,
            teacher_temperature: 0.04,
            warmup_temperature: 0.04,
            warmup_epochs: 0,
            momentum: 0.996,
            centre_momentum: 0.9,
            local_crops: 8,
            global_size: None,
            local_size: None,
            global_scale: 0.4,
            local_scale: 0.05,
            enlarged: 1,
            flip: 0.5,
            jitter: 0.8,
            grey: 0.2,
            blur: true,
            solarise: 0.2,
        }
    }
}

/// Probabilities of a blur of the first large crop, the second, and the small ones (authors' code).
const BLUR: [f64; 3] = [1.0, 0.1, 0.5];

impl DinoConfig {
    /// Refuses what is out of range, for the method called `method`.
    pub(super) fn check(&self, method: &'static str) -> Result<(), MethodError> {
        require_at_least(method, "prototypes", self.prototypes, 2)?;
        require_at_least(method, "hidden", self.hidden, 1)?;
        require_at_least(method, "bottleneck", self.bottleneck, 1)?;
        require_at_least(method, "enlarged", self.enlarged, 1)?;
        for (key, value) in [
            ("student_temperature", self.student_temperature),
            ("teacher_temperature", self.teacher_temperature),
            ("warmup_temperature", self.warmup_temperature),
            ("global_scale", self.global_scale),
            ("local_scale", self.local_scale),
        ] {
            require_positive(method, key, value)?;
        }
        for (key, value) in [
            ("momentum", self.momentum),
            ("centre_momentum", self.centre_momentum),
            ("global_scale", self.global_scale),
            ("flip", self.flip),
            ("jitter", self.jitter),
            ("grey", self.grey),
            ("solarise", self.solarise),
        ] {
            require_share(method, key, value)?;
        }
        if self.local_scale > self.global_scale {
            return Err(MethodError::Setting {
                method,
                key: "local_scale",
                expected: format!("at most global_scale ({})", self.global_scale),
                found: self.local_scale.to_string(),
            });
        }
        Ok(())
    }

    /// The views of a batch in their order, the two large ones first, for a student that sees images
    /// of `own` (height, width) pixels.
    ///
    /// # Errors
    /// Sizes that patches do not cover exactly, or small crops that are larger than the large ones.
    pub(super) fn views(
        &self,
        method: &'static str,
        own: [usize; 2],
        transformer: &VisionTransformerConfig,
        patch_colours: bool,
    ) -> Result<Vec<ViewKind>, MethodError> {
        let patch = transformer.patch;
        let refuse = |key, expected, found: usize| {
            Err(MethodError::Setting {
                method,
                key,
                expected,
                found: found.to_string(),
            })
        };
        for (key, size) in [
            ("global_size", self.global_size),
            ("local_size", self.local_size),
        ] {
            if let Some(side) = size
                && (side == 0 || !side.is_multiple_of(patch))
            {
                let expected = format!("a multiple of the student's patches of {patch} pixels");
                return refuse(key, expected, side);
            }
        }
        let global = self.global_size.map_or(own, |side| [side, side]);
        let halves = global.map(|side| (side / 2 / patch).max(1) * patch);
        let local = self.local_size.map_or(halves, |side| [side, side]);
        if local[0] > global[0] || local[1] > global[1] {
            let expected = format!(
                "at most as large as the large crops of {}×{} pixels",
                global[0], global[1]
            );
            return refuse("local_size", expected, local[0].max(local[1]));
        }
        let view = |number: usize| {
            let (kind, size, scale) = match number {
                0 | 1 => (number, global, [self.global_scale, 1.0]),
                _ => (2, local, [self.local_scale, self.global_scale]),
            };
            ViewKind {
                size,
                scale,
                flip: self.flip,
                jitter: self.jitter,
                grey: self.grey,
                blur: f64::from(u8::from(self.blur)) * BLUR[kind],
                solarise: if number == 1 { self.solarise } else { 0.0 },
                patch_colours,
            }
        };
        Ok((0..2 + self.local_crops).map(view).collect())
    }
}
