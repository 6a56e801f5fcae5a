//! What a run learns: chosen once, from the data's labels, and asked of everything else.

use limbeck_data::{BlockPattern, Dataset, Labelling};
use limbeck_methods::{
    Classification, Detection, MethodError, Ohem, Pretraining, Segmentation, Task,
    detection::{Anchors, DetectionLoss, DetectionLossConfig, Gains},
    entries, pretrains,
};
use limbeck_nn::{TaskKind, model};

use super::chosen_method::ChosenMethod;
use crate::{
    TrainError,
    blueprint::Blueprint,
    label_space::task_of_labels,
    model_facts::{moved_classes, name_difference},
    recipe::Recipe,
    run_teacher::RunTeacher,
};

/// The task of a run: the data's, or that of the student where images have no labels. `task.kind` may
/// say it, and then nothing may contradict it.
///
/// # Errors
/// A task that the data has no labels for, or a student for another task, with those that fit.
pub(super) fn kind_of(
    recipe: &Recipe,
    dataset: &Dataset,
    student: &Blueprint,
    method: &ChosenMethod,
) -> Result<TaskKind, TrainError> {
    let asked = recipe.task.kind.map(TaskKind::from);
    let pretrains = !method.is_own() && pretrains(&recipe.method.name)?;
    if pretrains || asked == Some(TaskKind::Pretraining) {
        return pretraining(recipe, student, asked, pretrains);
    }
    let labels = match dataset.labelling {
        Labelling::None => "none",
        Labelling::Classes => "classes of images",
        Labelling::Masks => "masks",
        Labelling::Boxes => "boxes",
    };
    let of_data = task_of_labels(dataset.labelling).map(|kind| (kind, labels));
    if let (Some(asked), Some((kind, labels))) = (asked, of_data)
        && asked != kind
    {
        return Err(TrainError::Setting(format!(
            "task.kind is {asked}, and {} has {labels}, which are for {kind}; leave task.kind out, or \
             name other data",
            dataset.name
        )));
    }
    let found = student.task();
    let kind = asked.or(of_data.map(|(kind, _)| kind)).or(found);
    let kind = kind.unwrap_or(TaskKind::Classification);
    match found {
        Some(found) if found != kind => Err(other_task(student.name(), found, kind, "student")),
        _ => Ok(kind),
    }
}

/// Pre-training goes by its method alone: labels are for judging what came of it.
fn pretraining(
    recipe: &Recipe,
    student: &Blueprint,
    asked: Option<TaskKind>,
    pretrains: bool,
) -> Result<TaskKind, TrainError> {
    let name = &recipe.method.name;
    if !pretrains {
        return Err(MethodError::Task {
            method: entries(name)?[0].id,
            task: TaskKind::Pretraining,
        }
        .into());
    }
    if let Some(asked) = asked.filter(|&asked| asked != TaskKind::Pretraining) {
        return Err(TrainError::Setting(format!(
            "task.kind is {asked}, and the method `{name}` is for {}; leave one of them out",
            TaskKind::Pretraining
        )));
    }
    match student.task() {
        Some(TaskKind::Segmentation) => Err(other_task(
            student.name(),
            TaskKind::Segmentation,
            TaskKind::Classification,
            "student",
        )),
        _ => Ok(TaskKind::Pretraining),
    }
}

/// Refuses a teacher for another task.
///
/// # Errors
/// Which task it is for, and models that fit.
pub(crate) fn check_teacher(
    name: &str,
    found: Option<TaskKind>,
    kind: TaskKind,
) -> Result<(), TrainError> {
    let both_embed = kind == TaskKind::Pretraining && found == Some(TaskKind::Classification);
    match found {
        Some(found) if found != kind && !both_embed => {
            Err(other_task(name, found, kind, "teacher"))
        }
        _ => Ok(()),
    }
}

