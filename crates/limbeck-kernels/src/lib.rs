//! The CPU fast paths that Limbeck's layers run on.
//!
//! Each operation is an ordinary function on burn tensors: networks and methods do not know
//! which path computes them. This is the only crate of the workspace that may contain `unsafe`.

mod autodiff;
mod batch_norm;
mod conv2d;
mod convolution;
mod flex;
mod ops;
mod scratch;
mod simd;

pub use batch_norm::{BatchNormOutput, batch_norm_train};
pub use conv2d::{Conv2dOptions, conv2d};
