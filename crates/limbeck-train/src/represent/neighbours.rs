//! The class of an image by those of the images whose embeddings are nearest.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;

use super::Embeddings;

/// Softens similarities into votes (Wu et al. "Unsupervised Feature Learning via Non-Parametric
/// Instance Discrimination". CVPR 2018, section 3.4).
pub const TEMPERATURE: f64 = 0.07;

/// Images that are looked up at once; their similarities to all others are in memory.
pub(crate) const CHUNK: usize = 256;

/// Similarities that are passed over together where none of them is among the nearest so far.
const STRIP: usize = 32;

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
        self.by_similarities(images, |row| self.vote(row))
    }

    /// Positions in the bank of the neighbours of each image, the nearest first, of equals the one that
    /// comes first, and the cosines of the angles between their embeddings.
    pub fn nearest(&self, images: &Embeddings) -> Vec<Vec<(usize, f32)>> {
        self.by_similarities(images, |row| {
            let nearest = self.greatest(row).into_iter();
            nearest
                .map(|(cosine, position)| (position, cosine))
                .collect()
        })
    }

    /// What `make` makes of the cosines `[N]` between each image and all of the bank.
    fn by_similarities<T: Send>(
        &self,
        images: &Embeddings,
        make: impl Fn(&[f32]) -> T + Sync,
    ) -> Vec<T> {
        let images = images.unit();
        let mut found = Vec::with_capacity(images.len());
        let [_, all] = self.bank.dims();
        for first in (0..images.len()).step_by(CHUNK) {
            let count = CHUNK.min(images.len() - first);
            let similarities = rows(&images, first, count).matmul(self.bank.clone());
            let data = similarities.into_data();
            let values = data.as_slice::<f32>().unwrap_or_default();
            let rows = values.par_chunks(all.max(1));
            let made: Vec<T> = rows.map(&make).collect();
            found.extend(made);
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
        let nearest = self.greatest(similarities);
        let mut votes = vec![0.0; self.classes];
        for (similarity, index) in nearest {
            if let Some(votes) = votes.get_mut(self.labels[index] as usize) {
                *votes += (f64::from(similarity) / TEMPERATURE).exp();
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

    /// The greatest of `similarities` and where they are, the greatest first, of equal ones the first.
    fn greatest(&self, similarities: &[f32]) -> Vec<(f32, usize)> {
        let mut nearest: Vec<(f32, usize)> = Vec::with_capacity(self.neighbours + 1);
        if self.neighbours == 0 {
            return nearest;
        }
        let mut least = f32::NEG_INFINITY;
        for (strip, values) in similarities.chunks(STRIP).enumerate() {
            let full = nearest.len() == self.neighbours;
            if full && values.iter().fold(0, |n, &v| n + i32::from(v > least)) == 0 {
                continue;
            }
            for (index, &value) in values.iter().enumerate() {
                if nearest.len() == self.neighbours {
                    if value <= least {
                        continue;
                    }
                    nearest.pop();
                }
                let place = nearest.partition_point(|&(other, _)| other >= value);
                nearest.insert(place, (value, strip * STRIP + index));
                least = nearest.last().map_or(least, |&(value, _)| value);
            }
        }
        nearest
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
    fn neighbours_are_told_by_place_and_cosine_the_nearest_first() {
        let bank = embeddings(&[([0.0, 2.0], 0), ([3.0, 0.0], 0), ([1.0, 1.0], 1)]);
        let nearest = NearestNeighbours::new(&bank, 2, 2);
        let found = nearest.nearest(&embeddings(&[([5.0, 0.0], 0), ([0.1, 1.0], 0)]));
        let places: Vec<Vec<usize>> = found
            .iter()
            .map(|near| near.iter().map(|(place, _)| *place).collect())
            .collect();
        assert_eq!(places, [[1, 2], [0, 2]]);
        assert!((found[0][0].1 - 1.0).abs() < 1e-6);
        assert!((found[0][1].1 - 0.5f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn votes_are_weighed_by_similarity() {
        // Two distant images of class 1 lose against one near image of class 0.
        let bank = embeddings(&[([1.0, 0.0], 0), ([0.0, 1.0], 1), ([0.1, 1.0], 1)]);
        let nearest = NearestNeighbours::new(&bank, 2, 3);
        assert_eq!(nearest.classes_of(&embeddings(&[([1.0, 0.1], 0)])), [0]);
    }

    #[test]
    fn the_nearest_of_many_are_those_of_a_sorted_list() {
        let bank = embeddings(&vec![([1.0, 0.0], 0); 1000]);
        let mut state = 7u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Few different values, so that many are equal.
            (state >> 24) as f32 / 255.0 - 0.5
        };
        for (neighbours, count) in [(1, 1), (20, 7), (20, 20), (20, 999), (33, 1000), (0, 9)] {
            let similarities: Vec<f32> = (0..count).map(|_| draw()).collect();
            let mut sorted: Vec<(f32, usize)> = similarities.iter().copied().zip(0..).collect();
            sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            sorted.truncate(neighbours);
            let found = NearestNeighbours::new(&bank, 1, neighbours).greatest(&similarities);
            assert_eq!(found, sorted, "{neighbours} of {count}");
        }
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
