//! # prockd — ProC-KD: Prototype-guided Cross-task Knowledge Distillation
//!
//! A teacher that knows other classes than the student's, or another task, hands over what it knows of
//! the parts of things. Learnt prototypes are fitted to its hidden states; every token is then rebuilt
//! as a mixture of prototypes, and what the student's own head makes of that guides the student. The
//! teacher's logits are never read.
//!
//! ## Definition
//! X: what the student's head reads, D wide. T: three hidden states of the teacher, D wide each (a
//! linear map first where they are not), side by side. c_k: K = `prototypes` prototypes.
//!
//! Prototypes of T: s = relu(W_0 T); x = s/max(‖s‖, 1e-12), token by token; a = softmax over the
//! prototypes of W_a x; V_k = Σ_n a_kn x_n − (Σ_n a_kn) c_k, each of length one, then all of them
//! together; v = W_v V; vlad(T)_n = relu(W_2 relu(W_1 [s_n; v])).
//! Augmentation: e = W_e X, c' = W_e c; A = softmax over the prototypes of c' eᵀ; f_n = Σ_k A_kn c'_k;
//! augment(X)_n = relu(relu(W_4 relu(W_3 [e_n; f_n])) + X_n).
//!
//! l_s = head(X), l_a = head(augment(vlad(T))), l_o = head(augment(X)), with the student's own head: its
//! last norm and classifier.
//!
//! L = task(l_s) + `weight_aug`·task(l_a) + `weight_consistency`·KL(softmax(l_a) ‖ softmax(l_s)) +
//! `weight_aug`·task(l_o) + `weight_hidden`·Σ_m mse(H^s_m, H^t_m)
//!
//! l_a is a constant in the divergence, which is a mean over the images, or over the pixels that are not
//! void on the grid of l_s. The fourth term is there with `aug_student`; `aug_accuracy`, of weight 0,
//! tells then which share l_o gets right. The last one compares hidden states of student and teacher,
//! and is there where its weight is above 0.
//!
//! ## Inputs and shapes
//! Student: what the head reads. Tokens `[B, N, D]` of a transformer: the head takes the class token or
//! the mean of the patches. A map `[B, D, H, W]` that a classifier averages: its positions are tokens, and
//! their mean is token 0, which alone goes on to the classifier. A map that the last 1×1 convolution of a
//! network that segments reads: each pixel is a token, and a coarse map stays coarse.
//! Teacher: of a transformer the blocks at a third, two thirds and the end, of any other network the
//! last three stages, or what `hidden` names. A class token leads the others; of maps, their mean does.
//! Maps of different sizes are brought to one grid: the smallest of them where images are classified;
//! where pixels are, along each axis the longest that is not longer than the student's. The loss is of
//! whole images or, resized, of the masks' pixels, so the teacher's grid need not be the student's.
//! Labels `[B]`, the shares of the classes `[B, K]`, or masks `[B, H, W]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `prototypes` | 72 | ≥ 1 | authors' code: 24·3 |
//! | `weight_aug` | 1 | ≥ 0 | ours: see below |
//! | `weight_consistency` | 1 | ≥ 0 | same |
//! | `weight_hidden` | 0 | ≥ 0 | same |
//! | `aug_student` | true | | ours: the authors deploy augment(X), which nothing else trains |
//! | `hidden` | none | three taps of the teacher joined by `+` | ours: equally spaced |
//!
//! ## Notes
//! The authors' published code has the modules and what they give out; its training loop learns from
//! labels alone, and of the objective the abstract tells the idea. The loss above is our reading. Token
//! by token maps have no bias there; dense ones have. The prototypes are drawn from 0 to 1.
//! `weight_hidden` compares three states of the student chosen like the teacher's, or the layers of
//! `pairs` in [method], with a linear map where widths differ, position by position on the smaller grid.
//! A teacher of other classes, or one that classifies where the student segments, is not measured: what
//! it says of this data has no meaning. Deployed is the student alone, by l_s. Cost: K·D² numbers for W_v
//! above all, 42 million in the authors' setting, in training alone; the teacher's forward pass, and a
//! few products for each token. The page shows those 16 prototypes that have the largest shares a in 512
//! training images, by the parts of these that lie nearest (the greatest x·c_k).
//!
//! ## Reference
//! Li, Wu, Han, Tian. "Prototype-guided Cross-task Knowledge Distillation". Frontiers of Information
//! Technology & Electronic Engineering 26(6), 2025. <https://arxiv.org/abs/2212.13180>
//! Authors' code: <https://github.com/Daniel00008/ProC-KD> (56c6adca355e, no licence).

