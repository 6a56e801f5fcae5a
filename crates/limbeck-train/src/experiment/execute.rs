//! Trains what a plan says, tests it once, and writes down what was found.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use limbeck_data::Labelling;
use limbeck_methods::{Section, TaskKind};
use limbeck_nn::Network;
use limbeck_report::{Evaluation, Results};

use super::{
    Plan, check_images, memory_in_words, series_folder, sharing,
    summary::{self, ReadBack, Trained},
    upper_bound::UpperBound,
};
use crate::{
    TrainError,
    chance::{at_chance_on, measured_at_chance},
    evaluate::EvaluationSet,
    job::{Finished, Job, JobEnd},
    metric::{PartAnswers, pixels::absent_classes},
    model_source,
    observer::Observer,
    recipe::Recipe,
    run_folder::RunFolder,
    run_teacher::RunTeacher,
    step::Learner,
};

/// How a run ended.
pub enum RunEnd {
    /// Everything is done and written.
    Finished(Box<Results>),
    /// Stopped after a checkpoint.
    Interrupted,
}

/// The job that trains a teacher of the zoo first.
const TEACHER: &str = "teacher";

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
    let started = Instant::now();
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
    let (note, warning) = memory_in_words(&plan.memory()?);
    if let Some(note) = note {
        observer.note(&note);
    }
    if let Some(warning) = warning {
        observer.warn(&warning);
    }
    let run = Run::new(plan, folder, interrupt)?;
    let mut teacher = plan.teacher.clone();
    let mut teacher_job = None;
    if let Some(untrained) = teacher.take_if(|teacher| !teacher.is_trained()) {
        let Some(finished) = run.train_teacher(untrained.network(), observer)? else {
            return Ok(RunEnd::Interrupted);
        };
        teacher = Some(run.taught(&finished)?);
        teacher_job = Some(finished);
    }
    let validation_answers = match &teacher {
        None => None,
        Some(teacher) => run.introduce(teacher, observer)?,
    };

    let seeds = seeds(&plan.recipe);
    let mut answering = None;
    if let Some(teacher) = &teacher {
        answering = sharing::share(plan, folder, teacher, interrupt, observer)?;
        if answering.is_none() {
            return Ok(RunEnd::Interrupted);
        }
    }
    let learns_from = match plan.method.needs_teacher() {
        true => answering.as_ref(),
        false => None,
    };
    let mut students = Vec::new();
    let mut baselines = Vec::new();
    let mut bounds = Vec::new();
    for &seed in &seeds {
        let end = run.train(
            &format!("student-{seed}"),
            seed,
            &plan.recipe.method.name,
            learns_from,
            validation_answers.as_ref(),
            observer,
        )?;
        let Some(finished) = end else {
            return Ok(RunEnd::Interrupted);
        };
        students.push(finished);
        if !plan.has_baseline()? {
            continue;
        }
        let end = run.train(
            &format!("baseline-{seed}"),
            seed,
            run.baseline,
            None,
            validation_answers.as_ref(),
            observer,
        )?;
        let Some(finished) = end else {
            return Ok(RunEnd::Interrupted);
        };
        baselines.push(finished);
        if let Some(bound) = &run.bound {
            let Some(finished) = run.train_bound(bound, seed, observer)? else {
                return Ok(RunEnd::Interrupted);
            };
            bounds.push(finished);
        }
    }

    // On disk before anything is tested: whatever the test part holds, the training is not lost.
    run.deploy(&students)?;
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

    let read_back = run.read_back(&students.jobs, &test, &students.tested)?;
    // A resumed run has spent more time than this process.
    let jobs = students.jobs.iter().chain(&baselines.jobs);
    let jobs = jobs.chain(&bounds.jobs).chain(&teacher_job);
    let spent: f64 = jobs.map(|job| job.seconds).sum();
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

/// The first seed and those that count up from it.
fn seeds(recipe: &Recipe) -> Vec<u64> {
    (recipe.train.seed..).take(recipe.train.seeds).collect()
}

/// What decides the bits of each kind of training.
struct Fingerprints {
    teacher: String,
    student: String,
    baseline: String,
}

/// What each upper bound is trained with.
struct Bound<'a> {
    upper: &'a UpperBound,
    validation: EvaluationSet,
    fingerprint: String,
}

