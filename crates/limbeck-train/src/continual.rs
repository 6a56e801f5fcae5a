//! Continual segmentation: classes are learnt one group after the other, each step's network being the
//! next one's teacher and start.
//!
//! A step is an ordinary job. Its data shows the step's own classes and calls all others background
//! ([`TaskSplit`]); its student begins as the network of the step before with a classifier that has
//! grown ([`grow_classes`]); its teacher is that network. Beside the method's sequence two others are
//! trained where the recipe asks for baselines: fine-tuning, the same steps on labels alone, and joint
//! training, all classes and images at once. After each step the whole test part is measured.
//!
//! A sequence's folder is that of a run, with `continual.json` (what was found so far), its page
//! `report.html` and `jobs/NAME/` for each training. A sequence that was stopped goes through its jobs
//! again: finished ones give what they gave, the interrupted one goes on from its checkpoint.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use limbeck_data::{ContinualSetting, Dataset, Part, ShownClasses, SplitError, TaskSplit};
use limbeck_methods::{BASELINE, Group, Section, TaskKind};
use limbeck_nn::{Network, weights::grow_classes};
use limbeck_report::{ContinualResults, FINE_TUNING, JOINT, render_continual};
use sha2::{Digest, Sha256};

use crate::{
    TrainError,
    evaluate::EvaluationSet,
    experiment::{Plan, Stock, check_images},
    files,
    job::{Finished, Job, JobEnd},
    model_source,
    observer::Observer,
    recipe::{Choose, MethodRecipe, Recipe, SideBySide},
    run_folder::RunFolder,
    run_teacher::RunTeacher,
    step::Learner,
};

/// Name of the file that says what was found.
pub(crate) const RESULTS: &str = "continual.json";

/// Factor of the learning rate in all steps but the first where nothing is said: SATS' code, MiB.
const LATER_RATE: f64 = 0.1;

/// How a sequence ended.
pub enum ContinualEnd {
    /// All steps are done.
    Finished(Box<ContinualResults>),
    /// Stopped after a checkpoint.
    Interrupted,
}

/// A sequence of steps that has been checked.
pub struct Continual {
    /// As it was asked for, with whatever was left open filled in.
    pub recipe: Recipe,
    /// All classes at once.
    pub joint: Plan,
    split: TaskSplit,
    /// One for each step.
    steps: Vec<Plan>,
}

impl Continual {
    /// Whether `recipe` asks for a sequence of steps.
    pub fn is_asked_for(recipe: &Recipe) -> bool {
        recipe.task.continual.is_some()
    }

    /// Opens the data and fits the method to the first two steps, without training anything.
    ///
    /// # Errors
    /// A split that does not fit the classes, a method that does not fit the networks, and whatever is
    /// wrong with the recipe.
    pub fn new(recipe: Recipe) -> Result<Self, TrainError> {
        let refuse = |reason: &str| Err(TrainError::Setting(reason.to_owned()));
        let Some(text) = recipe.task.continual.clone() else {
            return refuse(
                "task.continual says into which steps the classes are split, such as 15-1",
            );
        };
        if recipe.teacher.source.is_some() {
            return refuse(
                "the teacher of each step is the network of the step before; leave the teacher out",
            );
        }
        if recipe.task.class_weights.is_some() {
            return refuse(
                "task.class_weights are for all classes, which the first steps do not have; leave \
                 them out",
            );
        }
        if matches!(recipe.train.side_by_side, SideBySide::Count(count) if count > 1) {
            return refuse(
                "steps follow each other, one training at a time; leave train.side_by_side \
                 (--side-by-side) out",
            );
        }
        let method = recipe.method.clone();
        let mut alone = recipe;
        let (images, rate) = (alone.task.setting.take(), alone.task.later_rate.take());
        alone.task.continual = None;
        alone.method = MethodRecipe {
            name: BASELINE.to_owned(),
            ..MethodRecipe::default()
        };
        let baseline = std::mem::take(&mut alone.train.baseline);
        // An epoch that is best on the classes of a step alone is one that has forgotten the others.
        alone.train.choose.get_or_insert(Choose::Last);
        let joint = Plan::new(alone)?;
        if joint.task != TaskKind::Segmentation {
            return refuse("classes are learnt in steps from masks alone; name data with masks");
        }
        limbeck_methods::check_data(&method.name, &method.values(), joint.task, true)?;
        let split = TaskSplit::parse(&text, &joint.classes).map_err(setting)?;
        let mut recipe = joint.recipe.clone();
        recipe.task.continual = Some(text);
        recipe.task.setting = images;
        recipe.task.later_rate = rate;
        recipe.method = method;
        recipe.train.baseline = baseline;
        let steps = step_plans(&joint, &split, &recipe)?;
        let sequence = Self {
            recipe,
            joint,
            split,
            steps,
        };
        sequence.check_method()?;
        Ok(sequence)
    }

