//! From numbers to bytes and back.

use rayon::prelude::*;

use super::{
    ByteMap, IntegerError, Quantisation,
    instructions::{Bytes, Kernel, Level, MOST_LANES, Range},
};
use crate::profile::{span_of, span_of_bytes};

impl ByteMap {
    /// Quantises `numbers` `[B, C, H, W]`: the nearest bytes, halves to the even distance from the zero point;
    /// what is not a number becomes the zero point.
    ///
    /// # Errors
    /// [`IntegerError::Shape`] where there are more or fewer numbers, [`IntegerError::Scale`].
    pub fn quantise(
        numbers: &[f32],
        shape: [usize; 4],
        quantisation: Quantisation,
    ) -> Result<Self, IntegerError> {
        Self::quantise_by(Level::fastest(), numbers, shape, quantisation)
    }

    pub(super) fn quantise_by(
        level: Level,
        numbers: &[f32],
        shape: [usize; 4],
        quantisation: Quantisation,
    ) -> Result<Self, IntegerError> {
        let read = || (vec![shape.to_vec()], size_of_val(numbers));
        let _span = span_of("numbers to bytes", || 0, read);
        let [batch, channels, height, width] = shape;
        let count = shape
            .iter()
            .try_fold(1usize, |count, &n| count.checked_mul(n));
        if count != Some(numbers.len()) {
            return Err(IntegerError::Shape {
                what: "numbers to be quantised",
                expected: format!("as many as {shape:?} has"),
                found: format!("{} numbers", numbers.len()),
            });
        }
        quantisation.check("numbers to be quantised")?;
        let row = width * channels;
        let mut bytes = vec![0; numbers.len()];
        if !bytes.is_empty() {
            let rows = bytes.par_chunks_mut(row).enumerate();
            let rows = rows.with_min_len(4096usize.div_ceil(row));
            rows.for_each_init(
                || vec![0; width],
                |line, (index, row)| {
                    let (image, y) = (index / height, index % height);
                    for channel in 0..channels {
                        let start = ((image * channels + channel) * height + y) * width;
                        level.run(Line {
                            numbers: &numbers[start..start + width],
                            bytes: line,
                            quantisation,
                        });
                        for (pixel, &byte) in row.chunks_exact_mut(channels).zip(&*line) {
                            pixel[channel] = byte;
                        }
                    }
                },
            );
        }
        ByteMap::new(&bytes, [batch, height, width, channels], quantisation)
    }

    /// What the bytes stand for, `[B, C, H, W]`.
    pub fn numbers(&self) -> Vec<f32> {
        let _span = span_of_bytes("bytes to numbers", self, || 0);
        let [batch, height, width, channels] = self.shape();
        let quantisation = self.quantisation();
        let size = height * width;
        let mut numbers = vec![0.0; batch * channels * size];
        if numbers.is_empty() {
            return numbers;
        }
        let maps = numbers.par_chunks_mut(size).enumerate();
        maps.with_min_len(4096usize.div_ceil(size))
            .for_each(|(index, map)| {
                let (image, channel) = (index / channels, index % channels);
                let from = self.bytes()[image * size * channels + channel..].iter();
                for (number, &byte) in map.iter_mut().zip(from.step_by(channels)) {
                    *number = quantisation.number(byte);
                }
            });
        numbers
    }
}

/// Quantises `numbers` to as many bytes.
pub(super) struct Line<'a> {
    pub numbers: &'a [f32],
    pub bytes: &'a mut [u8],
    pub quantisation: Quantisation,
}

impl Kernel for Line<'_> {
    #[inline(always)]
    unsafe fn run<S: Bytes>(self) {
        let Quantisation {
            scale,
            zero_point,
            greatest,
        } = self.quantisation;
        let range = Range {
            zero_point,
            low: 0,
            high: greatest,
        };
        let most = 4 * S::LANES;
        let pieces = self.numbers.chunks(most).zip(self.bytes.chunks_mut(most));
        for (numbers, bytes) in pieces {
            let mut from = [0.0; 4 * MOST_LANES];
            let mut to = [0; 4 * MOST_LANES];
            let whole = numbers.len() == most;
            if !whole {
                from[..numbers.len()].copy_from_slice(numbers);
            }
            let start = if whole {
                numbers.as_ptr()
            } else {
                from.as_ptr()
            };
            // SAFETY: as this function's own; four vectors are read and written.
            unsafe {
                let mut four = [S::divided(start, scale); 4];
                for i in 1..4 {
                    four[i] = S::divided(start.add(i * S::LANES), scale);
                }
                S::store_bytes(to.as_mut_ptr(), four, range);
            }
            bytes.copy_from_slice(&to[..bytes.len()]);
        }
    }
}
