//! The CPU fast paths that Limbeck's layers run on.
//!
//! Each operation is an ordinary function on burn tensors: networks and methods do not know
//! which path computes them. Operations in 8 bits are functions of [`ByteMap`]. This is the only crate of the workspace that may contain `unsafe`.

mod activation;
mod angles;
mod attention;
mod autodiff;
mod batch_norm;
mod blend;
mod channels;
mod composed;
mod conv2d;
mod convolution;
mod divergence;
mod elementary;
mod energy;
mod finite;
mod flex;
mod gate;
mod gated_fusion;
mod gelu;
mod image_patches;
mod integer;
mod largest;
mod layer_norm;
#[cfg(test)]
mod levels;
mod likelihood;
mod linear;
mod mapped_file;
mod memory;
mod normalisation;
mod ops;
mod optimizer;
mod optional;
mod peak;
mod perceptron;
mod pieces;
mod pooling;
mod product;
mod profile;
mod quantise;
mod recompute;
mod rectifier;
mod resize;
mod scratch;
mod silu;
mod simd;
mod slopes;
mod softmax;
mod squared_error;
mod tokens;

pub use activation::Activation;
pub use angles::angle_error;
pub use attention::{ProjectionOrder, Windows, attention, self_attention, window_attention};
pub use batch_norm::{
    BatchNormOutput, BatchNormPairOutput, batch_norm_pair_train, batch_norm_train, channel_affine,
};
pub use blend::blend_channels;
pub use channels::{channel_shuffle, interleave_channels};
pub use conv2d::{
    Conv2dOptions, conv2d, conv2d_input_gradient, conv2d_pair, conv2d_weight_gradient, conv2d_with,
};
pub use divergence::{
    cross_entropy_with_shares, divergence, divergence_with_slopes, soft_cross_entropy,
};
pub use energy::{MapSummary, energy_and_mean};
pub use finite::all_finite;
pub use gate::gated;
pub use gated_fusion::{FusionInput, gated_fusion};
pub use gelu::gelu;
pub use image_patches::image_patches;
pub use integer::{
    Addend, ByteMap, IntegerConvolution, IntegerError, IntegerWeights, NumberMap, Quantisation,
    integer_instruction_set,
};
pub use largest::Largest;
pub use layer_norm::layer_norm;
pub use likelihood::pixel_log_likelihood;
pub use linear::{linear, linear_onto, product, transposed_product};
pub use mapped_file::MappedFile;
pub use memory::{
    AlignedAllocator, forget_most_held, held_memory, keep_freed_memory, most_held_memory,
};
pub use optimizer::{
    AdamWStep, AdamWTensors, SgdStep, adamw_step, moving_average, sgd_step, sum_of_squares,
};
pub use peak::{copy_rate, multiply_add_peak};
pub use perceptron::{PerceptronWeights, perceptron};
pub use pooling::{Pool2dOptions, adaptive_avg_pool2d, avg_pool2d, global_avg_pool2d, max_pool2d};
pub use profile::{Between, Operation, Profile, profile};
pub use quantise::{Levels, RowCodes, quantise, quantise_rows, value_range};
pub use recompute::{apart, recomputed};
pub use rectifier::relu;
pub use resize::{Interpolation, resize};
pub use silu::silu;
pub use simd::instruction_set;
pub use softmax::{exponentials, sum_of_exponentials};
pub use squared_error::{PyramidLevel, mean_squared_error, pyramid_squared_error};
pub use tokens::{
    depthwise_tokens, depthwise_tokens_with, map_to_tokens, token_patches, tokens_to_map,
};
