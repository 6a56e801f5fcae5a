//! What plans are made of, opened once however many want it: data sets, trained teachers, and what
//! the caller has of his own where a recipe's words would name it.

use std::sync::Arc;

use limbeck_data::{Augment, Dataset, Labelling, Normalisation};
use limbeck_methods::{OwnCriterion, TaskKind};
use limbeck_nn::{InputShape, Network};

use super::chosen_method::ChosenMethod;
use crate::{
    TrainError,
    blueprint::Blueprint,
    data::{open_data, reduce, wanted_labels},
    named_model::ModelSource,
    recipe::{DataRecipe, Recipe, TeacherRecipe},
    run_teacher::RunTeacher,
    teacher_file::load_teacher,
};

/// What plans are made of. An empty one opens what the recipes name; one's own data, student and
/// teacher take the place of theirs.
#[derive(Debug, Default)]
pub struct Stock {
    dataset: Option<Arc<Dataset>>,
    student: Option<Blueprint>,
    teacher: Option<OwnTeacher>,
    method: Option<OwnCriterion>,
    /// By what the recipe says of them, and the labels that are wanted of them.
    datasets: Vec<(DataRecipe, Option<Labelling>, Arc<Dataset>)>,
    teachers: Vec<Loaded>,
}

/// A teacher of one's own.
#[derive(Clone, Debug)]
pub enum OwnTeacher {
    /// It is there.
    Trained {
        /// With its numbers.
        network: Box<Network>,
        /// The normalisation that it was trained with.
        normalisation: Normalisation,
        /// Changes with its numbers: a checkpoint is refused where this has changed.
        identity: String,
    },
    /// It is trained first, on the same data.
    Untrained(Blueprint),
}

/// A teacher from a file, by what it was loaded for.
#[derive(Debug)]
struct Loaded {
    recipe: TeacherRecipe,
    augment: Augment,
    dataset: Arc<Dataset>,
    /// Whether its classes have to be those of the data.
    compared: bool,
    teacher: RunTeacher,
    notes: Vec<String>,
    warnings: Vec<String>,
}

impl Stock {
    /// One that opens what the recipes name.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a data set of one's own. Its `fingerprint` changes with its images: a checkpoint is
    /// refused where that has changed.
    #[must_use]
    pub fn with_data(mut self, dataset: Dataset) -> Self {
        self.dataset = Some(Arc::new(dataset));
        self
    }

    /// With a student of one's own.
    #[must_use]
    pub fn with_student(mut self, student: Blueprint) -> Self {
        self.student = Some(student);
        self
    }

    /// With a teacher of one's own.
    #[must_use]
    pub fn with_teacher(mut self, teacher: OwnTeacher) -> Self {
        self.teacher = Some(teacher);
        self
    }

    /// With a method of one's own.
    #[must_use]
    pub fn with_method(mut self, method: OwnCriterion) -> Self {
        self.method = Some(method);
        self
    }

    /// Whether the data is the caller's own, whose `fingerprint` is his.
    pub(super) fn owns_data(&self) -> bool {
        self.dataset.is_some()
    }

    /// Writes into `recipe` the names of what is not its own, so that it passes its checks and says
    /// what was done.
    pub(super) fn name(&self, recipe: &mut Recipe) {
        if let Some(dataset) = &self.dataset {
            recipe.data.path.clone_from(&dataset.name);
        }
        if let Some(student) = &self.student {
            student.name().clone_into(&mut recipe.student.model);
        }
        if let Some(method) = &self.method {
            method.name().clone_into(&mut recipe.method.name);
        }
    }

    /// Whether there is a method of one's own.
    pub(super) fn has_method(&self) -> bool {
        self.method.is_some()
    }

    /// The method of `recipe`.
    ///
    /// # Errors
    /// An unknown method.
    pub(super) fn method(&self, recipe: &Recipe) -> Result<ChosenMethod, TrainError> {
        match &self.method {
            Some(own) => Ok(ChosenMethod::own(own.clone())),
            None => ChosenMethod::of_catalogue(&recipe.method.name),
        }
    }

    /// The data of `recipe`.
    ///
    /// # Errors
    /// Data that cannot be read or split.
    pub(super) fn dataset(&mut self, recipe: &Recipe) -> Result<Arc<Dataset>, TrainError> {
        let (data, wanted) = (&recipe.data, wanted_labels(recipe));
        if let Some(own) = &self.dataset {
            let Some(scale) = data.scale else {
                return Ok(Arc::clone(own));
            };
            let mut reduced = own.as_ref().clone();
            reduce(&mut reduced, scale)?;
            return Ok(Arc::new(reduced));
        }
        let parts = |of: &DataRecipe| {
            let path = of.path.clone();
            let target = of.target.clone();
            (
                path,
                of.split_seed,
                of.validation,
                of.limit,
                of.scale,
                target,
            )
        };
        let found = self.datasets.iter();
        let mut found =
            found.filter(|(opened, labels, _)| parts(opened) == parts(data) && *labels == wanted);
        if let Some((.., dataset)) = found.next() {
            return Ok(Arc::clone(dataset));
        }
        let dataset = Arc::new(open_data(recipe)?);
        self.datasets
            .push((data.clone(), wanted, Arc::clone(&dataset)));
        Ok(dataset)
    }

