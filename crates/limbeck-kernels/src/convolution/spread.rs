//! Dilated convolutions as ordinary ones.
//!
//! With stride 1 and a dilation of d, an output reads inputs alone whose row and column leave the
//! same rests when divided by d: d² ordinary convolutions of the maps taken apart by these rests,
//! which minimal filtering computes. Maps whose sides d does not divide are filled up with zeros,
//! which is what the padding is. And kernel elements that d puts beyond the map whatever the output
//! read padding alone: without them the others give the same.

use super::{Geometry, winograd};
use crate::pieces::filled;

/// Whether outputs are as many as inputs, each with its own position in the middle of the kernel.
fn is_centred(geometry: &Geometry) -> bool {
    geometry.stride == [1, 1]
        && (0..2).all(|axis| {
            let reach = geometry.dilation[axis] * (geometry.kernel[axis] - 1);
            geometry.kernel[axis] % 2 == 1 && 2 * geometry.padding[axis] == reach
        })
}

/// A convolution of maps taken apart.
pub(super) struct Spread {
    dilation: usize,
    /// Images before they are taken apart.
    batch: usize,
    /// `[H, W]` of the whole maps.
    size: [usize; 2],
    /// The ordinary convolution.
    pub geometry: Geometry,
}

impl Spread {
    /// `None` where minimal filtering would not compute the convolution of the parts.
    pub fn of(geometry: &Geometry) -> Option<Self> {
        let [dilation, other] = geometry.dilation;
        if dilation == 1 || dilation != other || !is_centred(geometry) {
            return None;
        }
        let size = geometry.input.map(|length| length.div_ceil(dilation));
        let parts = Geometry {
            batch: geometry.batch * dilation * dilation,
            input: size,
            output: size,
            padding: geometry.padding.map(|padding| padding / dilation),
            dilation: [1, 1],
            ..*geometry
        };
        winograd::fits(&parts).then_some(Self {
            dilation,
            batch: geometry.batch,
            size: geometry.input,
            geometry: parts,
        })
    }

    /// `[B, C, H, W]` → `[B·d·d, C, ⌈H/d⌉, ⌈W/d⌉]`, an image after the other, its parts by the rest
    /// of the row, then of the column.
    pub fn apart(&self, maps: &[f32], channels: usize) -> Vec<f32> {
        let [height, width] = self.size;
        let [rows, columns] = self.geometry.input;
        let d = self.dilation;
        // SAFETY: every number of a piece is written.
        unsafe {
            filled(
                self.geometry.batch * channels,
                rows * columns,
                |piece, to| {
                    let (part, channel) = (piece / channels, piece % channels);
                    let (image, rest) = (part / (d * d), part % (d * d));
                    let [top, left] = [rest / d, rest % d];
                    let map =
                        &maps[(image * channels + channel) * height * width..][..height * width];
                    for (row, to) in to.chunks_exact_mut(columns).enumerate() {
                        let from = map.get((row * d + top) * width..).unwrap_or_default();
                        let from = &from[..from.len().min(width)];
                        for (column, to) in to.iter_mut().enumerate() {
                            let value = from.get(column * d + left);
                            to.write(value.copied().unwrap_or_default());
                        }
                    }
                },
            )
        }
    }

    /// The inverse of [`Spread::apart`].
    pub fn together(&self, parts: &[f32], channels: usize) -> Vec<f32> {
        let [height, width] = self.size;
        let [rows, columns] = self.geometry.input;
        let d = self.dilation;
        // SAFETY: every number of a piece is written.
        unsafe {
            filled(self.batch * channels, height * width, |piece, to| {
                let (image, channel) = (piece / channels, piece % channels);
                for (y, to) in to.chunks_exact_mut(width).enumerate() {
                    for left in 0..d.min(width) {
                        let part = (image * d + y % d) * d + left;
                        let start = ((part * channels + channel) * rows + y / d) * columns;
                        let from = &parts[start..][..columns];
                        for (to, from) in to[left..].iter_mut().step_by(d).zip(from) {
                            to.write(*from);
                        }
                    }
                }
            })
        }
    }
}

/// A convolution without the kernel elements that read padding alone.
pub(super) struct Trimmed {
    /// Elements left out at either end of each axis.
    left_out: [usize; 2],
    /// `[kh, kw]` with them.
    kernel: [usize; 2],
    /// Without them.
    pub geometry: Geometry,
}

impl Trimmed {
    /// `None` where every element reads the map for some output.
    pub fn of(geometry: &Geometry) -> Option<Self> {
        if !is_centred(geometry) {
            return None;
        }
        let left_out = [0, 1].map(|axis| {
            let reaching = (geometry.input[axis] - 1) / geometry.dilation[axis];
            (geometry.kernel[axis] / 2).saturating_sub(reaching)
        });
        let less = |axis: usize| geometry.kernel[axis] - 2 * left_out[axis];
        let padding =
            |axis: usize| geometry.padding[axis] - left_out[axis] * geometry.dilation[axis];
        (left_out != [0, 0]).then(|| Self {
            left_out,
            kernel: geometry.kernel,
            geometry: Geometry {
                kernel: [0, 1].map(less),
                padding: [0, 1].map(padding),
                ..*geometry
            },
        })
    }

    /// `[O, C / groups, kh, kw]` → the same with fewer elements.
    pub fn weight(&self, weight: &[f32]) -> Vec<f32> {
        let kernels = weight.chunks_exact(self.kernel[0] * self.kernel[1]);
        kernels
            .flat_map(|kernel| self.places().map(|place| kernel[place]))
            .collect()
    }

    /// The inverse of [`Trimmed::weight`] for a gradient, which is zero where elements are left out.
    pub fn whole(&self, gradient: &[f32]) -> Vec<f32> {
        let [rows, columns] = self.geometry.kernel;
        let taps = self.kernel[0] * self.kernel[1];
        let mut whole = vec![0.0; gradient.len() / (rows * columns) * taps];
        let kernels = whole.chunks_exact_mut(taps);
        for (to, from) in kernels.zip(gradient.chunks_exact(rows * columns)) {
            for (place, value) in self.places().zip(from) {
                to[place] = *value;
            }
        }
        whole
    }

    /// Where the elements that are kept stand in the whole kernel.
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let [rows, columns] = self.geometry.kernel;
        (0..rows * columns).map(move |index| {
            let row = self.left_out[0] + index / columns;
            row * self.kernel[1] + self.left_out[1] + index % columns
        })
    }
}
