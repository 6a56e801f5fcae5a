//! One training step: the acts of a stage one after the other, each with forward passes, loss
//! terms, gradients and an update.

mod report;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_data::Batch;
use limbeck_methods::{
    Act, Cast, HeldOut, Interlude, Likeness, Member, Procedure, Progress, Reconstruction, Scene,
    Setting, Stage, Task, Teacher, Trained,
};
use limbeck_nn::{
    Network, Role, Store,
    seed::{self, Purpose},
};

use crate::{
    TrainError,
    average::WeightAverage,
    clip::clip_global_norm,
    optimizer::{self, Optimizer},
    recipe::{OptimizerRecipe, Recipe},
    schedule::Warmup,
};

pub use report::StepReport;

/// The gradients of a store, in its order.
type Gradients = Vec<Option<Tensor<1>>>;

/// Everybody in training, with all that changes at a step.
pub struct Learner {
    /// What happens.
    pub procedure: Box<dyn Procedure>,
    /// Whom it happens to.
    pub cast: Cast,
    /// The procedure's stages.
    pub stages: Vec<Stage>,
    /// Optimisers of the members that have been trained so far.
    pub optimizers: BTreeMap<String, MemberOptimizer>,
    /// Moving average of the stage's student, if wanted.
    pub average: Option<WeightAverage>,
    /// Index of the stage.
    stage: usize,
    recipe: OptimizerRecipe,
    /// Name of the method, for messages.
    method: String,
    task: Box<dyn Task>,
    clip_norm: Option<f64>,
    accumulate: usize,
    decay: Option<f64>,
    /// Steps over which that decay rises.
    ramp: Option<f64>,
    /// Gradients that wait for an update: for each act, of each member that it trains.
    pending: Vec<Option<Vec<Gradients>>>,
    pending_batches: usize,
}

/// An optimiser and the settings it was built from.
pub struct MemberOptimizer {
    settings: OptimizerRecipe,
    /// Updates the member.
    pub rule: Box<dyn Optimizer>,
}

/// One batch to learn from.
pub struct Lesson<'a> {
    /// The images.
    pub batch: Batch,
    /// Where knowledge comes from.
    pub teacher: Option<&'a dyn Teacher>,
    /// How far the stage is.
    pub stage: Progress,
    /// How far the whole run is.
    pub run: Progress,
    /// What the recipe's schedule gives.
    pub learning_rate: f64,
    /// What else warms up.
    pub warmup: Option<Warmup>,
    /// Decides what dropout and the method draw.
    pub seed: u64,
}

impl Learner {
    /// Puts a learner together, in its first stage; nothing is pending.
    ///
    /// # Errors
    /// A stage that names a member that is not there.
    pub fn new(
        method: &str,
        procedure: Box<dyn Procedure>,
        cast: Cast,
        task: Box<dyn Task>,
        recipe: &Recipe,
    ) -> Result<Self, TrainError> {
        let mut cast = cast;
        let networks: Vec<String> = cast
            .members()
            .filter(|(_, member)| matches!(member, Member::Network(_)))
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in networks {
            let store = cast.store_mut(&name)?;
            if recipe.task.frozen_norms {
                store.freeze_norms();
            }
            if recipe.train.recompute {
                store.recompute_units();
            }
        }
        let mut learner = Self {
            stages: procedure.stages(recipe.train.epochs),
            procedure,
            cast,
            optimizers: BTreeMap::new(),
            average: None,
            stage: 0,
            recipe: recipe.optimizer.clone(),
            method: method.to_owned(),
            task,
            clip_norm: recipe.train.clip_norm,
            accumulate: recipe.train.accumulate,
            decay: recipe.train.average,
            ramp: recipe.train.average_ramp,
            pending: Vec::new(),
            pending_batches: 0,
        };
        learner.enter(0)?;
        Ok(learner)
    }

    /// The stage at hand.
    pub fn stage(&self) -> &Stage {
        &self.stages[self.stage]
    }

    /// Epochs of all stages.
    pub fn epochs(&self) -> usize {
        self.stages.iter().map(|stage| stage.epochs).sum()
    }