/// Refuses stored outputs of a teacher whose predictions cannot be held against the labels of `dataset`.
/// Gives what the user should know of the names of its classes.
///
/// # Errors
/// Another task, or another number of classes; `source` is what was given.
pub(super) fn check_classes(
    source: &str,
    teacher: &RunTeacher,
    dataset: &Dataset,
) -> Result<Option<String>, TrainError> {
    let network = teacher.network();
    if let Some(kind) = task_of_labels(dataset.labelling) {
        check_teacher(network.name(), network.task(), kind)?;
    }
    let (found, wanted) = (network.input().classes, dataset.classes.len());
    if found != wanted {
        return Err(TrainError::ClassCount {
            teacher: source.to_owned(),
            teacher_classes: found,
            data_classes: wanted,
        });
    }
    let names = teacher.class_names();
    if let Some(moved) = names.and_then(|names| moved_classes(names, &dataset.classes)) {
        return Err(TrainError::Setting(format!(
            "the teacher of `{source}` has the data's classes in another order: {moved}; what it says \
             would be compared class by class with the wrong ones"
        )));
    }
    let difference = names.and_then(|names| name_difference(names, &dataset.classes));
    Ok(difference.map(|difference| format!("`{source}`: {difference}")))
}

fn other_task(name: &str, found: TaskKind, kind: TaskKind, role: &str) -> TrainError {
    TrainError::Setting(format!(
        "the {role} `{name}` is for {found}, and this run is one of {kind}; models that fit: {} \
         (`limbeck models` lists them)",
        model::families(kind).join(", ")
    ))
}

/// The block of each test image, `[N]`, by the recipe's pattern; `None` without one.
///
/// # Errors
/// A pattern that cannot be read, that does not fit a name, or for images whose intervals are over
/// seeds alone.
pub(super) fn blocks_of(
    recipe: &Recipe,
    kind: TaskKind,
    dataset: &Dataset,
) -> Result<Option<Vec<usize>>, TrainError> {
    let Some(pattern) = &recipe.data.block else {
        return Ok(None);
    };
    if !matches!(kind, TaskKind::Segmentation | TaskKind::Detection) {
        return Err(TrainError::Setting(format!(
            "data.block says over which images intervals of {} and {} are taken, and this run is one of \
             {kind}; leave it out",
            TaskKind::Segmentation,
            TaskKind::Detection
        )));
    }
    let pattern: BlockPattern = pattern.parse()?;
    Ok(Some(pattern.blocks(&dataset.test)?))
}

/// Weights of the objectness of each level (`ComputeLoss` of YOLOv5).
fn level_balance(levels: usize) -> Vec<f64> {
    let of_five = [4.0, 1.0, 0.4, 0.1, 0.03];
    match levels {
        // Of fewer or more levels than its networks have, YOLOv5 knows nothing; each goes on as the last.
        0..=5 => of_five[..levels].to_vec(),
        _ => (0..levels).map(|i| of_five[i.min(4)]).collect(),
    }
}

/// The task as the recipe settles it for data of these `classes`; `anchors` are those of a detector, where
/// they are settled already.
///
/// # Errors
/// Class weights that do not go with the classes.
pub(super) fn task_of(
    recipe: &Recipe,
    kind: TaskKind,
    classes: &[String],
    anchors: Option<&Anchors>,
) -> Result<Box<dyn Task>, TrainError> {
    let label_smoothing = recipe.train.label_smoothing;
    Ok(match kind {
        TaskKind::Classification => Box::new(Classification { label_smoothing }),
        TaskKind::Pretraining => Box::new(Pretraining),
        TaskKind::Detection => {
            let it = recipe.task.detection.clone().unwrap_or_default();
            let gains = Gains {
                bounds: it.box_gain,
                objectness: it.objectness_gain,
                classes: it.class_gain,
            };
            let anchors = match anchors {
                Some(anchors) => anchors.clone(),
                None => Anchors::yolov5(),
            };
            let [height, width] = recipe.augment.size;
            let levels = anchors.levels().len();
            let config = DetectionLossConfig {
                gains: gains.scaled(levels, classes.len(), height.max(width)),
                balance: level_balance(levels),
                anchor_ratio: it.anchor_ratio,
                focal_gamma: it.focal_gamma,
                label_smoothing,
                ..DetectionLossConfig::default()
            };
            let loss = DetectionLoss::new(config, anchors).map_err(MethodError::from)?;
            Box::new(Detection::new(loss))
        }
        TaskKind::Segmentation => {
            let task = &recipe.task;
            let weights = task.class_weights.as_ref();
            let weights = weights.map(|weights| weights.of(classes)).transpose();
            Box::new(Segmentation {
                align_corners: task.align_corners,
                label_smoothing,
                class_weights: weights.map_err(TrainError::Setting)?.unwrap_or_default(),
                ohem: task.ohem.map(|ohem| Ohem {
                    threshold: ohem.threshold,
                    least: ohem.least,
                }),
                auxiliary_weight: task.auxiliary_weight,
            })
        }
    })
}
