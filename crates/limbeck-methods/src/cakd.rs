//! # cakd — Cross-Architecture Knowledge Distillation
//!
//! A CNN cannot imitate a transformer's features as they are. Two throw-away projectors translate
//! its middle map: one asks it for the teacher's relations between positions (partially cross
//! attention, PCA), the other maps each position to the teacher's token with a few linear maps
//! that neighbours share (group-wise linear, GL). A discriminator makes what is projected hard to
//! tell from the teacher's, even when the student sees another view. The CNN alone is kept.
//!
//! ## Definition
//! h_S: student map, h_T: teacher's patch tokens after its last block, Q_T, K_T, V_T: projections
//! of its last attention, all of the teacher's detached, D their width; GL(h_S): one linear map for
//! each `group` × `group` square of positions.
//!
//! `form = "paper"`: L = CE + mean (A_T − A_S)² + mean (V_T V_Tᵀ/√D − V_S V_Sᵀ/√D)² +
//! mean (h_T − GL(h_S))² + adversarial_weight · mean log(1 − D(GL(h_S))).
//! Q_S, K_S, V_S: three 3×3 convolutions of h_S; A_T = softmax(Q_T K_Tᵀ/√D) V_T; A_S likewise of
//! mixtures of Q, K and V that take each number from the teacher with probability 1/2. Each image
//! of the student is, with probability `multi_view`, another view: jittered colours, a crop, a
//! rotation or masked squares; the teacher sees the images themselves. The discriminator, three
//! linear maps of the mean token, minimises mean (−log D(h_T) − log(1 − D(GL(h_S)))).
//!
//! `form = "released"`: L = CE + r · [0.2 mean (M_S − M_T)² + 0.05 mean (G_S − G_T)² +
//! mean (z_S − z_T)² + mean (t_S − t_T)² + 0.05 mean (h_T − GL(h_S))² − mean log D(M_S)].
//! M_T: mean over heads of Q Kᵀ/√d, G_T: of V Vᵀ, among patches; M_S, G_S: those of one linear map
//! of h_S to `heads` heads, both divided by √d; z: logits; t_T: the teacher's embedding, t_S: a
//! linear map of the student's; r = min(max(e − ramp_start, 0)/50, 0.2) in epoch e. The
//! discriminator, a PatchGAN over M, minimises ½ mean (−log D(M_T)) + ½ mean (−log(1 − D(M_S))).
//!
//! ## Inputs and shapes
//! Student map `[B, C, rows, columns]`, by default the deepest stage with the teacher's grid;
//! student embedding `[B, E]`; teacher tokens, queries, keys, values `[B, prefix + N, D]` with
//! N = rows · columns, embedding `[B, D]`; logits `[B, K]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `form` | `paper` | `paper`, `released` | the public code is a reduced version |
//! | `adversarial_weight` | 0.1 | ≥ 0 | ours: the paper's λ is not known; `paper` |
//! | `multi_view` | 0.5 | 0 to 1 | paper; `paper` |
//! | `dropout` | 0.1 | 0 to < 1 | our reading: dropout after GL, rate not given; `paper` |
//! | `group` | 4 | ≥ 1 | released code |
//! | `heads` | 16 | divides C | released code; `released` |
//! | `ramp_start` | 25 | | released code; `released` |
//! | `discriminator_width` | 8 | ≥ 1 | released code; `released` |
//! | `discriminator_layers` | 3 | ≥ 1 | released code; `released` |
//! | `discriminator_rate` | 0.01 | ≥ 0 | released code: its learning rate in the recipe's |
//! | `resize` | false | | ours: brings a student map of another size to the grid |
//! | `compat_detach` | false | | released loop; see notes |
//!
//! ## Notes
//! The released loop detaches what D says of the teacher's, so that D is only taught "fake", and
//! detaches the student's map before D, so that the student feels nothing of it. By default both
//! gradients flow: the student learns first, with D as it is, then D from the same maps;
//! `compat_detach = true` brings both defects back. A constant of the released loss, 0.05 times D's
//! loss on the teacher's map, is left out. Norms are read as means over all numbers. Grids need not
//! be square, and their number of squares is ⌈rows/group⌉·⌈columns/group⌉. How views are made is
//! our reading. The products of values grow with the fourth power of what is projected: in our runs
//! the paper's learning rate of 0.1 needed clipping, which its recipe has. The mean over heads is
//! computed as one product over all channels. In a teacher without class token in its head, tokens
//! are those before the last norm. Cost: 27·C·D or 3·C² + E·D weights, C·D for each square; maps of
//! N² numbers; the forward pass of the teacher.
//!
//! ## Reference
//! Liu, Cao, Li, Hu, Ding, Li. "Cross-Architecture Knowledge Distillation". ACCV 2022.
//! <https://arxiv.org/abs/2207.05273>
//! Authors' code: <https://github.com/yufanLIU/CrossArch_KD> (1bc8a663e9e4, Apache-2.0).

