//! # tst — Teaching What You Should Teach: A Data-Based Distillation Method
//!
//! A good lesson is a picture that the teacher understands and the student does not. Small networks
//! that have learnt to imitate the usual operators make such pictures; how strong and how likely
//! each operator is, 25 numbers, is searched against the student, in turns with its training.
//!
//! ## Definition
//! 1. `prior`: each of 6 colour and 5 geometric networks imitates its operator at random strengths:
//!    mean squared error between network(x, m) and operator(x, m).
//! 2. `distil-1`, `distil-2`, `distil-3`, over the recipe's epochs: with x' the augmented images,
//!    L = ½ KD(x') + ½ KD(x), KD(x) = CE(z, y) + weight · T²/B · Σ_b KL(softmax(u/T) ‖ softmax(z/T)).
//! 3. `search-1`, `search-2`, between them: L = teacher_weight · mean(−ln p_u[y]) +
//!    student_weight · mean(−ln(1 − p_z[y] + 1e-8)) on x', moving the 25 numbers alone.
//!
//! x' = x + Σ_k a_k · (operator_k(x; m_k) − x) over `operators` of the 14 operators (the networks,
//! equalize, invert, cutout), drawn for each batch; m = σ(magnitudes), a_k a relaxed Bernoulli draw
//! at temperature 0.05 whose logit is σ(probabilities_k), or probabilities_k with `true_logit`.
//! z: student, u: teacher; gradients of the search pass through both to the images.
//!
//! ## Inputs and shapes
//! Images `[B, 3, H, W]` of at least 5×5 pixels, logits `[B, K]`, labels `[B]` or the shares of the
//! classes `[B, K]` (the search takes the class with the greatest).
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 4 | > 0 | authors' code for CIFAR-100; 1 for ImageNet |
//! | `weight` | 1 | ≥ 0 | same; 0.5 for ResNet-110 |
//! | `teacher_weight` | 1 | ≥ 0 | same |
//! | `student_weight` | 1 | ≥ 0 | same |
//! | `operators` | 4 | 1 to 14 | same |
//! | `true_logit` | false | | same |
//! | `cutout` | none | ≥ 1 | same: 32 for 32×32, 224 for 224×224; none is the height of the images |
//! | `prior_share` | 0.0833 | > 0 | same: 20 epochs beside 240 |
//! | `first_search` | 0.125 | 0 to 1 | same: epoch 30 of 240 |
//! | `second_search` | 0.375 | 0 to 1 | same: epoch 90 of 240 |
//! | `search_share` | 0.125 | > 0 | same: 30 epochs beside 240 |
//! | `search_learning_rate` | 0.01 | > 0 | same |
//!
//! ## Notes
//! Geometric networks learn as long as colour networks here, where the code halves their time. The
//! prior is trained on the run's images at its size and kept as `stage-prior.safetensors`. The
//! search's rate is multiplied by 0.9 after an epoch in which the mean loss fell by less than 0.02
//! and by less than 2 %. Each stage's length is at least one epoch, and stages between searches may
//! be empty in short runs. Detection and segmentation of the paper are left out. Cost: two images
//! for each one in training, forward and backward passes through both networks in the search, and
//! 1,961 weights of operator networks.
//!
//! ## Reference
//! Shao, Chen, Huang, Gong, Wang, Wu. "Teaching What You Should Teach: A Data-Based Distillation
//! Method". IJCAI 2023. <https://arxiv.org/abs/2212.05422>
//! Authors' code: <https://github.com/shaoshitong/TST> (f9616a2adda0, no licence file).

mod colour;
mod draws;
mod gate;
mod geometry;
#[cfg(test)]
pub mod golden;
mod operators;
mod policy;
mod prior;
mod search;
mod settings;

use burn::tensor::{
    Int, Tensor,
    activation::{log_softmax, softmax},
};
use limbeck_nn::Taps;

use crate::{
    Act, Cast, Interlude, MethodError, Normalisation, OptimizerChange, OptimizerKind, Probe,
    Procedure, Progress, Questions, STUDENT, Scene, Stage, State, Supervision, Term,
    criterion::require_teacher, softmax::softened_kl,
};

pub use geometry::GeometricNetwork;
pub use policy::{OperatorNetworks, Policy, PolicyDraws, augment};
pub use settings::TstConfig;

use policy::{GEOMETRIES, GEOMETRY_PATH};
use search::Search;

const COLOUR_MEMBER: &str = "colour-networks";
const GEOMETRY_MEMBER: &str = "geometric-networks";
const POLICY_MEMBER: &str = "policy";
/// Keeps the logarithm of the student's error finite (authors' code).
const FLOOR: f64 = 1e-8;
/// Learning rate of the prior's first step, and its factor after each step (authors' code).
const PRIOR_RATE: (f64, f64) = (1e-3, 0.999);
/// Weight decay of geometric networks; colour networks have none (authors' code).
const GEOMETRY_DECAY: f64 = 0.01;

