//! How fast a training step is.

use std::sync::Mutex;
use std::time::Instant;

use burn::tensor::Tensor;
use limbeck_data::{Batch, Large, Normalisation, Partners, Replay};
use limbeck_methods::{Images, Probe, Progress, Teacher, TrainingPart};
use limbeck_nn::{InputShape, Network, Outputs, Tap, Taps};
use serde::Serialize;

use crate::{
    TrainError,
    experiment::{build, needs_teacher},
    latency::median,
    recipe::Recipe,
    step::{Learner, Lesson},
    teacher::{FrozenTeacher, classifier},
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

/// A teacher whose outputs are at hand once they have been asked for: a step asks for the same
/// ones in the same order every time.
struct Stored<'a> {
    teacher: &'a FrozenTeacher,
    asked: Mutex<Asked>,
}

/// What a step asks a teacher for.
#[derive(Default)]
struct Asked {
    questions: Vec<(Tensor<4>, Taps)>,
    answers: Vec<Outputs>,
    /// Answers given in the step at hand.
    given: usize,
}

impl Teacher for Stored<'_> {
    fn name(&self) -> &str {
        "stored outputs"
    }

    fn taps(&self) -> Vec<Tap> {
        self.teacher.taps()
    }

    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Outputs {
        let Ok(mut asked) = self.asked.lock() else {
            return self.teacher.outputs(images, taps);
        };
        if asked.given == asked.answers.len() {
            let answer = self.teacher.outputs(images.clone(), taps);
            asked.questions.push((images, taps.clone()));
            asked.answers.push(answer);
        }
        asked.given += 1;
        asked.answers[asked.given - 1].clone()
    }

    fn outputs_through(&self, images: Tensor<4>, taps: &Taps) -> Option<Outputs> {
        self.teacher.outputs_through(images, taps)
    }
}

impl Stored<'_> {
    /// Before a step: its first question is the first one again.
    fn rewind(&self) {
        if let Ok(mut asked) = self.asked.lock() {
            asked.given = 0;
        }
    }

    /// Asks the teacher itself for all that a step asks for.
    fn ask_again(&self) {
        if let Ok(asked) = self.asked.lock() {
            for (images, taps) in &asked.questions {
                let _ = self
                    .teacher
                    .outputs(images.clone(), taps)
                    .logits
                    .into_data();
            }
        }
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
        let mut learner = self.learner(student, &network, &teacher)?;
        let last = learner.stages.len() - 1;
        learner.enter(last)?;
        let wanted = learner.stage().images;
        let batch = self.batch_of_noise(wanted);
        let network = build(self.teacher, self.input.enlarged(wanted.enlarged), 0)?;
        let teacher = FrozenTeacher::new(&network, &plain, &plain);
        let stored = Stored {
            teacher: &teacher,
            asked: Mutex::default(),
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
            learner.learn(Lesson {
                batch: batch.clone(),
                teacher: reads_teacher.then_some(teacher),
                stage: progress,
                run: progress,
                learning_rate: 0.01,
                seed: 0,
                last: false,
            })
        };
        learn(&stored)?;
        Ok(StepTimes {
            teacher_ms: self.time(|| {
                stored.ask_again();
                Ok(())
            })?,
            student_ms: self.time(|| {
                stored.rewind();
                learn(&stored).map(drop)
            })?,
            step_ms: self.time(|| learn(&teacher).map(drop))?,
        })
    }

    fn learner(
        &self,
        student: Network,
        network: &Network,
        teacher: &FrozenTeacher,
    ) -> Result<Learner, TrainError> {
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
            training: TrainingPart {
                labels: self.labels(),
                mean: vec![0.0; self.input.channels],
                deviation: vec![1.0; self.input.channels],
            },
            teacher_classifier: classifier(network),
        };
        let settings = recipe.method.values();
        let (procedure, cast) = limbeck_methods::cast(self.method, &settings, &probe, student)?;
        Learner::new(procedure, cast, &recipe)
    }

    /// Values in −1..1 from a linear congruential generator, labels in turn: the work does not
    /// depend on them.
    fn batch_of_noise(&self, wanted: Images) -> Batch {
        let InputShape {
            channels,
            height,
            width,
            ..
        } = self.input;
        let mut state = 1u32;
        let images: Vec<f32> = (0..self.batch * channels * height * width)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state as f32 / (u32::MAX / 2) as f32 - 1.0
            })
            .collect();
        let indices: Vec<usize> = (0..self.batch).collect();
        Batch {
            shape: [self.batch, channels, height, width],
            labels: self.labels(),
            targets: None,
            views: vec![images.clone(); wanted.views - 1],
            partners: wanted.partners.then(|| Partners {
                indices: indices.clone(),
                images: images.clone(),
            }),
            replay: wanted.replay.then(|| Replay {
                indices: indices.clone(),
                images: images.clone(),
                labels: self.labels(),
            }),
            large: (wanted.enlarged > 1).then(|| Large {
                images: images.repeat(wanted.enlarged * wanted.enlarged),
                size: [height * wanted.enlarged, width * wanted.enlarged],
            }),
            indices,
            images,
        }
    }

    fn labels(&self) -> Vec<i64> {
        let classes = self.input.classes;
        (0..self.batch).map(|i| (i % classes) as i64).collect()
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
