//! Simple classifiers on embeddings that do not change.

use std::{collections::BTreeSet, sync::Arc};

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
    let classes = dataset.classes.len();
    let Some(shots) = shots else {
        let train = embed(&dataset.train)?;
        return Ok(vec![accuracy(&train, &embed(&dataset.test)?, classes, how)]);
    };
    let drawn: Vec<Part> = (draws.iter())
        .map(|&draw| dataset.train.shots(shots, draw))
        .collect::<Result<_, _>>()?;
    // Each image once, however many draws have it.
    let indices: BTreeSet<usize> = drawn.iter().flat_map(|part| part.indices.clone()).collect();
    let any = Part {
        source: Arc::clone(&dataset.train.source),
        indices: indices.into_iter().collect(),
    };
    let (embedded, test) = (embed(&any)?, embed(&dataset.test)?);
    let accuracies = drawn.iter().map(|part| {
        let places = part.indices.iter();
        let places = places.filter_map(|index| any.indices.binary_search(index).ok());
        let few = embedded.at(&places.collect::<Vec<_>>());
        accuracy(&few, &test, classes, how)
    });
    Ok(accuracies.collect())
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
