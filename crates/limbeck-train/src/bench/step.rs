//! How fast a distillation step is.

use std::collections::BTreeMap;
use std::path::Path;

use limbeck_data::Normalisation;
use limbeck_kernels::Profile;
use limbeck_methods::{MethodEntry, Teacher};
use limbeck_nn::{InputShape, Network, TaskKind};
use serde_json::Value;

use super::{
    cached_teacher::{cached, contents},
    learner::BenchLearner,
    stopwatch::{Stopwatch, watched},
    stored::Stored,
};
use crate::{
    TrainError,
    blueprint::build,
    cache::StoredTeacher,
    memory::{StepMemory, peak_memory},
    recipe::OptimizerRecipe,
    teacher::FrozenTeacher,
};

/// Medians of the parts of a step, and the work in them.
#[derive(Clone, Debug)]
pub struct StepTimes {
    /// The frozen teacher's part; `None` of a method that reads no teacher.
    pub teacher: Option<TeacherTimes>,
    /// The student's forward and backward pass and update, with the teacher's outputs at hand.
    pub student_ms: f64,
    /// The whole step.
    pub step_ms: f64,
    /// The whole step with the teacher's outputs read from a cache; `None` where that was not asked
    /// for, or stored outputs do not serve the method.
    pub cached_ms: Option<f64>,
    /// Floating point operations of the student's part: three forward passes. Those of the method's
    /// terms and modules, and of networks that learn beside the student, are not counted.
    pub student_flops: f64,
    /// Floating point operations of the whole step.
    pub step_flops: f64,
    /// Most bytes that the process had held when whole steps were all that it had done, where the
    /// system tells it.
    pub step_memory: Option<u64>,
    /// Where the time of all whole steps that were watched went, where that was asked for.
    pub profile: Option<Profile>,
    /// What steps with few images had foretold of it.
    pub predicted_memory: Option<u64>,
}

/// The frozen teacher's part of a step.
#[derive(Clone, Copy, Debug)]
pub struct TeacherTimes {
    /// The forward passes that the step asks for.
    pub ms: f64,
    /// Floating point operations of one of them.
    pub flops: f64,
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct StepBench<'a> {
    /// Teacher's network.
    pub teacher: &'a str,
    /// Student's network.
    pub student: &'a str,
    /// Method.
    pub method: &'a str,
    /// Its settings, by method; what is missing takes its default.
    pub settings: &'a BTreeMap<String, Value>,
    /// How gradients change weights.
    pub optimizer: &'a OptimizerRecipe,
    /// Whether the units of networks in training are computed again in the backward pass.
    pub recompute: bool,
    /// What goes into the student.
    pub input: InputShape,
    /// Images per step.
    pub batch: usize,
    /// Timed runs of each part.
    pub runs: usize,
    /// Whether a step with stored outputs is measured too.
    pub cached: bool,
    /// Most probable classes of which the logits are stored; of all where missing.
    pub top: Option<usize>,
    /// Watch as many whole steps once more, operation by operation.
    pub profile: bool,
}

