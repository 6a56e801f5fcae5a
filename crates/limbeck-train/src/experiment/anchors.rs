//! The anchors of a run's detectors, settled before the first step.

use limbeck_data::{Letterbox, Part};
use limbeck_methods::{
    MethodError,
    detection::{AnchorLevel, Anchors, GOOD_RECALL, best_possible_recall, fit_anchors},
};
use limbeck_nn::Network;

use crate::{TrainError, detect::anchors_of, recipe::Recipe};

/// Side that the anchors of the zoo are meant for, in pixels (YOLOv5's for COCO).
const USUAL_SIDE: f64 = 640.0;

/// Best possible recall below which it is said that boxes cannot be learnt.
const LEAST_RECALL: f64 = 0.9;

/// Anchors, and what the user should know of them.
pub(super) struct Settled {
    pub anchors: Anchors,
    pub note: String,
    pub warning: Option<String>,
}

/// Width and height of each box to learn, in pixels of what the network sees.
fn sizes(train: &Part, size: [usize; 2]) -> Result<Vec<[f64; 2]>, TrainError> {
    let mut sizes = Vec::new();
    for position in 0..train.len() {
        let boxes = train.boxes(position)?;
        if boxes.is_empty() {
            continue;
        }
        let frame = Letterbox::new(train.size(position)?, size);
        let learnt = boxes
            .iter()
            .filter(|label| !label.crowd && !label.difficult);
        sizes.extend(learnt.map(|label| frame.place(*label).size().map(f64::from)));
    }
    Ok(sizes)
}

/// The anchors for boxes of `train` at the recipe's size: those that the recipe gives, else those of the
/// `teacher`, so that cells can be compared, else those of `student`, its start or its zoo's, as far as
/// they fit, else some that do. The recipe then gives them.
///
/// # Errors
/// Anchors that do not go with the student's levels.
pub(super) fn settle(
    recipe: &mut Recipe,
    train: &Part,
    student: &Network,
    teacher: Option<&Network>,
) -> Result<Option<Settled>, TrainError> {
    let Some(own) = anchors_of(student)? else {
        return Ok(None);
    };
    let mut detection = recipe.task.detection.clone().unwrap_or_default();
    let ratio = detection.anchor_ratio;
    let sizes = sizes(train, recipe.augment.size)?;
    let recall = |anchors: &Anchors| best_possible_recall(anchors, &sizes, ratio);
    let (anchors, from) = if let Some(given) = &detection.anchors {
        (as_kept(student, given)?, "the recipe's")
    } else if let Some(teachers) = teacher.map(anchors_of).transpose()?.flatten() {
        let strides = |anchors: &Anchors| -> Vec<usize> {
            anchors.levels().iter().map(|level| level.stride).collect()
        };
        if strides(&teachers) != strides(&own) {
            return Err(TrainError::Setting(format!(
                "the cells of the teacher are {:?} pixels wide and those of `{}` {:?}: what they say \
                 cannot be compared; choose networks of one family",
                strides(&teachers),
                student.name(),
                strides(&own)
            )));
        }
        (teachers, "the teacher's")
    } else {
        let side = recipe.augment.size.into_iter().max().unwrap_or(1) as f64;
        let start = match recipe.student.weights.is_some() {
            true => own,
            false => scaled(&own, side / USUAL_SIDE)?,
        };
        let seed = recipe.data.split_seed;
        match recall(&start) >= GOOD_RECALL {
            true => (start, "the network's own, for images of this size"),
            false => {
                let fitted = fit_anchors(&start, &sizes, ratio, seed).map_err(MethodError::from)?;
                (fitted, "fitted to the boxes to learn")
            }
        }
    };
    let levels: Vec<_> = anchors
        .levels()
        .iter()
        .map(|level| level.sizes.clone())
        .collect();
    let anchors = as_kept(student, &levels)?;
    let reached = recall(&anchors);
    let written: Vec<String> = anchors
        .levels()
        .iter()
        .map(|level| {
            let size = |[width, height]: &[f64; 2]| format!("{width:.0}×{height:.0}");
            level.sizes.iter().map(size).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let note = format!(
        "anchors: {} ({from}); {:.1} % of {} boxes can be learnt with them",
        written.join(", "),
        100.0 * reached,
        sizes.len()
    );
    let warning = (reached < LEAST_RECALL).then(|| {
        format!(
            "the anchors fit {:.1} % of the boxes to learn alone: the others will hardly be found; leave \
             task.detection.anchors out, or show the images larger (augment.size is {:?})",
            100.0 * reached,
            recipe.augment.size
        )
    });
    let levels = anchors.levels().iter().map(|level| level.sizes.clone());
    detection.anchors = Some(levels.collect());
    recipe.task.detection = Some(detection);
    Ok(Some(Settled {
        anchors,
        note,
        warning,
    }))
}

/// The anchors of these sizes as `network` keeps them, in single precision, so that a recipe that has them
/// written out gives the same.
fn as_kept(network: &Network, sizes: &[Vec<[f64; 2]>]) -> Result<Anchors, TrainError> {
    let mut network = network.clone();
    network.set_anchor_sizes(sizes)?;
    anchors_of(&network)?
        .ok_or_else(|| TrainError::Setting(format!("`{}` has no anchors to set", network.name())))
}

/// Both sides of each anchor times `factor`.
fn scaled(anchors: &Anchors, factor: f64) -> Result<Anchors, TrainError> {
    let levels = anchors.levels().iter().map(|level| AnchorLevel {
        stride: level.stride,
        sizes: level
            .sizes
            .iter()
            .map(|size| size.map(|side| side * factor))
            .collect(),
    });
    Ok(Anchors::new(levels.collect()).map_err(MethodError::from)?)
}