    /// Goes to the stage `index`: makes the optimisers of the members that it trains, or keeps
    /// them where they may go on.
    ///
    /// # Errors
    /// A stage that names a member that is not there.
    pub fn enter(&mut self, index: usize) -> Result<(), TrainError> {
        let before = (index > 0).then(|| self.stages[self.stage].student.clone());
        self.stage = index;
        let stage = self.stages[index].clone();
        for act in &stage.acts {
            let of_act = optimizer::changed(&self.recipe, &act.optimizer);
            for Trained {
                member, optimizer, ..
            } in &act.trains
            {
                self.cast.store(member)?;
                let settings = optimizer::changed(&of_act, optimizer);
                let goes_on = !act.optimizer.fresh
                    && !optimizer.fresh
                    && self
                        .optimizers
                        .get(member)
                        .is_some_and(|optimizer| optimizer.settings == settings);
                if !goes_on {
                    let rule = optimizer::build(&settings);
                    self.optimizers
                        .insert(member.clone(), MemberOptimizer { settings, rule });
                }
            }
        }
        let student = self.cast.network(&stage.student)?;
        if let Some(decay) = self.decay
            && before.as_ref() != Some(&stage.student)
        {
            self.average = Some(WeightAverage::new(decay, self.ramp, &student.store));
        }
        self.pending = stage.acts.iter().map(|_| None).collect();
        self.pending_batches = 0;
        Ok(())
    }

    /// The network of the stage to evaluate: its moving average where there is one.
    ///
    /// # Errors
    /// A stage whose student is not there.
    pub fn evaluated(&self) -> Result<Network, TrainError> {
        let mut network = self.cast.network(&self.stage().student)?.clone();
        if let Some(average) = &self.average {
            network.store = average.store().clone();
        }
        Ok(network)
    }

    /// Whether an update has just been made, so that a checkpoint is possible here.
    pub fn is_settled(&self) -> bool {
        self.pending_batches == 0
    }

    /// Lets the procedure do what it does between steps.
    ///
    /// # Errors
    /// Whatever it refuses.
    pub fn pause(
        &mut self,
        teacher: Option<&dyn Teacher>,
        held_out: Option<&dyn HeldOut>,
        pause: Pause,
    ) -> Result<(), TrainError> {
        let mut interlude = Interlude {
            cast: &mut self.cast,
            teacher,
            held_out,
        };
        let procedure = &mut self.procedure;
        match pause {
            Pause::Stage => {
                procedure.begin_stage(self.stage, &mut interlude)?;
                self.start_average()?;
            }
            Pause::Epoch => procedure.begin_epoch(self.stage, &mut interlude)?,
            Pause::EpochEnd => procedure.end_epoch(self.stage, &mut interlude)?,
        }
        Ok(())
    }

    /// Lets an average that has followed nothing yet start from what the stage has made of its
    /// student.
    fn start_average(&mut self) -> Result<(), TrainError> {
        if let (Some(decay), Some(average)) = (self.decay, &self.average)
            && average.updates() == 0
        {
            let store = self.cast.store(&self.stages[self.stage].student)?;
            self.average = Some(WeightAverage::new(decay, self.ramp, store));
        }
        Ok(())
    }

    /// What the procedure reconstructs of the images of `batch`, which is drawn from `seed`; `None` where
    /// it hides nothing.
    ///
    /// # Errors
    /// Whatever it refuses.
    pub fn reconstruct(
        &self,
        batch: &limbeck_methods::Batch,
        seed: u64,
    ) -> Result<Option<Reconstruction>, TrainError> {
        let act = Act::default();
        let mut scene = Scene::new(self.after(&act, batch, None, seed));
        Ok(self.procedure.reconstruct(&mut scene)?)
    }

    /// How near the images of `batch` are to the procedure's prototypes; `None` where it has none.
    ///
    /// # Errors
    /// Whatever it refuses, and what `teacher` does.
    pub fn likeness(
        &self,
        batch: &limbeck_methods::Batch,
        teacher: Option<&dyn Teacher>,
        seed: u64,
    ) -> Result<Option<Likeness>, TrainError> {
        let act = Act::default();
        let mut scene = Scene::new(self.after(&act, batch, teacher, seed));
        Ok(self.procedure.likeness(&mut scene)?)
    }

