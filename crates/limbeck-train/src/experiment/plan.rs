//! Everything that can be checked before the first step.

use std::path::Path;

use burn::tensor::{DType, Device};
use limbeck_data::{Augment, Dataset, Loader, Normalisation, Part};
use limbeck_methods::{
    BASELINE, Cast, Classification, Classifier, Probe, Procedure, Section, Task, TrainingPart,
};
use limbeck_nn::{InputShape, Network, model};
use sha2::{Digest, Sha256};

use super::{
    TeacherPlan,
    cautions::{cautions, check_batch},
    data::{input_shape, open_data},
    questions::{check_questions, storable},
    teacher_plan::plan_teacher,
};
use crate::{
    TrainError, augmentation,
    cache::{FittedCache, cache_folder},
    evaluate::EvaluationSet,
    job::{Choice, loader_config},
    model_source,
    recipe::{MethodRecipe, Recipe, StudentRecipe},
};

/// A run that has been checked: data opened, networks built, the method fitted to them.
pub struct Plan {
    /// Resolved: whatever was left open is filled in.
    pub recipe: Recipe,
    /// The data.
    pub dataset: Dataset,
    /// The teacher.
    pub teacher: TeacherPlan,
    /// What the student sees.
    pub input: InputShape,
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
    pub fn new(mut recipe: Recipe) -> Result<Self, TrainError> {
        recipe.check()?;
        let dataset = open_data(&recipe)?;
        let mut notes = vec![format!(
            "data: {}, {} classes, {} to train, {} to validate, {} to test",
            dataset.name,
            dataset.classes.len(),
            dataset.train.len(),
            dataset.validation.len(),
            dataset.test.len()
        )];
        notes.extend(dataset.notes.iter().cloned());
        let choice = Choice::of(&recipe.train, dataset.validation.len());
        notes.push(format!("chosen: {}", choice.sentence()));
        let mut warnings = Vec::new();
        let cache = match recipe.teacher.source.as_deref().and_then(cache_folder) {
            None => None,
            Some(folder) => Some(FittedCache::open(&folder, &mut recipe)?),
        };
        let student = model::find(&recipe.student.model)?;
        let (augment, normalisation) = augmentation::settle(&mut recipe, &dataset, student.size)?;
        let input = input_shape(&augment, &dataset);
        if recipe.train.baseline && recipe.method.name == BASELINE {
            warnings.push(format!(
                "the method `{BASELINE}` is the baseline itself; no second one is trained"
            ));
        }
        let teacher = match cache {
            None => plan_teacher(
                &recipe,
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
                let (network, teacher) = cache.teacher(&dataset)?;
                TeacherPlan::Ready {
                    network: Box::new(network),
                    teacher: Box::new(teacher),
                    normalisation: normalisation.clone(),
                    sha256,
                }
            }
        };
        let mut plan = Self {
            recipe,
            dataset,
            teacher,
            input,
            teacher_augment: augment.clone(),
            augment,
            normalisation,
            pairs: Vec::new(),
            epochs: 0,
            storable: None,
            notes: Vec::new(),
            warnings: Vec::new(),
        };
        let (student, start) = plan.start(plan.recipe.train.seed)?;
        notes.extend(start);
        warnings.extend(cautions(&plan)?);
        check_batch(&plan, &student)?;
        if let TeacherPlan::Trained { network } = &plan.teacher {
            check_batch(&plan, network)?;
        }
        let trained = student.store.trained_count();
        let name = plan.recipe.method.name.clone();
        let (procedure, _) = plan.cast(student, plan.recipe.train.seed, &name, None)?;
        check_questions(&plan, procedure.as_ref())?;
        plan.check_loaders(procedure.as_ref())?;
        plan.enlarge(procedure.as_ref())?;
        let stages = procedure.stages(plan.recipe.train.epochs);
        let epochs: usize = stages.iter().map(|stage| stage.epochs).sum();
        if let Some(views) = plan.recipe.data.views.filter(|views| epochs > *views) {
            notes.push(format!(
                "views: {views} of each image in {epochs} epochs; epoch e, counted from 0, shows \
                 view e mod {views}"
            ));
        }
        plan.pairs = procedure.pairs();
        let stages = procedure.stages(plan.recipe.train.epochs);
        plan.epochs = stages.iter().map(|stage| stage.epochs).sum();
        plan.storable = storable(&plan, procedure.as_ref())?;
        for (student, teacher) in &plan.pairs {
            notes.push(format!("pair: student {student} with teacher {teacher}"));
        }
        if let Some(teacher) = plan.teacher_network()
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

    /// The student with the weights that it starts from under `seed`.
    ///
    /// # Errors
    /// A network that cannot be built, or weights that do not fit.
    pub fn student(&self, seed: u64) -> Result<Network, TrainError> {
        Ok(self.start(seed)?.0)
    }

    /// The same, with what the user should know of the weights that it starts from.
    fn start(&self, seed: u64) -> Result<(Network, Vec<String>), TrainError> {
        let mut network = build(&self.recipe.student.model, self.input, seed)?;
        let notes = match &self.recipe.student.weights {
            None => Vec::new(),
            Some(weights) => {
                let key = self.recipe.student.weights_key.as_deref();
                model_source::load_start(&mut network, Path::new(weights), key)?
            }
        };
        Ok((network, notes))
    }

    /// The teacher's network, trained or not.
    pub fn teacher_network(&self) -> Option<&Network> {
        match &self.teacher {
            TeacherPlan::None => None,
            TeacherPlan::Ready { network, .. } | TeacherPlan::Trained { network } => Some(network),
        }
    }

    /// The method called `name`, fitted to `student`, and everybody that it trains, drawn from
    /// `seed`. `teacher` is the network to learn from where it has been trained since the plan was
    /// made.
    ///
    /// # Errors
    /// A method that does not exist, settings out of range, or features that cannot be matched.
    pub fn cast(
        &self,
        student: Network,
        seed: u64,
        name: &str,
        teacher: Option<&Network>,
    ) -> Result<(Box<dyn Procedure>, Cast), TrainError> {
        let teacher = teacher.or(self.teacher_network());
        let train = &self.dataset.train;
        let probe = Probe {
            student: student.taps(),
            teacher: teacher.map(Network::taps),
            classes: self.input.classes,
            batch: self.recipe.data.batch.min(train.len()),
            pairs: match name {
                BASELINE => None,
                _ => self.recipe.method.pairs.clone(),
            },
            seed,
            device: student.store.device().clone(),
            dtype: student.store.dtype(),
            training: TrainingPart {
                labels: (0..train.len())
                    .filter_map(|position| train.class(position))
                    .map(|class| class as i64)
                    .collect(),
                normalisation: self.normalisation.clone(),
            },
            teacher_classifier: teacher.and_then(Classifier::of),
        };
        let settings = self.recipe.method.values();
        Ok(limbeck_methods::cast(name, &settings, &probe, student)?)
    }

    /// What is to be learnt from the data.
    pub fn task(&self) -> Box<dyn Task> {
        Box::new(Classification {
            label_smoothing: self.recipe.train.label_smoothing,
        })
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
        let wanted = self.input.resized(size);
        match &mut self.teacher {
            TeacherPlan::None => {}
            TeacherPlan::Trained { network } => {
                **network = build(network.name(), wanted, self.recipe.train.seed)?;
            }
            TeacherPlan::Ready { network, .. } => {
                let found = network.input();
                if [found.height, found.width] != [wanted.height, wanted.width] {
                    return Err(TrainError::Setting(format!(
                        "the method shows the teacher images of {}×{} pixels where the \
                         student sees {}×{}, and it takes {}×{}; set augment.size or the method's \
                         ratio accordingly",
                        wanted.height,
                        wanted.width,
                        self.input.height,
                        self.input.width,
                        found.height,
                        found.width
                    )));
                }
            }
        }
        Ok(())
    }

    /// The images of a part of the data as networks are measured on them.
    ///
    /// # Errors
    /// What the loader refuses.
    pub fn evaluation_set(&self, section: Section) -> Result<EvaluationSet, TrainError> {
        let workers = self.recipe.data.workers;
        let part = match section {
            Section::Train => &self.dataset.train,
            Section::Validation => &self.dataset.validation,
            Section::Test => &self.dataset.test,
        };
        let set = EvaluationSet::in_two_sizes(
            part.clone(),
            &self.augment,
            &self.teacher_augment,
            workers,
        )?;
        Ok(set.of(section))
    }

    /// Refuses stages whose images cannot be loaded as they want them.
    fn check_loaders(&self, procedure: &dyn Procedure) -> Result<(), TrainError> {
        let mut train = self.dataset.train.clone();
        let share = procedure.held_out();
        if share > 0.0 {
            train = train.apart(share, self.recipe.train.seed)?.0;
        }
        for stage in procedure.stages(self.recipe.train.epochs) {
            let seed = self.recipe.train.seed;
            let config = loader_config(&self.recipe, &train, seed, stage.images, 0);
            Loader::new(train.clone(), self.augment.clone(), true, config)?;
        }
        Ok(())
    }

    /// Changes with everything that decides the bits of a student: the recipe (threads and workers
    /// left out), the data and the teacher.
    ///
    /// # Errors
    /// A recipe that TOML cannot hold.
    pub fn fingerprint(&self) -> Result<String, TrainError> {
        self.fingerprint_of(&self.recipe)
    }

    /// The same for a baseline, in which the method has no part: runs by several methods may have
    /// it in common.
    ///
    /// # Errors
    /// A recipe that TOML cannot hold.
    pub fn fingerprint_of_baseline(&self) -> Result<String, TrainError> {
        let mut recipe = self.recipe.clone();
        recipe.method = MethodRecipe::default();
        self.fingerprint_of(&recipe)
    }

    /// The same for a teacher that is trained first, in which the student has no part either.
    ///
    /// # Errors
    /// A recipe that TOML cannot hold.
    pub fn fingerprint_of_teacher(&self) -> Result<String, TrainError> {
        let mut recipe = self.recipe.clone();
        recipe.method = MethodRecipe::default();
        recipe.student = StudentRecipe::default();
        self.fingerprint_of(&recipe)
    }

    fn fingerprint_of(&self, recipe: &Recipe) -> Result<String, TrainError> {
        let mut hash = Sha256::new();
        hash.update(recipe.fingerprint()?);
        hash.update(&self.dataset.fingerprint);
        for side in self.teacher_augment.size {
            hash.update(side.to_le_bytes());
        }
        if let TeacherPlan::Ready { sha256, .. } = &self.teacher {
            hash.update(sha256);
        }
        Ok(model_source::hex(&hash.finalize()))
    }

    /// The part of the data that is called `part`.
    pub fn test(&self) -> &Part {
        &self.dataset.test
    }
}

/// A network of the zoo on the CPU in single precision.
///
/// # Errors
/// An unknown name, or an input that the family does not take.
pub fn build(name: &str, input: InputShape, seed: u64) -> Result<Network, TrainError> {
    Ok(model::build(
        name,
        input,
        seed,
        &Device::flex(),
        DType::F32,
    )?)
}

/// Whether a part of the method called `name` reads a teacher.
///
/// # Errors
/// An unknown method.
pub fn needs_teacher(name: &str) -> Result<bool, TrainError> {
    let entries = limbeck_methods::entries(name)?;
    Ok(entries.iter().any(|entry| entry.needs_teacher))
}
