//! Random omissions in training.
//!
//! What is kept is divided by the share that is kept, so that expectations stay as they are.
//! Draws come from [`Pass::next_seed`] alone: a repeated step repeats them.

use burn::tensor::{Tensor, TensorData};

use crate::{Pass, init::RandomStream};

/// Omits each element with probability `rate` (in `[0, 1)`) in training. Any shape.
///
/// Srivastava et al. "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
/// JMLR 2014.
pub fn dropout<const D: usize>(pass: &mut Pass<'_>, x: Tensor<D>, rate: f64) -> Tensor<D> {
    let shape = x.dims();
    omit(pass, x, shape, rate)
}

/// Omits a residual branch for each sample with probability `rate` (in `[0, 1)`) in training.
/// `[B, …]` → the same shape.
///
/// Huang et al. "Deep Networks with Stochastic Depth". ECCV 2016.
pub fn drop_path<const D: usize>(pass: &mut Pass<'_>, x: Tensor<D>, rate: f64) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = x.dims()[0];
    omit(pass, x, shape, rate)
}

/// One draw per element of `shape`, which broadcasts to the shape of `x`.
fn omit<const D: usize>(
    pass: &mut Pass<'_>,
    x: Tensor<D>,
    shape: [usize; D],
    rate: f64,
) -> Tensor<D> {
    if rate == 0.0 || !pass.is_training() {
        return x;
    }
    let mut stream = RandomStream::new(pass.next_seed(), "dropout");
    let kept = 1.0 / (1.0 - rate);
    let factors: Vec<f64> = (0..shape.iter().product())
        .map(|_| if stream.unit() < rate { 0.0 } else { kept })
        .collect();
    let factors = Tensor::from_data(TensorData::new(factors, shape), (&x.device(), x.dtype()));
    x * factors
}
