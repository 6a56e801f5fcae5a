//! Numbers brought to a few levels, as they will be in a network of few bits, with straight-through
//! gradients: training sees the rounding and goes on as if it were not there.

mod autodiff;
mod codes;
mod composed;
mod flex;
mod grid;
mod ops;
pub(crate) mod span;

use burn::{backend::Dispatch, tensor::Tensor};

pub use codes::RowCodes;
pub use grid::Levels;
use ops::QuantiseOps;

/// The level nearest to each number of `x`, halves to even; what lies beyond the last level becomes that.
///
/// The gradient passes where [`Levels::passes`] says so. `f32` on the CPU has a kernel of its own;
/// everything else is made of burn's operations.
pub fn quantise<const D: usize>(x: Tensor<D>, levels: Levels) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::kernel_quantise(x.into_dispatch(), levels))
}

/// The least and the greatest number of `x`; `[0, 0]` where there are none. Carries no gradient.
pub fn value_range<const D: usize>(x: &Tensor<D>) -> [f64; 2] {
    if x.shape().num_elements() == 0 {
        return [0.0; 2];
    }
    let x = x.clone().inner().into_dispatch();
    let range: Tensor<1> = Tensor::from_dispatch(Dispatch::kernel_value_range(x));
    let mut ends = range
        .into_data()
        .iter::<f64>()
        .collect::<Vec<_>>()
        .into_iter();
    [ends.next().unwrap_or(0.0), ends.next().unwrap_or(0.0)]
}

/// Weights of `bits` bits (1 to 8): each row (index of the first axis: an output channel) has levels of
/// its own, symmetric about 0.
///
/// With 2 bits or more the levels are `code · max|w| / (2^(bits−1) − 1)` for whole codes from
/// −(2^(bits−1) − 1) on: no number is cut off, 0 is a level, and the largest weight is one. With 1 bit they
/// are ± the mean of the row's |w| (Rastegari et al. "XNOR-Net". ECCV 2016). A row of zeros stays one.
///
/// The gradient passes as it is. `f32` on the CPU has a kernel of its own; everything else is made of
/// burn's operations.
///
/// # Panics
/// Where there are no bits, or more than 8.
pub fn quantise_rows<const D: usize>(weight: Tensor<D>, bits: u32) -> Tensor<D> {
    assert!((1..=8).contains(&bits), "weights of {bits} bits");
    let weight = weight.into_dispatch();
    Tensor::from_dispatch(Dispatch::kernel_quantise_rows(weight, bits))
}
