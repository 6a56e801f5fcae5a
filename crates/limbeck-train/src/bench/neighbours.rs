//! How fast nearest neighbours are found.

use burn::tensor::Tensor;

use super::{noise::tensor, stopwatch::Stopwatch};
use crate::{
    TrainError,
    represent::{CHUNK, Embeddings, NearestNeighbours},
};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct NeighboursBench {
    /// Embeddings that are looked among.
    pub bank: usize,
    /// Embeddings whose neighbours are looked for.
    pub images: usize,
    /// Numbers of an embedding.
    pub width: usize,
    /// Neighbours that vote.
    pub neighbours: usize,
    /// Timed runs.
    pub runs: usize,
}

/// Medians.
#[derive(Clone, Copy, Debug)]
pub struct NeighboursTimes {
    /// The whole vote, from embeddings to classes.
    pub vote_ms: f64,
    /// The product of the embeddings alone, as many rows at once.
    pub product_ms: f64,
    /// Floating point operations of the product.
    pub flops: f64,
}

impl NeighboursBench {
    /// Measures on made-up embeddings of ten classes.
    ///
    /// # Errors
    /// Never, so far: as of the other measurements.
    pub fn run(&self) -> Result<NeighboursTimes, TrainError> {
        let embeddings = |count: usize| Embeddings {
            width: self.width,
            values: tensor([count, self.width])
                .into_data()
                .iter::<f32>()
                .collect(),
            labels: (0..count).map(|index| (index % 10) as i64).collect(),
        };
        let (bank, images) = (embeddings(self.bank), embeddings(self.images));
        let nearest = NearestNeighbours::new(&bank, 10, self.neighbours);
        let mut votes = Stopwatch::new();
        for _ in 0..self.runs {
            votes.measure(
                || (),
                |()| {
                    nearest.classes_of(&images);
                    Ok(())
                },
            )?;
        }
        let bank: Tensor<2> = tensor([self.width, self.bank]);
        let rows: Tensor<2> = tensor([CHUNK.min(self.images), self.width]);
        let times = self.images.div_ceil(CHUNK);
        let mut products = Stopwatch::new();
        for _ in 0..self.runs {
            products.measure(
                || (),
                |()| {
                    for _ in 0..times {
                        drop(rows.clone().matmul(bank.clone()));
                    }
                    Ok(())
                },
            )?;
        }
        Ok(NeighboursTimes {
            vote_ms: votes.median(),
            product_ms: products.median(),
            flops: 2.0 * (self.bank * self.images * self.width) as f64,
        })
    }
}
