//! How fast a training step is.

use std::time::Instant;

use burn::tensor::{Tensor, TensorData};
use limbeck_data::{Batch, Normalisation};
use limbeck_methods::{Probe, Progress};
use limbeck_nn::{InputShape, Network, Outputs, Tap, Taps};
use serde::Serialize;

use crate::{
    TrainError,
    experiment::{build, needs_teacher},
    latency::median,
    optimizer,
    recipe::Recipe,
    step::Learner,
    teacher::{FrozenTeacher, Teacher},
};

/// Runs of each part that are not timed.
const WARM_UP: usize = 3;

/// Medians of the parts of a step.
#[derive(Clone, Debug, Serialize)]
pub struct StepTimes {
    /// The frozen teacher's forward pass.
    pub teacher_ms: f64,
    /// The student's forward and backward pass and update, with the teacher's outputs at hand.
    pub student_ms: f64,
    /// The whole step.
    pub step_ms: f64,
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
    /// Measures on made-up images.
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
        let mut learner = self.learner(student, &teacher)?;
        let needs = learner.method.needs();
        let images = self.batch_of_noise();
        let device = learner.network.store.device().clone();
        let tensor = Tensor::<4>::from_data(
            TensorData::new(images.images.clone(), images.shape),
            (&device, learner.network.store.dtype()),
        );
        let stored = Stored {
            taps: teacher.taps(),
            outputs: teacher.outputs(tensor.clone(), &needs.teacher),
        };
        let mut position = 0;
        let reads_teacher = needs_teacher(self.method)?;
        let mut learn = |teacher: &dyn Teacher| {
            let progress = Progress {
                epoch: 0,
                epochs: 1,
                step: position,
                steps: usize::MAX,
            };
            position += 1;
            let batch = images.clone();
            learner.learn(
                batch,
                reads_teacher.then_some(teacher),
                progress,
                0.01,
                0,
                false,
            )
        };
        Ok(StepTimes {
            teacher_ms: self.time(|| {
                let outputs = teacher.outputs(tensor.clone(), &needs.teacher);
                let _ = outputs.logits.into_data();
                Ok(())
            })?,
            student_ms: self.time(|| learn(&stored).map(drop))?,
            step_ms: self.time(|| learn(&teacher).map(drop))?,
        })
    }

    fn learner(&self, student: Network, teacher: &FrozenTeacher) -> Result<Learner, TrainError> {
        let recipe = Recipe::default();
        let probe = Probe {
            student: student.taps(),
            teacher: Some(teacher.taps()),
            classes: self.input.classes,
            batch: self.batch,
            pairs: None,
            seed: 0,
            device: student.store.device().clone(),
            dtype: student.store.dtype(),
        };
        let method = limbeck_methods::build(self.method, &recipe.method.values(), &probe)?;
        Ok(Learner::new(
            student,
            method,
            optimizer::build(&recipe.optimizer),
            optimizer::build(&recipe.optimizer),
            &recipe.train,
        ))
    }

    /// Values in −1..1 from a linear congruential generator, labels in turn: the work does not
    /// depend on them.
    fn batch_of_noise(&self) -> Batch {
        let InputShape {
            channels,
            height,
            width,
            classes,
        } = self.input;
        let mut state = 1u32;
        let images = (0..self.batch * channels * height * width)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state as f32 / (u32::MAX / 2) as f32 - 1.0
            })
            .collect();
        Batch {
            indices: (0..self.batch).collect(),
            images,
            shape: [self.batch, channels, height, width],
            labels: (0..self.batch).map(|i| (i % classes) as i64).collect(),
            targets: None,
        }
    }

    fn time(&self, mut work: impl FnMut() -> Result<(), TrainError>) -> Result<f64, TrainError> {
        let mut times = Vec::with_capacity(self.runs);
        for run in 0..WARM_UP + self.runs {
            let start = Instant::now();
            work()?;
            if run >= WARM_UP {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        Ok(median(times))
    }
}
