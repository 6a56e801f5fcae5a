//! The class of an image by those of the images whose embeddings are nearest.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::Embeddings;

/// Softens similarities into votes (Wu et al. "Unsupervised Feature Learning via Non-Parametric
/// Instance Discrimination". CVPR 2018, section 3.4).
pub const TEMPERATURE: f64 = 0.07;

/// Images that are looked up at once; their similarities to all others are in memory.
const CHUNK: usize = 256;

/// Images of known classes to look among.
#[derive(Clone, Debug)]
pub struct NearestNeighbours {
    /// Unit vectors, `[D, N]`.
    bank: Tensor<2>,
    labels: Vec<i64>,
    classes: usize,
    /// How many vote.
    neighbours: usize,
}

impl NearestNeighbours {
    /// Looks among `bank`, whose images are of `classes` classes; the `neighbours` nearest vote, as
    /// many as there are at the most.
    pub fn new(bank: &Embeddings, classes: usize, neighbours: usize) -> Self {
        Self {
            bank: rows(&bank.unit(), 0, bank.len()).transpose(),
            labels: bank.labels.clone(),
            classes,
            neighbours: neighbours.min(bank.len()),
        }
    }

    /// The class that the neighbours of each image vote for, by exp(cosine / [`TEMPERATURE`]); of equal
    /// sums the first, of equal similarities the image that comes first.
    pub fn classes_of(&self, images: &Embeddings) -> Vec<i64> {
        let images = images.unit();
        let mut found = Vec::with_capacity(images.len());
        for first in (0..images.len()).step_by(CHUNK) {
            let count = CHUNK.min(images.len() - first);
            let similarities = rows(&images, first, count).matmul(self.bank.clone());
            let values: Vec<f32> = similarities.into_data().iter::<f32>().collect();
            found.extend(
                values
                    .chunks(self.labels.len().max(1))
                    .map(|row| self.vote(row)),
            );
        }
        found
    }

    /// Share of `images`, in percent, whose class the neighbours vote for; `None` without labels or
    /// images.
    pub fn accuracy(&self, images: &Embeddings) -> Option<f64> {
        if images.labels.is_empty() || self.labels.is_empty() {
            return None;
        }
        let found = self.classes_of(images);
        let right = found.iter().zip(&images.labels).filter(|(a, b)| a == b);
        Some(100.0 * right.count() as f64 / images.labels.len() as f64)
    }

    fn vote(&self, similarities: &[f32]) -> i64 {
        let mut nearest: Vec<usize> = (0..similarities.len()).collect();
        let order =
            |&a: &usize, &b: &usize| similarities[b].total_cmp(&similarities[a]).then(a.cmp(&b));
        if self.neighbours < nearest.len() && self.neighbours > 0 {
            nearest.select_nth_unstable_by(self.neighbours - 1, order);
            nearest.truncate(self.neighbours);
        }
        // Sums in one order, whatever the selection has left.
        nearest.sort_unstable_by(order);
        let mut votes = vec![0.0; self.classes];
        for index in nearest {
            if let Some(votes) = votes.get_mut(self.labels[index] as usize) {
                *votes += (f64::from(similarities[index]) / TEMPERATURE).exp();
            }
        }
        let mut best = 0;
        for (class, vote) in votes.iter().enumerate() {
            if *vote > votes[best] {
                best = class;
            }
        }
        best as i64
    }
}

/// Rows `first` to `first + count`, `[count, D]`.
fn rows(embeddings: &Embeddings, first: usize, count: usize) -> Tensor<2> {
    let width = embeddings.width;
    let values = embeddings.values[first * width..(first + count) * width].to_vec();
    let data = TensorData::new(values, [count, width]);
    Tensor::from_data(data, (&Device::flex(), DType::F32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embeddings(rows: &[([f32; 2], i64)]) -> Embeddings {
        Embeddings {
            width: 2,
            values: rows.iter().flat_map(|(row, _)| *row).collect(),
            labels: rows.iter().map(|(_, label)| *label).collect(),
        }
    }

    #[test]
    fn the_nearest_decide_by_direction_alone() {
        let bank = embeddings(&[([1.0, 0.0], 0), ([2.0, 0.1], 0), ([0.0, 5.0], 1)]);
        let nearest = NearestNeighbours::new(&bank, 2, 1);
        let images = embeddings(&[([0.1, 0.0], 0), ([0.0, 0.2], 1), ([3.0, 3.5], 0)]);
        assert_eq!(nearest.classes_of(&images), [0, 1, 1]);
        assert!((nearest.accuracy(&images).unwrap() - 200.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn votes_are_weighed_by_similarity() {
        // Two distant images of class 1 lose against one near image of class 0.
        let bank = embeddings(&[([1.0, 0.0], 0), ([0.0, 1.0], 1), ([0.1, 1.0], 1)]);
        let nearest = NearestNeighbours::new(&bank, 2, 3);
        assert_eq!(nearest.classes_of(&embeddings(&[([1.0, 0.1], 0)])), [0]);
    }

    #[test]
    fn without_labels_there_is_no_accuracy_and_more_neighbours_than_images_are_all() {
        let bank = embeddings(&[([1.0, 0.0], 1)]);
        let nearest = NearestNeighbours::new(&bank, 2, 20);
        let mut images = embeddings(&[([0.0, 1.0], 1)]);
        assert_eq!(nearest.accuracy(&images), Some(100.0));
        images.labels.clear();
        assert_eq!(nearest.accuracy(&images), None);
    }
}
