//! Pooling of maps of bytes. What comes out is quantised as what goes in.

use rayon::prelude::*;

use super::{
    ByteMap, IntegerError,
    geometry::{Geometry, check_options},
};
use crate::{Conv2dOptions, Pool2dOptions, profile::span_of_bytes};

impl ByteMap {
    /// Largest number of each window, `[B, H, W, C]` → `[B, H', W', C]` with
    /// `H' = (H + 2·padding − kernel) / stride + 1`.
    ///
    /// # Errors
    /// [`IntegerError::Shape`] where the windows do not fit.
    pub fn max_pool(&self, options: Pool2dOptions) -> Result<Self, IntegerError> {
        self.pooled(options, |window, to| {
            to.fill(0);
            for pixel in window {
                for (to, &byte) in to.iter_mut().zip(pixel) {
                    *to = byte.max(*to);
                }
            }
        })
    }

    /// Mean of each window, in which padded positions count as 0, `[B, H, W, C]` → `[B, H', W', C]` as in
    /// [`ByteMap::max_pool`]; halves are rounded up.
    ///
    /// # Errors
    /// As [`ByteMap::max_pool`].
    pub fn average_pool(&self, options: Pool2dOptions) -> Result<Self, IntegerError> {
        let [height, width] = options.kernel;
        let size = (height * width) as u64;
        let zero_point = u64::from(self.quantisation().zero_point);
        self.pooled(options, |window, to| {
            let mut sums = vec![0u64; to.len()];
            let mut count = 0;
            for pixel in window {
                count += 1;
                for (sum, &byte) in sums.iter_mut().zip(pixel) {
                    *sum += u64::from(byte);
                }
            }
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = rounded(sum + (size - count) * zero_point, size);
            }
        })
    }

    /// Mean over all positions, `[B, H, W, C]` → `[B, 1, 1, C]`; halves are rounded up.
    ///
    /// # Errors
    /// [`IntegerError::Shape`] where a size is zero.
    pub fn global_average_pool(&self) -> Result<Self, IntegerError> {
        let [_, height, width, _] = self.shape();
        self.average_pool(Pool2dOptions {
            kernel: [height, width],
            stride: [1, 1],
            padding: [0, 0],
        })
    }

    /// `of_window` is given the pixels of a window that there are, and the room for theirs.
    fn pooled(
        &self,
        options: Pool2dOptions,
        of_window: impl Fn(&mut dyn Iterator<Item = &[u8]>, &mut [u8]) + Sync,
    ) -> Result<Self, IntegerError> {
        let windows = Conv2dOptions {
            stride: options.stride,
            padding: options.padding,
            dilation: [1, 1],
            groups: 1,
        };
        let _span = span_of_bytes("integer pool", self, || 0);
        check_options(options.kernel, &windows)?;
        let half = |axis: usize| 2 * options.padding[axis] <= options.kernel[axis];
        if !half(0) || !half(1) {
            return Err(IntegerError::Shape {
                what: "the padding of a pooling",
                expected: format!("at most half of the kernel {:?}", options.kernel),
                found: format!("{:?}", options.padding),
            });
        }
        let geometry = Geometry::new(self.shape(), options.kernel, &windows)?;
        let ([height, width], channels) = (geometry.input, geometry.channels);
        let [rows, columns] = geometry.output;
        let mut bytes = vec![0; geometry.batch * rows * columns * channels];
        let row = columns * channels;
        let work = |(index, to): (usize, &mut [u8])| {
            let (image, y) = (index / rows, index % rows);
            let from = &self.bytes()[image * height * width * channels..];
            let ys = inside(y, 0, &geometry);
            for (x, to) in to.chunks_exact_mut(channels).enumerate() {
                let xs = inside(x, 1, &geometry);
                let places = ys
                    .clone()
                    .flat_map(|y| xs.clone().map(move |x| y * width + x));
                let mut pixels = places.map(|place| &from[place * channels..][..channels]);
                of_window(&mut pixels, to);
            }
        };
        let read = options.kernel[0] * options.kernel[1] * row;
        let rows = bytes.par_chunks_mut(row).enumerate();
        rows.with_min_len((1usize << 15).div_ceil(read))
            .for_each(work);
        ByteMap::new(
            &bytes,
            [geometry.batch, geometry.output[0], columns, channels],
            self.quantisation(),
        )
    }
}

/// The positions of a window along an axis that lie in the map.
fn inside(index: usize, axis: usize, geometry: &Geometry) -> std::ops::Range<usize> {
    let start = index * geometry.stride[axis];
    let end = start + geometry.kernel[axis];
    let padding = geometry.padding[axis];
    start.saturating_sub(padding)..(end.saturating_sub(padding)).min(geometry.input[axis])
}

fn rounded(sum: u64, count: u64) -> u8 {
    // A mean of bytes is one.
    ((sum + count / 2) / count) as u8
}
