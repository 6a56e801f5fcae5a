//! Trains what a plan says, tests it once, and writes down what was found.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use limbeck_methods::{Section, TaskKind};
use limbeck_report::{Evaluation, Results};

use super::{
    Plan, check_images, memory_in_words, sharing,
    side_by_side::{Choice, train_all},
    summary::{self, Trained},
    trainer::{Lessons, Role, Trainer},
};
use crate::{
    TrainError, memory::resident_memory, metric::pixels::absent_classes, observer::Observer,
    run_folder::RunFolder,
};

/// How a run ended.
pub enum RunEnd {
    /// Everything is done and written.
    Finished(Box<Results>),
    /// Stopped after a checkpoint.
    Interrupted,
}

/// Trains, tests and reports. In the folder of an earlier run it goes on where that was.
///
/// # Errors
/// Whatever goes wrong; checkpoints written so far are whole.
pub fn execute(
    plan: &Plan,
    folder: &RunFolder,
    command: &str,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<RunEnd, TrainError> {
    folder.forget_failure()?;
    let end = perform(plan, folder, command, observer, interrupt);
    end.inspect_err(|error| folder.note_failure(error))
}

fn perform(
    plan: &Plan,
    folder: &RunFolder,
    command: &str,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<RunEnd, TrainError> {
    let (started, held) = (Instant::now(), resident_memory());
    for note in &plan.notes {
        observer.note(note);
    }
    for warning in &plan.warnings {
        observer.warn(warning);
    }
    if let Some(note) = folder.recognise_data(&plan.dataset, &plan.data_fingerprint)? {
        observer.note(&note);
    }
    let bound = plan.upper_bound.as_ref().map(|bound| &bound.validation);
    if !check_images(plan.dataset.parts().chain(bound), observer, interrupt)? {
        return Ok(RunEnd::Interrupted);
    }
    if plan.foretells_memory {
        let (note, warning) = memory_in_words(&plan.memory()?);
        if let Some(note) = note {
            observer.note(&note);
        }
        if let Some(warning) = warning {
            observer.warn(&warning);
        }
    }
    let trainer = Trainer::new(plan, folder, interrupt)?;
    let mut teacher = plan.teacher.clone();
    let mut teacher_job = None;
    if let Some(untrained) = teacher.take_if(|teacher| !teacher.is_trained()) {
        let Some(finished) = trainer.train_teacher(untrained.network(), observer)? else {
            return Ok(RunEnd::Interrupted);
        };
        teacher = Some(trainer.taught(&finished)?);
        teacher_job = Some(finished);
    }
    let validation_answers = match &teacher {
        None => None,
        Some(teacher) => trainer.introduce(teacher, observer)?,
    };

    let mut answering = None;
    if let Some(teacher) = &teacher {
        answering = sharing::share(plan, folder, teacher, interrupt, observer)?;
        if answering.is_none() {
            return Ok(RunEnd::Interrupted);
        }
    }
    let lessons = Lessons {
        teacher: answering.as_ref().filter(|_| plan.method.needs_teacher()),
        validation_answers: validation_answers.as_ref(),
    };
    let trainings = plan.beside_teacher()?;
    let asked = plan.recipe.train.side_by_side;
    let threads = rayon::current_num_threads();
    let mut choice = Choice::new(asked, trainings.len(), threads, folder, held);
    let Some(finished) = train_all(&trainer, &trainings, lessons, &mut choice, observer)? else {
        return Ok(RunEnd::Interrupted);
    };
    let (mut students, mut baselines, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
    for (training, finished) in trainings.iter().zip(finished) {
        match training.role {
            Role::Student => students.push(finished),
            Role::Baseline => baselines.push(finished),
            Role::Bound => bounds.push(finished),
        }
    }
    let seeds: Vec<u64> = plan.seeds().collect();

    // On disk before anything is tested: whatever the test part holds, the training is not lost.
    trainer.deploy(&students)?;
    observer.note("\ntesting");
    let test = plan.evaluation_set(Section::Test)?;
    let taught = match &teacher {
        None => None,
        Some(teacher) => teacher.measured_on(&test, &students[0].network)?,
    };
    let taught_answers = taught.as_ref().map(|(_, answers)| answers);
    let students = Trained::tested(students, &test, taught_answers)?;
    let baselines = Trained::tested(baselines, &test, taught_answers)?;
    let bounds = Trained::tested(bounds, &test, taught_answers)?;
    let tests = students.tested.iter().chain(&baselines.tested);
    let tests = tests.chain(&bounds.tested);
    if let Some(note) = absence(plan, tests.chain(taught.iter().map(|(test, _)| test))) {
        observer.note(&note);
    }

    let read_back = trainer.read_back(&students.jobs, &test, &students.tested)?;
    // A resumed run has spent more time than this process.
    let jobs = students.jobs.iter().chain(&baselines.jobs);
    let of_all: f64 = jobs.chain(&bounds.jobs).map(|job| job.seconds).sum();
    let of_teacher = teacher_job.as_ref().map_or(0.0, |job| job.seconds);
    let spent = of_teacher + of_all / choice.at_a_time() as f64;
    let outcome = summary::Outcome {
        seeds: &seeds,
        read_back,
        test: &test,
        teacher: teacher.as_ref(),
        teacher_weights: teacher_job.as_ref().map(|job| job.weights.as_path()),
        taught,
        students,
        baselines,
        bounds,
        command,
        side_by_side: choice.told(),
        seconds: started.elapsed().as_secs_f64().max(spent),
    };
    let results = summary::results(plan, folder, outcome)?;
    folder.write_results(&results)?;
    sharing::clear(folder.path())?;
    Ok(RunEnd::Finished(Box::new(results)))
}

/// Which classes are in none of the test pictures and were never chosen, in a sentence.
fn absence<'a>(plan: &Plan, tests: impl Iterator<Item = &'a Evaluation>) -> Option<String> {
    if plan.task != TaskKind::Segmentation {
        return None;
    }
    let of = |test| absent_classes(test, &plan.classes);
    let common = tests.map(of).reduce(|common, more| {
        let both = common.into_iter().filter(|name| more.contains(name));
        both.collect()
    })?;
    (!common.is_empty()).then(|| {
        format!(
            "absent from the test part, and without a part in means: {}",
            common.join(", ")
        )
    })
}
