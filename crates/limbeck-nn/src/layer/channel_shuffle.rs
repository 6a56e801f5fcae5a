//! Mixing of channel groups.

use burn::tensor::Tensor;

/// Takes channels from the groups in turn: channel `g · (C / groups) + c` becomes
/// `c · groups + g`. `[B, C, H, W]` → the same shape; `groups` divides `C`.
///
/// Zhang et al. "ShuffleNet". CVPR 2018, section 3.1.
pub fn channel_shuffle(x: Tensor<4>, groups: usize) -> Tensor<4> {
    if groups == 1 {
        return x;
    }
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, groups, channels / groups, height * width])
        .swap_dims(1, 2)
        .reshape([batch, channels, height, width])
}
