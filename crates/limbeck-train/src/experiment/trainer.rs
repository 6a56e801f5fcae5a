//! Trains one network of a run.

use std::sync::atomic::AtomicBool;

use limbeck_data::Labelling;
use limbeck_methods::Section;
use limbeck_nn::Network;
use limbeck_report::Evaluation;

use super::{Plan, series_folder, summary::ReadBack, upper_bound::UpperBound};
use crate::{
    TrainError,
    chance::{at_chance_on, measured_at_chance},
    evaluate::EvaluationSet,
    job::{Finished, Job, JobEnd},
    metric::PartAnswers,
    model_source,
    observer::Observer,
    recipe::Recipe,
    run_folder::RunFolder,
    run_teacher::RunTeacher,
    step::Learner,
};

/// The job that trains a teacher of the zoo first.
const TEACHER: &str = "teacher";

/// What a network is trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// By the recipe's method.
    Student,
    /// By the method that it is compared with.
    Baseline,
    /// On the labels of the domain that the run adapts to.
    Bound,
}

/// One network that a run trains, besides its teacher.
#[derive(Clone, Copy, Debug)]
pub(super) struct Training {
    pub role: Role,
    pub seed: u64,
}

impl Training {
    /// Name of its job.
    pub fn name(&self) -> String {
        let role = match self.role {
            Role::Student => "student",
            Role::Baseline => "baseline",
            Role::Bound => "bound",
        };
        format!("{role}-{}", self.seed)
    }
}

/// What the trainings of a run have in common.
#[derive(Clone, Copy)]
pub(super) struct Lessons<'a> {
    /// Whom students learn from; `None` of methods without a teacher.
    pub teacher: Option<&'a RunTeacher>,
    /// The teacher's answers on the validation part.
    pub validation_answers: Option<&'a PartAnswers>,
}

/// How a training goes on.
#[derive(Clone, Copy)]
pub(super) struct Conditions<'a> {
    /// Makes it stop after the step at hand, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Trainings at the same time, which have threads that load images in common.
    pub lanes: usize,
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

/// Trains the networks of a plan, one at a time or, from several threads, several.
pub(super) struct Trainer<'a> {
    plan: &'a Plan,
    folder: &'a RunFolder,
    interrupt: &'a AtomicBool,
    validation: EvaluationSet,
    bound: Option<Bound<'a>>,
    /// The method that is trained beside the recipe's.
    baseline: &'static str,
    fingerprints: Fingerprints,
}

impl<'a> Trainer<'a> {
    /// The trainer of `plan` in `folder`.
    ///
    /// # Errors
    /// What the evaluation sets refuse, a recipe that TOML cannot hold.
    pub fn new(
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
        })
    }

    /// What stops the run after the step at hand.
    pub fn interrupt(&self) -> &AtomicBool {
        self.interrupt
    }

    /// Trains the teacher from labels alone; `None` if interrupted.
    pub fn train_teacher(
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
        self.carry_out(&job, 0, learner, observer)
    }

    /// What the training of the teacher has given.
    pub fn taught(&self, finished: &Finished) -> Result<RunTeacher, TrainError> {
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
    pub fn introduce(
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

    /// Carries out the training at `place` in the run's list; `None` if interrupted. Several threads may do so
    /// at the same time.
    pub fn train(
        &self,
        place: usize,
        training: &Training,
        lessons: Lessons<'_>,
        conditions: Conditions<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Finished>, TrainError> {
        let Training { role, seed } = *training;
        let name = training.name();
        let bound = self.bound.as_ref().filter(|_| role == Role::Bound);
        let teacher = lessons.teacher.filter(|_| role == Role::Student);
        let student_method: &str = &self.plan.recipe.method.name;
        let method = match role {
            Role::Student => student_method,
            Role::Baseline | Role::Bound => self.baseline,
        };
        let mut recipe = match bound {
            Some(bound) => bound.upper.recipe.clone(),
            None => self.plan.recipe.clone(),
        };
        // Of one thread for each training, where there are as few.
        recipe.data.workers = recipe.data.workers.div_ceil(conditions.lanes);
        let network = teacher.map(RunTeacher::network);
        let learner = self.learner(&recipe, self.plan.student(seed)?, seed, method, network)?;
        let fingerprint = match bound {
            Some(bound) => &bound.fingerprint,
            None if method == self.baseline => &self.fingerprints.baseline,
            None => &self.fingerprints.student,
        };
        if method == self.baseline {
            self.take_over(&name, fingerprint, observer)?;
        }
        let mut job = Job {
            recipe: &recipe,
            interrupt: conditions.stop,
            teacher: teacher.and_then(RunTeacher::outputs),
            ..self.job(&name, seed, fingerprint)?
        };
        match bound {
            Some(bound) => {
                job.train = bound.upper.train.clone();
                job.validation = &bound.validation;
            }
            None => job.validation_answers = lessons.validation_answers,
        }
        let before = usize::from(self.plan.trains_teacher());
        self.carry_out(&job, before + place, learner, observer)
    }

    /// Runs the job at `place` of all jobs of the run.
    fn carry_out(
        &self,
        job: &Job<'_>,
        place: usize,
        learner: Learner,
        observer: &mut dyn Observer,
    ) -> Result<Option<Finished>, TrainError> {
        let all = self.plan.trainings()?;
        observer.job(&job.name, place + 1, all, learner.epochs());
        match job.run(learner, observer)? {
            JobEnd::Finished(finished) => Ok(Some(*finished)),
            JobEnd::Interrupted => Ok(None),
        }
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
    pub fn read_back(
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
    pub fn deploy(&self, students: &[Finished]) -> Result<(), TrainError> {
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
