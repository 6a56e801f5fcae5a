//! The CPU fast paths that Limbeck's layers run on.
//!
//! Each operation is an ordinary function on burn tensors: networks and methods do not know
//! which path computes them. This is the only crate of the workspace that may contain `unsafe`.

mod attention;
mod autodiff;
mod batch_norm;
mod composed;
mod conv2d;
mod convolution;
mod elementary;
mod flex;
mod gelu;
mod layer_norm;
#[cfg(test)]
mod levels;
mod linear;
mod memory;
mod normalisation;
mod ops;
mod product;
mod rectifier;
mod scratch;
mod simd;

pub use attention::self_attention;
pub use batch_norm::{
    BatchNormOutput, batch_norm_add_relu_train, batch_norm_relu_train, batch_norm_train,
};
pub use conv2d::{Conv2dOptions, conv2d};
pub use gelu::gelu;
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use memory::keep_freed_memory;
pub use rectifier::relu;
