//! Layers: parameters by id, and free functions for what has none.

mod attention;
mod batch_norm;
mod class_head;
mod conv2d;
mod conv_norm;
mod conv_transpose2d;
mod dropout;
mod gated_fusion;
mod layer_norm;
mod linear;
mod patch_embedding;
mod perceptron;
mod pool;
mod reduced_attention;
mod resize;
mod spectral_conv2d;
mod token_convolution;
mod token_grid;
mod transformer_block;

pub use attention::SelfAttention;
pub use batch_norm::{BatchNorm2d, NormConstants};
pub use class_head::ClassHead;
pub use conv_norm::{ConvNorm, Residual};
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::{Conv2d, Conv2dConfig, FrozenConvolution};
pub use dropout::{drop_path, dropout, dropout_channels};
pub use gated_fusion::GatedFusion;
pub use layer_norm::LayerNorm;
pub use limbeck_kernels::{
    Activation, MapSummary, PyramidLevel, angle_error, blend_channels, channel_shuffle,
    cross_entropy_with_shares, divergence, divergence_with_slopes, energy_and_mean, gated, gelu,
    image_patches, interleave_channels, linear, map_to_tokens, mean_squared_error,
    pixel_log_likelihood, product, pyramid_squared_error, relu, silu, soft_cross_entropy,
    tokens_to_map, transposed_product,
};
pub use linear::Linear;
pub use patch_embedding::PatchEmbedding;
pub use perceptron::Perceptron;
pub use pool::{
    adaptive_avg_pool2d, avg_pool2d, global_avg_pool2d, max_pool2d, max_pool2d_windows,
};
pub use reduced_attention::{ReducedAttention, ReducedAttentionConfig};
pub use resize::{resize_bilinear, resize_nearest};
pub use spectral_conv2d::SpectralConv2d;
pub use token_convolution::{DepthwiseTokens, PatchTokens};
pub use token_grid::{crop_grid, fill_grid};
pub use transformer_block::{TransformerBlock, TransformerBlockConfig};
