//! # dilo — Distilling Localization for Self-Supervised Representation Learning
//!
//! Networks that learn to tell images apart look at their backgrounds. Where the foreground of an image
//! is, its saliency, is estimated once; then it is pasted on another background in some of the views,
//! so that two views have nothing but the foreground in common. Everything else is `moco`.
//!
//! ## Definition
//! L as `moco` defines it, on other views: each view, before it is cropped, stays as it is with
//! probability `keep`. Otherwise it becomes (v·m + g·(255 − m))/255 in 8 bits, rounded, v: image, m: its
//! mask (255 in the foreground), g: one grey for the whole background, drawn from 0 to 254. With
//! probability `blur` the mask is blurred before, by a Gaussian of `blur_sigma` pixels.
//!
//! `saliency = "estimated"`: the mask is computed from what touches the border of the image (Zhu,
//! Liang, Wei, Sun. "Saliency Optimization from Robust Background Detection". CVPR 2014, on squares
//! instead of superpixels). `"files"`: of `cat/1.jpg` it is `cat/saliency/1.png`, else
//! `saliency/cat/1.png` beside the folder `cat`, and so on up to the data set; one channel, the size of
//! the image, 255 in the foreground. Folders called `saliency` are no classes.
//!
//! ## Inputs and shapes
//! As `moco`. Images that have masks of classes are refused.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `keep` | 0.7 | 0 to 1 | paper |
//! | `blur` | 0.5 | 0 to 1 | authors' code |
//! | `blur_sigma` | 5 | ≥ 0 | same, for photographs; images of 32 pixels want about 1 |
//! | `saliency` | `estimated` | or `files` | ours; the paper compares estimates and a trained network |
//! | `objective` | `moco` | or `instdisc` | paper has both; this and all below as in `moco` |
//! | `head` | `linear` | or `mlp` | |
//! | `dimensions` | 128 | ≥ 1 | |
//! | `temperature` | 0.07 | > 0 | |
//! | `momentum` | 0.999 | 0 to 1 | |
//! | `queue` | none | a multiple of the batch, at most the training images | |
//! | `groups` | 4 | ≥ 1 | |
//! | `negatives` | 4096 | ≥ 1 | |
//! | `memory_momentum` | 0.5 | 0 to 1 | |
//!
//! ## Notes
//! Pasting draws from randomness of its own: with the same seed, crops and colours are those that `moco`
//! sees, which is trained beside it by `--baseline`. The paper's other backgrounds, textures and other
//! images, did no better than greys and are left out. `limbeck check DATA --out PAGE --saliency
//! estimated` shows what would be pasted. Where nothing stands out from the border, all is foreground
//! and the image stays as it is. Cost: that of `moco`; each image's mask once (about 5 ms) and as many bytes as the
//! image has pixels, 512 MB of them at the most: what does not fit is computed again.
//!
//! ## Reference
//! Zhao, Wu, Lau, Lin. "Distilling Localization for Self-Supervised Representation Learning". AAAI
//! 2021. <https://arxiv.org/abs/2004.06638>
//! Authors' code: <https://github.com/nanxuanzhao/DiLo> (0908522e01bf, no licence file).

#[cfg(test)]
pub mod golden;

use limbeck_data::{Paste, SaliencySource};
use serde::{Deserialize, Serialize};

use crate::{
    Cast, Follower, MethodError, Probe, Procedure, Progress, Scene, Stage, State, Term,
    criterion::{require_share, require_weight},
    moco::{Head, Moco, MocoConfig, Objective},
};

/// Settings of [`Dilo`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiloConfig {
    /// Probability that a view stays as it is.
    pub keep: f64,
    /// Probability that a mask is blurred.
    pub blur: f64,
    /// Standard deviation of that blur, in pixels.
    pub blur_sigma: f64,
    /// Where masks come from.
    pub saliency: SaliencySource,
    /// As in [`MocoConfig`].
    pub objective: Objective,
    /// As in [`MocoConfig`].
    pub head: Head,
    /// As in [`MocoConfig`].
    pub dimensions: usize,
    /// As in [`MocoConfig`].
    pub temperature: f64,
    /// As in [`MocoConfig`].
    pub momentum: f64,
    /// As in [`MocoConfig`].
    pub queue: Option<usize>,
    /// As in [`MocoConfig`].
    pub groups: usize,
    /// As in [`MocoConfig`].
    pub negatives: usize,
    /// As in [`MocoConfig`].
    pub memory_momentum: f64,
}

