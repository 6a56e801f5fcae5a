//! What cannot be quantised.

use super::Bits;

/// Why a network cannot be brought to few bits.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum QuantiseError {
    /// A number of bits that there is not.
    #[error(
        "{found} bits: weights and activations have 1 to 8 bits, or 32, which leaves them as they are"
    )]
    Bits {
        /// What was asked for.
        found: u32,
    },
    /// A threshold that no weights can be below.
    #[error(
        "threshold {found}: the distance of weights from their cluster centres has to be allowed to be more than 0"
    )]
    Threshold {
        /// What was asked for.
        found: f64,
    },
    /// A layer without weights.
    #[error("layer `{layer}` has no weights to quantise")]
    NoWeights {
        /// State-dict name of the weight.
        layer: String,
    },
    /// A layer of zeros, whose largest weight nothing can be divided by.
    #[error("all weights of layer `{layer}` are zero, so there is no scale to quantise them by; start from trained weights, or leave the layer at {full} bits", full = Bits::FULL)]
    AllZero {
        /// State-dict name of the weight.
        layer: String,
    },
    /// A weight that is no number.
    #[error("layer `{layer}` has weights that are not finite")]
    NotFinite {
        /// State-dict name of the weight.
        layer: String,
    },
    /// A layer that the network has not.
    #[error("`{network}` has no layer with the weight `{layer}`")]
    NoLayer {
        /// State-dict name of the weight.
        layer: String,
        /// Zoo name of the network.
        network: String,
    },
    /// A layer that no batch norm follows.
    #[error(
        "layer `{layer}` is not followed by a batch norm of its own, which `dorefa` needs to bring its weights back to scale; use the quantiser `range`"
    )]
    NoNorm {
        /// State-dict name of the weight.
        layer: String,
    },
    /// Not one number of bits for each layer.
    #[error("{found} numbers of bits for {layers} layers: there has to be one for each")]
    Count {
        /// Length of the list.
        found: usize,
        /// Layers that are quantised.
        layers: usize,
    },
}