    /// The student of `recipe`.
    ///
    /// # Errors
    /// An unknown model; a backbone's file that cannot be read.
    pub(super) fn student(&self, recipe: &Recipe) -> Result<Blueprint, TrainError> {
        let blueprint = match &self.student {
            Some(own) => own.clone(),
            None => Blueprint::of_zoo(&recipe.student.model)?,
        };
        match &recipe.student.backbone {
            Some(source) => blueprint.with_backbone(source, recipe.student.weights_key.as_deref()),
            None => Ok(blueprint),
        }
    }

    /// The teacher of `recipe`, which is settled, other than stored outputs, for images of `input`
    /// from `dataset` normalised by `normalisation`; `None` where there is none. One of the zoo is
    /// trained only where the method reads a teacher.
    ///
    /// # Errors
    /// A name that is neither a file nor a model, a file that is damaged, or a network for other
    /// images or classes than the data's.
    #[allow(
        clippy::too_many_arguments,
        reason = "what a teacher is for, and what is told of it"
    )]
    pub(super) fn teacher(
        &mut self,
        recipe: &Recipe,
        kind: TaskKind,
        input: InputShape,
        normalisation: &Normalisation,
        dataset: &Arc<Dataset>,
        notes: &mut Vec<String>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<RunTeacher>, TrainError> {
        let method = self.method(recipe)?;
        let needed = method.needs_teacher();
        let pretrains = kind == TaskKind::Pretraining;
        let labelled = dataset.labelling != Labelling::None;
        // Whether its classes have to be those of the data.
        let compared = labelled && !pretrains && !method.takes_any_classes();
        let teachable = labelled || pretrains;
        let untrained =
            |blueprint: Blueprint, notes: &mut Vec<String>, warnings: &mut Vec<String>| {
                if !teachable {
                    return Err(TrainError::ModelSource(format!(
                        "`{}` is a network without weights, and the images of {} have no labels to \
                     train it with; name a trained teacher: a run folder or a weights file",
                        blueprint.name(),
                        dataset.name
                    )));
                }
                if needed {
                    let blueprint = match &recipe.teacher.backbone {
                        Some(source) => blueprint
                            .with_backbone(source, recipe.teacher.weights_key.as_deref())?,
                        None => blueprint,
                    };
                    notes.extend(blueprint.start(input)?);
                    let seed = recipe.train.seed;
                    return RunTeacher::untrained(blueprint, input, seed, normalisation).map(Some);
                }
                warnings.push(format!(
                "the method `{}` reads no teacher, so no `{}` is trained; name a trained one to \
                 see how far the student agrees with it",
                recipe.method.name,
                blueprint.name()
            ));
                Ok(None)
            };
        if let Some(own) = &self.teacher {
            return match own {
                OwnTeacher::Untrained(blueprint) => untrained(blueprint.clone(), notes, warnings),
                OwnTeacher::Trained { network, .. }
                    if compared && network.input().classes != input.classes =>
                {
                    Err(TrainError::ClassCount {
                        teacher: network.name().to_owned(),
                        teacher_classes: network.input().classes,
                        data_classes: input.classes,
                    })
                }
                OwnTeacher::Trained {
                    network,
                    normalisation: own,
                    identity,
                } => Ok(Some(RunTeacher::trained(
                    network.as_ref().clone(),
                    own.clone(),
                    normalisation,
                    identity.clone(),
                ))),
            };
        }
        let Some(source) = &recipe.teacher.source else {
            if teachable {
                return Ok(None);
            }
            return Err(TrainError::Setting(format!(
                "the images of {} have no labels, so there is nothing to learn without a teacher; \
                 name one with --teacher",
                dataset.name
            )));
        };
        let file = match ModelSource::recognise(source)? {
            ModelSource::Zoo(name) => {
                return untrained(Blueprint::of_zoo(&name)?, notes, warnings);
            }
            ModelSource::File(file) => file,
        };
        if let Some(backbone) = &recipe.teacher.backbone {
            return Err(TrainError::Setting(format!(
                "teacher.backbone is `{backbone}`, and the teacher `{source}` is trained already; \
                 leave the backbone out, or name a model of the zoo as the teacher"
            )));
        }
        let found = self.teachers.iter().position(|loaded| {
            loaded.recipe == recipe.teacher
                && loaded.compared == compared
                && loaded.augment == recipe.augment
                && Arc::ptr_eq(&loaded.dataset, dataset)
        });
        let place = match found {
            Some(place) => place,
            None => {
                let (mut said, mut warned) = (Vec::new(), Vec::new());
                self.teachers.push(Loaded {
                    teacher: load_teacher(
                        recipe,
                        &file,
                        input,
                        compared,
                        normalisation,
                        dataset,
                        &mut said,
                        &mut warned,
                    )?,
                    recipe: recipe.teacher.clone(),
                    compared,
                    augment: recipe.augment.clone(),
                    dataset: Arc::clone(dataset),
                    notes: said,
                    warnings: warned,
                });
                self.teachers.len() - 1
            }
        };
        let loaded = &self.teachers[place];
        notes.extend(loaded.notes.iter().cloned());
        warnings.extend(loaded.warnings.iter().cloned());
        Ok(Some(loaded.teacher.clone()))
    }
}