/// Augmentation that is searched against the student.
#[derive(Clone, Debug)]
pub struct Tst {
    config: TstConfig,
    networks: OperatorNetworks,
    policy: Policy,
    normalisation: Normalisation,
    search: Search,
}

/// What a stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Prior,
    Distil,
    Search,
}

impl Kind {
    fn of(stage: usize) -> Self {
        match stage {
            0 => Self::Prior,
            _ if stage.is_multiple_of(2) => Self::Search,
            _ => Self::Distil,
        }
    }
}

impl Tst {
    const ID: &'static str = "tst";

    /// Adds the operator networks and the policy to the cast.
    ///
    /// # Errors
    /// A setting out of range, no teacher, or images that are not of three channels or smaller
    /// than 5×5 pixels.
    pub fn new(config: TstConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_teacher(Self::ID, probe)?;
        config.check()?;
        let input = cast.network(STUDENT)?.input();
        let normalisation = probe.training.normalisation.clone();
        let channels = input.channels.min(normalisation.mean.len());
        if channels != 3 || input.height < 5 || input.width < 5 {
            return Err(MethodError::Shape {
                method: Self::ID,
                feature: format!(
                    "images of {} channels and {}×{} pixels",
                    input.channels, input.height, input.width
                ),
                reason: "its operators need 3 channels and at least 5×5 pixels; set \
                         augment.channels to 3"
                    .to_owned(),
            });
        }
        let seed = probe.seed;
        let colours = cast.add_modules(COLOUR_MEMBER, seed, |builder| {
            Ok(OperatorNetworks::colours(builder))
        })?;
        let geometries = cast.add_modules(GEOMETRY_MEMBER, seed, |builder| {
            Ok(OperatorNetworks::geometries(builder))
        })?;
        let store = cast.store_mut(GEOMETRY_MEMBER)?;
        for index in 0..GEOMETRIES {
            GeometricNetwork::reset(store, &format!("{GEOMETRY_PATH}.{index}"));
        }
        let policy = cast.add_modules(POLICY_MEMBER, seed, |builder| Ok(Policy::new(builder)))?;
        Ok(Self {
            search: Search::new(config.search_learning_rate),
            networks: OperatorNetworks {
                colours,
                geometries,
            },
            policy,
            normalisation,
            config,
        })
    }

    /// Terms of the search from logits `[B, K]` of both networks and labels `[B]`.
    pub fn search_terms(
        &self,
        student: Tensor<2>,
        teacher: Tensor<2>,
        labels: &Tensor<1, Int>,
    ) -> [Term; 2] {
        let [batch, _] = student.dims();
        let index = labels.clone().reshape([batch, 1]);
        let right = softmax(student, 1).gather(1, index.clone());
        let wrong = (-right).add_scalar(1.0 + FLOOR).log();
        let knows = log_softmax(teacher, 1).gather(1, index);
        let mean = |sum: Tensor<2>| sum.sum().mul_scalar(-1.0 / batch as f64);
        [
            Term::new("search.teacher", mean(knows), self.config.teacher_weight),
            Term::new("search.student", mean(wrong), self.config.student_weight),
        ]
    }

    /// Terms of the training from logits `[2·B, K]`, augmented images first, and labels `[B]` or
    /// shares of the classes `[B, K]`: `task.augmented`, `kd.augmented`, `kd`. The supervised loss
    /// of the original images weighs a half too.
    pub fn distillation_terms(
        &self,
        student: &Tensor<2>,
        teacher: &Tensor<2>,
        supervision: Supervision<'_>,
    ) -> Result<[Term; 3], MethodError> {
        let half = |logits: &Tensor<2>, number| {
            let batch = logits.dims()[0] / 2;
            logits.clone().narrow(0, number * batch, batch)
        };
        let soft = |number| {
            let teacher = half(teacher, number).inner();
            softened_kl(half(student, number), teacher, self.config.temperature)
        };
        let task = supervision.loss(half(student, 0))?;
        let weight = 0.5 * self.config.weight;
        Ok([
            Term::new("task.augmented", task, 0.5),
            Term::new("kd.augmented", soft(0), weight),
            Term::new("kd", soft(1), weight),
        ])
    }

