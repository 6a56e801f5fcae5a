//! Layers: parameters by id, and free functions for what has none.

mod attention;
mod batch_norm;
mod conv2d;
mod conv_norm;
mod conv_transpose2d;
mod dropout;
mod layer_norm;
mod linear;
mod pool;
mod resize;
mod transformer_block;

pub use attention::SelfAttention;
pub use batch_norm::BatchNorm2d;
pub use conv_norm::{ConvNorm, Residual};
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::{Conv2d, Conv2dConfig, FrozenConvolution};
pub use dropout::{drop_path, dropout};
pub use layer_norm::LayerNorm;
pub use limbeck_kernels::{Activation, channel_shuffle, interleave_channels, relu};
pub use linear::Linear;
pub use pool::{adaptive_avg_pool2d, avg_pool2d, global_avg_pool2d, max_pool2d};
pub use resize::{resize_bilinear, resize_nearest};
pub use transformer_block::{TransformerBlock, TransformerBlockConfig};
