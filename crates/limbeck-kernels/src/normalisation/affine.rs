//! Scaling and shifting of each channel.

use std::mem::MaybeUninit;

use super::{Maps, span::Normalise};
use crate::{activation::Activation, pieces::filled, simd::dispatch};

/// `activation(x · scale + shift + residual)`, `[B, C, H, W]`; scale and shift are `[C]`.
pub(crate) fn forward(
    maps: Maps,
    [x, scale, shift]: [&[f32]; 3],
    residual: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    let work = |map: usize, y: &mut [MaybeUninit<f32>]| {
        let (image, channel) = (map / maps.channels, map % maps.channels);
        dispatch(Normalise {
            x: maps.map(x, image, channel),
            residual: residual.map(|r| maps.map(r, image, channel)),
            centre: 0.0,
            scale: scale[channel],
            shift: shift[channel],
            activation,
            y,
        });
    };
    // SAFETY: the pass writes every position of a map.
    unsafe { filled(maps.batch * maps.channels, maps.size, work) }
}