    /// Augmented images; gradients reach the policy if the act trains it.
    fn augmented(
        &self,
        scene: &mut Scene<'_>,
        images: &Tensor<4>,
    ) -> Result<Tensor<4>, MethodError> {
        let TstConfig {
            operators, cutout, ..
        } = self.config;
        let draws = PolicyDraws::draw(scene.seed(), images, operators, cutout);
        let numbers = scene.modules(POLICY_MEMBER, |pass| {
            let uniform = draws.uniform.clone();
            self.policy.numbers(pass, uniform, self.config.true_logit)
        })?;
        let scene = &*scene;
        scene.evaluate_modules(COLOUR_MEMBER, |colours| {
            scene.evaluate_modules(GEOMETRY_MEMBER, |geometries| {
                augment(
                    &self.networks,
                    (colours, geometries),
                    images.clone(),
                    &numbers,
                    &draws,
                    &self.normalisation,
                )
            })
        })?
    }

    fn distil(&self, scene: &mut Scene<'_>) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let [count, ..] = batch.images.dims();
        let augmented = self.augmented(scene, &batch.images)?.inner();
        let all = Tensor::cat(vec![augmented, batch.images.clone()], 0);
        let teacher = scene
            .teacher(Self::ID, all.clone(), &Taps::none())?
            .logits();
        let student = scene.train(STUDENT, all, &Taps::none())?.logits();
        let task = scene.task(student.clone().narrow(0, count, count))?;
        let mut terms = vec![Term::new("task", task, 0.5)];
        terms.extend(self.distillation_terms(&student, &teacher, scene.supervision())?);
        Ok(terms)
    }

    fn seek(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let images = self.augmented(scene, &batch.images)?;
        let none = Taps::none();
        let student = scene.evaluate(STUDENT, images.clone(), &none)?.logits();
        let teacher = scene.teacher_through(Self::ID, images, &none)?.logits();
        let terms = self.search_terms(student, teacher, batch.target.classes(Self::ID)?.0);
        for term in &terms {
            let value = term.value.clone().inner().into_scalar::<f64>();
            self.search.sum += term.weight * value;
        }
        self.search.steps += 1.0;
        Ok(terms.into())
    }
}

impl Procedure for Tst {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let share = |share: f64| (share * epochs as f64).round() as usize;
        let first = share(self.config.first_search).min(epochs);
        let second = share(self.config.second_search).clamp(first, epochs);
        let adam = |member: &str, weight_decay| {
            let mut act = Act::training([member]);
            act.optimizer = OptimizerChange {
                kind: Some(OptimizerKind::AdamW),
                weight_decay: Some(weight_decay),
                ..OptimizerChange::default()
            };
            act
        };
        let prior = vec![
            adam(COLOUR_MEMBER, 0.0),
            adam(GEOMETRY_MEMBER, GEOMETRY_DECAY),
        ];
        let distil = |name: &str, from: usize, to: usize| {
            let mut stage = Stage::new(name, to - from, vec![Act::training([STUDENT])]);
            stage.schedule_from = from;
            stage.schedule_epochs = epochs;
            stage
        };
        let search = |name: &str| {
            let mut act = Act::training([POLICY_MEMBER]);
            act.optimizer = OptimizerChange {
                kind: Some(OptimizerKind::Sgd),
                momentum: Some(0.9),
                nesterov: Some(false),
                weight_decay: Some(0.0),
                fresh: true,
                ..OptimizerChange::default()
            };
            Stage::new(name, share(self.config.search_share).max(1), vec![act])
        };
        vec![
            Stage::new("prior", share(self.config.prior_share).max(1), prior),
            distil("distil-1", 0, first),
            search("search-1"),
            distil("distil-2", first, second),
            search("search-2"),
            distil("distil-3", second, epochs),
        ]
    }

    fn play(
        &mut self,
        stage: usize,
        act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        match Kind::of(stage) {
            Kind::Prior => self.imitate(act, scene),
            Kind::Distil => self.distil(scene),
            Kind::Search => self.seek(scene),
        }
    }

    fn learning_rate(&self, stage: usize, _act: usize, progress: Progress, recipe: f64) -> f64 {
        match Kind::of(stage) {
            Kind::Prior => {
                let done = progress.epoch.saturating_mul(progress.steps);
                let done = done.saturating_add(progress.step).min(1 << 20) as i32;
                PRIOR_RATE.0 * PRIOR_RATE.1.powi(done)
            }
            Kind::Distil => recipe,
            Kind::Search => self.search.learning_rate,
        }
    }

    fn begin_stage(
        &mut self,
        _stage: usize,
        _interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        self.search = Search::new(self.config.search_learning_rate);
        Ok(())
    }

    fn end_epoch(
        &mut self,
        _stage: usize,
        _interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        self.search.end_epoch();
        Ok(())
    }

    fn state(&self) -> State {
        self.search.state()
    }

    fn load_state(&mut self, state: State) -> Result<(), MethodError> {
        self.search = Search::from_state(state)?;
        Ok(())
    }

    fn questions(&self) -> Questions {
        Questions {
            logits: true,
            beyond: Some("images that it augments itself, with gradients to them"),
            ..Questions::default()
        }
    }
}

#[cfg(test)]
mod tests;
