//! How much memory the trainings of a plan will need, found by a few small steps of each.

use limbeck_data::{Loader, Part};
use limbeck_kernels::held_memory;
use limbeck_methods::{Progress, Teacher};
use limbeck_nn::Network;

use super::Plan;
use crate::{
    TrainError,
    held_out::HeldOutImages,
    job::{PREFETCH, loader_config, with_domains},
    memory::{StepMemory, besides_buffers, free_memory, in_words, resident_memory},
    recipe::Recipe,
    run_teacher::RunTeacher,
    step::{Learner, Lesson, Pause},
};

/// So small that what is tried out changes next to nothing.
const LEARNING_RATE: f64 = 1e-6;
/// Images that a method is shown between steps.
const LOOKED_AT: usize = 32;
/// Batches whose gradients are added up, where the recipe has several: from the second on there is what
/// waits.
const ACCUMULATED: usize = 2;

/// What one training needs.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingMemory {
    /// `teacher`, `student`, `baseline` or `bound`.
    pub training: &'static str,
    /// The most bytes that the process holds in its steps; or why that is not known.
    pub bytes: Result<u64, String>,
}

/// One training that is tried out.
struct Tried<'a> {
    recipe: &'a Recipe,
    network: Network,
    method: &'a str,
    teacher: Option<&'a RunTeacher>,
    train: Part,
    augment: &'a limbeck_data::Augment,
}

impl Plan {
    /// The memory that the steps of each training of the run need, in the order in which they begin. Nothing
    /// where the program's allocator does not count ([`limbeck_kernels::AlignedAllocator`]), or the system
    /// does not tell what the process holds.
    ///
    /// # Errors
    /// Networks that cannot be built.
    pub fn memory(&self) -> Result<Vec<TrainingMemory>, TrainError> {
        if besides_buffers().is_none() {
            return Ok(Vec::new());
        }
        let seed = self.recipe.train.seed;
        let baseline = self.baseline()?.0;
        // One that is trained first is as large untrained.
        let teacher = self
            .teacher
            .as_ref()
            .map(|teacher| match teacher.is_trained() {
                true => teacher.clone(),
                false => RunTeacher::trained(
                    teacher.network().clone(),
                    self.normalisation.clone(),
                    &self.normalisation,
                    String::new(),
                ),
            });
        let tried = |method, teacher, network| {
            Ok::<_, TrainError>(Tried {
                recipe: &self.recipe,
                network,
                method,
                teacher,
                train: self.train(seed)?,
                augment: &self.augment,
            })
        };
        let mut found = Vec::new();
        if let Some(teacher) = self.teacher.as_ref().filter(|_| self.trains_teacher()) {
            let tried = Tried {
                augment: &self.teacher_augment,
                ..tried(baseline, None, teacher.network().clone())?
            };
            found.push(self.try_out("teacher", tried));
        }
        let method = self.recipe.method.name.as_str();
        let learns_from = teacher.as_ref().filter(|_| self.method.needs_teacher());
        found.push(self.try_out("student", tried(method, learns_from, self.student(seed)?)?));
        if self.has_baseline()? {
            found.push(self.try_out("baseline", tried(baseline, None, self.student(seed)?)?));
        }
        if let Some(bound) = &self.upper_bound {
            let tried = Tried {
                recipe: &bound.recipe,
                train: bound.train.clone(),
                ..tried(baseline, None, self.student(seed)?)?
            };
            found.push(self.try_out("bound", tried));
        }
        Ok(found)
    }

    fn try_out(&self, training: &'static str, tried: Tried<'_>) -> TrainingMemory {
        let bytes = self.steps_of_training(tried);
        TrainingMemory {
            training,
            bytes: bytes.map_err(|error| error.to_string()),
        }
    }

    /// The most that any stage of a training needs.
    fn steps_of_training(&self, tried: Tried<'_>) -> Result<u64, TrainError> {
        let mut recipe = tried.recipe.clone();
        recipe.train.accumulate = recipe.train.accumulate.min(ACCUMULATED);
        recipe.data.workers = 0;
        let seed = recipe.train.seed;
        let network = tried.teacher.map(RunTeacher::network);
        let outputs = tried.teacher.and_then(RunTeacher::outputs);
        let (procedure, cast) = self.cast(tried.network, seed, tried.method, network)?;
        let mut learner = Learner::new(tried.method, procedure, cast, self.task()?, &recipe)?;
        let train = match learner.procedure.held_out() {
            0.0 => tried.train,
            share => tried.train.apart(share, seed)?.0,
        };
        let (device, dtype) = (learner.cast.device().clone(), learner.cast.dtype());
        let looked_at = HeldOutImages::new(
            train.spread(LOOKED_AT.min(train.len())),
            tried.augment,
            LOOKED_AT,
            &device,
            dtype,
        )?;
        let mut most = 0;
        for stage in 0..learner.stages.len() {
            if stage > 0 {
                learner.enter(stage)?;
            }
            for pause in [Pause::Stage, Pause::Epoch] {
                learner.pause(outputs, Some(&looked_at), pause)?;
            }
            if learner.stage().epochs > 0 {
                let steps = Steps {
                    plan: self,
                    recipe: &recipe,
                    augment: tried.augment,
                    train: &train,
                    workers: tried.recipe.data.workers,
                };
                most = most.max(steps.most(&mut learner, outputs)?);
            }
        }
        Ok(most)
    }
}

