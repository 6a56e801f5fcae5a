//! Where the teacher of a run comes from.

use std::path::Path;

use limbeck_data::{Dataset, Fit, Normalisation};
use limbeck_methods::Teacher;
use limbeck_nn::{InputShape, Network};

use super::plan::{build, needs_teacher};
use crate::{
    TrainError,
    model_source::{self, LoadedModel, ModelSource},
    recipe::Recipe,
    teacher::FrozenTeacher,
};

/// Where the teacher comes from.
pub enum TeacherPlan {
    /// There is none.
    None,
    /// It is there.
    Ready {
        /// The network itself, for its cost.
        network: Box<Network>,
        /// What gives outputs.
        teacher: Box<dyn Teacher>,
        /// The normalisation that it was trained with.
        normalisation: Normalisation,
        /// Hash of its weights file, or of what its cache says of itself.
        sha256: String,
    },
    /// A model of the zoo that is trained first, on the same data.
    Trained {
        /// With freshly drawn weights.
        network: Box<Network>,
    },
}

/// The teacher that a recipe names, other than a cache.
///
/// # Errors
/// As [`load_teacher`], and a name that is neither a file nor a model.
pub(super) fn plan_teacher(
    recipe: &Recipe,
    input: InputShape,
    normalisation: &Normalisation,
    dataset: &Dataset,
    notes: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Result<TeacherPlan, TrainError> {
    let Some(source) = &recipe.teacher.source else {
        return Ok(TeacherPlan::None);
    };
    let file = match ModelSource::recognise(source)? {
        ModelSource::Zoo(name) if !needs_teacher(&recipe.method.name)? => {
            warnings.push(format!(
                "the method `{}` reads no teacher, so no `{name}` is trained; name a trained one to see how far the student agrees with it",
                recipe.method.name
            ));
            return Ok(TeacherPlan::None);
        }
        ModelSource::Zoo(name) => {
            let network = Box::new(build(&name, input, recipe.train.seed)?);
            return Ok(TeacherPlan::Trained { network });
        }
        ModelSource::File(file) => file,
    };
    let (loaded, own) = load_teacher(recipe, &file, input, normalisation, dataset, warnings)?;
    notes.extend(loaded.notes);
    let teacher = FrozenTeacher::new(&loaded.network, &own, normalisation);
    Ok(TeacherPlan::Ready {
        network: Box::new(loaded.network),
        teacher: Box::new(teacher),
        normalisation: own,
        sha256: loaded.sha256,
    })
}

/// The teacher of the recipe from its weights file, and the normalisation that it was trained with.
///
/// # Errors
/// A file that is damaged, or a network for other images or classes than the data's.
pub(crate) fn load_teacher(
    recipe: &Recipe,
    file: &Path,
    input: InputShape,
    normalisation: &Normalisation,
    dataset: &Dataset,
    warnings: &mut Vec<String>,
) -> Result<(LoadedModel, Normalisation), TrainError> {
    let source = recipe.teacher.source.clone().unwrap_or_default();
    let images = Some([input.height, input.width]);
    let loaded = model_source::load(file, &recipe.teacher.facts(), images)?;
    let found = loaded.network.input().classes;
    if found != input.classes {
        return Err(TrainError::ClassCount {
            teacher: source,
            teacher_classes: found,
            data_classes: input.classes,
        });
    }
    if loaded.network.input().channels != input.channels {
        return Err(TrainError::Setting(format!(
            "the teacher `{source}` takes {} colour channels, the data has {}; set augment.channels to the teacher's",
            loaded.network.input().channels,
            input.channels
        )));
    }
    if let Some(names) = &loaded.class_names
        && *names != dataset.classes
    {
        warnings.push(format!(
            "the classes of `{source}` have other names ({}) than the data's ({}): are they the same, in the same order?",
            names.join(", "),
            dataset.classes.join(", ")
        ));
    }
    let augment = &recipe.augment;
    let is_fitted = augment.fit_share != 1.0
        || dataset.shape.map(|[_, height, width]| [height, width]) != Some(augment.size);
    if is_fitted && (loaded.fit, loaded.fit_share) != (augment.fit, augment.fit_share) {
        warnings.push(format!(
            "`{source}` was trained on images brought to their size by {} ({} of the side), this run brings them by {} ({}); set augment.fit and augment.fit_share as for the teacher",
            name_of(loaded.fit),
            loaded.fit_share,
            name_of(augment.fit),
            augment.fit_share
        ));
    }
    if loaded.normalisation.is_none() {
        warnings.push(format!(
            "`{}` does not tell how its images were normalised; the student's normalisation is used for it (another: --teacher-normalisation imagenet, cifar10, cifar100, half, none or MEAN/STD)",
            file.display()
        ));
    }
    let own = loaded.normalisation.clone();
    let own = own.unwrap_or_else(|| normalisation.clone());
    Ok((loaded, own))
}

/// As recipes call it.
fn name_of(fit: Fit) -> &'static str {
    match fit {
        Fit::Cover => "`cover`",
        Fit::Stretch => "`stretch`",
    }
}
