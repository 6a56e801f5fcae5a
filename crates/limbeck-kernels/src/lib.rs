//! The CPU fast paths that Limbeck's layers run on.
//!
//! Each operation is an ordinary function on burn tensors: networks and methods do not know
//! which path computes them. This is the only crate of the workspace that may contain `unsafe`.

mod autodiff;
mod batch_norm;
mod composed;
mod conv2d;
mod convolution;
mod flex;
#[cfg(test)]
mod levels;
mod memory;
mod normalisation;
mod ops;
mod peak;
mod rectifier;
mod scratch;
mod simd;

pub use batch_norm::{
    BatchNormOutput, batch_norm_add_relu_train, batch_norm_relu_train, batch_norm_train,
};
pub use conv2d::{
    Conv2dOptions, conv2d, conv2d_add_relu, conv2d_input_gradient, conv2d_relu,
    conv2d_weight_gradient,
};
pub use memory::keep_freed_memory;
pub use peak::multiply_add_peak;
pub use rectifier::relu;
pub use simd::instruction_set;
