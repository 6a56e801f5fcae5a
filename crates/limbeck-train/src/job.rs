//! The training of one network from its first step to its last, over any number of stops.

mod checkpoints;
mod choice;
mod delivery;
mod event_file;
mod exhibits;
mod logs;
mod material;
mod state;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use choice::Choice;
use choice::Reached;
pub(crate) use choice::weights_name;
pub use exhibits::{Exhibits, Prototype, Reconstructed};
use limbeck_data::{Augment, Domains, Loader, Part};
use limbeck_kernels::forget_most_held;
use limbeck_methods::{MadeImage, Progress, TaskKind, Teacher};
use limbeck_nn::{
    Network,
    seed::{self, Purpose},
};
use limbeck_report::{EpochRow, Evaluation, TRAIN, VALIDATION};
use logs::Logs;
use material::Material;
pub(crate) use material::{PREFETCH, loader_config, with_domains};
use state::State;

use crate::{
    TrainError,
    evaluate::EvaluationSet,
    finite,
    metric::{self, PartAnswers},
    model_source,
    observer::{Moment, Observer},
    recipe::Recipe,
    represent::{SPREAD, collapse, has_collapsed},
    schedule::Schedule,
    step::{Learner, Lesson, Pause},
};

/// Time between two checkpoints inside an epoch; each epoch ends with one in any case.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);
/// File of a job that holds all that is needed to go on.
pub(crate) const CHECKPOINT: &str = "checkpoint.safetensors";
/// Weights of the epoch that was best on the validation part.
const BEST: &str = "best.safetensors";
/// Weights of the last epoch.
pub(crate) const LAST: &str = "last.safetensors";
/// Mean of the last epochs' weights, where that is chosen.
const MEAN: &str = "mean.safetensors";

/// One network to train: where, on what, under which recipe.
pub struct Job<'a> {
    /// Such as `student-0` or `baseline-0`; also the name of its folder.
    pub name: String,
    /// Decides data order, augmentation and dropout.
    pub seed: u64,
    /// Folder of the job.
    pub folder: PathBuf,
    /// What to do.
    pub recipe: &'a Recipe,
    /// Fingerprint of recipe, data and teacher: a checkpoint of anything else is refused.
    pub fingerprint: &'a str,
    /// Images to learn from.
    pub train: Part,
    /// The other domain, for stages that want its images.
    pub domains: Option<&'a Domains>,
    /// How they are varied; what is not left to chance is written into weights files.
    pub augment: &'a Augment,
    /// Images to choose by.
    pub validation: &'a EvaluationSet,
    /// The teacher's answers on them.
    pub validation_answers: Option<&'a PartAnswers>,
    /// Images of which some are shown at the end, as a method that hides a part of them reconstructs
    /// them.
    pub shown: &'a Part,
    /// Where knowledge comes from.
    pub teacher: Option<&'a dyn Teacher>,
    /// Class names, written into weights files.
    pub classes: &'a [String],
    /// Makes the run stop after the step at hand, with a checkpoint.
    pub interrupt: &'a AtomicBool,
}

/// How a job ended.
pub enum JobEnd {
    /// All epochs are done.
    Finished(Box<Finished>),
    /// Stopped after a checkpoint.
    Interrupted,
}

/// A finished job.
pub struct Finished {
    /// With the weights that were chosen.
    pub network: Network,
    /// The file of these weights.
    pub weights: PathBuf,
    /// Whose weights they are, and why, in a sentence.
    pub choice: String,
    /// Their epoch, counted from 1; the last of those whose mean they are.
    pub chosen_epoch: usize,
    /// The epoch that was best on the validation part, counted from 1.
    pub best_epoch: usize,
    /// What the chosen weights reach on the validation part, more being better:
    /// [`Evaluation::score`](limbeck_report::Evaluation::score).
    pub validation_score: f64,
    /// What there is to look at.
    pub exhibits: Exhibits,
    /// One row an epoch.
    pub epochs: Vec<EpochRow>,
    /// Some of the images that the method has made.
    pub made: Vec<MadeImage>,
    /// Wall time, stops left out.
    pub seconds: f64,
    /// The most bytes of large buffers that the program held meanwhile, others' included; `None` where
    /// nobody counts them.
    pub memory: Option<u64>,
}

