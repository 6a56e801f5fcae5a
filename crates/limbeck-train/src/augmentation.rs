//! What is done to images where the recipe leaves it to the data.

use limbeck_data::{Augment, Dataset, Normalisation};
use limbeck_methods::TaskKind;

use crate::{TrainError, recipe::Recipe};

/// Greatest side of what a network that segments sees in training where nothing is said of it:
/// SegFormer's and mmsegmentation's crop of ADE20K.
const LARGEST_CROP: usize = 512;

/// Fills in what the recipe leaves open: size and channels from the data (the size from `size`,
/// the student's own, where images have no common one; of segmentation at most 512 a side), and the normalisation as measured on the
/// training part. Gives the settled augmentation and its normalisation.
///
/// # Errors
/// Settings out of range, or images that cannot be read.
pub fn settle(
    recipe: &mut Recipe,
    dataset: &Dataset,
    size: usize,
    task: TaskKind,
) -> Result<(Augment, Normalisation), TrainError> {
    let mut augment = recipe.augment.clone();
    let [channels, height, width] = dataset.shape.unwrap_or([3, size, size]);
    if augment.size == [0, 0] {
        augment.size = match task {
            TaskKind::Classification | TaskKind::Detection | TaskKind::Pretraining => {
                [height, width]
            }
            TaskKind::Segmentation => [height, width].map(|side| side.min(LARGEST_CROP)),
        };
    }
    if augment.channels == 0 {
        augment.channels = channels;
    }
    augment.check_for(dataset.labelling)?;
    let normalisation = match augment.normalisation.clone() {
        Some(given) => given,
        None => Normalisation::measure(&dataset.train, &augment, recipe.train.seed)?,
    };
    augment.normalisation = Some(normalisation.clone());
    recipe.augment = augment.clone();
    Ok((augment, normalisation))
}