struct Run<'a> {
    plan: &'a Plan,
    folder: &'a RunFolder,
    interrupt: &'a AtomicBool,
    validation: EvaluationSet,
    bound: Option<Bound<'a>>,
    /// The method that is trained beside the recipe's.
    baseline: &'static str,
    fingerprints: Fingerprints,
    begun: std::cell::Cell<usize>,
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        folder: &'a RunFolder,
        interrupt: &'a AtomicBool,
    ) -> Result<Self, TrainError> {
        let validation = plan.evaluation_set(Section::Validation)?;
        let bound = match &plan.upper_bound {
            None => None,
            Some(upper) => Some(Bound {
                upper,
                validation: plan.evaluation_set_of(&upper.validation, Section::Validation)?,
                fingerprint: plan.fingerprint_of_bound(upper)?,
            }),
        };
        Ok(Self {
            plan,
            folder,
            interrupt,
            validation,
            bound,
            baseline: plan.baseline()?.0,
            fingerprints: Fingerprints {
                teacher: plan.fingerprint_of_teacher()?,
                student: plan.fingerprint()?,
                baseline: plan.fingerprint_of_baseline()?,
            },
            begun: std::cell::Cell::new(0),
        })
    }

    /// Trains the teacher from labels alone; `None` if interrupted.
    fn train_teacher(
        &self,
        network: &Network,
        observer: &mut dyn Observer,
    ) -> Result<Option<Finished>, TrainError> {
        let seed = self.plan.recipe.train.seed;
        let recipe = &self.plan.recipe;
        let learner = self.learner(recipe, network.clone(), seed, self.baseline, None)?;
        let fingerprint = &self.fingerprints.teacher;
        self.take_over(TEACHER, fingerprint, observer)?;
        let job = Job {
            augment: &self.plan.teacher_augment,
            ..self.job(TEACHER, seed, fingerprint)?
        };
        job.run_counted(self, learner, observer)
    }

    /// What the training of the teacher has given.
    fn taught(&self, finished: &Finished) -> Result<RunTeacher, TrainError> {
        let normalisation = &self.plan.normalisation;
        let identity = model_source::sha256(&finished.weights)?;
        Ok(RunTeacher::trained(
            finished.network.clone(),
            normalisation.clone(),
            normalisation,
            identity,
        ))
    }

    /// Measures the teacher, which is trained, on the validation part and says what it reaches.
    fn introduce(
        &self,
        teacher: &RunTeacher,
        observer: &mut dyn Observer,
    ) -> Result<Option<PartAnswers>, TrainError> {
        let student = self.plan.student(self.plan.recipe.train.seed)?;
        let Some((measured, answers)) = teacher.measured_on(&self.validation, &student)? else {
            // Of other classes, which the plan has told.
            return Ok(None);
        };
        let Some(measure) = measured.first() else {
            return Ok(Some(answers));
        };
        let value = measure.write(measure.value, 2);
        observer.note(&format!(
            "teacher {}: {value} {} on the validation part",
            teacher.network().name(),
            measure.title
        ));
        let validation = &self.plan.dataset.validation;
        if let Some(chance) = at_chance_on(&answers.choices, validation) {
            observer.warn(&format!(
                "{chance}: {}",
                match self.plan.trains_teacher() {
                    true => "train it longer, or on more images",
                    false => chance.likely.advice(),
                }
            ));
        }
        if validation.labelling() == Labelling::Masks
            && let Some(chance) = measured_at_chance(measure)
        {
            observer.warn(&format!(
                "{chance}: {}",
                match self.plan.trains_teacher() {
                    true => "train it longer, or on more images",
                    false =>
                        "see that its classes are in the data's order and its normalisation is right \
                         (`limbeck eval` tells each class), or train it longer",
                }
            ));
        }
        Ok(Some(answers))
    }

    /// Trains the student under `seed` with `method`; `None` if interrupted.
    fn train(
        &self,
        name: &str,
        seed: u64,
        method: &str,
        teacher: Option<&RunTeacher>,
        validation_answers: Option<&PartAnswers>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Finished>, TrainError> {
        let network = teacher.map(RunTeacher::network);
        let (recipe, student) = (&self.plan.recipe, self.plan.student(seed)?);
        let learner = self.learner(recipe, student, seed, method, network)?;
        let is_baseline = method == self.baseline;
        let fingerprint = match is_baseline {
            true => &self.fingerprints.baseline,
            false => &self.fingerprints.student,
        };
        if is_baseline {
            self.take_over(name, fingerprint, observer)?;
        }
        let job = Job {
            teacher: teacher.and_then(RunTeacher::outputs),
            validation_answers,
            ..self.job(name, seed, fingerprint)?
        };
        job.run_counted(self, learner, observer)
    }

    /// Trains the student under `seed` on the labels of the domain that the run adapts to; `None` if
    /// interrupted.
    fn train_bound(
        &self,
        bound: &Bound<'_>,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<Option<Finished>, TrainError> {
        let name = format!("bound-{seed}");
        let student = self.plan.student(seed)?;
        let recipe = &bound.upper.recipe;
        let learner = self.learner(recipe, student, seed, self.baseline, None)?;
        self.take_over(&name, &bound.fingerprint, observer)?;
        let job = Job {
            recipe,
            train: bound.upper.train.clone(),
            validation: &bound.validation,
            ..self.job(&name, seed, &bound.fingerprint)?
        };
        job.run_counted(self, learner, observer)
    }

    /// Takes a training from labels alone over from another run of the series, if it is there.
    fn take_over(
        &self,
        name: &str,
        fingerprint: &str,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        if let Some(run) = series_folder::take_over(self.folder, name, fingerprint)? {
            observer.note(&format!("\n{name} is that of {}", run.display()));
        }
        Ok(())
    }

    fn learner(
        &self,
        recipe: &Recipe,
        network: Network,
        seed: u64,
        method: &str,
        teacher: Option<&Network>,
    ) -> Result<Learner, TrainError> {
        let (procedure, cast) = self.plan.cast(network, seed, method, teacher)?;
        Learner::new(method, procedure, cast, self.plan.task()?, recipe)
    }

    fn job<'b>(
        &'b self,
        name: &str,
        seed: u64,
        fingerprint: &'b str,
    ) -> Result<Job<'b>, TrainError> {
        let (folder, validation) = (self.folder, &self.validation);
        self.plan
            .job(name, seed, folder, fingerprint, validation, self.interrupt)
    }

    /// What the deployed student reaches on `test` when it is read from its file, which holds codes of
    /// few bits, and as it runs where it is deployed, next to what it reached as it was trained; `None` in
    /// full precision. `tested` are the students in their order.
    fn read_back(
        &self,
        students: &[Finished],
        test: &EvaluationSet,
        tested: &[Evaluation],
    ) -> Result<Option<ReadBack>, TrainError> {
        let best = best_of(students);
        if students[best].network.quantisation().is_none() {
            return Ok(None);
        }
        let file = self.folder.student();
        let loaded = model_source::load_own(&file, &self.plan.blueprint)?;
        let first = |evaluation: &Evaluation| evaluation.first().map(|measure| measure.value);
        let reached = |network: &Network| {
            let (measured, _) = test.measure(network, None)?;
            Ok::<_, TrainError>(first(&measured))
        };
        let (Some(trained), Some(read)) =
            (tested.get(best).and_then(first), reached(&loaded.network)?)
        else {
            return Ok(None);
        };
        let in_whole_numbers = match loaded.network.in_integers() {
            Some(network) => reached(&network)?,
            None => None,
        };
        Ok(Some(ReadBack {
            trained,
            read,
            in_whole_numbers,
        }))
    }

    /// Writes the student that was best on the validation part as the one to deploy.
    fn deploy(&self, students: &[Finished]) -> Result<(), TrainError> {
        let best = &students[best_of(students)];
        let plan = self.plan;
        let facts = model_source::segmentation_facts(&plan.recipe, plan.task);
        self.folder
            .deploy(&best.network, &plan.augment, facts, &plan.classes)
    }
}

/// Place of the student that was best on the validation part, the first of equals.
fn best_of(students: &[Finished]) -> usize {
    (1..students.len()).fold(0, |best, other| {
        match students[other].validation_score > students[best].validation_score {
            true => other,
            false => best,
        }
    })
}

impl Job<'_> {
    fn run_counted(
        &self,
        run: &Run<'_>,
        learner: Learner,
        observer: &mut dyn Observer,
    ) -> Result<Option<Finished>, TrainError> {
        run.begun.set(run.begun.get() + 1);
        let all = run.plan.trainings()?;
        observer.job(&self.name, run.begun.get(), all, learner.epochs());
        match self.run(learner, observer)? {
            JobEnd::Finished(finished) => Ok(Some(*finished)),
            JobEnd::Interrupted => Ok(None),
        }
    }
}
