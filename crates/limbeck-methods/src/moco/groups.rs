//! Parts of a batch that batch norms see on their own, and the order of the images in them.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_data::Stream;
use limbeck_nn::{Role, Store};

/// Whether a network normalises by statistics of the batch.
pub(super) fn normalises(store: &Store) -> bool {
    let mut entries = store.entries().iter();
    entries.any(|entry| entry.role == Role::Statistic)
}

/// `count` images in up to `groups` parts of nearly equal sizes, each of two images at least.
pub(super) fn group_ranges(count: usize, groups: usize) -> impl Iterator<Item = Range<usize>> {
    let groups = groups.min(count / 2).max(1);
    (0..groups).map(move |group| group * count / groups..(group + 1) * count / groups)
}

/// An order of the images of a batch.
pub(super) struct Shuffled {
    /// Which image comes at each place.
    order: Vec<usize>,
}

impl Shuffled {
    /// All images at their places.
    pub fn not_at_all(count: usize) -> Self {
        Self {
            order: (0..count).collect(),
        }
    }

    /// Any order, all alike.
    pub fn drawn(count: usize, random: &mut Stream) -> Self {
        let mut order: Vec<usize> = (0..count).collect();
        random.shuffle(&mut order);
        Self { order }
    }

    /// The images `[B, …]` in this order.
    pub fn apply<const D: usize>(&self, images: Tensor<D>) -> Tensor<D> {
        picked(images, &self.order)
    }

    /// What was made of them `[B, …]`, in the order of the images.
    pub fn undo<const D: usize>(&self, made: Tensor<D>) -> Tensor<D> {
        let mut places = vec![0; self.order.len()];
        for (place, &image) in self.order.iter().enumerate() {
            places[image] = place;
        }
        picked(made, &places)
    }
}

fn picked<const D: usize>(from: Tensor<D>, rows: &[usize]) -> Tensor<D> {
    if rows.iter().enumerate().all(|(place, &row)| place == row) {
        return from;
    }
    let indices: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let indices = TensorData::new(indices, [rows.len()]);
    let indices = Tensor::<1, Int>::from_data(indices, &from.device());
    from.select(0, indices)
}
