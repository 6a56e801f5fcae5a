//! How fast a distillation step is.

use burn::tensor::{Tensor, TensorData};
use limbeck_data::Normalisation;
use limbeck_nn::{InputShape, Outputs, Tap, Taps};

use super::{learner::BenchLearner, noise, stopwatch::Stopwatch};
use crate::{
    TrainError,
    experiment::{build, needs_teacher},
    recipe::OptimizerRecipe,
    teacher::{FrozenTeacher, Teacher},
};

/// Medians of the parts of a step, and the work in them.
#[derive(Clone, Debug)]
pub struct StepTimes {
    /// The frozen teacher's forward pass.
    pub teacher_ms: f64,
    /// The student's forward and backward pass and update, with the teacher's outputs at hand.
    pub student_ms: f64,
    /// The whole step.
    pub step_ms: f64,
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
}

/// A teacher whose outputs are at hand.
struct Stored {
    taps: Vec<Tap>,
    outputs: Outputs,
}

impl Teacher for Stored {
    fn name(&self) -> &str {
        "stored outputs"
    }

    fn taps(&self) -> Vec<Tap> {
        self.taps.clone()
    }

    fn outputs(&self, _images: Tensor<4>, _taps: &Taps) -> Outputs {
        self.outputs.clone()
    }
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
        let mut learner =
            BenchLearner::new(student, Some(&teacher), self.method, self.batch, &optimizer)?;
        let needs = learner.learner.method.needs();
        let batch = noise::batch(self.input, self.batch);
        let store = &learner.learner.network.store;
        let tensor = Tensor::<4>::from_data(
            TensorData::new(batch.images.clone(), batch.shape),
            (store.device(), store.dtype()),
        );
        let stored = Stored {
            taps: teacher.taps(),
            outputs: teacher.outputs(tensor.clone(), &needs.teacher),
        };
        let reads_teacher = needs_teacher(self.method)?;
        let mut stopwatches = [const { Stopwatch::new() }; 3];
        let [of_teacher, of_student, of_step] = &mut stopwatches;
        for _ in 0..self.runs {
            of_teacher.measure(
                || tensor.clone(),
                |images| {
                    let outputs = teacher.outputs(images, &needs.teacher);
                    let _ = outputs.logits.into_data();
                    Ok(())
                },
            )?;
            let known: [&dyn Teacher; 2] = [&stored, &teacher];
            for (stopwatch, teacher) in [&mut *of_student, &mut *of_step].into_iter().zip(known) {
                stopwatch.measure(
                    || batch.clone(),
                    |batch| learner.learn(batch, reads_teacher.then_some(teacher)),
                )?;
            }
        }
        let [teacher_ms, student_ms, step_ms] = stopwatches.map(Stopwatch::median);
        Ok(StepTimes {
            teacher_ms,
            student_ms,
            step_ms,
            teacher_flops,
            student_flops,
            step_flops: student_flops + if reads_teacher { teacher_flops } else { 0.0 },
        })
    }
}
