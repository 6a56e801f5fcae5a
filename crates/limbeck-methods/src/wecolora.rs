//! # wecolora — Weight Copy and Low-Rank Adaptation for Few-Shot Distillation of Vision Transformers
//!
//! A plain vision transformer of half or a third of the teacher's depth. Its blocks are every second
//! or third one of the teacher's, its other weights are the teacher's too. What the missing blocks did
//! is made up for by low-rank changes of its linear maps, which alone are trained, to give the
//! teacher's last tokens on a few images without labels. The changes are added to the weights: what is
//! delivered is an ordinary, smaller transformer.
//!
//! ## Definition
//! Block j of the student is block j·r of the teacher, j = 0, …, d − 1, with r = `reduction_factor` and
//! d = ⌈D/r⌉; `cls_token`, `pos_embed`, `patch_embed`, the last norm and `head` are the teacher's. All of
//! that is frozen. In each block W ← W + B·A for `attn.qkv`, by thirds (queries, keys and values have
//! factors of their own), `attn.proj`, `mlp.fc1` and `mlp.fc2`; A `[k, I]`, uniform in ±1/√I, B `[O, k]`,
//! zero; k = `rank`.
//!
//! `loss = "last"`: L = mean |T_D − S_d| over images, tokens (the class token is one) and numbers, with
//! the tokens S_j, T_i after a block. `multi`: the mean over j of mean |T_i(j) − S_j|, i(j) the block
//! 1 + j·r counted from 0, with `group_end` the last one that S_j stands for, (j + 1)·r − 1.
//! `mae_kld`: half of `last` and half of mean_{b,n,c} p (ln p − ln q), p, q the softmax over the numbers
//! of a token of T_D and S_d.
//!
//! `update = "low_rank"` is the method. `dora`: W ← m ⊙ (W + B·A)/‖W + B·A‖, with the norms of columns (of
//! each third by itself), and m trained from those of W; `dora_compat` has for `attn.qkv` an m for each
//! row, which starts from the norms of rows. `full`: no factors, all weights of the student are trained
//! (the authors' baseline WeCo+KD). `copy`: nothing is trained.
//!
//! ## Inputs and shapes
//! Tokens `[B, N, C]` of `block0`, `block1`, … of two plain vision transformers (`deit_…`, `vit_…`) that
//! differ in depth alone. The student's name tells its depth: `deit_base_patch16_224_d6`. No labels.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `reduction_factor` | none | 1 to D | r; none is the least one that gives the student's depth |
//! | `update` | `low_rank` | or `dora`, `dora_compat`, `full`, `copy` | paper; the others of the authors' code |
//! | `rank` | none | 1 to C | k; none is a sixth of C, which is the 128 of the authors' runs with ViT-B; the 4 of their code is not what they report |
//! | `loss` | `last` | or `multi`, `mae_kld` | authors' code |
//! | `group_end` | false | | ours, of `multi` |
//! | `after_norm` | false | | compares what the last norm gives in place of S_d and T_D; see below |
//!
//! ## Notes
//! The authors' code compares tokens before the last norm where it trains factors, and after it in
//! `full` and `dora`: `after_norm` does that in any of them. Nets whose head reads the mean of the patches
//! (`vit_nano`, `vit_micro`, `vit_mini`) have no norm of tokens; there it is refused, and the token in
//! front learns as every other one does though no head reads it. For r = 3 the authors' `multi` compares
//! with the second block of each group, hence `group_end`. Their `mae_kld` hands logarithms over where
//! probabilities are meant; ours is the divergence. Their `dora` starts `attn.qkv` away from the copied
//! weight; ours starts at it, and `dora_compat` is theirs. The student runs as it is measured, without
//! drop path.
//!
//! Where the student's images are normalised otherwise than the teacher's were, the copied
//! `patch_embed.proj` is brought to the student's, so that both see the same. The factors are added to
//! the weights at the end of each epoch; the copied ones are kept beside, and the next epoch goes on from
//! them. `train.average` has nothing to follow. The only loss is the one above: its scale is that of the
//! learning rate, which the authors have 1e-3 · batch/256 of with AdamW (`recipes/wecolora.toml`).
//!
//! `full` and `copy` tell what the factors and the training are good for, `--baseline` (the same small net
//! from labels alone) what the teacher is; on a small net `full` was ahead (`docs/WECOLORA.md`). Cost: k·(10 C + 2 M) trained numbers in a block with
//! perceptrons of M neurons; a forward pass of the teacher, none where its last tokens are stored
//! (several seeds store them), and a step of the student.
//!
//! ## Reference
//! Grigore, Georgescu, Justo, Johansen, Ionescu, Ionescu. "Weight Copy and Low-Rank Adaptation for
//! Few-Shot Distillation of Vision Transformers". WACV 2025. <https://arxiv.org/abs/2404.09326>
//! Authors' code: <https://github.com/dianagrigore/WeCoLoRA> (6888dd58eacf, CC-BY-NC 4.0).

mod adapters;
mod copied;
#[cfg(test)]
pub mod golden;
mod losses;
mod settings;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use limbeck_nn::{Mode, Outputs, ParameterId, Pass, Taps};