impl Default for DiloConfig {
    fn default() -> Self {
        let MocoConfig {
            objective,
            head,
            dimensions,
            temperature,
            momentum,
            queue,
            groups,
            negatives,
            memory_momentum,
        } = MocoConfig::default();
        let Paste {
            keep,
            blur,
            blur_sigma,
            saliency,
        } = Paste::default();
        Self {
            keep,
            blur,
            blur_sigma,
            saliency,
            objective,
            head,
            dimensions,
            temperature,
            momentum,
            queue,
            groups,
            negatives,
            memory_momentum,
        }
    }
}

impl DiloConfig {
    /// What is not about pasting.
    fn contrast(&self) -> MocoConfig {
        MocoConfig {
            objective: self.objective,
            head: self.head,
            dimensions: self.dimensions,
            temperature: self.temperature,
            momentum: self.momentum,
            queue: self.queue,
            groups: self.groups,
            negatives: self.negatives,
            memory_momentum: self.memory_momentum,
        }
    }

    /// What is about pasting.
    fn paste(&self) -> Paste {
        Paste {
            keep: self.keep,
            blur: self.blur,
            blur_sigma: self.blur_sigma,
            saliency: self.saliency,
        }
    }
}

/// Momentum contrast of pasted foregrounds.
#[derive(Debug)]
pub struct Dilo(Moco);

impl Dilo {
    const ID: &'static str = "dilo";

    /// As [`Moco::new`].
    ///
    /// # Errors
    /// As [`Moco::new`].
    pub fn new(config: DiloConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_share(Self::ID, "keep", config.keep)?;
        require_share(Self::ID, "blur", config.blur)?;
        require_weight(Self::ID, "blur_sigma", config.blur_sigma)?;
        let pasted = Some(config.paste());
        let contrast = config.contrast();
        Ok(Self(Moco::called(Self::ID, contrast, pasted, probe, cast)?))
    }
}

impl Procedure for Dilo {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        self.0.stages(epochs)
    }

    fn play(
        &mut self,
        stage: usize,
        act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        self.0.play(stage, act, scene)
    }

    fn followers(&self, stage: usize, progress: Progress) -> Vec<Follower> {
        self.0.followers(stage, progress)
    }

    fn warnings(&mut self) -> Vec<String> {
        self.0.warnings()
    }

    fn state(&self) -> State {
        self.0.state()
    }

    fn load_state(&mut self, state: State) -> Result<(), MethodError> {
        self.0.load_state(state)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{baseline_of, rehearsal, testing::probe};

    #[test]
    fn views_are_pasted_as_the_settings_say_and_moco_is_the_baseline() {
        let config = DiloConfig {
            keep: 0.2,
            ..DiloConfig::default()
        };
        let mut cast = rehearsal::cast();
        let method = Dilo::new(config.clone(), &probe(&[], &[]), &mut cast).unwrap();
        let images = method.stages(3)[0].images;
        assert_eq!(images.views, 2);
        assert_eq!(images.pasted.unwrap(), config.paste());
        let settings = json!({ "keep": 0.2, "momentum": 0.9, "head": "mlp" });
        let (name, settings) =
            baseline_of("dilo", &[("dilo".to_owned(), settings)].into()).unwrap();
        assert_eq!(name, "moco");
        assert_eq!(settings["moco"], json!({ "momentum": 0.9, "head": "mlp" }));
    }

    #[test]
    fn what_cannot_be_pasted_is_refused_by_name() {
        let refused = |config: DiloConfig| {
            let made = Dilo::new(config, &probe(&[], &[]), &mut rehearsal::cast());
            made.unwrap_err().to_string()
        };
        let keep = DiloConfig {
            keep: 1.5,
            ..DiloConfig::default()
        };
        let expected = "method `dilo`: `keep` must be a number from 0 to 1, found 1.5";
        assert_eq!(refused(keep), expected);
        let queue = DiloConfig {
            queue: Some(6),
            ..DiloConfig::default()
        };
        assert!(refused(queue).starts_with("method `dilo`: `queue` must be a multiple of 4"));
    }
}
