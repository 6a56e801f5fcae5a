//! How fast several trainings are side by side, next to one after the other.

use limbeck_methods::Teacher;

use super::{feed::Feed, learner::BenchLearner, step::StepBench, stopwatch::Stopwatch};
use crate::{TrainError, lanes::pools};

/// Steps of each training in one timed run: its beginning, where batches have been made ahead, and its end,
/// where some wait for others, are a small part of it.
const STEPS: usize = 32;

/// What is measured: the step of several students with one teacher, as the seeds of a run have it.
#[derive(Clone, Debug)]
pub struct SideBench<'a> {
    /// The step of each of them.
    pub step: StepBench<'a>,
    /// How many train.
    pub trainings: usize,
}

/// Medians of one step of one training, and the work in it.
#[derive(Clone, Copy, Debug)]
pub struct SideTimes {
    /// With all threads, one training after the other.
    pub alone_ms: f64,
    /// With all trainings at the same time, the threads divided among them: how long all of them take for a
    /// step, divided by their number.
    pub side_ms: f64,
    /// Floating point operations: the student's three forward passes, and the teacher's one.
    pub flops: f64,
}

impl SideBench<'_> {
    /// Measures both in turn, on made-up images that are loaded and varied as in a training.
    ///
    /// # Errors
    /// As [`StepBench::run`]; threads that the system refuses.
    pub fn run(&self) -> Result<SideTimes, TrainError> {
        let teaching = self.step.teaching()?;
        let teaching = teaching.as_ref();
        let teacher = teaching.map(|(_, teacher)| teacher as &dyn Teacher);
        let training = |seed| {
            let learner = self
                .step
                .learner(teaching.map(|(network, teacher)| (network, teacher)))?;
            let feed = Feed::new(
                self.step.input,
                self.step.batch,
                learner.images(),
                seed as u64,
            )?;
            Ok::<_, TrainError>(Training { learner, feed })
        };
        let mut trainings: Vec<Training> = (0..self.trainings)
            .map(training)
            .collect::<Result<_, _>>()?;
        let pools = pools(self.trainings, rayon::current_num_threads())?;
        let (mut alone, mut side) = (Stopwatch::new(), Stopwatch::new());
        for _ in 0..self.step.runs {
            alone.measure(
                || (),
                |()| {
                    trainings
                        .iter_mut()
                        .try_for_each(|training| training.go_on(teacher))
                },
            )?;
            side.measure(
                || (),
                |()| {
                    std::thread::scope(|scope| {
                        let started: Vec<_> = trainings
                            .iter_mut()
                            .zip(&pools)
                            .map(|(training, pool)| {
                                scope.spawn(move || pool.install(|| training.go_on(teacher)))
                            })
                            .collect();
                        started.into_iter().try_for_each(|lane| {
                            lane.join()
                                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                        })
                    })
                },
            )?;
        }
        let per_step = (self.trainings * STEPS) as f64;
        let of_teacher = teaching.map_or(0.0, |(network, _)| {
            2.0 * self.step.batch as f64 * network.cost().macs as f64
        });
        Ok(SideTimes {
            alone_ms: alone.median() / per_step,
            side_ms: side.median() / per_step,
            flops: self.step.student_flops()? + of_teacher,
        })
    }
}

struct Training {
    learner: BenchLearner,
    feed: Feed,
}

impl Training {
    fn go_on(&mut self, teacher: Option<&dyn Teacher>) -> Result<(), TrainError> {
        (0..STEPS).try_for_each(|_| self.learner.learn(self.feed.batch()?, teacher))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use limbeck_nn::{InputShape, model};

    use super::*;
    use crate::recipe::OptimizerRecipe;

    /// Steps of each training.
    const LONG: usize = 300;

    /// The student's numbers after many steps by `method`, of one network or of several that learn together.
    fn learnt(method: &str) -> Vec<f32> {
        let input = InputShape {
            channels: 1,
            height: 8,
            width: 8,
            classes: 5,
        };
        let (device, dtype) = (burn::tensor::Device::flex(), burn::tensor::DType::F32);
        let student = model::build("resnet8", input, 0, &device, dtype).unwrap();
        let (settings, optimizer) = (BTreeMap::new(), OptimizerRecipe::default());
        let mut learner =
            BenchLearner::new(student, None, method, &settings, 4, &optimizer, false).unwrap();
        for _ in 0..LONG {
            learner.learn(learner.batch.clone(), None).unwrap();
        }
        learner.numbers()
    }

    /// The engine keeps the graphs of all threads in one place, and sweeps it after every backward pass.
    #[test]
    fn no_gradient_is_lost_where_trainings_go_on_at_the_same_time() {
        let methods = ["none", "dml", "none", "ffl"];
        let pools = pools(methods.len(), 2).unwrap();
        let side: Vec<Vec<f32>> = std::thread::scope(|scope| {
            let started: Vec<_> = methods
                .iter()
                .zip(&pools)
                .map(|(method, pool)| scope.spawn(move || pool.install(|| learnt(method))))
                .collect();
            started
                .into_iter()
                .map(|lane| lane.join().unwrap())
                .collect()
        });
        for (method, side) in methods.iter().zip(side).skip(1) {
            assert!(side == learnt(method), "{method}");
        }
    }
}