#[cfg(test)]
pub mod golden;
mod prototypes;
mod reading;
mod states;
#[cfg(test)]
mod tests;

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_nn::{Feature, Pass, Taps, layer::Linear};
use serde::{Deserialize, Serialize};

use self::{
    prototypes::Prototypes,
    reading::Reading,
    states::{HiddenStates, Layout},
};
use crate::{
    Act, Cast, Likeness, MethodError, Probe, Procedure, Questions, STUDENT, Scene, Stage,
    Supervision, Term,
    connector::mean_squared_error,
    criterion::{require_at_least, require_teacher, require_weight},
    dense::on_one_grid,
    pairs::{Pair, resolve_pairs},
    softmax::softened_kl,
};

/// Settings of [`Prockd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProckdConfig {
    /// Number of prototypes.
    pub prototypes: usize,
    /// Factor of the supervised losses of what is rebuilt from prototypes.
    pub weight_aug: f64,
    /// Factor of the divergence from the teacher's rebuilt tokens.
    pub weight_consistency: f64,
    /// Factor of the distance of hidden states.
    pub weight_hidden: f64,
    /// Whether the student's own tokens are rebuilt too.
    pub aug_student: bool,
    /// Three taps of the teacher, joined by `+`; chosen where missing.
    pub hidden: Option<String>,
}

impl Default for ProckdConfig {
    fn default() -> Self {
        Self {
            prototypes: 72,
            weight_aug: 1.0,
            weight_consistency: 1.0,
            weight_hidden: 0.0,
            aug_student: true,
            hidden: None,
        }
    }
}

/// Prototypes between a teacher and a student that need not know the same classes.
#[derive(Debug)]
pub struct Prockd {
    config: ProckdConfig,
    states: HiddenStates,
    /// The tap of what the student's head reads.
    head: String,
    reading: Reading,
    prototypes: Prototypes,
    /// From the width of each of the teacher's states to the student's, where they differ.
    projections: Vec<Option<Linear>>,
    matched: Vec<Matched>,
}

/// Hidden states that are compared.
#[derive(Debug)]
struct Matched {
    pair: Pair,
    /// From the student's width to the teacher's, where they differ.
    projection: Option<Linear>,
}

/// Name in the cast.
const PROTOTYPES: &str = "prototypes";

/// What the modules make of a batch.
struct Rebuilt {
    /// Of the teacher's states, `[B, N, D]`.
    teacher: Tensor<3>,
    /// Of what the student's head reads.
    student: Option<Tensor<3>>,
    /// Σ_m mse(H^s_m, H^t_m).
    distance: Option<Tensor<1>>,
}

impl Prockd {
    const ID: &'static str = "prockd";

