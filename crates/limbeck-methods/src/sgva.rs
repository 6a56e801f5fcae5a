//! # sgva — SgVA-CLIP: Semantic-guided Visual Adapting of Vision-Language Models for Few-shot Image Classification
//!
//! Words do not say all that tells images apart. A small adapter behind a frozen image encoder learns,
//! from a few images of each class, features to compare images with images, while the frozen agreement
//! of image and text is distilled into it, so that they keep their meaning. At the end both comparisons
//! are blended.
//!
//! ## Definition
//! L = i2i_weight · i2i + kd_weight · kd + i2t_weight · i2t
//!
//! f: frozen feature of an image, v = f/‖f‖; t_c: text vector of class c, of length 1; s: `logit_scale`,
//! T: `temperature`.
//!
//! u = f·pinv(P) undoes the encoder's last projection (ViT); (f − b)·pinv(Wᵀ) where that is a linear map
//! with bias (ResNet); f where no projection is given.
//! a = ReLU(α·W₂ ReLU(W₁u) + (1 − α)·u), z = a/‖a‖; W₁, W₂ and α are trained.
//!
//! An episode has N classes, each with support and query images among its shots; c_n is the mean of the
//! support's z of class n, not brought to length 1.
//! i2i = CE(s·z·c_n, class among the N), i2t = CE(s·v·t_c, class among all),
//! kd = −mean Σ_c p_c log r_c with p = softmax(s·v·t/T), r = softmax(s·(zP)·t/T), without T²
//! (ResNet: zWᵀ + b). zP is not brought to length 1.
//!
//! The gradient of i2t trains the text vectors alone; that of i2i and kd the adapter alone: p and t are
//! constants there. With `focal_gamma` γ, i2i and i2t weigh each image by (1 − probability of its
//! class)^γ.
//!
//! A new image is of the class with the greatest λ·s·z·c + (1 − λ)·s·v·t, where prototypes c are of all
//! shots and λ is `lambda`.
//!
//! ## Inputs and shapes
//! Features `[N, d]` with labels `[N]`, text vectors `[C, d]`, if wanted the projection P `[D, d]`, or a
//! weight W `[d, D]` with its bias `[d]`; all from files: `limbeck fewshot --help`. No images are read, so
//! no run trains it.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 5 | > 0 | authors' code |
//! | `logit_scale` | 100 | > 0 | CLIP's exp(logit_scale) |
//! | `lambda` | 0.5 | 0 to 1 | authors' code |
//! | `choose_lambda` | false | | authors' code: the best of 10 draws on images held out, here a quarter of the shots; `lambda` where there is one shot |
//! | `hidden` | 2 | > 0 | authors' script: width of the adapter, in widths of u |
//! | `alpha` | 0.5 | 0 to 1 | authors' code; the value to begin with |
//! | `i2i_weight` | 1 | ≥ 0 | authors' code |
//! | `kd_weight` | 1 | ≥ 0 | authors' code |
//! | `i2t_weight` | 1 | ≥ 0 | authors' code; 0 leaves the text vectors as they are |
//! | `focal_gamma` | 0 | ≥ 0 | authors' code; its option is 2 |
//! | `way` | none | ≥ 2 | classes of an episode; none: all, of more than 50 classes 50 |
//! | `epochs` | 100 | ≥ 1 | authors' code; an epoch shows each class in one episode |
//! | `learning_rate` | none | > 0 | of the adapter; none: by shots, as below |
//! | `text_learning_rate` | none | > 0 | of the text vectors; none: by shots, as below |
//! | `momentum` | 0.9 | 0 to 1 | authors' code; Nesterov's |
//! | `weight_decay` | 0.0005 | ≥ 0 | authors' code |
//! | `warmup_epochs` | 1 | ≥ 0 | authors' code |
//! | `warmup_learning_rate` | 0.00001 | > 0 | authors' code |
//!
//! ## Notes
//! Learning rates of adapter and texts by shots are those of the authors' scripts for CoOp's data sets:
//! 1: 0.0005, 0.00005; 2: 0.0015, 0.0002; 4: 0.003, 0.0004; 8: 0.0015, 0.001; 16: 0.0035, 0.0035; the
//! next smaller row for other counts. They fall along a cosine after the warm-up; the released code sets
//! that up and does not step it, so that its rates stay as they begin.
//!
//! The paper learns words in front of the class name through CLIP's text encoder. Where texts are
//! vectors in a file there is no encoder to go through: an offset of each class's vector is learned in
//! its place, t_c = (w_c + o_c)/‖w_c + o_c‖ with the given w_c, o_c = 0 to begin with, by i2t alone, and
//! weight decay pulls back to what was given. An offset for each class is more free than words that all
//! classes share.
//!
//! The K shots of a class are support and query at once, as in the authors' sampler, which draws both
//! from them and permutes the queries; stored features have one view of each image. In the authors'
//! single-precision mode α is no parameter and stays 0.5; in their usual one it is learned, and here.
//! Left out: their targets `kd2` and `klkd`.
//!
//! Cost: the adapter has 4D² + 1 weights at the default width (2.4 M for ViT-B/16); a step of N·K
//! features takes milliseconds, the pseudo-inverse is made once.
//!
//! ## Reference
//! Peng, Yang, Xiao, Wang, Xu. "SgVA-CLIP: Semantic-guided Visual Adapting of Vision-Language Models for
//! Few-shot Image Classification". IEEE Transactions on Multimedia 26, 2024.
//! <https://arxiv.org/abs/2211.16191>
//! Authors' code: <https://github.com/FannierPeng/SgVA-CLIP> (caa63d548a60).