impl Job<'_> {
    /// Trains `learner` to the end, from its last checkpoint where there is one.
    ///
    /// # Errors
    /// Data that cannot be read, a loss that is not finite, a file system that refuses, or a
    /// checkpoint of another recipe.
    pub fn run(&self, learner: Learner, observer: &mut dyn Observer) -> Result<JobEnd, TrainError> {
        forget_most_held();
        let end = self.go_on(learner, observer);
        observer.job_end(&self.name);
        end
    }

    fn go_on(
        &self,
        mut learner: Learner,
        observer: &mut dyn Observer,
    ) -> Result<JobEnd, TrainError> {
        std::fs::create_dir_all(&self.folder).map_err(TrainError::io(&self.folder))?;
        let mut state = self.restore(&mut learner)?.unwrap_or_default();
        let mut logs = Logs::open(&self.folder, &state.rows)?;
        let material = self.material(&learner)?;
        let stages = learner.stages.len();
        while state.stage < stages {
            if stages > 1 {
                let name = &learner.stage().name;
                observer.stage(&self.name, name, state.stage + 1, stages);
            }
            if !self.stage(&mut learner, &mut state, &material, &mut logs, observer)? {
                return Ok(JobEnd::Interrupted);
            }
        }
        Ok(JobEnd::Finished(Box::new(self.finish(&learner, state)?)))
    }

    /// One stage, or what is left of it; false if it was interrupted.
    fn stage(
        &self,
        learner: &mut Learner,
        state: &mut State,
        material: &Material,
        logs: &mut Logs,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        let started = Instant::now();
        if state.stage_epoch == 0 && state.step == 0 {
            learner.pause(self.teacher, material.held_out(), Pause::Stage)?;
            state.seconds += started.elapsed().as_secs_f64();
        }
        if learner.stage().epochs > 0 {
            let first = state.epoch - state.stage_epoch;
            let images = learner.stage().images;
            let config = loader_config(self.recipe, &material.train, self.seed, images, first);
            let (train, augment) = (material.train.clone(), self.augment.clone());
            let loader = Loader::new(train, augment, true, config)?;
            let loader = with_domains(loader, images, self.domains)?;
            while state.stage_epoch < learner.stage().epochs {
                if !self.epoch(learner, state, &loader, material, logs, observer)? {
                    return Ok(false);
                }
            }
        }
        self.close_stage(learner, state)?;
        Ok(true)
    }

    /// One epoch, or what is left of it; false if it was interrupted.
    fn epoch(
        &self,
        learner: &mut Learner,
        state: &mut State,
        loader: &Loader,
        material: &Material,
        logs: &mut Logs,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        let stage = learner.stage().clone();
        let (epochs, whole) = (learner.epochs(), loader.batches());
        let steps = self.steps_of(state, epochs, whole);
        let scheduled_steps = match self.recipe.train.epochs == stage.schedule_epochs {
            true => whole * stage.schedule_epochs - self.cut(whole),
            false => whole * stage.schedule_epochs,
        };
        let schedule = Schedule::of(self.recipe);
        let label = self.stage_label(learner);
        let mut lap = Instant::now();
        if state.step == 0 {
            learner.pause(self.teacher, material.held_out(), Pause::Epoch)?;
        }
        let mut batches = loader.epoch(state.epoch, state.step);
        let mut saved = Instant::now();
        let mut learning_rate = 0.0;
        let mut waited = Duration::ZERO;
        while state.step < steps
            && let Some(batch) = batches.next()
        {
            let scheduled = (stage.schedule_from + state.stage_epoch) * whole + state.step;
            let progress = |epoch, epochs| Progress {
                epoch,
                epochs,
                step: state.step,
                steps,
            };
            let report = learner.learn(Lesson {
                batch: batch?,
                teacher: self.teacher,
                stage: progress(state.stage_epoch, stage.epochs),
                run: progress(state.epoch, epochs),
                learning_rate: schedule.of_steps(scheduled, whole, scheduled_steps),
                warmup: schedule.warmup(scheduled, whole),
                seed: seed::derive(self.seed, Purpose::Step, state.position as u64),
            })?;
            learning_rate = report.learning_rate;
            state.step += 1;
            state.position += 1;
            state.sums.add(&report);
            state.sums.seconds += lap.elapsed().as_secs_f64();
            state.seconds += lap.elapsed().as_secs_f64();
            state.sums.waited += (batches.wait() - waited).as_secs_f64();
            waited = batches.wait();
            lap = Instant::now();
            observer.step(&Moment {
                job: self.name.clone(),
                stage: label.clone(),
                epoch: state.epoch + 1,
                epochs,
                step: state.step,
                steps,
                images_per_second: state.sums.images_per_second(),
                data_wait: state.sums.data_wait(),
                terms: state.sums.means(&state.sums.terms),
            });
            let stop = self.interrupt.load(Ordering::Relaxed);
            if learner.is_settled() && (stop || saved.elapsed() > CHECKPOINT_INTERVAL) {
                self.save(learner, state)?;
                saved = Instant::now();
                if stop {
                    return Ok(false);
                }
            }
        }
        drop(batches);
        learner.pause(self.teacher, material.held_out(), Pause::EpochEnd)?;
        for warning in learner.procedure.warnings() {
            observer.warn(&warning);
        }
        self.close_epoch(learner, state, learning_rate, logs, observer)?;
        state.seconds += lap.elapsed().as_secs_f64();
        self.save(learner, state)?;
        Ok(!self.interrupt.load(Ordering::Relaxed) || state.epoch == epochs)
    }

    /// Steps of the epoch at hand, one of `epochs`: as many as there are batches, or what is left of the
    /// recipe's iterations in the last one.
    fn steps_of(&self, state: &State, epochs: usize, whole: usize) -> usize {
        match self.recipe.train.iterations {
            Some(iterations) if state.epoch + 1 == epochs => {
                let before = state.position - state.step;
                whole.min(iterations.saturating_sub(before).max(1))
            }
            _ => whole,
        }
    }

    /// How many steps the last epoch is short of a whole one, of a run of a number of iterations.
    fn cut(&self, whole: usize) -> usize {
        let all = whole * self.recipe.train.epochs;
        let iterations = self.recipe.train.iterations;
        iterations.map_or(0, |iterations| all.saturating_sub(iterations).min(whole))
    }

    /// Name of the stage, to be shown; empty where there is one alone.
    fn stage_label(&self, learner: &Learner) -> String {
        match learner.stages.len() {
            1 => String::new(),
            _ => learner.stage().name.clone(),
        }
    }

    /// Measures on the validation part, keeps the best weights and notes the row.
    fn close_epoch(
        &self,
        learner: &Learner,
        state: &mut State,
        learning_rate: f64,
        logs: &mut Logs,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        finite::check(learner, state.epoch + 1, state.step)?;
        let network = learner.evaluated()?;
        let due = self.is_due(state.epoch + 1, learner.epochs());
        let measured = match due {
            true => {
                self.validation
                    .measure(&network, self.validation_answers)?
                    .0
            }
            false => Evaluation::default(),
        };
        state.epoch += 1;
        state.stage_epoch += 1;
        state.step = 0;
        let sums = std::mem::take(&mut state.sums);
        let images = sums.images.max(1) as f64;
        if sums.void > 0 {
            observer.warn(&format!(
                "epoch {}: {} batches were void all over, and their labels taught nothing: \
                 `limbeck check` names masks without a class, and larger crops hold more",
                state.epoch, sums.void
            ));
        }
        let mut row = EpochRow {
            epoch: state.epoch,
            stage: self.stage_label(learner),
            learning_rate,
            loss: sums.loss / images,
            terms: sums.means(&sums.terms),
            weights: sums.means(&sums.weights),
            shares: sums.means(&sums.shares),
            measures: Default::default(),
            images_per_second: sums.images_per_second(),
            data_wait: sums.data_wait(),
        };
        if let Some([right, of]) = sums.correct {
            row.note(
                TRAIN,
                [&metric::while_training(self.validation.task(), right, of)],
            );
        }
        row.note(VALIDATION, &measured.measures);
        observer.epoch(&self.name, &row, &measured, learner.epochs());
        let told = has_collapsed(&state.rows);
        if let Some(spread) = measured.value(SPREAD)
            && let Some(warning) = collapse(&self.name, spread)
            && !told
        {
            observer.warn(&warning);
        }
        state.rows.push(row);
        let reached = Reached {
            score: measured.score(),
            cost: measured.cost(),
            epoch: state.epoch,
        };
        state.last = Some(reached);
        if due && state.best.is_none_or(|best| best.gives_way_to(&reached)) {
            state.best = Some(reached);
            self.save_weights(&network, BEST)?;
        }
        let averaged = state.averaged_epochs(learner, &self.choice());
        if averaged > 0 {
            choice::take_into_mean(&mut state.mean, &network.store, averaged);
        }
        logs.epoch(&state.rows)
    }

    /// Whether networks are measured after that epoch, counted from 1: after each, but where that takes
    /// the embeddings of many images, every few.
    fn is_due(&self, epoch: usize, epochs: usize) -> bool {
        let every = match self.validation.task() {
            TaskKind::Pretraining => self.recipe.probe.every,
            _ => 1,
        };
        epoch == epochs || epoch.is_multiple_of(every)
    }

    fn save_weights(&self, network: &Network, name: &str) -> Result<(), TrainError> {
        let file = self.folder.join(name);
        let facts = model_source::segmentation_facts(self.recipe, self.validation.task());
        model_source::save(network, self.augment, facts, self.classes, false, &file)
    }
}