    /// What is to be done, a line each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.joint.notes.clone();
        for (number, (plan, own)) in self.steps.iter().zip(self.split.steps()).enumerate() {
            let names = self.joint.classes.get(own.clone()).unwrap_or_default();
            notes.push(format!(
                "step {number}: {} ({} images)",
                names.join(", "),
                plan.dataset.train.len()
            ));
        }
        notes
    }

    /// Builds the method between the networks of the first two steps, and refuses one that compares
    /// logits of which the teacher's are fewer.
    fn check_method(&self) -> Result<(), TrainError> {
        let method = &self.recipe.method.name;
        let seed = self.recipe.train.seed;
        let [first, second, ..] = self.steps.as_slice() else {
            return Ok(());
        };
        let teacher = first.student(seed)?;
        let student = grown(&teacher, second, seed)?;
        // What it reads is asked of it between networks of the same classes, which it cannot refuse.
        let (procedure, _) = self.cast(second, student.clone(), seed, Some(&student))?;
        if !procedure.questions().logits {
            self.cast(second, student, seed, Some(&teacher))?;
            return Ok(());
        }
        let entries = limbeck_methods::entries(method)?;
        let weight = match entries.iter().all(|entry| entry.group == Group::Features) {
            true => ", or this one with the weight of its logits' term at 0, where it has one",
            false => "",
        };
        Err(TrainError::Setting(format!(
            "method `{method}` compares all classes of student and teacher, and the network of the \
             step before, which teaches here, does not have the new ones; methods that fit: {}{weight}",
            fitting(second, &student, seed, &teacher)?.join(", ")
        )))
    }

    /// The recipe's method for `student`, and everybody that it trains.
    fn cast(
        &self,
        plan: &Plan,
        student: Network,
        seed: u64,
        teacher: Option<&Network>,
    ) -> Result<(Box<dyn limbeck_methods::Procedure>, limbeck_methods::Cast), TrainError> {
        let method = &self.recipe.method;
        let mut probe = plan.probe(&student, seed, teacher)?;
        probe.pairs.clone_from(&method.pairs);
        Ok(limbeck_methods::cast(
            &method.name,
            &method.values(),
            &probe,
            student,
        )?)
    }

    /// Trains all sequences, and measures after each step. In the folder of an earlier one it goes on
    /// where that was.
    ///
    /// # Errors
    /// Whatever goes wrong; checkpoints written so far are whole.
    pub fn execute(
        &self,
        folder: &RunFolder,
        observer: &mut dyn Observer,
        interrupt: &AtomicBool,
    ) -> Result<ContinualEnd, TrainError> {
        for note in self.notes() {
            observer.note(&note);
        }
        for warning in &self.joint.warnings {
            observer.warn(warning);
        }
        folder.recognise_data(&self.joint.dataset, &self.joint.data_fingerprint)?;
        if !check_images(self.joint.dataset.parts(), observer, interrupt)? {
            return Ok(ContinualEnd::Interrupted);
        }
        let run = Run {
            it: self,
            folder,
            interrupt,
        };
        run.perform(observer)
    }
}

