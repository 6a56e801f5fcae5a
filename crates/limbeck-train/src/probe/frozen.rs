//! Simple classifiers on embeddings that do not change.

use std::collections::HashMap;

use limbeck_data::{Dataset, Part};

use crate::{
    TrainError,
    model_source::LoadedModel,
    represent::{Embeddings, NearestNeighbours, embeddings_of, linear_accuracy},
    sweep::{BATCH, Sweep},
};

/// Which classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frozen {
    /// Ridge regression to the classes, its strength chosen by leaving each image out.
    Linear,
    /// The nearest images vote, this many.
    Neighbours(usize),
}

/// Accuracy in percent, on the test part of `dataset`, of a classifier on what `model` makes of images:
/// fitted to the training part, or to `shots` images of each of its classes, once for each of `draws`.
///
/// # Errors
/// Images without labels, fewer images of a class than shots, a model that has no embedding or does not
/// tell its normalisation.
pub fn frozen(
    model: &LoadedModel,
    dataset: &Dataset,
    how: Frozen,
    shots: Option<usize>,
    draws: &[u64],
) -> Result<Vec<f64>, TrainError> {
    let augment = model.augment()?;
    let embed = |part: &Part| {
        let sweep = Sweep::new(part.clone(), &augment, BATCH, 1)?;
        embeddings_of(&model.network, &sweep)
    };
    let train = embed(&dataset.train)?;
    let test = embed(&dataset.test)?;
    let Some(shots) = shots else {
        return Ok(vec![accuracy(&train, &test, dataset.classes.len(), how)]);
    };
    let rows: HashMap<usize, usize> = (dataset.train.indices.iter())
        .enumerate()
        .map(|(row, &index)| (index, row))
        .collect();
    draws
        .iter()
        .map(|&draw| {
            let drawn = dataset.train.shots(shots, draw)?;
            let mut few = Embeddings {
                width: train.width,
                ..Embeddings::default()
            };
            for row in drawn.indices.iter().filter_map(|index| rows.get(index)) {
                few.values.extend_from_slice(train.row(*row));
                few.labels.push(train.labels[*row]);
            }
            Ok(accuracy(&few, &test, dataset.classes.len(), how))
        })
        .collect()
}

/// Share of `test`, in percent, that is classified right after a fit to `train`.
fn accuracy(train: &Embeddings, test: &Embeddings, classes: usize, how: Frozen) -> f64 {
    match how {
        Frozen::Neighbours(count) => {
            let nearest = NearestNeighbours::new(train, classes, count);
            nearest.accuracy(test).unwrap_or(f64::NAN)
        }
        Frozen::Linear => linear_accuracy(train, test, classes),
    }
}