impl StepBench<'_> {
    /// Measures on made-up images. Of a method with several stages it is the last one that trains
    /// the student, with all its acts. Without a teacher in the method the whole step is the
    /// student's.
    ///
    /// # Errors
    /// Names that do not exist, or a method that does not fit.
    pub fn run(&self) -> Result<StepTimes, TrainError> {
        match self.teaching()? {
            None => self.alone(),
            Some((network, teacher)) => {
                let learner = self.learner(Some((&network, &teacher)))?;
                self.taught(learner, &network, &teacher)
            }
        }
    }

    /// The teacher's network for images of the size that the method shows it, and what gives its outputs;
    /// `None` of a method that reads no teacher.
    pub(super) fn teaching(&self) -> Result<Option<(Network, FrozenTeacher)>, TrainError> {
        if !limbeck_methods::needs_teacher(self.method)? {
            return Ok(None);
        }
        let network = build(self.teacher, self.input, 0)?;
        let teacher = frozen(&network, self.input.channels);
        let size = [self.input.height, self.input.width];
        let largest = self.learner(Some((&network, &teacher)))?;
        let largest = largest.images().largest(size);
        if largest == size {
            return Ok(Some((network, teacher)));
        }
        let large = self.input.resized(largest);
        let network = build(self.teacher, large, 0)?;
        let teacher = frozen(&network, large.channels);
        Ok(Some((network, teacher)))
    }

    /// What goes into the student; one that is pre-trained has no classes.
    fn student_input(&self) -> Result<InputShape, TrainError> {
        let entries = limbeck_methods::entries(self.method)?;
        let pretrains = |entry: &&MethodEntry| entry.tasks == [TaskKind::Pretraining];
        let classes = match entries.iter().all(pretrains) {
            true => 0,
            false => self.input.classes,
        };
        Ok(InputShape {
            classes,
            ..self.input
        })
    }

    pub(super) fn learner(
        &self,
        teaching: Option<(&Network, &FrozenTeacher)>,
    ) -> Result<BenchLearner, TrainError> {
        BenchLearner::new(
            build(self.student, self.student_input()?, 0)?,
            teaching.map(|(network, teacher)| (network, teacher as &dyn Teacher)),
            self.method,
            self.settings,
            self.batch,
            self.optimizer,
            self.recompute,
        )
    }

    pub(super) fn student_flops(&self) -> Result<f64, TrainError> {
        let student = limbeck_nn::model::outline(self.student, self.student_input()?)?;
        Ok(3.0 * 2.0 * self.batch as f64 * student.cost.macs as f64)
    }

    fn watched(
        &self,
        work: impl FnMut() -> Result<(), TrainError>,
    ) -> Result<Option<Profile>, TrainError> {
        self.profile.then(|| watched(self.runs, work)).transpose()
    }

    fn alone(&self) -> Result<StepTimes, TrainError> {
        let mut learner = self.learner(None)?;
        let predicted_memory = predicted(&mut learner, None, self.batch)?;
        let batch = learner.batch.clone();
        let mut stopwatch = Stopwatch::new();
        let step_memory = memory_of_steps(&mut learner, None)?;
        for _ in 0..self.runs {
            stopwatch.measure(|| batch.clone(), |batch| learner.learn(batch, None))?;
        }
        let (ms, flops) = (stopwatch.median(), self.student_flops()?);
        let profile = self.watched(|| learner.learn(batch.clone(), None))?;
        Ok(StepTimes {
            teacher: None,
            student_ms: ms,
            step_ms: ms,
            cached_ms: None,
            student_flops: flops,
            step_flops: flops,
            step_memory,
            profile,
            predicted_memory,
        })
    }

    fn taught(
        &self,
        mut learner: BenchLearner,
        network: &Network,
        teacher: &FrozenTeacher,
    ) -> Result<StepTimes, TrainError> {
        let predicted_memory = predicted(&mut learner, Some(teacher), self.batch)?;
        let batch = learner.batch.clone();
        let step_memory = memory_of_steps(&mut learner, Some(teacher))?;
        let stored = Stored::new(teacher);
        // What the step asks the teacher for is known after the first one.
        learner.learn(batch.clone(), Some(&stored))?;
        let folder = tempfile::tempdir().map_err(TrainError::io(std::env::temp_dir()))?;
        let cached = self.cached_teacher(&learner, network, teacher, folder.path())?;
        let mut view = 0;
        let mut of_cached = Stopwatch::new();
        let mut stopwatches = [const { Stopwatch::new() }; 3];
        let [of_teacher, of_student, of_step] = &mut stopwatches;
        for _ in 0..self.runs {
            of_teacher.measure(|| (), |()| Ok(stored.ask_again()?))?;
            of_student.measure(
                || {
                    stored.rewind();
                    batch.clone()
                },
                |batch| learner.learn(batch, Some(&stored)),
            )?;
            of_step.measure(
                || batch.clone(),
                |batch| learner.learn(batch, Some(teacher)),
            )?;
            if let Some(cached) = &cached {
                let next = || {
                    let mut batch = batch.clone();
                    batch.view = Some(view);
                    view = (view + 1) % (2 * self.runs);
                    batch
                };
                of_cached.measure(next, |batch| learner.learn(batch, Some(cached)))?;
            }
        }
        let profile = self.watched(|| learner.learn(batch.clone(), Some(teacher)))?;
        let [teacher_ms, student_ms, step_ms] = stopwatches.map(Stopwatch::median);
        let teacher_flops = 2.0 * self.batch as f64 * network.cost().macs as f64;
        let student_flops = self.student_flops()?;
        Ok(StepTimes {
            teacher: Some(TeacherTimes {
                ms: teacher_ms,
                flops: teacher_flops,
            }),
            student_ms,
            step_ms,
            cached_ms: cached.is_some().then(|| of_cached.median()),
            student_flops,
            step_flops: student_flops + teacher_flops,
            step_memory,
            profile,
            predicted_memory,
        })
    }
}

impl StepBench<'_> {
    /// What answers from a cache in `folder`, if that is asked for and stored outputs serve the
    /// method.
    fn cached_teacher(
        &self,
        learner: &BenchLearner,
        network: &Network,
        teacher: &FrozenTeacher,
        folder: &Path,
    ) -> Result<Option<StoredTeacher>, TrainError> {
        let questions = learner.questions();
        if !self.cached || questions.beyond.is_some() {
            return Ok(None);
        }
        let taps = network.taps().into_iter().map(|tap| tap.name);
        let taps = taps.filter(|tap| questions.taps.wants(tap)).collect();
        // Each run of the stopwatch is one that is timed and one that is not.
        let contents = contents(self.top, taps, 2 * self.runs);
        cached(folder, network, teacher, &learner.batch, &contents).map(Some)
    }
}

/// Makes whole steps, and tells the most memory that the process has held so far. From the second
/// step on optimisers and methods remember what they remember in training.
fn memory_of_steps(
    learner: &mut BenchLearner,
    teacher: Option<&dyn Teacher>,
) -> Result<Option<u64>, TrainError> {
    for _ in 0..2 {
        learner.learn(learner.batch.clone(), teacher)?;
    }
    Ok(peak_memory())
}

/// What steps of `learner` with few images say of the memory of those with `batch`.
pub(super) fn predicted(
    learner: &mut BenchLearner,
    teacher: Option<&dyn Teacher>,
    batch: usize,
) -> Result<Option<u64>, TrainError> {
    let memory = StepMemory::measured([1, batch], |images| {
        let few = learner.batch_of(images);
        learner.learn(few, teacher)
    })?;
    Ok(memory.map(|memory| memory.of(batch, 0)))
}

/// `network` as a teacher of images that are as it wants them.
fn frozen(network: &Network, channels: usize) -> FrozenTeacher {
    let plain = Normalisation::identity(channels);
    FrozenTeacher::new(network, &plain, &plain)
}