mod attention;
mod discriminator;
#[cfg(test)]
pub mod golden;
mod group_linear;
mod multi_view;
mod settings;
mod source;

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Outputs, Pass,
    layer::{Linear, dropout},
};

use crate::{
    Act, Cast, MethodError, Normalisation, Probe, Procedure, Progress, Questions, STUDENT, Scene,
    Stage, Term, connector::mean_squared_error,
};

pub use attention::{CrossAttention, GramAttention, Projections, Relations};
pub use discriminator::{
    Discriminator, PatchDiscriminator, TokenDiscriminator, binary_cross_entropy,
};
pub use group_linear::GroupLinear;
pub use settings::{CakdConfig, CakdForm};

use multi_view::multi_view;
use source::Source;

/// Factors of the released code.
const QUERY_KEY: f64 = 0.2;
const VALUE_VALUE: f64 = 0.05;
const FEATURE: f64 = 0.05;
/// Epochs over which the released weight would reach 1, and where it stops.
const RAMP: f64 = 50.0;
const RAMP_LIMIT: f64 = 0.2;

/// The released weight in the epoch `epoch`, counted from 0.
fn ramp(epoch: usize, start: usize) -> f64 {
    let since = epoch.saturating_sub(start) as f64;
    (since / RAMP).min(RAMP_LIMIT)
}

/// How much of its greatest value it has then.
pub(crate) fn ramp_share(epoch: usize, start: usize) -> f64 {
    ramp(epoch, start) / RAMP_LIMIT
}

/// A transformer teaches a CNN.
#[derive(Debug)]
pub struct Cakd {
    config: CakdConfig,
    source: Source,
    projectors: Projectors,
    discriminator: Discriminator,
    normalisation: Normalisation,
    /// The teacher's and the student's of the step at hand, constants, on their way from the
    /// student's act to the discriminator's.
    judged: Option<[Tensor<3>; 2]>,
}

/// Modules that translate the student's map.
#[derive(Debug)]
struct Projectors {
    attention: AttentionProjector,
    group_linear: GroupLinear,
}

#[derive(Debug)]
enum AttentionProjector {
    Cross(Box<CrossAttention>),
    /// With the projection of the student's embedding.
    Gram(GramAttention, Linear),
}

const PROJECTORS: &str = "projectors";
const DISCRIMINATOR: &str = "discriminator";

/// `[B, C, rows, columns]` → `[B, rows · columns, C]`, row by row.
fn tokens(map: Tensor<4>) -> Tensor<3> {
    let [batch, channels, rows, columns] = map.dims();
    map.reshape([batch, channels, rows * columns])
        .swap_dims(1, 2)
}

impl Cakd {
    const ID: &'static str = "cakd";