    /// A setting in which nothing is trained, after the last step.
    fn after<'a>(
        &'a self,
        act: &'a Act,
        batch: &'a limbeck_methods::Batch,
        teacher: Option<&'a dyn Teacher>,
        seed: u64,
    ) -> Setting<'a> {
        let over = |epochs| Progress {
            epoch: epochs,
            epochs,
            step: 0,
            steps: 1,
        };
        Setting {
            cast: &self.cast,
            act,
            batch,
            teacher,
            stage: over(self.stage().epochs),
            run: over(self.epochs()),
            task: self.task.as_ref(),
            seed,
        }
    }

    /// Learns from one batch: plays the stage's acts.
    ///
    /// # Errors
    /// A loss that is not finite, or a batch that the method cannot use.
    pub fn learn(&mut self, lesson: Lesson<'_>) -> Result<StepReport, TrainError> {
        let stage = self.stage().clone();
        let (device, dtype) = (self.cast.device(), self.cast.dtype());
        let batch = limbeck_methods::Batch::on_device(lesson.batch, device, dtype);
        let mut report = StepReport {
            images: batch.indices.len(),
            ..StepReport::default()
        };
        // An epoch's last group may be shorter; it is the mean of what it holds all the same.
        let left = lesson.stage.steps.saturating_sub(lesson.stage.step).max(1);
        let group = self.accumulate.min(self.pending_batches + left);
        self.pending_batches += 1;
        let updates = self.pending_batches == group;
        let mut judges = true;
        for (index, act) in stage.acts.iter().enumerate() {
            let setting = Setting {
                cast: &self.cast,
                act,
                batch: &batch,
                teacher: lesson.teacher,
                stage: lesson.stage,
                run: lesson.run,
                task: self.task.as_ref(),
                seed: seed::derive(lesson.seed, Purpose::Act, index as u64),
            };
            let mut scene = Scene::new(setting);
            let terms = self.procedure.play(self.stage, index, &mut scene)?;
            let played = scene.finish();
            let learning_rate =
                self.procedure
                    .learning_rate(self.stage, index, lesson.stage, lesson.learning_rate);
            let trains_student = act.trains(&stage.student);
            if index == 0 || (trains_student && judges) {
                report.learning_rate = learning_rate;
            }
            if trains_student && std::mem::take(&mut judges) {
                let judged = played.judged.as_ref();
                report.correct =
                    judged.and_then(|prediction| self.task.count_right(prediction, &batch.target));
            }
            let total = report.add(&self.method, terms, lesson.run)?;
            let new = gradients(&act.trains, &played.tracked, total, group);
            drop(played.tracked);
            for (member, updates) in played.updates {
                self.cast.store_mut(&member)?.apply(updates);
            }
            if let Some(new) = new {
                let old = self.pending[index].take();
                self.pending[index] = Some(match old {
                    Some(old) => old.into_iter().zip(new).map(|(a, b)| add(a, b)).collect(),
                    None => new,
                });
            }
            if updates {
                self.update(index, &act.trains, learning_rate, lesson.warmup)?;
            }
        }
        if updates {
            self.pending_batches = 0;
            for follower in self.procedure.followers(self.stage, lesson.stage) {
                self.cast.follow(&follower)?;
            }
            if !judges && let Some(average) = &mut self.average {
                average.update(self.cast.store(&stage.student)?);
            }
        }
        Ok(report)
    }

    fn update(
        &mut self,
        act: usize,
        trains: &[Trained],
        learning_rate: f64,
        warmup: Option<Warmup>,
    ) -> Result<(), TrainError> {
        let Some(mut gradients) = self.pending[act].take() else {
            return Ok(());
        };
        if let Some(largest) = self.clip_norm {
            clip_global_norm(&mut gradients, largest);
        }
        for (Trained { member, .. }, gradients) in trains.iter().zip(gradients) {
            if let Some(optimizer) = self.optimizers.get_mut(member)
                && !gradients.is_empty()
            {
                let network = self.cast.network(member).ok();
                let bias_factor = warmup.map_or(1.0, |warmup| warmup.bias_factor);
                let factors =
                    network.and_then(|network| factors(&optimizer.settings, bias_factor, network));
                if let Some(warmup) = warmup {
                    let momentum = warmup.momentum(optimizer.settings.momentum);
                    optimizer.rule.set_momentum(momentum);
                }
                let store = self.cast.store_mut(member)?;
                let Some(factors) = factors else {
                    optimizer.rule.step(store, gradients, learning_rate);
                    continue;
                };
                // Entries without a gradient are left as they are, so each takes one of the steps.
                let mut distinct = factors.clone();
                distinct.sort_by(f64::total_cmp);
                distinct.dedup();
                for factor in distinct {
                    let own = gradients.iter().zip(&factors);
                    let own = own.map(|(gradient, of)| gradient.clone().filter(|_| *of == factor));
                    let own = own.collect();
                    optimizer.rule.step(store, own, learning_rate * factor);
                }
            }
        }
        Ok(())
    }
}

