//! Any function of single numbers.

use rayon::prelude::*;

use super::{ByteMap, IntegerError, Quantisation};
use crate::profile::span_of_bytes;

/// Bytes of a task.
const TASK: usize = 1 << 15;

impl ByteMap {
    /// Each number through `function`, quantised as `output`: an activation that is not part of a convolution, such
    /// as SiLU, or the same numbers in other steps. `function` is asked once for each of the 256 bytes; what is
    /// not a number becomes the zero point.
    ///
    /// # Errors
    /// [`IntegerError::Scale`].
    pub fn mapped(
        &self,
        output: Quantisation,
        function: impl Fn(f32) -> f32,
    ) -> Result<Self, IntegerError> {
        output.check("the output")?;
        let _span = span_of_bytes("integer lookup", self, || 0);
        let mut table = [output.zero_point; 256];
        for (byte, to) in (0..=255).zip(&mut table) {
            let number = function(self.quantisation().number(byte));
            if !number.is_nan() {
                *to = output.byte(number);
            }
        }
        let mut bytes = vec![0; self.bytes().len()];
        let pieces = bytes
            .par_chunks_mut(TASK)
            .zip(self.bytes().par_chunks(TASK));
        pieces.for_each(|(to, from)| {
            for (to, &byte) in to.iter_mut().zip(from) {
                *to = table[usize::from(byte)];
            }
        });
        ByteMap::new(&bytes, self.shape(), output)
    }
}