pub use self::settings::{WecoloraConfig, WecoloraLoss, WecoloraUpdate};
use self::{adapters::Adapters, copied::Copied, losses::Comparison};
use crate::{
    Act, Cast, Interlude, MethodError, Probe, Procedure, Questions, STUDENT, Scene, Stage, Term,
    cast::member_seed, criterion::require_teacher,
};

/// The student made of the teacher's blocks, and what is trained of it.
#[derive(Debug)]
pub struct Wecolora {
    update: WecoloraUpdate,
    comparison: Comparison,
    /// `None` where no factors are trained.
    adapters: Option<Adapters>,
}

/// Factors and magnitudes, in the cast.
const ADAPTERS: &str = "adapters";
/// The copied weights that they change, in the cast.
const BASE: &str = "base";

impl Wecolora {
    const ID: &'static str = "wecolora";

    /// Gives the student the teacher's weights, and adds the `adapters` and their `base` to the cast.
    ///
    /// # Errors
    /// A setting out of range, no teacher or one without numbers, networks that are no plain vision
    /// transformers or differ in more than their depth, a student that is not shallower.
    pub fn new(
        config: WecoloraConfig,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        require_teacher(Self::ID, probe)?;
        let Some(teacher) = &probe.teacher_network else {
            return Err(MethodError::Configuration {
                method: Self::ID.to_owned(),
                reason: "it makes the student of the teacher's weights, and stored outputs hold none \
                         of them; give the teacher itself with --teacher (where several seeds learn \
                         from it, its outputs are stored meanwhile)"
                    .to_owned(),
            });
        };
        let student = cast.network(STUDENT)?;
        let (copied, shape) = Copied::between(student, &teacher.network, config.reduction_factor)?;
        let rank = config.rank_of(shape.width)?;
        let comparison = Comparison::new(&config, &copied, &shape)?;
        let mut store = student.store.clone();
        copied.fill(&mut store, teacher, &probe.training.normalisation)?;
        let adapters = match config.update.has_factors() {
            false => None,
            true => {
                let base = adapters::base_of(&store, copied.depth());
                let adapters =
                    cast.add_modules(ADAPTERS, member_seed(probe.seed, 1), |builder| {
                        let depth = copied.depth();
                        Ok(Adapters::new(
                            builder,
                            &store,
                            &base,
                            depth,
                            rank,
                            config.update,
                        ))
                    })?;
                adapters.start(cast.store_mut(ADAPTERS)?, &base);
                cast.add_store(BASE, base);
                Some(adapters)
            }
        };
        *cast.store_mut(STUDENT)? = store;
        Ok(Self {
            update: config.update,
            comparison,
            adapters,
        })
    }

    /// What student and teacher give out for the batch, with the taps that are compared. Gradients
    /// reach the factors, or the student's own weights where these are trained.
    ///
    /// # Errors
    /// [`MethodError::NoTeacher`]; stored outputs that cannot be read.
    fn outputs(&self, scene: &mut Scene<'_>) -> Result<(Outputs, Outputs), MethodError> {
        let images = scene.batch().images.clone();
        let teacher = scene.teacher_of_batch(Self::ID, &self.comparison.teacher_taps())?;
        let changed = match &self.adapters {
            None => Vec::new(),
            Some(adapters) => {
                let base = scene.cast().store(BASE)?;
                scene.modules(ADAPTERS, |pass| adapters.weights(pass, base))?
            }
        };
        let taps = self.comparison.student_taps();
        let student = scene.evaluate_over(STUDENT, changed, images, &taps)?;
        Ok((student, teacher))
    }

    /// The student's weights with the changes of the factors added, as plain numbers.
    fn merged(&self, cast: &Cast) -> Result<Vec<(ParameterId, Tensor<1>)>, MethodError> {
        let Some(adapters) = &self.adapters else {
            return Ok(Vec::new());
        };
        let base = cast.store(BASE)?;
        let mut pass = Pass::new(cast.store(ADAPTERS)?, Mode::Evaluate, Taps::none(), 0);
        Ok(adapters.weights(&mut pass, base))
    }
}

impl Procedure for Wecolora {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let stage = match self.update {
            // One look at the images, so that the student is measured as any other is.
            WecoloraUpdate::Copy => Stage::new("copy", epochs.min(1), Vec::new()),
            WecoloraUpdate::Full => Stage::new("train", epochs, vec![Act::training([STUDENT])]),
            _ => Stage::new("train", epochs, vec![Act::training([ADAPTERS])]),
        };
        vec![stage]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let (student, teacher) = self.outputs(scene)?;
        self.comparison.terms(&student, &teacher)
    }

    fn end_epoch(
        &mut self,
        _stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        let merged = self.merged(interlude.cast)?;
        let student = interlude.cast.store_mut(STUDENT)?;
        for (id, weight) in merged {
            student.set(id, weight);
        }
        Ok(())
    }

    fn questions(&self) -> Questions {
        Questions {
            taps: match self.update {
                WecoloraUpdate::Copy => Taps::none(),
                _ => self.comparison.teacher_taps(),
            },
            logits: false,
            beyond: None,
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        match self.update {
            WecoloraUpdate::Copy => Vec::new(),
            _ => self.comparison.pairs().to_vec(),
        }
    }

    fn gives_start(&self) -> bool {
        true
    }
}
