//! Embeddings of all images of a part.

use burn::tensor::{DType, Device, Tensor};
use limbeck_nn::{Feature, Network, Outputs, Taps};

use crate::{TrainError, metric::EMBEDDING, sweep::Sweep};

/// What a network makes of images, a row for each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    /// Numbers of an embedding.
    pub width: usize,
    /// Row by row, `[N, width]`.
    pub values: Vec<f32>,
    /// Class of each image, `[N]`; empty where images have no classes.
    pub labels: Vec<i64>,
}

impl Embeddings {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The embedding of image `index`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// Those of the images at these positions.
    pub fn at(&self, positions: &[usize]) -> Self {
        let rows = positions.iter().filter(|&&position| position < self.len());
        let labels = positions
            .iter()
            .filter_map(|&position| self.labels.get(position));
        Self {
            width: self.width,
            values: rows
                .flat_map(|&position| self.row(position))
                .copied()
                .collect(),
            labels: labels.copied().collect(),
        }
    }

    /// The same rows with a length of 1; zero stays zero.
    pub fn unit(&self) -> Self {
        let mut unit = self.clone();
        for row in unit.values.chunks_mut(self.width.max(1)) {
            let squares: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
            let norm = squares.sqrt();
            if norm > 0.0 {
                for value in row {
                    *value = (f64::from(*value) / norm) as f32;
                }
            }
        }
        unit
    }

    /// Takes in embeddings `[B, width]` of images of these classes, which may not be known.
    pub(crate) fn add(&mut self, rows: Tensor<2>, labels: &[i64]) {
        self.width = rows.dims()[1];
        self.values.extend(rows.into_data().iter::<f32>());
        self.labels.extend_from_slice(labels);
    }
}

/// What gives outputs for images `[B, C, H, W]` with these numbers in their source, the tap
/// [`EMBEDDING`] among them.
pub(crate) type Embed<'a> = dyn Fn(Tensor<4>, &[usize]) -> Result<Outputs, TrainError> + 'a;

/// What `network`, in evaluation mode, makes of the images of `sweep`: what its head reads.
///
/// # Errors
/// An image that cannot be read, an embedding that is not finite, a network without one.
pub(crate) fn embeddings_of(network: &Network, sweep: &Sweep) -> Result<Embeddings, TrainError> {
    let frozen = network.frozen();
    let taps = Taps::from_iter([EMBEDDING]);
    embeddings_by(network.name(), sweep, &|images, _| {
        Ok(frozen.evaluate(images, &taps))
    })
}

/// The same of what is called `name` and gives its outputs by `embed`.
///
/// # Errors
/// As [`embeddings_of`].
pub(crate) fn embeddings_by(
    name: &str,
    sweep: &Sweep,
    embed: &Embed<'_>,
) -> Result<Embeddings, TrainError> {
    let mut found = Embeddings::default();
    for batch in sweep.batches(&Device::flex(), DType::F32) {
        let batch = batch?;
        let first = found.len();
        let outputs = embed(batch.images, &batch.samples)?;
        let embedding = outputs.feature(EMBEDDING).and_then(Feature::to_vector);
        let rows = embedding.ok_or_else(|| TrainError::NoEmbedding {
            network: name.to_owned(),
        })?;
        found.add(rows, &batch.labels);
        let width = found.width.max(1);
        let mut new = found.values[first * width..].iter();
        if let Some(broken) = new.position(|value| !value.is_finite()) {
            let image = first + broken / width;
            return Err(TrainError::OutputsNotFinite {
                network: name.to_owned(),
                image: sweep.part().name(image),
                value: found.values[first * width + broken],
            });
        }
    }
    Ok(found)
}