/// The steps of one stage.
struct Steps<'a> {
    plan: &'a Plan,
    recipe: &'a Recipe,
    augment: &'a limbeck_data::Augment,
    train: &'a Part,
    /// Threads that will load the images.
    workers: usize,
}

impl Steps<'_> {
    /// The most bytes that the process holds in them.
    fn most(
        &self,
        learner: &mut Learner,
        teacher: Option<&dyn Teacher>,
    ) -> Result<u64, TrainError> {
        let seed = self.recipe.train.seed;
        let images = learner.stage().images;
        let wanted = loader_config(self.recipe, self.train, seed, images, 0).batch;
        let batch = wanted.min(self.train.len().max(1));
        let least = match images.balanced {
            Some(_) => batch,
            None => 1,
        };
        // Of the batches themselves, for an image.
        let mut waiting = 0.0_f64;
        let mut number = 0;
        let mut step = |count: usize| -> Result<(), TrainError> {
            let mut recipe = self.recipe.clone();
            recipe.data.batch = count;
            let config = loader_config(&recipe, self.train, seed, images, 0);
            let loader = Loader::new(self.train.clone(), self.augment.clone(), true, config)?;
            let loader = with_domains(loader, images, self.plan.dataset.domains.as_ref())?;
            // The first batch of a stage has none before it.
            let first = usize::from(loader.batches() > 1);
            for _ in 0..recipe.train.accumulate {
                let before = held_memory().unwrap_or_default();
                let Some(batch) = loader.epoch(0, first).next() else {
                    return Ok(());
                };
                let batch = batch?;
                let made = held_memory().unwrap_or_default().saturating_sub(before);
                waiting = waiting.max(made as f64 / count as f64);
                number += 1;
                learner.learn(lesson(batch, teacher, learner, number))?;
            }
            Ok(())
        };
        let Some(memory) = StepMemory::measured([least, batch], &mut step)? else {
            return Ok(0);
        };
        let ahead = match self.workers {
            0 => 0,
            workers => PREFETCH.max(workers),
        };
        let ahead = (ahead * batch) as f64 * waiting;
        Ok(memory.of(batch, ahead as u64))
    }
}

/// A step of a stage's last epoch, where weights that rise are up, and not the last one of it.
fn lesson<'a>(
    batch: limbeck_data::Batch,
    teacher: Option<&'a dyn Teacher>,
    learner: &Learner,
    number: u64,
) -> Lesson<'a> {
    let progress = |epochs: usize| Progress {
        epoch: epochs.saturating_sub(1),
        epochs,
        step: 0,
        steps: 1_000,
    };
    Lesson {
        batch,
        teacher,
        stage: progress(learner.stage().epochs),
        run: progress(learner.epochs()),
        learning_rate: LEARNING_RATE,
        warmup: None,
        seed: number,
    }
}

/// What is told of the trainings' memory, and a warning where it is more than there is.
pub fn memory_in_words(trainings: &[TrainingMemory]) -> (Option<String>, Option<String>) {
    let known = |training: &TrainingMemory| training.bytes.as_ref().ok().copied();
    let told: Vec<String> = trainings
        .iter()
        .map(|of| match &of.bytes {
            Ok(bytes) => format!("{} {}", of.training, in_words(*bytes)),
            Err(reason) => format!("{} not known ({reason})", of.training),
        })
        .collect();
    let note = (!told.is_empty()).then(|| {
        let told = told.join(", ");
        format!("memory: about {told} (the process at its most, found by small steps)")
    });
    let most = trainings.iter().filter_map(known).max();
    let warning = most.zip(free_memory()).and_then(|(most, free)| {
        let more = most.saturating_sub(resident_memory().unwrap_or_default());
        (more > free).then(|| {
            format!(
                "the steps need about {} of memory and {} are free: set data.batch to less (with \
                 train.accumulate for as many images in a step), augment.size to less, or train.recompute = true",
                in_words(most),
                in_words(free)
            )
        })
    });
    (note, warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_training_is_told_and_too_much_is_warned_of() {
        let of = |training, bytes| TrainingMemory { training, bytes };
        let (note, warning) = memory_in_words(&[
            of("teacher", Ok(1_200_000_000)),
            of("student", Err("no batch".to_owned())),
        ]);
        let note = note.unwrap();
        assert!(
            note.contains("teacher 1.2 GB, student not known (no batch)"),
            "{note}"
        );
        assert_eq!(
            warning.is_some(),
            free_memory().is_some_and(|free| free < 1_100_000_000)
        );
        assert_eq!(memory_in_words(&[]), (None, None));
        if free_memory().is_some() {
            let (_, warning) = memory_in_words(&[of("student", Ok(1 << 60))]);
            assert!(warning.unwrap().contains("train.recompute"));
        }
    }
}