    /// Adds the projectors and the discriminator to the cast.
    ///
    /// # Errors
    /// A setting out of range, no teacher, a teacher without attention, a student without a map on
    /// the teacher's grid, heads that do not divide its channels.
    pub fn new(config: CakdConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        config.check()?;
        let source = Source::find(probe, config.resize)?;
        let [channels, ..] = source.map;
        let width = source.width;
        let released = config.form == CakdForm::Released;
        if released && !channels.is_multiple_of(config.heads) {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "heads",
                expected: format!("a divisor of the student map's {channels} channels"),
                found: config.heads.to_string(),
            });
        }
        let least = PatchDiscriminator::least_side(config.discriminator_layers.min(16));
        if released && source.patches() < least {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "discriminator_layers",
                expected: format!(
                    "so few that {} positions are left something of; {} need {least}",
                    source.patches(),
                    config.discriminator_layers
                ),
                found: config.discriminator_layers.to_string(),
            });
        }
        let projectors = cast.add_modules(PROJECTORS, probe.seed, |builder| {
            Ok(Projectors {
                attention: match config.form {
                    CakdForm::Paper => AttentionProjector::Cross(Box::new(CrossAttention::new(
                        builder, channels, width,
                    ))),
                    CakdForm::Released => AttentionProjector::Gram(
                        GramAttention::new(builder, channels, config.heads),
                        Linear::new(builder.sub("cls_proj"), source.embedding, width),
                    ),
                },
                group_linear: GroupLinear::new(builder, source.map, width, config.group),
            })
        })?;
        let make = |builder: &mut Builder<'_>| match config.form {
            CakdForm::Paper => Discriminator::Tokens(TokenDiscriminator::new(builder, width)),
            CakdForm::Released => Discriminator::Relations(Box::new(PatchDiscriminator::new(
                builder,
                config.discriminator_width,
                config.discriminator_layers,
            ))),
        };
        let discriminator =
            cast.add_modules(DISCRIMINATOR, probe.seed, |builder| Ok(make(builder)))?;
        Ok(Self {
            config,
            source,
            projectors,
            discriminator,
            normalisation: probe.training.normalisation.clone(),
            judged: None,
        })
    }

    /// The released weight in the epoch `epoch`, counted from 0.
    pub fn ramp(&self, epoch: usize) -> f64 {
        ramp(epoch, self.config.ramp_start)
    }

    /// The loss of a discriminator that says `real` `[B]` of the teacher's and `fake` `[B]` of the
    /// student's: `[1]`.
    pub fn discriminator_loss(&self, real: Tensor<1>, fake: Tensor<1>) -> Tensor<1> {
        let real = match self.config.compat_detach {
            true => real.inner(),
            false => real,
        };
        let sum = binary_cross_entropy(real, true) + binary_cross_entropy(fake, false);
        match self.config.form {
            CakdForm::Paper => sum,
            CakdForm::Released => sum.mul_scalar(0.5),
        }
    }

    /// What the student minimises of what the discriminator says of its own, `fake` `[B]`: `[1]`.
    pub fn adversarial_loss(&self, fake: Tensor<1>) -> Tensor<1> {
        match self.config.form {
            // log(1 − D) is the negative of the cross entropy with "fake".
            CakdForm::Paper => binary_cross_entropy(fake, false).neg(),
            CakdForm::Released => binary_cross_entropy(fake, true),
        }
    }

    /// What the discriminator says of the student's `projected`, and the step's pair for its own
    /// act.
    fn adversarial(
        &mut self,
        projected: Tensor<3>,
        teacher: Tensor<3>,
        scene: &mut Scene<'_>,
    ) -> Result<Tensor<1>, MethodError> {
        self.judged = Some([teacher.inner(), projected.clone().inner()]);
        let projected = match self.config.compat_detach {
            true => projected.inner(),
            false => projected,
        };
        let discriminator = &self.discriminator;
        let fake = scene.modules(DISCRIMINATOR, |pass| discriminator.forward(pass, projected))?;
        Ok(self.adversarial_loss(fake))
    }

    fn paper_terms(
        &mut self,
        cross: Projected,
        teacher: &Outputs,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let patches = self.source.patch_tokens(teacher)?;
        let target = self
            .source
            .projections(teacher)?
            .patches(self.source.prefix);
        let Relation::Cross(own) = cross.relation else {
            return Ok(Vec::new());
        };
        let mut random = scene.stream();
        let masks = CrossAttention::draw_masks(&own.queries, &mut random);
        let errors = CrossAttention::compare(&own, &target, masks);
        let feature = mean_squared_error(cross.tokens.clone(), patches.clone());
        let adversarial = self.adversarial(cross.tokens, patches, scene)?;
        Ok(vec![
            Term::new("attention", errors.attention, 1.0),
            Term::new("values", errors.values, 1.0),
            Term::new("feature", feature, 1.0),
            Term::new("adversarial", adversarial, self.config.adversarial_weight),
        ])
    }

    fn released_terms(
        &mut self,
        own: Projected,
        student: &Outputs,
        teacher: &Outputs,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let Relation::Gram(relations, token) = own.relation else {
            return Ok(Vec::new());
        };
        let ramp = self.ramp(scene.progress().epoch);
        let target = Relations::of(&self.source.projections(teacher)?, self.source.heads);
        let target = target.patches(self.source.prefix);
        let [attention, values] = relations.errors(&target);
        let patches = self.source.patch_tokens(teacher)?;
        let embedding = self.source.teacher_embedding(teacher)?;
        let parts = [
            mean_squared_error(student.logits(), teacher.logits()),
            mean_squared_error(token, embedding),
            mean_squared_error(own.tokens, patches),
        ];
        let adversarial = self.adversarial(relations.attention, target.attention, scene)?;
        let [logits, token, feature] = parts;
        Ok(vec![
            Term::new("attention", attention, QUERY_KEY * ramp),
            Term::new("values", values, VALUE_VALUE * ramp),
            Term::new("logits", logits, ramp),
            Term::new("token", token, ramp),
            Term::new("feature", feature, FEATURE * ramp),
            Term::new("adversarial", adversarial, ramp),
        ])
    }

    /// The student's map on the teacher's grid through the projectors.
    fn project(&self, pass: &mut Pass<'_>, map: Tensor<4>, embedding: Tensor<2>) -> Projected {
        let relation = match &self.projectors.attention {
            AttentionProjector::Cross(cross) => Relation::Cross(cross.project(pass, &map)),
            AttentionProjector::Gram(gram, token) => {
                let token = token.forward(pass, embedding);
                Relation::Gram(gram.relate(pass, map.clone()), token)
            }
        };
        let projected = self.projectors.group_linear.forward(pass, map);
        let rate = match self.config.form {
            CakdForm::Paper => self.config.dropout,
            CakdForm::Released => 0.0,
        };
        Projected {
            relation,
            tokens: dropout(pass, projected, rate),
        }
    }
}

