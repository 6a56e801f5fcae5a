//! A trained teacher from its weights file.

use std::path::Path;

use limbeck_data::{Dataset, Fit, Normalisation};
use limbeck_nn::{InputShape, TaskKind, weights::read_metadata};

use crate::{
    TrainError,
    label_space::task_of_labels,
    model_facts::{moved_classes, name_difference},
    model_source,
    recipe::Recipe,
    run_folder,
    run_teacher::RunTeacher,
};

/// The teacher of the recipe from its weights file, for images normalised by `normalisation`.
/// `compared`: whether its classes have to be those of the data.
///
/// # Errors
/// A file that is damaged, or a network for other images or classes than the data's.
#[allow(
    clippy::too_many_arguments,
    reason = "what a teacher is for, and what is told of it"
)]
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
    if let Some(moved) = named.and_then(|names| moved_classes(names, &dataset.classes)) {
        return Err(TrainError::Setting(format!(
            "the teacher `{source}` has the data's classes in another order: {moved}. What it says \
             would be compared class by class with the wrong ones. Number the data's classes as the \
             teacher's (of masks in classes.txt or classes.yaml), train the teacher on this data, or \
             correct --teacher-classes where that names them"
        )));
    }
    if let Some(difference) = named.and_then(|names| name_difference(names, &dataset.classes)) {
        warnings.push(format!("`{source}`: {difference}"));
    }
    let augment = &recipe.augment;
    let is_fitted = augment.fit_share != 1.0
        || dataset.shape.map(|[_, height, width]| [height, width]) != Some(augment.size);
    // What is cut out of pictures to segment goes to a classifier as it is.
    let [own, learnt] = [loaded.network.task(), task_of_labels(dataset.labelling)]
        .map(|task| task == Some(TaskKind::Segmentation));
    let is_fitted = is_fitted && (own || !learnt);
    if is_fitted && (loaded.fit, loaded.fit_share) != (augment.fit, augment.fit_share) {
        warnings.push(format!(
            "`{source}` was trained on images brought to their size by {} ({} of the side), this run brings them by {} ({}); set augment.fit and augment.fit_share as for the teacher",
            name_of(loaded.fit),
            loaded.fit_share,
            name_of(augment.fit),
            augment.fit_share
        ));
    }
    warnings.extend(unlike_sizes(recipe, &source, file, input));
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

/// Where the run that trained the teacher read its images at another scale than this one does or, of
/// networks that segment, took crops of another size: a line each, with both.
fn unlike_sizes(recipe: &Recipe, source: &str, file: &Path, input: InputShape) -> Vec<String> {
    let told = read_metadata(file).ok();
    let facts = told.as_ref().and_then(|told| told.segmentation);
    let run = run_folder::recipe_of(Path::new(source)).ok().flatten();
    let of_run = run.map(|run| run.data.scale.unwrap_or(1.0));
    let mut lines = Vec::new();
    let own = recipe.data.scale.unwrap_or(1.0);
    if let Some(scale) = of_run.or(facts.map(|facts| facts.scale))
        && scale != own
    {
        lines.push(format!(
            "`{source}` was trained on images read at {scale} of their size (data.scale), this run \
             reads them at {own}: things have other sizes than it learnt"
        ));
    }
    if let Some(told) = told.filter(|_| facts.is_some()) {
        let [height, width] = [told.input.height, told.input.width];
        if [height, width] != [input.height, input.width] {
            lines.push(format!(
                "`{source}` was trained on crops of {height}×{width} pixels (augment.size), this run \
                 takes {}×{}: it sees more or less around each pixel than it learnt from",
                input.height, input.width
            ));
        }
    }
    lines
}

/// As recipes call it.
fn name_of(fit: Fit) -> &'static str {
    match fit {
        Fit::Cover => "`cover`",
        Fit::Stretch => "`stretch`",
    }
}
