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
//! Of detectors, what moves pixels is one map of each image from where a pixel lands to where it is from,
//! M = I + Σ_k a_k · (H_k − I) over the geometric operators that are drawn, applied once, to the images that the
//! other operators have blended and to their boxes: the corners go through M's inverse, the box is the upright one
//! around them, cut at the border, and is dropped if nothing is left. Both vectors are clamped to −10…10 where they
//! are used. With L_box, L_obj and L_cls the parts of YOLOv5's loss, times their gains (`task.detection`):
//! - search: teacher_weight · (L_box + L_obj + L_cls)(u) + student_weight · (−L_box + L'_obj + L'_cls)(z), where L'
//!   has −ln(1 − p + 1e-10) in the place of −ln p for the objectness and the labelled class of each cell and anchor
//!   that learns a box, with the factor that −ln p has there, and nothing of all others;
//! - training: KD(x) = B · (L_box + L_obj + L_cls)(z) + weight · T²/R · Σ_r KL(u_r ‖ z_r), the rows r being those of
//!   `kd` for detectors; x' has the boxes that were moved with it.
//!
//! ## Inputs and shapes
//! Images `[B, 3, H, W]` of at least 5×5 pixels, logits `[B, K]`, labels `[B]` or the shares of the
//! classes `[B, K]` (the search takes the class with the greatest); of detectors cells `[B, N, 5 + K]` and boxes.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 4 | > 0 | authors' code for CIFAR-100; 1 for ImageNet; of detectors 1, as of `kd` |
//! | `weight` | 1 | ≥ 0 | same; 0.5 for ResNet-110 |
//! | `teacher_weight` | 1 | ≥ 0 | same |
//! | `student_weight` | 1 | ≥ 0 | same |
//! | `operators` | 4 | 1 to 14 | same |
//! | `true_logit` | false | | same |
//! | `cutout` | none | ≥ 1 | same: 32 for 32×32, 224 for 224×224, 128 for COCO at 640; none is the height of the images, of detectors a fifth of their longer side |
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
//! be empty in short runs. Segmentation of the paper is left out. Cost: two images
//! for each one in training, forward and backward passes through both networks in the search, and
//! 1,961 weights of operator networks.
//!
//! What the code has for detectors with sigmoids turns the scores of all classes and cells, and a class score says
//! whether there is an object too. Here class and objectness are told apart, and both are turned where a box is
//! learnt; other classes and cells are left out, since thousands of cells of background would ask the images for
//! objects that no label knows. The search's
//! loss is a mean over images, as theirs is, where that of training is times their number, as YOLOv5's is. Labels
//! move with their picture: gradients of the box terms reach M through the boxes too; which cells learn them, and how
//! much objectness they learn, are constants. Focal loss and label smoothing of the task are the teacher's alone in
//! the search.
//!
//! ## Reference
//! Shao, Chen, Huang, Gong, Wang, Wu. "Teaching What You Should Teach: A Data-Based Distillation
//! Method". IJCAI 2023. <https://arxiv.org/abs/2212.05422>
//! Authors' code: <https://github.com/shaoshitong/TST> (f9616a2adda0, no licence file).

mod classifier;
mod colour;
mod detector;
mod draws;
mod gate;
mod geometry;
#[cfg(test)]
pub mod golden;
mod moved;
mod operators;
mod policy;
mod prior;
mod search;
mod settings;

use burn::tensor::Tensor;

use crate::{
    Act, Cast, Interlude, MethodError, Normalisation, OptimizerChange, OptimizerKind, Probe,
    Procedure, Progress, Questions, STUDENT, Scene, Stage, State, Term, criterion::require_teacher,
};

pub use geometry::GeometricNetwork;
pub use policy::{OperatorNetworks, Policy, PolicyDraws};
pub use settings::TstConfig;

use policy::{GEOMETRIES, GEOMETRY_PATH, PolicyNumbers};
use search::Search;

const COLOUR_MEMBER: &str = "colour-networks";
const GEOMETRY_MEMBER: &str = "geometric-networks";
const POLICY_MEMBER: &str = "policy";
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

    /// The policy's numbers for a batch of `images` `[B, 3, H, W]`, and all that is drawn for it.
    fn draw(
        &self,
        scene: &mut Scene<'_>,
        images: &Tensor<4>,
        cutout: usize,
        bound: Option<f64>,
    ) -> Result<(PolicyNumbers, PolicyDraws), MethodError> {
        let operators = self.config.operators;
        let draws = PolicyDraws::draw(scene.seed(), images, operators, cutout);
        let numbers = scene.modules(POLICY_MEMBER, |pass| {
            let uniform = draws.uniform.clone();
            let true_logit = self.config.true_logit;
            self.policy.numbers(pass, uniform, true_logit, bound)
        })?;
        Ok((numbers, draws))
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
        // Of detectors.
        let loss = scene.supervision().task.detection_loss();
        match Kind::of(stage) {
            Kind::Prior => self.imitate(act, scene),
            Kind::Distil => match loss {
                Some(_) => self.distil_cells(scene),
                None => self.distil_classes(scene),
            },
            Kind::Search => {
                let terms = match loss {
                    Some(loss) => self.seek_by_cells(scene, loss)?,
                    None => self.seek_by_classes(scene)?,
                };
                self.search.add(&terms);
                Ok(terms.into())
            }
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