    /// Checks the settings, finds the layers and adds the `prototypes` to the cast.
    ///
    /// # Errors
    /// A setting out of range, no teacher, layers that are not there or do not go together, or a
    /// student whose head cannot be run alone.
    pub fn new(config: ProckdConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        let teacher = require_teacher(Self::ID, probe)?;
        require_at_least(Self::ID, "prototypes", config.prototypes, 1)?;
        for (key, weight) in [
            ("weight_aug", config.weight_aug),
            ("weight_consistency", config.weight_consistency),
            ("weight_hidden", config.weight_hidden),
        ] {
            require_weight(Self::ID, key, weight)?;
        }
        let states = HiddenStates::new(Self::ID, config.hidden.as_deref(), teacher)?;
        let student = cast.network(STUDENT)?;
        let tap = student
            .head_tap()
            .and_then(|name| probe.student.iter().find(|tap| tap.name == name));
        let Some(tap) = tap else {
            return Err(MethodError::Shape {
                method: Self::ID,
                feature: format!("the student `{}`", student.name()),
                reason:
                    "its head cannot be run alone on rebuilt features; choose a network of the zoo"
                        .to_owned(),
            });
        };
        let (reading, width) = Reading::of(Self::ID, tap, probe.segments())?;
        let head = tap.name.clone();
        let pairs = match config.weight_hidden > 0.0 {
            true => resolve_pairs(Self::ID, probe, |student, _| {
                let own = states::equally_spaced(student);
                own.into_iter().zip(states.names()).collect()
            })?,
            false => Vec::new(),
        };
        let count = config.prototypes;
        let (prototypes, projections, matched) =
            cast.add_modules(PROTOTYPES, probe.seed, |builder| {
                let prototypes = Prototypes::new(builder.sub_self(), count, width);
                let mut bridge = |name: String, from: usize, to: usize| {
                    (from != to).then(|| Linear::new(builder.sub(name), from, to))
                };
                let widths = states.widths().into_iter().enumerate();
                let projections: Vec<_> = widths
                    .map(|(m, from)| bridge(format!("project{m}"), from, width))
                    .collect();
                let pairs = pairs.into_iter().enumerate();
                let matched: Vec<_> = pairs
                    .map(|(m, pair)| Matched {
                        projection: bridge(
                            format!("hidden{m}"),
                            pair.student_shape[0],
                            pair.teacher_shape[0],
                        ),
                        pair,
                    })
                    .collect();
                Ok((prototypes, projections, matched))
            })?;
        Ok(Self {
            config,
            states,
            head,
            reading,
            prototypes,
            projections,
            matched,
        })
    }

    /// The terms that the teacher's rebuilt tokens give: the supervised loss of `augmented`, and the
    /// divergence of the `student`'s prediction from it, in which it is a constant.
    ///
    /// # Errors
    /// No labels, or predictions that the task cannot compare.
    pub fn guidance(
        &self,
        student: &Feature,
        augmented: &Feature,
        supervision: Supervision<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let Supervision { task, target } = supervision;
        let rows = task.rows(student, Some(&augmented.detach()), target)?;
        let constant = rows
            .teacher
            .ok_or(MethodError::NoTeacher { method: Self::ID })?;
        let consistency = softened_kl(rows.student, constant, 1.0);
        Ok(vec![
            self.supervised("aug", augmented, supervision)?,
            Term::new("consistency", consistency, self.config.weight_consistency),
        ])
    }

    /// The supervised loss of a prediction made of rebuilt tokens.
    fn supervised(
        &self,
        name: &str,
        prediction: &Feature,
        supervision: Supervision<'_>,
    ) -> Result<Term, MethodError> {
        let value = supervision.loss_of(prediction.clone())?;
        Ok(Term::new(name, value, self.config.weight_aug))
    }

    /// The teacher's states side by side, brought to the student's width.
    fn joined(
        &self,
        pass: &mut Pass<'_>,
        states: Vec<Tensor<3>>,
    ) -> Result<Tensor<3>, MethodError> {
        let states = states
            .into_iter()
            .zip(&self.projections)
            .map(|(state, projection)| through(projection, pass, state));
        let states: Vec<Tensor<3>> = states.collect();
        self.prototypes.join(Self::ID, states)
    }

    /// Everything that goes through the prototypes; `own` is what the student's head reads.
    fn rebuild(
        &self,
        pass: &mut Pass<'_>,
        states: Vec<Tensor<3>>,
        own: &Feature,
        matched: Vec<[Tensor<4>; 2]>,
    ) -> Result<Rebuilt, MethodError> {
        let joined = self.joined(pass, states)?;
        let code = self.prototypes.code(pass, joined);
        let tokens = self.reading.read(code.tokens.clone());
        let tokens = self.prototypes.rebuild(pass, &code, tokens);
        let teacher = self.prototypes.augment(pass, tokens);
        let student = match self.config.aug_student {
            true => {
                let tokens = self.reading.tokens(Self::ID, own)?;
                Some(self.prototypes.augment(pass, tokens))
            }
            false => None,
        };
        let distances = self.matched.iter().zip(matched);
        let distances = distances.map(|(matched, [student, teacher])| {
            // Both are linear: channels are changed on the grid on which they are compared.
            let (student, teacher) = on_one_grid(student, teacher);
            let last = |map: Tensor<4>| map.permute([0, 2, 3, 1]);
            let student = through(&matched.projection, pass, last(student));
            mean_squared_error(student, last(teacher))
        });
        let distance = distances.reduce(|sum, more| sum + more);
        Ok(Rebuilt {
            teacher,
            student,
            distance,
        })
    }

