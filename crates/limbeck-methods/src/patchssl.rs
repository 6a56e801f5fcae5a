//! # patchssl — Patch-Wise Self-Supervised Visual Representation Learning: A Fine-Grained Approach
//!
//! Pre-training without labels, by parts of images too: as in `dino`, a transformer is to say of every
//! crop what its moving average says of a large crop. Here not of the crops as wholes alone: wherever
//! two crops show the same part of the image, the tokens of its patches are to agree as well.
//!
//! ## Definition
//! Views, head, teacher, momentum and temperatures are those of `dino`. The crops' rectangles say
//! which patches show the same: what both crops show is cut out, in each crop its first patch is
//! round(P · offset / length) and its number of patches round(P · shared / length) along each axis of
//! P patches (halves to the even number), mirrored where the crop is; of unequally many the greater
//! number is sampled at ⌊i · (large − 1)/(small − 1)⌋. With the class tokens in front these are n pairs
//! of tokens; crops that do not meet have n = 1.
//!
//! L = mean over pairs of a teacher's view and another view of the student's, over images and over the
//! n pairs of tokens, of −Σ_k p_k log q_k
//!
//! p = softmax((t − c)/τ_t), a constant, q = softmax(s/τ_s), from logits t, s of the head on each
//! token; the centre c has a row for each token of a large view, and moves as in `dino`. The terms
//! `class_token` and `patches` are the parts of L.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]`; a student that is a vision transformer without distillation token. Tokens
//! `[B, 1 + L, D]` after the last norm, logits `[B, n, K]` of the tokens that are compared, centre
//! `[1 + L, K]`. Where the student's embedding is the mean of its patches (`vit_nano`), it takes the
//! class token's place.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `patch_colours` | true | | final paper: light, contrast, saturation, hue and grey are drawn for each patch; false is the authors' code, which draws them for each view |
//! | `prototypes` | 1024 | ≥ 2 | ours; authors' code: 10000, of which every token would have a row; `dino` has 65536 |
//! | `hidden` | 512 | ≥ 1 | ours; authors' code: 2048, for tokens of 384 numbers and more |
//! | `bottleneck` | 256 | ≥ 1 | authors' code |
//! | `norm_last_layer` | true | | same |
//! | `frozen_epochs` | 1 | ≥ 0 | same |
//! | `student_temperature` | 0.1 | > 0 | same |
//! | `teacher_temperature` | 0.04 | > 0 | same |
//! | `warmup_temperature` | 0.04 | > 0 | same |
//! | `warmup_epochs` | 0 | ≥ 0 | same |
//! | `momentum` | 0.996 | 0 to 1 | same |
//! | `centre_momentum` | 0.9 | 0 to 1 | same |
//! | `local_crops` | 8 | ≥ 0 | same |
//! | `global_size` | none | multiple of the patch | none is the student's images' size |
//! | `local_size` | none | multiple of the patch, up to the large crops' | none is half of that; authors' code: 96 beside 224 |
//! | `global_scale` | 0.4 | `local_scale` to 1 | authors' code: large crops are 0.4 to 1 of the image |
//! | `local_scale` | 0.05 | > 0 | same: small ones 0.05 to 0.4 |
//! | `enlarged` | 1 | ≥ 1 | ours: crops are cut from images so many times as high and wide; the authors cut 224 from 256 |
//! | `flip` | 0.5 | 0 to 1 | authors' code |
//! | `jitter` | 0.8 | 0 to 1 | same: light and contrast by 0.4, saturation 0.2, hue 0.1 |
//! | `grey` | 0.2 | 0 to 1 | same |
//! | `blur` | true | | same: probability 1, 0.1 and 0.5 for the first large crop, the second, the small ones |
//! | `solarise` | 0.2 | 0 to 1 | same: of the second large crop |
//!
//! ## Notes
//! As in the authors' code, geometry and colours of a view are the same for all images of a batch, so
//! that one list of pairs serves all of them. The class token is one of the n, with the weight 1/n.
//! Colours of patches are not in that code; how they are drawn is our reading. Where two roundings end
//! beyond a crop, the last patch is its last one. What `dino` says of weight decay, clipping, momentum
//! in short runs, the network that is kept and collapse holds here too. Cost: beside that of `dino`, the
//! head runs on all tokens of the teacher's two views and on those of the student's that are compared;
//! the K logits are made for compared tokens alone, since the centre needs no more than the mean of
//! what goes into the last map. Matching takes microseconds.
//!
//! ## Reference
//! Javidani, Sadeghi, Araabi. "Patch-Wise Self-Supervised Visual Representation Learning: A
//! Fine-Grained Approach". Signal, Image and Video Processing 2025. <https://arxiv.org/abs/2310.18651>
//! Authors' code: <https://github.com/alijavidani/Local_Global_Representation_Learning>
//! (7eeff8c6c30c, Apache-2.0).

#[cfg(test)]
pub mod golden;
mod matching;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Map, Value};

use crate::{
    Cast, Follower, Interlude, MethodError, Probe, Procedure, Progress, Scene, Stage, State, Term,
    dino::{Compared, Dino, DinoConfig},
};

pub use matching::matched_tokens;

/// The setting that `dino` has not.
const PATCH_COLOURS: &str = "patch_colours";

/// Settings of [`Patchssl`].
#[derive(Clone, Debug, PartialEq)]
pub struct PatchsslConfig {
    /// Whether each patch has colours of its own.
    pub patch_colours: bool,
    /// Everything else.
    pub dino: DinoConfig,
}

impl Default for PatchsslConfig {
    fn default() -> Self {
        Self {
            patch_colours: true,
            dino: DinoConfig::default(),
        }
    }
}

/// All settings in one table.
impl Serialize for PatchsslConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let dino = serde_json::to_value(&self.dino).map_err(serde::ser::Error::custom)?;
        let mut table = Map::from_iter([(PATCH_COLOURS.to_owned(), self.patch_colours.into())]);
        if let Value::Object(dino) = dino {
            table.extend(dino);
        }
        table.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PatchsslConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Map::deserialize(deserializer)?;
        let patch_colours = match table.remove(PATCH_COLOURS) {
            Some(value) => serde_json::from_value(value).map_err(D::Error::custom)?,
            None => Self::default().patch_colours,
        };
        let dino = serde_json::from_value(Value::Object(table)).map_err(D::Error::custom)?;
        Ok(Self {
            patch_colours,
            dino,
        })
    }
}

/// [`Dino`] of patches too.
#[derive(Clone, Debug)]
pub struct Patchssl(Dino);

impl Patchssl {
    const ID: &'static str = "patchssl";

    /// Adds both heads and the teacher to the cast.
    ///
    /// # Errors
    /// As [`Dino::new`].
    pub fn new(
        config: PatchsslConfig,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        let compared = Compared::Patches {
            matching: matched_tokens,
            patch_colours: config.patch_colours,
        };
        Dino::comparing(Self::ID, compared, config.dino, probe, cast).map(Self)
    }
}

impl Procedure for Patchssl {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        self.0.stages(epochs)
    }

    fn begin_epoch(
        &mut self,
        stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        self.0.begin_epoch(stage, interlude)
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
