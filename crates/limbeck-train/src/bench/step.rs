//! How fast a distillation step is.

use limbeck_data::Normalisation;
use limbeck_methods::Teacher;
use limbeck_nn::InputShape;

use super::{
    cached_teacher::{cached, contents},
    learner::BenchLearner,
    stopwatch::Stopwatch,
    stored::Stored,
};
use crate::{
    TrainError,
    experiment::{build, needs_teacher},
    recipe::OptimizerRecipe,
    teacher::FrozenTeacher,
};

/// Medians of the parts of a step, and the work in them.
#[derive(Clone, Debug)]
pub struct StepTimes {
    /// The frozen teacher's forward passes, those that the step asks for.
    pub teacher_ms: f64,
    /// The student's forward and backward pass and update, with the teacher's outputs at hand.
    pub student_ms: f64,
    /// The whole step.
    pub step_ms: f64,
    /// The whole step with the teacher's outputs read from a cache; `None` where that was not asked
    /// for, or stored outputs do not serve the method.
    pub cached_ms: Option<f64>,
    /// Floating point operations of the teacher's part.
    pub teacher_flops: f64,
    /// Floating point operations of the student's part; those of the method's terms and modules
    /// are not counted.
    pub student_flops: f64,
    /// Floating point operations of the whole step.
    pub step_flops: f64,
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
    /// What goes in.
    pub input: InputShape,
    /// Images per step.
    pub batch: usize,
    /// Timed runs of each part.
    pub runs: usize,
    /// Whether a step with stored outputs is measured too.
    pub cached: bool,
    /// Most probable classes of which the logits are stored; of all where missing.
    pub top: Option<usize>,
}

impl StepBench<'_> {
    /// Measures on made-up images. Without a teacher in the method the whole step is the
    /// student's.
    ///
    /// # Errors
    /// Names that do not exist, or a method that does not fit.
    pub fn run(&self) -> Result<StepTimes, TrainError> {
        let network = build(self.teacher, self.input, 0)?;
        let plain = Normalisation {
            mean: vec![0.0; self.input.channels],
            std: vec![1.0; self.input.channels],
        };
        let teacher = FrozenTeacher::new(&network, &plain, &plain);
        let student = build(self.student, self.input, 0)?;
        let images = 2.0 * self.batch as f64;
        let teacher_flops = images * network.cost().macs as f64;
        let student_flops = 3.0 * images * student.cost().macs as f64;
        let optimizer = OptimizerRecipe::default();
        let teaching = Some((&network, &teacher as &dyn Teacher));
        let mut learner =
            BenchLearner::new(student, teaching, self.method, self.batch, &optimizer)?;
        let batch = learner.batch.clone();
        let stored = Stored::new(&teacher);
        let reads_teacher = needs_teacher(self.method)?;
        fn told(reads: bool, teacher: &dyn Teacher) -> Option<&dyn Teacher> {
            reads.then_some(teacher)
        }
        let mut of_cached = Stopwatch::new();
        let folder = tempfile::tempdir().map_err(TrainError::io(std::env::temp_dir()))?;
        let questions = learner.questions();
        let cached = match self.cached && reads_teacher && questions.beyond.is_none() {
            false => None,
            true => {
                let taps = network.taps().into_iter().map(|tap| tap.name);
                let taps = taps.filter(|tap| questions.taps.wants(tap)).collect();
                // Each run of the stopwatch is one that is timed and one that is not.
                let contents = contents(self.top, taps, 2 * self.runs);
                Some(cached(
                    folder.path(),
                    &network,
                    &teacher,
                    &batch,
                    &contents,
                )?)
            }
        };
        let mut view = 0;
        // What the step asks the teacher for is known after the first one.
        learner.learn(batch.clone(), told(reads_teacher, &stored))?;
        let mut stopwatches = [const { Stopwatch::new() }; 3];
        let [of_teacher, of_student, of_step] = &mut stopwatches;
        for _ in 0..self.runs {
            of_teacher.measure(|| (), |()| Ok(stored.ask_again()?))?;
            of_student.measure(
                || {
                    stored.rewind();
                    batch.clone()
                },
                |batch| learner.learn(batch, told(reads_teacher, &stored)),
            )?;
            of_step.measure(
                || batch.clone(),
                |batch| learner.learn(batch, told(reads_teacher, &teacher)),
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
        let [teacher_ms, student_ms, step_ms] = stopwatches.map(Stopwatch::median);
        Ok(StepTimes {
            teacher_ms,
            student_ms,
            step_ms,
            cached_ms: cached.is_some().then(|| of_cached.median()),
            teacher_flops,
            student_flops,
            step_flops: student_flops + if reads_teacher { teacher_flops } else { 0.0 },
        })
    }
}
