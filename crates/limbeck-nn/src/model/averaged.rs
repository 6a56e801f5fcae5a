//! What classifiers read that average their last map.

use burn::tensor::Tensor;

use crate::{Feature, layer::global_avg_pool2d};

/// `[B, C]`: of a map or of tokens the mean over positions, of a vector itself; `None` of attention.
pub(crate) fn averaged(feature: Feature) -> Option<Tensor<2>> {
    match feature {
        Feature::Vector(vector) => Some(vector),
        other => other.to_map().map(global_avg_pool2d),
    }
}
