//! Everything that can be checked before the first step.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use limbeck_data::{Augment, Dataset, Labelling, Loader, Normalisation, Part};
use limbeck_methods::{Procedure, Task, TaskKind, detection::Anchors};
use limbeck_nn::InputShape;

use super::{
    box_content::check_boxes,
    cautions::{cautions, check_batch, check_units, check_weights},
    chosen_method::ChosenMethod,
    mask_content::{check_masks, padded_crops},
    questions::{check_questions, storable},
    run_length::{self, steps_of},
    stock::Stock,
    task::{blocks_of, check_classes, check_teacher, kind_of, task_of},
    upper_bound::UpperBound,
};
use crate::{
    TrainError, augmentation,
    blueprint::Blueprint,
    cache::{FittedCache, cache_folder},
    data::{data_fingerprint, input_shape},
    evaluate::EvaluationSet,
    job::{Choice, Job, loader_config, with_domains},
    label_space,
    recipe::{ChooseBy, Recipe},
    run_folder::RunFolder,
    run_teacher::RunTeacher,
};

/// Bytes that a method keeps between steps from which on it is said beforehand.
const MUCH_KEPT: usize = 200_000_000;

/// A run that has been checked: data opened, networks built, the method fitted to them.
pub struct Plan {
    /// Resolved: whatever was left open is filled in.
    pub recipe: Recipe,
    /// What is learnt.
    pub task: TaskKind,
    /// The data.
    pub dataset: Arc<Dataset>,
    /// Whom the student learns from or is compared with; `None` where there is nobody.
    pub teacher: Option<RunTeacher>,
    /// How the student is built.
    pub blueprint: Blueprint,
    /// How it learns.
    pub(crate) method: ChosenMethod,
    /// Names of the classes that are learnt: those of the data, or of the teacher where images have
    /// no labels.
    pub classes: Vec<String>,
    /// What the student sees.
    pub input: InputShape,
    /// The anchors of all detectors of the run; `None` where there are none.
    pub anchors: Option<Anchors>,
    /// What is done to images.
    pub augment: Augment,
    /// The same of those that the teacher sees, which some methods show it in a larger size.
    pub teacher_augment: Augment,
    /// How images are normalised.
    pub normalisation: Normalisation,
    /// Layer pairs that the method compares.
    pub pairs: Vec<(String, String)>,
    /// Epochs of each student, of all its stages together.
    pub epochs: usize,
    /// Taps of the teacher that the method reads besides the logits; `None` where there is no
    /// teacher, or it has to be asked itself.
    pub storable: Option<Vec<String>>,
    /// Hash of the images to learn from and to choose by.
    pub data_fingerprint: String,
    /// Number of the block that each test image belongs to, over which intervals are taken; `None`
    /// where every image stands for itself.
    pub blocks: Option<Vec<usize>>,
    /// The student trained on the labels of the domain that the run adapts to; `None` where it is not.
    pub(crate) upper_bound: Option<UpperBound>,
    /// Whether the memory that its steps need is told before it trains.
    pub foretells_memory: bool,
    /// Facts for the user, a line each.
    pub notes: Vec<String>,
    /// Things that look wrong, a line each.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Opens the data, builds the networks and fits the method, without training anything.
    ///
    /// # Errors
    /// Whatever is wrong with recipe, data, teacher or method.
    pub fn new(recipe: Recipe) -> Result<Self, TrainError> {
        Self::of(recipe, &mut Stock::new())
    }

