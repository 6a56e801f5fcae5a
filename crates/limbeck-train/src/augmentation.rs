//! What is done to images where the recipe leaves it to the data.

use limbeck_data::{Augment, Dataset, Normalisation};
use limbeck_methods::TaskKind;

use crate::{TrainError, recipe::Recipe};

/// Greatest side of what a network that segments sees in training where nothing is said of it:
/// SegFormer's and mmsegmentation's crop of ADE20K.
const LARGEST_CROP: usize = 512;

/// Pixels of the coarsest cells of detectors, of which their images' sides are multiples, and the greatest
/// side where nothing is said of it: YOLOv5's.
const CELL: usize = 32;
const LARGEST_SQUARE: usize = 640;

/// The side of the square that a detector sees of images whose longer side this is.
fn square(side: usize) -> usize {
    side.next_multiple_of(CELL).min(LARGEST_SQUARE)
}

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
            TaskKind::Classification | TaskKind::Pretraining => [height, width],
            TaskKind::Detection => [square(height.max(width)); 2],
            TaskKind::Segmentation => [height, width].map(|side| side.min(LARGEST_CROP)),
        };
    }
    if augment.channels == 0 {
        augment.channels = channels;
    }
    augment.check_for(dataset.labelling)?;
    let normalisation = match augment.normalisation.clone() {
        Some(given) => given,
        // YOLOv5's networks see levels from 0 to 1, its published weights among them.
        None if task == TaskKind::Detection => Normalisation {
            mean: vec![0.0; augment.channels],
            std: vec![1.0; augment.channels],
        },
        None => Normalisation::measure(&dataset.train, &augment, recipe.train.seed)?,
    };
    augment.normalisation = Some(normalisation.clone());
    recipe.augment = augment.clone();
    Ok((augment, normalisation))
}