mod adapter;
mod episode;
#[cfg(test)]
pub mod golden;
mod projection;
#[cfg(test)]
mod tests;
mod texts;

use serde::{Deserialize, Serialize};

use crate::{
    MethodError,
    criterion::{require_at_least, require_positive, require_share, require_weight},
};

pub use adapter::{FeatureAdapter, unit_rows};
pub use episode::{Episode, EpisodeTerms, fused_scores, prototypes};
pub use projection::VisualProjection;
pub use texts::LearnedTexts;

/// Settings of [`Sgva`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SgvaConfig {
    /// Softens both distributions of the distillation.
    pub temperature: f64,
    /// Factor of all similarities.
    pub logit_scale: f64,
    /// Share of the adapted features in the blend.
    pub lambda: f64,
    /// Whether that share is chosen on images held out.
    pub choose_lambda: bool,
    /// Width of the adapter, in widths of what it reads.
    pub hidden: f64,
    /// Share of the two linear maps in the adapter, to begin with.
    pub alpha: f64,
    /// Factor of the cross entropy of images with images.
    pub i2i_weight: f64,
    /// Factor of the distillation.
    pub kd_weight: f64,
    /// Factor of the cross entropy of images with texts.
    pub i2t_weight: f64,
    /// Power by which images that are told apart well weigh less.
    pub focal_gamma: f64,
    /// Classes of an episode; `None`: all, at most 50.
    pub way: Option<usize>,
    /// How often each class is shown.
    pub epochs: usize,
    /// Of the adapter; `None`: by shots.
    pub learning_rate: Option<f64>,
    /// Of the text vectors; `None`: by shots.
    pub text_learning_rate: Option<f64>,
    /// Of both optimisers.
    pub momentum: f64,
    /// Of both optimisers.
    pub weight_decay: f64,
    /// Epochs at the rate of the warm-up.
    pub warmup_epochs: usize,
    /// The rate of the warm-up.
    pub warmup_learning_rate: f64,
}

impl Default for SgvaConfig {
    fn default() -> Self {
        Self {
            temperature: 5.0,
            logit_scale: 100.0,
            lambda: 0.5,
            choose_lambda: false,
            hidden: 2.0,
            alpha: 0.5,
            i2i_weight: 1.0,
            kd_weight: 1.0,
            i2t_weight: 1.0,
            focal_gamma: 0.0,
            way: None,
            epochs: 100,
            learning_rate: None,
            text_learning_rate: None,
            momentum: 0.9,
            weight_decay: 5e-4,
            warmup_epochs: 1,
            warmup_learning_rate: 1e-5,
        }
    }
}

/// Shots, learning rate of the adapter, that of the texts: the authors' scripts for CoOp's data sets.
const RATES: [(usize, f64, f64); 5] = [
    (1, 5e-4, 5e-5),
    (2, 1.5e-3, 2e-4),
    (4, 3e-3, 4e-4),
    (8, 1.5e-3, 1e-3),
    (16, 3.5e-3, 3.5e-3),
];

/// Most classes of an episode where none were asked for: the authors' choice for ImageNet.
const MOST_CLASSES: usize = 50;

/// The method with settings that are in range.
#[derive(Clone, Debug, PartialEq)]
pub struct Sgva {
    config: SgvaConfig,
}

impl Sgva {
    const ID: &'static str = "sgva";

    /// Checks the settings.
    ///
    /// # Errors
    /// A setting out of range.
    pub fn new(config: SgvaConfig) -> Result<Self, MethodError> {
        for (key, value) in [
            ("temperature", config.temperature),
            ("logit_scale", config.logit_scale),
            ("hidden", config.hidden),
            ("learning_rate", config.learning_rate.unwrap_or(1.0)),
            (
                "text_learning_rate",
                config.text_learning_rate.unwrap_or(1.0),
            ),
            ("warmup_learning_rate", config.warmup_learning_rate),
        ] {
            require_positive(Self::ID, key, value)?;
        }
        for (key, value) in [
            ("lambda", config.lambda),
            ("alpha", config.alpha),
            ("momentum", config.momentum),
        ] {
            require_share(Self::ID, key, value)?;
        }
        for (key, value) in [
            ("i2i_weight", config.i2i_weight),
            ("kd_weight", config.kd_weight),
            ("i2t_weight", config.i2t_weight),
            ("focal_gamma", config.focal_gamma),
            ("weight_decay", config.weight_decay),
        ] {
            require_weight(Self::ID, key, value)?;
        }
        require_at_least(Self::ID, "epochs", config.epochs, 1)?;
        require_at_least(Self::ID, "way", config.way.unwrap_or(2), 2)?;
        Ok(Self { config })
    }

    /// The settings.
    pub fn config(&self) -> &SgvaConfig {
        &self.config
    }

    /// Learning rates of adapter and texts for so many shots of each class.
    pub fn learning_rates(&self, shots: usize) -> [f64; 2] {
        let [first, ..] = RATES;
        let row = RATES.iter().rev().find(|(least, ..)| *least <= shots);
        let (_, adapter, texts) = row.copied().unwrap_or(first);
        [
            self.config.learning_rate.unwrap_or(adapter),
            self.config.text_learning_rate.unwrap_or(texts),
        ]
    }

    /// Classes of an episode where there are `classes`.
    ///
    /// # Errors
    /// More classes of an episode than there are.
    pub fn way(&self, classes: usize) -> Result<usize, MethodError> {
        let way = self.config.way.unwrap_or(classes.min(MOST_CLASSES));
        match way > classes {
            true => Err(MethodError::Setting {
                method: Self::ID,
                key: "way",
                expected: format!("at most the number of classes, {classes}"),
                found: way.to_string(),
            }),
            false => Ok(way),
        }
    }
}