/// What the steps in the folder `path` have found so far; `None` where classes are not learnt in steps
/// there, or no step is done.
///
/// # Errors
/// A file that cannot be read, or is damaged.
pub fn results_of(path: &Path) -> Result<Option<ContinualResults>, TrainError> {
    let file = path.join(RESULTS);
    if !file.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(&file).map_err(TrainError::io(&file))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| TrainError::RunFolder {
            path: path.to_owned(),
            reason: format!(
                "`{RESULTS}` is damaged: {error}; write it again: limbeck resume {}",
                path.display()
            ),
        })
}

/// A step's plan for each step: its images, and a network with the classes so far.
fn step_plans(joint: &Plan, split: &TaskSplit, recipe: &Recipe) -> Result<Vec<Plan>, TrainError> {
    let whole = &joint.dataset;
    let shown = ShownClasses::of(&whole.train)?;
    let images = recipe.task.setting.unwrap_or_default();
    let mut plans = Vec::new();
    for (step, own) in split.steps().iter().enumerate() {
        let train = split
            .training(&whole.train, &shown, step, images)
            .map_err(setting)?;
        let measured = |part: &Part| split.measured(part, step);
        let dataset = Dataset {
            domains: None,
            name: whole.name.clone(),
            labelling: whole.labelling,
            classes: train.source.classes().to_vec(),
            shape: whole.shape,
            fingerprint: step_fingerprint(joint, recipe, step),
            train,
            validation: measured(&whole.validation),
            test: measured(&whole.test),
            notes: Vec::new(),
        };
        let mut own_recipe = joint.recipe.clone();
        if own.start > 0 {
            own_recipe.optimizer.learning_rate *= recipe.task.later_rate.unwrap_or(LATER_RATE);
        }
        let mut stock = Stock::new().with_data(dataset);
        plans.push(Plan::of(own_recipe, &mut stock)?);
    }
    Ok(plans)
}

/// Changes with the images that a step learns from.
fn step_fingerprint(joint: &Plan, recipe: &Recipe, step: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(&joint.data_fingerprint);
    hash.update(recipe.task.continual.as_deref().unwrap_or_default());
    hash.update([u8::from(
        recipe.task.setting == Some(ContinualSetting::Disjoint),
    )]);
    hash.update((step as u64).to_le_bytes());
    model_source::hex(&hash.finalize())
}

fn setting(error: SplitError) -> TrainError {
    TrainError::Setting(error.to_string())
}

/// The student of a step, which begins as `before`.
fn grown(before: &Network, plan: &Plan, seed: u64) -> Result<Network, TrainError> {
    let mut network = plan.student(seed)?;
    let classes = [before.input().classes, network.input().classes];
    grow_classes(&before.store, &mut network.store, classes).map_err(|unfit| {
        TrainError::Setting(format!(
            "`{}` cannot learn further classes: {} do not grow with them",
            network.name(),
            unfit.join(", ")
        ))
    })?;
    Ok(network)
}

/// Methods that learn from `teacher`, which has fewer classes, as long as their settings are the
/// defaults.
///
/// # Errors
/// As [`Plan::probe`].
fn fitting(
    plan: &Plan,
    student: &Network,
    seed: u64,
    teacher: &Network,
) -> Result<Vec<&'static str>, TrainError> {
    let probe = plan.probe(student, seed, Some(teacher))?;
    let fits = |entry: &&limbeck_methods::MethodEntry| {
        let serves = entry.needs_teacher && entry.tasks.contains(&TaskKind::Segmentation);
        serves
            && limbeck_methods::cast(entry.id, &BTreeMap::new(), &probe, student.clone())
                .is_ok_and(|(procedure, _)| !procedure.questions().logits)
    };
    let entries = limbeck_methods::METHODS.iter().filter(fits);
    Ok(entries.map(|entry| entry.id).collect())
}

