//! The data of a recipe.

use std::path::Path;
use std::sync::Arc;

use limbeck_data::{Augment, Dataset, OpenOptions, Scaled};
use limbeck_nn::InputShape;
use sha2::{Digest, Sha256};

use crate::{TrainError, model_source, recipe::DataRecipe};

/// Opens and splits the data as the recipe says.
///
/// # Errors
/// Data that cannot be read or split.
pub(crate) fn open_data(recipe: &DataRecipe) -> Result<Dataset, TrainError> {
    let options = OpenOptions {
        seed: recipe.split_seed,
        validation: recipe.validation,
        limit: recipe.limit,
    };
    let mut dataset = limbeck_data::open(Path::new(&recipe.path), &options)?;
    if let Some(scale) = recipe.scale {
        reduce(&mut dataset, scale)?;
    }
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
    let mut hash = Sha256::new();
    hash.update(dataset.train.fingerprint());
    hash.update(dataset.validation.fingerprint());
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
