//! Recall@K: how often an image of the same class is among the K nearest.

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_methods::{MethodError, recall_at};
use limbeck_report::Measure;

use super::{Answer, Found, Metric, MetricError};

/// The tap that holds a network's embedding.
pub(crate) const EMBEDDING: &str = "pooled";

/// The numbers of neighbours that recall is measured for, as usual in metric learning (Park et
/// al., CVPR 2019); those that there are not as many other images for are left out.
pub const NEIGHBOURS: [usize; 4] = [1, 2, 4, 8];

/// Embeddings and classes of all images.
#[derive(Clone, Debug, Default)]
pub struct Recall {
    embeddings: Vec<f32>,
    labels: Vec<i64>,
}

impl Recall {
    /// Takes in the embedding and the class of one image.
    pub fn add(&mut self, embedding: &[f32], label: i64) {
        self.embeddings.extend_from_slice(embedding);
        self.labels.push(label);
    }

    /// `(K, Recall@K in percent)`, by the distance of the embeddings; empty for less than two
    /// images.
    ///
    /// # Errors
    /// Embeddings that are not finite.
    pub fn percent(self) -> Result<Vec<(usize, f64)>, MethodError> {
        let images = self.labels.len();
        let neighbours: Vec<usize> = NEIGHBOURS.into_iter().filter(|&k| k < images).collect();
        if neighbours.is_empty() {
            return Ok(Vec::new());
        }
        let width = self.embeddings.len() / images;
        let embeddings = Tensor::<2>::from_data(
            TensorData::new(self.embeddings, [images, width]),
            (&Device::flex(), DType::F32),
        );
        let shares = recall_at(&embeddings, &self.labels, &neighbours)?;
        let percent = shares.into_iter().map(|share| 100.0 * share);
        Ok(neighbours.into_iter().zip(percent).collect())
    }
}

impl Metric for Recall {
    fn add(&mut self, answer: &Answer<'_>) {
        if let Some(embedding) = answer.embedding {
            self.add(embedding, answer.label as i64);
        }
    }

    fn finish(self: Box<Self>, found: &mut Found) -> Result<(), MetricError> {
        for (k, value) in self.percent()? {
            let meaning = match k {
                1 => "nearest embedding is of the same class".to_owned(),
                _ => format!("one of the {k} nearest embeddings is of the same class"),
            };
            let (name, title) = (format!("recall_at_{k}"), format!("Recall@{k}"));
            found
                .measures
                .push(Measure::percent(&name, &title, &meaning, value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_their_neighbours() {
        let mut recall = Recall::default();
        for (embedding, label) in [([0.0, 1.0], 0), ([0.0, 2.0], 0), ([5.0, 0.0], 1)] {
            recall.add(&embedding, label);
        }
        // Of three images two have a companion, which is the nearest; K is below 3.
        let found = recall.percent().unwrap();
        let two_thirds = 200.0 / 3.0;
        assert_eq!(found.len(), 2);
        for ((k, percent), expected) in found.into_iter().zip([1, 2]) {
            assert_eq!(k, expected);
            assert!((percent - two_thirds).abs() < 1e-9);
        }
    }

    #[test]
    fn one_image_has_no_neighbours_and_wild_embeddings_are_refused() {
        let mut recall = Recall::default();
        recall.add(&[f32::NAN], 0);
        assert_eq!(recall.clone().percent().unwrap(), []);
        recall.add(&[1.0], 0);
        assert!(recall.percent().is_err());
    }
}