struct Run<'a> {
    it: &'a Continual,
    folder: &'a RunFolder,
    interrupt: &'a AtomicBool,
}

/// A network that a step has given, with what identifies its numbers.
struct Taught {
    network: Network,
    identity: String,
}

impl Run<'_> {
    fn perform(&self, observer: &mut dyn Observer) -> Result<ContinualEnd, TrainError> {
        let recipe = &self.it.recipe;
        let mut results = self.nothing_yet()?;
        let method = recipe.method.name.as_str();
        let mut deployed = None;
        for seed in (recipe.train.seed..).take(recipe.train.seeds) {
            let mut names = vec![method];
            if recipe.train.baseline && method != BASELINE {
                names.push(FINE_TUNING);
            }
            for name in names {
                let sequence = self.sequence(name, seed, &mut results, observer)?;
                let Some(last) = sequence else {
                    return Ok(ContinualEnd::Interrupted);
                };
                if name == method {
                    deployed.get_or_insert(last);
                }
            }
            if recipe.train.baseline && !self.joint(seed, &mut results, observer)? {
                return Ok(ContinualEnd::Interrupted);
            }
        }
        if let Some(network) = deployed {
            let plan = &self.it.joint;
            let facts = model_source::segmentation_facts(&plan.recipe, plan.task);
            self.folder
                .deploy(&network, &plan.augment, facts, &plan.classes)?;
        }
        Ok(ContinualEnd::Finished(Box::new(results)))
    }

    /// Results without a step.
    fn nothing_yet(&self) -> Result<ContinualResults, TrainError> {
        let (it, recipe) = (self.it, &self.it.recipe);
        let steps = it.split.steps();
        let setting = match recipe.task.setting.unwrap_or_default() {
            ContinualSetting::Overlapped => "overlapped",
            ContinualSetting::Disjoint => "disjoint",
        };
        Ok(ContinualResults {
            run: self.folder.name(),
            data: it.joint.dataset.name.clone(),
            student: recipe.student.model.clone(),
            command: format!(
                "limbeck distill --recipe {}/recipe.toml",
                self.folder.path().display()
            ),
            recipe: recipe.to_toml()?,
            split: recipe.task.continual.clone().unwrap_or_default(),
            setting: setting.to_owned(),
            method: recipe.method.name.clone(),
            classes: it.joint.classes.clone(),
            begins: (steps.iter().map(|step| step.start))
                .chain(steps.last().map(|step| step.end))
                .collect(),
            sequences: Vec::new(),
        })
    }

    /// All steps, one after the other; `None` if interrupted, else the last network.
    fn sequence(
        &self,
        name: &str,
        seed: u64,
        results: &mut ContinualResults,
        observer: &mut dyn Observer,
    ) -> Result<Option<Network>, TrainError> {
        let mut before: Option<Taught> = None;
        let count = self.it.steps.len();
        for (step, plan) in self.it.steps.iter().enumerate() {
            // The first step has nothing to forget and is common to all sequences.
            let job = match step {
                0 => format!("step-0-seed-{seed}"),
                _ => format!("{name}-step-{step}-seed-{seed}"),
            };
            let (learner, told, teacher) = match &before {
                None => (
                    self.alone(plan, plan.student(seed)?, seed)?,
                    String::new(),
                    None,
                ),
                Some(taught) => {
                    let student = grown(&taught.network, plan, seed)?;
                    let (learner, told) = self.later(name, plan, student, seed, taught)?;
                    let normalisation = &plan.normalisation;
                    let teacher = (name != FINE_TUNING && name != BASELINE).then(|| {
                        RunTeacher::trained(
                            taught.network.clone(),
                            normalisation.clone(),
                            normalisation,
                            taught.identity.clone(),
                        )
                    });
                    (learner, told, teacher)
                }
            };
            observer.job(&job, step + 1, count, learner.epochs());
            let finished =
                self.train(&job, seed, plan, &told, learner, teacher.as_ref(), observer)?;
            let Some(finished) = finished else {
                return Ok(None);
            };
            let (measured, _) = plan
                .evaluation_set(Section::Test)?
                .measure(&finished.network, None)?;
            results.add(name, seed, step, &measured.per_class);
            self.write(results)?;
            if let Some(line) = results.line(name, seed) {
                observer.note(&line);
            }
            before = Some(Taught {
                identity: model_source::sha256(&finished.weights)?,
                network: finished.network,
            });
        }
        Ok(before.map(|taught| taught.network))
    }

    /// All classes and images at once; false if interrupted.
    fn joint(
        &self,
        seed: u64,
        results: &mut ContinualResults,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        let plan = &self.it.joint;
        let name = format!("{JOINT}-seed-{seed}");
        let learner = self.alone(plan, plan.student(seed)?, seed)?;
        observer.job(&name, 1, 1, learner.epochs());
        let Some(finished) = self.train(&name, seed, plan, "", learner, None, observer)? else {
            return Ok(false);
        };
        let (measured, _) = plan
            .evaluation_set(Section::Test)?
            .measure(&finished.network, None)?;
        results.add(JOINT, seed, self.it.steps.len() - 1, &measured.per_class);
        self.write(results)?;
        if let Some(line) = results.line(JOINT, seed) {
            observer.note(&line);
        }
        Ok(true)
    }

    /// A learner from labels alone.
    fn alone(&self, plan: &Plan, student: Network, seed: u64) -> Result<Learner, TrainError> {
        let (procedure, cast) = plan.cast(student, seed, BASELINE, None)?;
        Learner::new(BASELINE, procedure, cast, plan.task()?, &plan.recipe)
    }

    /// The learner of a later step, and what tells it from others.
    fn later(
        &self,
        name: &str,
        plan: &Plan,
        student: Network,
        seed: u64,
        taught: &Taught,
    ) -> Result<(Learner, String), TrainError> {
        let before = &taught.identity;
        if name == FINE_TUNING || name == BASELINE {
            let learner = self.alone(plan, student, seed)?;
            return Ok((learner, format!("-{before}")));
        }
        let method = &self.it.recipe.method;
        let (procedure, cast) = self.it.cast(plan, student, seed, Some(&taught.network))?;
        let learner = Learner::new(&method.name, procedure, cast, plan.task()?, &plan.recipe)?;
        let mut hash = Sha256::new();
        hash.update(&method.name);
        hash.update(serde_json::to_string(&method.values()).unwrap_or_default());
        hash.update(format!("{:?}", method.pairs));
        Ok((
            learner,
            format!("-{before}-{}", model_source::hex(&hash.finalize())),
        ))
    }

    #[allow(clippy::too_many_arguments, reason = "a job has as many parts")]
    fn train(
        &self,
        name: &str,
        seed: u64,
        plan: &Plan,
        told: &str,
        learner: Learner,
        teacher: Option<&RunTeacher>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Finished>, TrainError> {
        let validation: EvaluationSet = plan.evaluation_set(Section::Validation)?;
        let fingerprint = format!("{}{told}", plan.fingerprint()?);
        let job = plan.job(
            name,
            seed,
            self.folder,
            &fingerprint,
            &validation,
            self.interrupt,
        )?;
        let job = Job {
            teacher: teacher.and_then(RunTeacher::outputs),
            ..job
        };
        match job.run(learner, observer)? {
            JobEnd::Finished(finished) => Ok(Some(*finished)),
            JobEnd::Interrupted => Ok(None),
        }
    }

    fn write(&self, results: &ContinualResults) -> Result<(), TrainError> {
        let path = self.folder.path().join(RESULTS);
        let text =
            serde_json::to_string_pretty(results).map_err(|error| TrainError::RunFolder {
                path: path.clone(),
                reason: format!("it cannot be written as JSON: {error}"),
            })?;
        files::write_whole(&path, text.as_bytes())?;
        files::write_whole(&self.folder.report(), render_continual(results).as_bytes())?;
        Ok(())
    }
}
