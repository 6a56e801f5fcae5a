//! The anchors of a network that is a detector.

use limbeck_methods::{
    MethodError,
    detection::{AnchorLevel, Anchors},
};
use limbeck_nn::Network;

use crate::TrainError;

/// The anchors of `network`, level by level; `None` where it is no detector.
///
/// # Errors
/// Anchors in its weights that are none.
pub fn anchors_of(network: &Network) -> Result<Option<Anchors>, TrainError> {
    let Some(levels) = network.anchor_sizes() else {
        return Ok(None);
    };
    let levels = levels.into_iter();
    let levels = levels.map(|(stride, sizes)| AnchorLevel { stride, sizes });
    let anchors = Anchors::new(levels.collect()).map_err(MethodError::from)?;
    Ok(Some(anchors))
}
