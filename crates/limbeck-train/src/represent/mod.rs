//! How good embeddings are: what their neighbours tell, and whether they differ at all.

mod collapse;
mod embeddings;
mod glimpse;
mod linear_probe;
mod neighbours;
mod plane;
mod spread;

pub use collapse::collapse;
pub(crate) use collapse::{SPREAD, collapsed, has_collapsed};
pub use embeddings::Embeddings;
pub(crate) use embeddings::{Embed, embeddings_by, embeddings_of};
pub use glimpse::Glimpse;
pub use linear_probe::{LinearProbe, REGULARISATIONS, SINGLE_SHOT_REGULARISATION};

pub(crate) use neighbours::CHUNK;
pub use neighbours::{NearestNeighbours, TEMPERATURE};
pub use plane::plane_of;
pub use spread::{COLLAPSED, spread};

/// Share of `test`, in percent, whose class a linear map tells that was fitted to `train`, of `classes`
/// classes: ridge regression on unit vectors.
pub fn linear_accuracy(train: &Embeddings, test: &Embeddings, classes: usize) -> f64 {
    let labels: Vec<usize> = train.labels.iter().map(|&label| label as usize).collect();
    let mut counts = vec![0; classes];
    for &label in &labels {
        if let Some(count) = counts.get_mut(label) {
            *count += 1;
        }
    }
    // A class without images has nothing to say; of one image nothing can be left out.
    let fewest = counts.into_iter().filter(|&count| count > 0).min();
    let fewest = fewest.unwrap_or(0);
    let probe = LinearProbe::fit(&train.unit().values, train.width, &labels, classes, fewest);
    let found = probe.classify(&test.unit().values, test.width);
    let right = found.iter().zip(&test.labels);
    let right = right.filter(|(found, label)| **found as i64 == **label);
    100.0 * right.count() as f64 / test.labels.len().max(1) as f64
}