    /// The same with what is in `stock` already: what other plans have opened, or one's own.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn of(mut recipe: Recipe, stock: &mut Stock) -> Result<Self, TrainError> {
        stock.name(&mut recipe);
        match stock.has_method() {
            true => recipe.check_but_method()?,
            false => recipe.check()?,
        }
        if recipe.task.continual.is_some() {
            return Err(TrainError::Setting(
                "task.continual makes a sequence of trainings of one: `limbeck distill` with --tasks \
                 goes through it, no other command"
                    .to_owned(),
            ));
        }
        let method = stock.method(&recipe)?;
        let dataset = stock.dataset(&recipe)?;
        let labelled = dataset.labelling != Labelling::None;
        let blueprint = stock.student(&recipe)?;
        let kind = kind_of(&recipe, &dataset, &blueprint, &method)?;
        method.check(&recipe.method.name, &recipe.method.values(), kind, labelled)?;
        // What is pre-trained has no classes that labels, or a teacher's, could be compared with.
        let pretrains = kind == TaskKind::Pretraining;
        if pretrains && recipe.student.quantise.is_some() {
            return Err(TrainError::Setting(
                "what is pre-trained keeps full precision: leave student.quantise (--quantise) out, and \
                 give it where the network is trained for its task"
                    .to_owned(),
            ));
        }
        if !labelled && !pretrains {
            check_without_labels(&recipe, &dataset)?;
        }
        let classes = match dataset.classes.len() {
            0 => String::new(),
            classes => format!("{classes} classes, "),
        };
        let shots = recipe.data.shots;
        let learnt_from = of_shots(&dataset.train, shots, recipe.train.seed)?.len();
        let iterations = recipe.train.iterations;
        if let Some(iterations) = iterations {
            let steps = steps_of(learnt_from, recipe.data.batch);
            recipe.train.epochs = iterations.div_ceil(steps);
        }
        let mut notes = vec![format!(
            "data: {}, {classes}{} to train, {} to validate, {} to test",
            dataset.name,
            learnt_from,
            dataset.validation.len(),
            dataset.test.len()
        )];
        if let Some(shots) = shots {
            notes.push(format!(
                "shots: {shots} of each class, of {} images, drawn anew for each seed",
                dataset.train.len()
            ));
        }
        notes.extend(dataset.notes.iter().cloned());
        if let Some(iterations) = iterations {
            notes.push(format!(
                "train.iterations: {iterations} steps are {} epochs",
                recipe.train.epochs
            ));
        }
        let steps = steps_of(learnt_from, recipe.data.batch) * recipe.train.epochs;
        let found = dataset.classes.len();
        notes.extend(run_length::settle(&mut recipe, kind, steps, found)?);
        let choice = Choice::of(&recipe, dataset.validation.len(), kind);
        notes.push(format!("chosen: {}", choice.sentence()));
        let mut warnings = Vec::new();
        check_masks(&dataset, &mut warnings)?;
        check_boxes(&dataset, &mut warnings)?;
        let cache = match recipe.teacher.source.as_deref().and_then(cache_folder) {
            None => None,
            Some(folder) => Some(FittedCache::open(&folder, &mut recipe)?),
        };
        let (augment, normalisation) =
            augmentation::settle(&mut recipe, &dataset, blueprint.size(), kind)?;
        notes.extend(padded_crops(&dataset, &augment));
        let mut input = input_shape(&augment, &dataset);
        if pretrains {
            input = input.headless();
        }
        let any_classes = method.takes_any_classes();
        let mut teacher = match cache {
            None => stock.teacher(
                &recipe,
                kind,
                input,
                &normalisation,
                &dataset,
                &mut notes,
                &mut warnings,
            )?,
            Some(cache) => {
                cache.check(&recipe, &dataset, &augment)?;
                notes.push(cache.note(&recipe));
                let sha256 = cache.sha256();
                let names = cache.manifest().teacher.classes.clone();
                let answers = cache.answers(&dataset)?;
                let source = recipe.teacher.source.clone().unwrap_or_default();
                let (network, stored) = cache.teacher(&dataset)?;
                let stored = Arc::new(stored);
                let own = normalisation.clone();
                let teacher = RunTeacher::answering(network, own, stored, sha256);
                let teacher = teacher.with_classes(Some(names)).with_answers(answers);
                if labelled && !any_classes && !pretrains {
                    warnings.extend(check_classes(&source, &teacher, &dataset)?);
                }
                Some(teacher)
            }
        };
        let data_fingerprint = match stock.owns_data() {
            true => dataset.fingerprint.clone(),
            false => data_fingerprint(&dataset),
        };
        let classes = match (&teacher, dataset.labelling) {
            _ if pretrains => Vec::new(),
            (Some(teacher), Labelling::None) => teacher.classes(),
            _ => dataset.classes.clone(),
        };
        input.classes = classes.len();
        if let Some(found) = &teacher {
            let network = found.network();
            if !(any_classes && found.is_trained()) {
                check_teacher(network.name(), network.task(), kind)?;
            }
            if any_classes && found.is_trained() && label_space::knows_others(found, &dataset) {
                notes.push(label_space::note(found, &dataset));
                teacher = teacher.map(RunTeacher::of_other_classes);
            }
        }
        task_of(&recipe, kind, &classes, None)?;
        let blocks = blocks_of(&recipe, kind, &dataset)?;
        let mut plan = Self {
            recipe,
            task: kind,
            dataset,
            teacher,
            blueprint,
            method,
            classes,
            input,
            anchors: None,
            teacher_augment: augment.clone(),
            augment,
            normalisation,
            pairs: Vec::new(),
            epochs: 0,
            storable: None,
            data_fingerprint,
            blocks,
            upper_bound: None,
            foretells_memory: true,
            notes: Vec::new(),
            warnings: Vec::new(),
        };
        plan.settle_anchors(&mut notes, &mut warnings)?;
        let (student, start) = plan.start(plan.recipe.train.seed)?;
        notes.extend(start);
        warnings.extend(cautions(&plan, &student)?);
        check_units(&plan.recipe, &student)?;
        check_batch(&plan, &student)?;
        if let Some(teacher) = plan
            .teacher
            .as_ref()
            .filter(|teacher| !teacher.is_trained())
        {
            check_batch(&plan, teacher.network())?;
        }
        let trained = student.store.trained_count();
        let name = plan.recipe.method.name.clone();
        if plan.recipe.train.baseline && !plan.has_baseline()? {
            warnings.push(format!(
                "the method `{name}` is the baseline itself; no second one is trained"
            ));
        }
        let (procedure, _) = plan.cast(student, plan.recipe.train.seed, &name, None)?;
        if plan.dataset.labelling == Labelling::None && !pretrains {
            notes.push(format!(
                "the images have no labels: the loss is that of `{name}` without its part that \
                 learns from labels"
            ));
        }
        check_questions(&plan, procedure.as_ref())?;
        check_weights(&plan, procedure.as_ref())?;
        plan.check_loaders(procedure.as_ref())?;
        plan.enlarge(procedure.as_ref())?;
        plan.settle_upper_bound(&mut notes)?;
        plan.check_side_by_side()?;
        let stages = procedure.stages(plan.recipe.train.epochs);
        let epochs: usize = stages.iter().map(|stage| stage.epochs).sum();
        if let Some(views) = plan.recipe.data.views.filter(|views| epochs > *views) {
            notes.push(format!(
                "views: {views} of each image in {epochs} epochs; epoch e, counted from 0, shows \
                 view e mod {views}"
            ));
        }
        let kept = procedure.state();
        let numbers: usize = kept
            .values()
            .map(|(shape, _)| shape.iter().product::<usize>())
            .sum();
        if numbers * 4 >= MUCH_KEPT {
            warnings.push(format!(
                "method `{name}` keeps {} MB between the steps, and writes them with each checkpoint; \
                 its settings say how much it remembers (limbeck methods {name})",
                numbers * 4 / 1_000_000
            ));
        }
        drop(kept);
        plan.pairs = procedure.pairs();
        plan.epochs = epochs;
        plan.storable = storable(&plan, procedure.as_ref())?;
        notes.extend(procedure.notes());
        for (student, teacher) in &plan.pairs {
            notes.push(format!("pair: student {student} with teacher {teacher}"));
        }
        if let Some(teacher) = plan.teacher.as_ref().map(RunTeacher::network)
            && plan.recipe.student.quantise.is_none()
            && trained >= teacher.store.trained_count()
        {
            warnings.push(format!(
                "the student `{}` is not smaller than the teacher `{}`",
                plan.recipe.student.model,
                teacher.name()
            ));
        }
        plan.notes = notes;
        plan.warnings = warnings;
        Ok(plan)
    }

    /// Whether the teacher is a cache, whose network has shapes alone.
    pub(super) fn learns_from_cache(&self) -> bool {
        let source = self.recipe.teacher.source.as_deref();
        source.and_then(cache_folder).is_some()
    }

    /// What is to be learnt from the data.
    ///
    /// # Errors
    /// Class weights that do not go with the classes.
    pub fn task(&self) -> Result<Box<dyn Task>, TrainError> {
        task_of(
            &self.recipe,
            self.task,
            &self.classes,
            self.anchors.as_ref(),
        )
    }

    /// Gives the teacher the size of the images that the method shows it: one that is trained
    /// first is built anew, one that is there has to take them.
    fn enlarge(&mut self, procedure: &dyn Procedure) -> Result<(), TrainError> {
        let stages = procedure.stages(self.recipe.train.epochs);
        let sizes = stages
            .iter()
            .map(|stage| stage.images.largest(self.augment.size));
        let size = sizes.max().unwrap_or(self.augment.size);
        if size == self.augment.size {
            return Ok(());
        }
        self.teacher_augment = self.augment.resized(size);
        if let Some(teacher) = &mut self.teacher {
            let wanted = self.input.resized(size);
            *teacher = teacher.resized(wanted, self.recipe.train.seed)?;
        }
        Ok(())
    }

    /// Refuses stages whose images cannot be loaded as they want them.
    fn check_loaders(&self, procedure: &dyn Procedure) -> Result<(), TrainError> {
        let mut train = self.train(self.recipe.train.seed)?;
        let share = procedure.held_out();
        if share > 0.0 {
            train = train.apart(share, self.recipe.train.seed)?.0;
        }
        for stage in procedure.stages(self.recipe.train.epochs) {
            let seed = self.recipe.train.seed;
            let config = loader_config(&self.recipe, &train, seed, stage.images, 0);
            let loader = Loader::new(train.clone(), self.augment.clone(), true, config)?;
            with_domains(loader, stage.images, self.dataset.domains.as_ref())?;
        }
        Ok(())
    }

    /// The images that the training of `seed` learns from.
    ///
    /// # Errors
    /// A class of which there are fewer images than shots.
    pub(crate) fn train(&self, seed: u64) -> Result<Part, TrainError> {
        let all = &self.dataset.train;
        of_shots(all, self.recipe.data.shots, seed)
    }

    /// The images that the results are measured on.
    pub fn test(&self) -> &Part {
        &self.dataset.test
    }

    /// The training called `name` in `folder`, from labels alone.
    ///
    /// # Errors
    /// As [`Plan::train`].
    pub(crate) fn job<'a>(
        &'a self,
        name: &str,
        seed: u64,
        folder: &RunFolder,
        fingerprint: &'a str,
        validation: &'a EvaluationSet,
        interrupt: &'a AtomicBool,
    ) -> Result<Job<'a>, TrainError> {
        Ok(Job {
            name: name.to_owned(),
            seed,
            folder: folder.job(name),
            recipe: &self.recipe,
            fingerprint,
            train: self.train(seed)?,
            domains: self.dataset.domains.as_ref(),
            augment: &self.augment,
            validation,
            validation_answers: None,
            shown: &self.dataset.test,
            teacher: None,
            classes: &self.classes,
            interrupt,
        })
    }
}

/// `shots` images of each class of `train`, drawn by `seed`; all where there is no such number.
fn of_shots(train: &Part, shots: Option<usize>, seed: u64) -> Result<Part, TrainError> {
    Ok(match shots {
        Some(shots) => train.shots(shots, seed)?,
        None => train.clone(),
    })
}

/// Refuses what a run asks of labels besides its method, where images have none.
fn check_without_labels(recipe: &Recipe, dataset: &Dataset) -> Result<(), TrainError> {
    if recipe.train.baseline {
        return Err(TrainError::Setting(format!(
            "a baseline learns from labels alone, and the images of {} have none; leave --baseline \
             (train.baseline) out",
            dataset.name
        )));
    }
    if recipe.train.choose_by == ChooseBy::Recall {
        return Err(TrainError::Setting(format!(
            "recall compares images of the same class, and the images of {} have no labels; leave \
             train.choose_by out: epochs are chosen by agreement with the teacher",
            dataset.name
        )));
    }
    Ok(())
}
