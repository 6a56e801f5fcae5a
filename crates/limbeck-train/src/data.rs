//! The data of a recipe.

use std::path::Path;

use limbeck_data::{Augment, Dataset, OpenOptions};
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
    Ok(limbeck_data::open(Path::new(&recipe.path), &options)?)
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
