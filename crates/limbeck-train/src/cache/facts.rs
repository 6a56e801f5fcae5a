//! What a run and a cache have to agree on.

use limbeck_cache::{DataFacts, Section};
use limbeck_data::{Augment, Dataset};
use limbeck_methods::{Section as Part, TaskKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::recipe::{DataRecipe, EvaluateMode, EvaluateRecipe, Recipe};

/// Name of a part of the data in a manifest.
pub(super) fn section_name(section: Part) -> &'static str {
    match section {
        Part::Train => "train",
        Part::Validation => "validation",
        Part::Test => "test",
    }
}

/// The images: fingerprint of the whole set, how it is split, and how large they are read.
pub(super) fn data(dataset: &Dataset, recipe: &DataRecipe) -> DataFacts {
    let mut split = json!({
        "split_seed": recipe.split_seed,
        "validation": recipe.validation,
        "limit": recipe.limit,
    });
    if let Some(scale) = recipe.scale {
        split["scale"] = json!(scale);
    }
    DataFacts {
        name: dataset.name.clone(),
        fingerprint: dataset.fingerprint.clone(),
        split,
        classes: dataset.classes.clone(),
    }
}

/// What is done to each image by itself. Mixing is left out: it comes after the views, and the
/// targets are mixed with the images.
pub(super) fn augment(augment: &Augment) -> Value {
    let single = Augment {
        mixup_alpha: 0.0,
        cutmix_alpha: 0.0,
        ..augment.clone()
    };
    let mut value = serde_json::to_value(single).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("mixup_alpha");
        fields.remove("cutmix_alpha");
    }
    value
}

/// How a picture is shown to a teacher that segments when it is measured.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    align_corners: bool,
    mode: EvaluateMode,
    window: Option<[usize; 2]>,
    stride: Option<[usize; 2]>,
    scales: Vec<f64>,
    flip: bool,
}

/// How pictures are shown to a teacher that segments when it is measured.
pub(super) fn evaluate(recipe: &Recipe) -> Value {
    let EvaluateRecipe {
        mode,
        window,
        stride,
        scales,
        flip,
        // What boundaries are is asked of what it chose, not of the teacher.
        boundary: _,
        // A detector's cells are stored, not the boxes that are made of them.
        confidence: _,
        overlap: _,
        detections: _,
    } = recipe.evaluate.clone();
    let shown = Shown {
        align_corners: recipe.task.align_corners,
        mode,
        window,
        stride,
        scales,
        flip,
    };
    serde_json::to_value(shown).unwrap_or_default()
}

/// Puts into `recipe` what [`evaluate`] says of it.
///
/// # Errors
/// A value that it does not give.
pub(super) fn take_over_evaluate(
    value: &Value,
    recipe: &mut Recipe,
) -> Result<(), serde_json::Error> {
    let shown = Shown::deserialize(value)?;
    recipe.task.align_corners = shown.align_corners;
    recipe.evaluate = EvaluateRecipe {
        mode: shown.mode,
        window: shown.window,
        stride: shown.stride,
        scales: shown.scales,
        flip: shown.flip,
        ..recipe.evaluate.clone()
    };
    Ok(())
}

/// Of which images outputs are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// Of all.
    All,
    /// Of those to train on: networks that segment see the others in their own sizes, and a teacher of
    /// other classes is not measured on them.
    Trained,
}

impl Parts {
    /// Of a teacher for `task`.
    pub fn of(task: TaskKind) -> Self {
        match task {
            TaskKind::Classification | TaskKind::Detection | TaskKind::Pretraining => Self::All,
            TaskKind::Segmentation => Self::Trained,
        }
    }
}

/// The training images in so many views, and, where these are stored too, the images that are only
/// measured on.
pub(super) fn sections(dataset: &Dataset, views: u64, stored: Parts) -> Vec<Section> {
    let parts = [
        (Part::Train, &dataset.train, views),
        (Part::Validation, &dataset.validation, 1),
        (Part::Test, &dataset.test, 1),
    ];
    let parts = match stored {
        Parts::All => &parts[..],
        Parts::Trained => &parts[..1],
    };
    let sections = parts.iter().map(|&(section, part, views)| Section {
        name: section_name(section).to_owned(),
        samples: part.len() as u64,
        views,
    });
    sections.collect()
}
