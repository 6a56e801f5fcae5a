//! A trained teacher from its weights file.

use std::path::Path;

use limbeck_data::{Dataset, Fit, Normalisation};
use limbeck_nn::InputShape;

use crate::{
    TrainError, model_facts::name_difference, model_source, recipe::Recipe, run_teacher::RunTeacher,
};

/// The teacher of the recipe from its weights file, for images normalised by `normalisation`.
/// `compared`: whether its classes have to be those of the data.
///
/// # Errors
/// A file that is damaged, or a network for other images or classes than the data's.
pub(crate) fn load_teacher(
    recipe: &Recipe,
    file: &Path,
    input: InputShape,
    compared: bool,
    normalisation: &Normalisation,
    dataset: &Dataset,
    notes: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Result<RunTeacher, TrainError> {
    let source = recipe.teacher.source.clone().unwrap_or_default();
    let images = Some([input.height, input.width]);
    let loaded = model_source::load(file, &recipe.teacher.facts(), images)?;
    let found = loaded.network.input().classes;
    if compared && found != input.classes {
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
    let named = loaded.class_names.as_deref().filter(|_| compared);
    if let Some(difference) = named.and_then(|names| name_difference(names, &dataset.classes)) {
        warnings.push(format!("`{source}`: {difference}"));
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
    notes.extend(loaded.notes);
    let own = loaded
        .normalisation
        .unwrap_or_else(|| normalisation.clone());
    let teacher = RunTeacher::trained(loaded.network, own, normalisation, loaded.sha256);
    Ok(teacher.with_classes(loaded.class_names))
}

/// As recipes call it.
fn name_of(fit: Fit) -> &'static str {
    match fit {
        Fit::Cover => "`cover`",
        Fit::Stretch => "`stretch`",
    }
}