    /// Which share of the labels a prediction gets right, `[1]`.
    fn accuracy(
        prediction: &Feature,
        supervision: Supervision<'_>,
        options: (&Device, DType),
    ) -> Tensor<1> {
        let Supervision { task, target } = supervision;
        let [right, of] = task.count_right(prediction, target).unwrap_or_default();
        let share = right as f64 / of.max(1) as f64;
        Tensor::from_data(TensorData::from([share]), options)
    }
}

/// The map where there is one.
fn through<const D: usize>(
    projection: &Option<Linear>,
    pass: &mut Pass<'_>,
    x: Tensor<D>,
) -> Tensor<D> {
    match projection {
        Some(linear) => linear.forward(pass, x),
        None => x,
    }
}

impl Procedure for Prockd {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let act = Act::training([STUDENT, PROTOTYPES]);
        vec![Stage::new("train", epochs, vec![act])]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let teacher = scene.teacher_of_batch(Self::ID, &self.questions().taps)?;
        let teacher = teacher.detach();
        let compared = self.matched.iter().map(|matched| &matched.pair);
        let taps = compared.clone().map(|pair| &pair.student.name);
        let taps = Taps::from_iter(taps.chain([&self.head]));
        let student = scene.train(STUDENT, scene.batch().images.clone(), &taps)?;
        let own = student
            .feature(&self.head)
            .ok_or_else(|| MethodError::Batch {
                method: Self::ID,
                reason: format!("the student's outputs lack its tap `{}`", self.head),
            })?;
        let states = self
            .states
            .tokens(Self::ID, &teacher, self.reading.layout(own))?;
        let matched = compared.map(|pair| {
            Ok([
                pair.student_map(Self::ID, &student)?,
                pair.teacher_map(Self::ID, &teacher)?,
            ])
        });
        let matched = matched.collect::<Result<Vec<_>, MethodError>>()?;
        let (grid, tokens) = (states.grid, states.tokens);
        let rebuilt =
            scene.modules(PROTOTYPES, |pass| self.rebuild(pass, tokens, own, matched))??;

        let mut terms = scene.supervise_labelled(&student, 1.0)?;
        let augmented = self.reading.feature(rebuilt.teacher, grid);
        let augmented = scene.head(STUDENT, augmented)?;
        let supervision = scene.supervision();
        terms.extend(self.guidance(&student.prediction, &augmented, supervision)?);
        if let Some(tokens) = rebuilt.student {
            let feature = self.reading.feature(tokens, self.reading.grid(own));
            let prediction = scene.head(STUDENT, feature)?;
            terms.push(self.supervised("aug_student", &prediction, supervision)?);
            let options = (scene.cast().device(), scene.cast().dtype());
            let accuracy = Self::accuracy(&prediction, supervision, options);
            terms.push(Term::new("aug_accuracy", accuracy, 0.0));
        }
        if let Some(distance) = rebuilt.distance {
            terms.push(Term::new("hidden", distance, self.config.weight_hidden));
        }
        Ok(terms)
    }

    fn likeness(&self, scene: &mut Scene<'_>) -> Result<Option<Likeness>, MethodError> {
        let teacher = scene.teacher_of_batch(Self::ID, &self.questions().taps)?;
        // Class tokens and means have no place in an image.
        let layout = Layout {
            leading: 0,
            within: None,
        };
        let states = self.states.tokens(Self::ID, &teacher.detach(), layout)?;
        let (grid, tokens) = (states.grid, states.tokens);
        let likeness = scene.evaluate_modules(PROTOTYPES, |pass| {
            let joined = self.joined(pass, tokens)?;
            let (nearness, shares) = self.prototypes.likeness(pass, joined);
            Ok(Likeness {
                nearness,
                shares,
                grid,
            })
        })?;
        likeness.map(Some)
    }

    fn questions(&self) -> Questions {
        let compared = self.matched.iter().map(|it| it.pair.teacher.name.clone());
        Questions {
            taps: Taps::from_iter(self.states.names().into_iter().chain(compared)),
            logits: false,
            beyond: None,
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let matched = self.matched.iter();
        matched.map(|matched| matched.pair.names()).collect()
    }
}
