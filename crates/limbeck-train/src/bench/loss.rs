//! How fast the loss of a method is, apart from all networks.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_kernels::Profile;
use limbeck_methods::{
    BASELINE, Classifier, Method, Probe, Progress, Step, Supervision, Target, Task,
};
use limbeck_nn::{InputShape, Mode, Outputs, Pass, Taps, TaskKind, model::outline};

use super::{
    learner::BenchLearner,
    noise,
    stopwatch::{Stopwatch, watched},
};
use crate::{TrainError, blueprint::build, recipe::OptimizerRecipe};

/// Steps of the student alone: their time is known well enough after a few.
const STUDENT_RUNS: usize = 3;

/// What is measured.
#[derive(Clone, Debug)]
pub struct LossBench<'a> {
    /// Teacher's network, whose outputs are made up.
    pub teacher: &'a str,
    /// Student's network, whose outputs are made up.
    pub student: &'a str,
    /// What would go into both.
    pub input: InputShape,
    /// Images per step.
    pub batch: usize,
    /// Timed runs.
    pub runs: usize,
    /// Whether to tell where the time of each goes.
    pub profile: bool,
}

/// What was found of one criterion.
#[derive(Clone, Debug)]
pub struct LossTime {
    /// Median milliseconds.
    pub ms: f64,
    /// Where the time goes, in as many runs of their own.
    pub profile: Option<Profile>,
}

impl LossBench<'_> {
    /// Time of the criterion of `method`: its terms from outputs that are there, and
    /// the gradients of their weighted sum for the student's outputs and the method's own modules.
    /// Of the baseline, which has no terms, it is the supervised loss.
    ///
    /// `None` where the method is a procedure: its loss is made of forward passes of its own, and
    /// only [`super::StepBench`] can measure it.
    ///
    /// # Errors
    /// A name that does not exist, or a method that does not fit.
    pub fn run(&self, method: &str) -> Result<Option<LossTime>, TrainError> {
        let entries = limbeck_methods::entries(method)?;
        if entries.iter().any(|entry| entry.is_procedure()) {
            return Ok(None);
        }
        let kind = self.task()?;
        limbeck_methods::check_data(method, &BTreeMap::new(), kind, true)?;
        let teacher = match limbeck_methods::needs_teacher(method)? {
            true => Some(build(self.teacher, self.input, 0)?),
            false => None,
        };
        let images = noise::TRAINING_IMAGES.max(self.batch);
        let classes = self.input.classes;
        let probe = Probe {
            student: outline(self.student, self.input)?.taps,
            teacher: teacher.as_ref().map(|network| network.taps()),
            classes,
            batch: self.batch,
            pairs: None,
            seed: 0,
            device: Device::flex(),
            dtype: DType::F32,
            training: noise::training_part(kind, self.input, images),
            teacher_classifier: teacher.as_ref().and_then(Classifier::of),
            // Criteria alone are measured here, and they leave the student its start.
            teacher_network: None,
        };
        drop(teacher);
        let method = limbeck_methods::build(method, &BTreeMap::new(), &probe)?;
        let needs = method.needs();
        let given = |taps, wanted, tracked| noise::outputs(taps, wanted, self.batch, tracked);
        let mut criterion = Alone {
            method,
            student: given(&probe.student, &needs.student, true),
            teacher: probe
                .teacher
                .as_deref()
                .map(|taps| given(taps, &needs.teacher, false)),
            target: match kind {
                TaskKind::Classification => Target::labels(Tensor::from_data(
                    TensorData::new(noise::labels(classes, self.batch), [self.batch]),
                    &probe.device,
                )),
                TaskKind::Detection | TaskKind::Pretraining => Target::None,
                TaskKind::Segmentation => {
                    let masks = noise::masks(self.input, self.batch).into_iter();
                    let shape = [self.batch, self.input.height, self.input.width];
                    let masks = TensorData::new(masks.map(i64::from).collect(), shape);
                    Target::Masks(Tensor::from_data(masks, &probe.device))
                }
            },
            task: noise::task(kind),
            indices: (0..self.batch).collect(),
        };
        // What a method knows of an image from an earlier epoch is there from the second one on.
        criterion.learn(0)?;
        criterion.method.start_epoch();
        let mut stopwatch = Stopwatch::new();
        for _ in 0..self.runs {
            stopwatch.measure(|| (), |()| criterion.learn(1))?;
        }
        let profile = (self.profile)
            .then(|| watched(self.runs, || criterion.learn(1)))
            .transpose()?;
        Ok(Some(LossTime {
            ms: stopwatch.median(),
            profile,
        }))
    }

    /// What the student is for.
    ///
    /// # Errors
    /// A name that does not exist.
    pub fn task(&self) -> Result<TaskKind, TrainError> {
        Ok(limbeck_nn::model::find(self.student)?.task)
    }

    /// Median milliseconds of a step of the student on labels alone.
    ///
    /// # Errors
    /// A name that does not exist.
    pub fn student_step(&self) -> Result<f64, TrainError> {
        let student = build(self.student, self.input, 0)?;
        let optimizer = OptimizerRecipe::default();
        let settings = BTreeMap::new();
        let mut learner = BenchLearner::new(
            student, None, BASELINE, &settings, self.batch, &optimizer, false,
        )?;
        let batch = learner.batch.clone();
        let mut stopwatch = Stopwatch::new();
        for _ in 0..self.runs.min(STUDENT_RUNS) {
            stopwatch.measure(|| batch.clone(), |batch| learner.learn(batch, None))?;
        }
        Ok(stopwatch.median())
    }
}

/// A criterion with made-up outputs, the same at every step.
struct Alone {
    method: Method,
    student: Outputs,
    teacher: Option<Outputs>,
    target: Target,
    task: Box<dyn Task>,
    indices: Vec<usize>,
}

impl Alone {
    /// Forward and backward pass of the loss in an epoch of two.
    fn learn(&mut self, epoch: usize) -> Result<(), TrainError> {
        let tracked = self.method.store().tracked();
        let mut pass = Pass::new(&tracked, Mode::Train, Taps::none(), 0);
        let supervision = Supervision {
            task: &*self.task,
            target: &self.target,
        };
        let step = Step {
            student: &self.student,
            teacher: self.teacher.as_ref(),
            supervision,
            indices: &self.indices,
            progress: Progress {
                epoch,
                epochs: 2,
                step: 0,
                steps: 1,
            },
        };
        let mut terms = self.method.terms(&step, &mut pass)?;
        if terms.is_empty() {
            terms = self.task.terms(&self.student, &self.target)?;
        }
        let total = terms
            .into_iter()
            .map(|term| term.value.mul_scalar(term.weight))
            .reduce(|sum, term| sum + term);
        if let Some(total) = total {
            // Work that waits to be asked for is done here.
            let _ = total.clone().into_scalar::<f64>();
            if total.is_tracked() {
                let mut gradients = total.backward();
                let _ = tracked.gradients(&mut gradients);
            }
        }
        Ok(())
    }
}