/// Factors of the learning rate of each of a network's entries; `None` where all are 1. `bias_factor` is
/// that of biases and shifts.
fn factors(settings: &OptimizerRecipe, bias_factor: f64, network: &Network) -> Option<Vec<f64>> {
    if settings.head_factor == 1.0 && settings.layer_decay == 1.0 && bias_factor == 1.0 {
        return None;
    }
    let entries = network.store.entries().iter();
    let factor = |name: &str, role: Role| {
        let of_head = match network.is_backbone(name) {
            Some(false) => settings.head_factor,
            _ => 1.0,
        };
        let of_layer = network.layer_of(name).map_or(1.0, |(layer, layers)| {
            settings.layer_decay.powi((layers - layer) as i32)
        });
        let of_role = match role {
            Role::Bias | Role::NormShift => bias_factor,
            _ => 1.0,
        };
        of_head * of_layer * of_role
    };
    Some(
        entries
            .map(|entry| factor(&entry.name, entry.role))
            .collect(),
    )
}

/// When a procedure gets a word between steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Before the first step of a stage.
    Stage,
    /// Before the first step of an epoch.
    Epoch,
    /// After the last step of an epoch.
    EpochEnd,
}

/// The part of one batch in the mean gradients of a group of `group` batches, for each trained
/// member; `None` where `total` depends on none of them.
fn gradients(
    trains: &[Trained],
    tracked: &BTreeMap<String, Store>,
    total: Option<Tensor<1>>,
    group: usize,
) -> Option<Vec<Gradients>> {
    let total = total.filter(Tensor::is_tracked)?;
    let mut found = total.div_scalar(group as f64).backward();
    let of = |trained: &Trained| {
        let Some(store) = tracked.get(&trained.member) else {
            return Vec::new();
        };
        let mut gradients = store.gradients(&mut found);
        for (entry, gradient) in store.entries().iter().zip(&mut gradients) {
            if trained
                .fixed
                .iter()
                .any(|name| entry.name.starts_with(name))
            {
                *gradient = None;
            }
        }
        gradients
    };
    Some(trains.iter().map(of).collect())
}

fn add(left: Gradients, right: Gradients) -> Gradients {
    if left.is_empty() {
        return right;
    }
    if right.is_empty() {
        return left;
    }
    left.into_iter()
        .zip(right)
        .map(|pair| match pair {
            (Some(left), Some(right)) => Some(left + right),
            (left, right) => left.or(right),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};
    use limbeck_methods::{Classification, Probe, TrainingPart};
    use limbeck_nn::{InputShape, model};

    use super::*;

    #[test]
    fn a_member_may_have_a_pull_of_its_own() {
        let input = InputShape {
            channels: 1,
            height: 8,
            width: 8,
            classes: 3,
        };
        let (device, dtype) = (Device::flex(), DType::F32);
        let student = model::build("resnet8", input, 0, &device, dtype).unwrap();
        let probe = Probe {
            student: student.taps(),
            teacher: None,
            classes: input.classes,
            batch: 4,
            pairs: None,
            seed: 0,
            device,
            dtype,
            training: TrainingPart::labelled(vec![0, 1, 2, 0]),
            teacher_classifier: None,
            teacher_network: None,
        };
        let (procedure, cast) =
            limbeck_methods::cast("ffl", &BTreeMap::new(), &probe, student).unwrap();
        let recipe = Recipe::default();
        let learner = Learner::new(
            "ffl",
            procedure,
            cast,
            Box::new(Classification::PLAIN),
            &recipe,
        )
        .unwrap();
        let settings = |member: &str| &learner.optimizers[member].settings;
        for network in ["student", "peer1"] {
            assert_eq!(settings(network), &recipe.optimizer);
        }
        let fusion = OptimizerRecipe {
            weight_decay: 1e-5,
            ..recipe.optimizer.clone()
        };
        assert_eq!(settings("fusion"), &fusion);
    }
}
