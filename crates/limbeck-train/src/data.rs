//! The data of a recipe.

use std::path::Path;
use std::sync::Arc;

use limbeck_data::{Augment, Dataset, Labelling, OpenOptions, Part, Scaled};
use limbeck_nn::{InputShape, TaskKind};
use sha2::{Digest, Sha256};

use crate::{TrainError, domains::open_domains, model_source, recipe::Recipe};

/// Which labels a recipe is about, where a data set has several kinds: those of its task, else of its
/// student; `None` where neither tells.
pub fn wanted_labels(recipe: &Recipe) -> Option<Labelling> {
    let asked = recipe.task.kind.map(TaskKind::from);
    let student = || Some(limbeck_nn::model::find(&recipe.student.model).ok()?.task);
    match asked.or_else(student)? {
        TaskKind::Detection => Some(Labelling::Boxes),
        TaskKind::Segmentation => Some(Labelling::Masks),
        // Said of a classifier, it may be a default that does not go with the data.
        TaskKind::Classification => asked.map(|_| Labelling::Classes),
        TaskKind::Pretraining => None,
    }
}

/// Opens and splits the data as the recipe says.
///
/// # Errors
/// Data that cannot be read or split.
pub(crate) fn open_data(recipe: &Recipe) -> Result<Dataset, TrainError> {
    let data = &recipe.data;
    let options = OpenOptions {
        seed: data.split_seed,
        validation: data.validation,
        limit: data.limit,
        labels: wanted_labels(recipe),
    };
    let mut dataset = limbeck_data::open(Path::new(&data.path), &options)?;
    if let Some(scale) = data.scale {
        reduce(&mut dataset, scale)?;
    }
    open_domains(recipe, &mut dataset)?;
    Ok(dataset)
}

/// Has images reduced when they are read, and masks to learn from with them.
///
/// # Errors
/// A factor out of range.
pub(crate) fn reduce(dataset: &mut Dataset, scale: f64) -> Result<(), TrainError> {
    let parts = [
        (&mut dataset.train, true),
        (&mut dataset.validation, false),
        (&mut dataset.test, false),
    ];
    for (part, masks) in parts {
        let source = Scaled::new(Arc::clone(&part.source), scale, masks)?;
        part.source = Arc::new(source);
    }
    let channels = dataset.shape.map(|[channels, ..]| channels);
    let shape = dataset.train.source.shape();
    dataset.shape = shape.or_else(|| {
        let [_, height, width] = dataset.shape?;
        let side = |side: usize| ((side as f64 * scale).round() as usize).max(1);
        Some([channels?, side(height), side(width)])
    });
    dataset.notes.push(format!(
        "data.scale: images are read at {scale} of their size"
    ));
    Ok(())
}

/// Changes with the images to learn from and to choose by.
pub(crate) fn data_fingerprint(dataset: &Dataset) -> String {
    let target = dataset.domains.iter().map(|domains| &domains.target);
    parts_fingerprint(
        [&dataset.train, &dataset.validation]
            .into_iter()
            .chain(target),
    )
}

/// Changes with the images of these parts.
pub(crate) fn parts_fingerprint<'a>(parts: impl IntoIterator<Item = &'a Part>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.fingerprint());
    }
    model_source::hex(&hash.finalize())
}

/// What a network sees of the data. Where images have no labels there are 0 classes: as many as the
/// teacher tells apart are learnt.
pub(crate) fn input_shape(augment: &Augment, dataset: &Dataset) -> InputShape {
    InputShape {
        channels: augment.channels,
        height: augment.size[0],
        width: augment.size[1],
        classes: dataset.classes.len(),
    }
}