/// The student's map, projected.
struct Projected {
    relation: Relation,
    /// `[B, N, D]`.
    tokens: Tensor<3>,
}

enum Relation {
    Cross(Projections),
    /// With the projected embedding `[B, D]`.
    Gram(Relations, Tensor<2>),
}

impl Procedure for Cakd {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let acts = vec![
            Act::training([STUDENT, PROJECTORS]),
            Act::training([DISCRIMINATOR]),
        ];
        vec![Stage::new("train", epochs, acts)]
    }

    fn play(
        &mut self,
        _stage: usize,
        act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        if act == 1 {
            let Some([teacher, student]) = self.judged.take() else {
                return Err(MethodError::Batch {
                    method: Self::ID,
                    reason: "the discriminator learns after the student, not alone".to_owned(),
                });
            };
            let discriminator = &self.discriminator;
            let [real, fake] = [teacher, student]
                .map(|x| scene.modules(DISCRIMINATOR, |pass| discriminator.forward(pass, x)));
            let loss = self.discriminator_loss(real?, fake?);
            return Ok(vec![Term::new("discriminator", loss, 1.0)]);
        }
        let images = scene.batch().images.clone();
        let teacher = scene.teacher_of_batch(Self::ID, &self.source.teacher_taps())?;
        let images = match self.config.form {
            CakdForm::Paper => {
                let mut random = scene.stream();
                multi_view(
                    &images,
                    self.config.multi_view,
                    &self.normalisation,
                    &mut random,
                )
            }
            CakdForm::Released => images,
        };
        let student = scene.train(STUDENT, images, &self.source.student_taps())?;
        let map = self.source.student_map(&student)?;
        let embedding = self.source.student_embedding(&student)?;
        let own = scene.modules(PROJECTORS, |pass| self.project(pass, map, embedding))?;
        let more = match self.config.form {
            CakdForm::Paper => self.paper_terms(own, &teacher, scene)?,
            CakdForm::Released => self.released_terms(own, &student, &teacher, scene)?,
        };
        let mut terms = scene.supervise(&student, 1.0)?;
        terms.extend(more);
        Ok(terms)
    }

    fn learning_rate(&self, _stage: usize, act: usize, _progress: Progress, recipe: f64) -> f64 {
        match act {
            0 => recipe,
            _ => recipe * self.config.discriminator_rate,
        }
    }

    fn questions(&self) -> Questions {
        Questions {
            taps: self.source.teacher_taps(),
            logits: true,
            beyond: None,
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        vec![self.source.pair()]
    }
}

#[cfg(test)]
mod tests;
