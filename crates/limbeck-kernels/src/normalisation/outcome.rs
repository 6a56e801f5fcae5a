//! What the normalisations give out, on any backend.

use burn::backend::tensor::FloatTensor;

/// Output, mean and variance, and scales and shifts where the output can be computed by them.
pub(super) type Normalised<B> = (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    Option<FloatTensor<B>>,
);

/// Gradients: of the input, of the residual where asked for, and of two vectors of channels.
pub(super) type Four<B> = (
    FloatTensor<B>,
    Option<FloatTensor<B>>,
    FloatTensor<B>,
    FloatTensor<B>,
);

/// Output, then both means and both variances.
pub(super) type NormalisedPair<B> = (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
);

/// Gradients of both inputs, of both weights and of either bias.
pub(super) type Five<B> = NormalisedPair<B>;
