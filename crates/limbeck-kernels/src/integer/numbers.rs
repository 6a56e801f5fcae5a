//! Feature maps of numbers in the order of bytes.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    Addend, ByteMap, IntegerError, Quantisation,
    border::Line,
    instructions::{Level, MOST_LANES},
};
use crate::{Activation, activation::SIX, gelu, profile::span_of, silu};

/// Numbers behind the last one, so that vectors may be read from any place of a map.
const SLACK: usize = MOST_LANES;

/// Numbers of a task.
const TASK: usize = 1 << 14;

/// Channels that go from one order to the other together.
const CHANNELS: usize = 16;

/// Feature maps of numbers `[B, H, W, C]`, channels last: what a convolution of bytes gives where no bytes
/// are wanted.
#[derive(Clone, Debug)]
pub struct NumberMap {
    /// With the slack.
    numbers: Vec<f32>,
    shape: [usize; 4],
}

impl NumberMap {
    /// A map whose numbers `work` writes.
    ///
    /// # Safety
    /// `work` must write all of the room.
    pub(super) unsafe fn filled(
        shape: [usize; 4],
        work: impl FnOnce(&mut [MaybeUninit<f32>]),
    ) -> Self {
        let count: usize = shape.iter().product();
        let mut numbers = Vec::with_capacity(count + SLACK);
        let (room, slack) = numbers.spare_capacity_mut().split_at_mut(count);
        work(room);
        slack[..SLACK].fill(MaybeUninit::new(0.0));
        // SAFETY: the caller's `work` and the line before have written all of it.
        unsafe { numbers.set_len(count + SLACK) };
        Self { numbers, shape }
    }

    /// Of numbers `[B, H, W, C]`.
    ///
    /// # Errors
    /// [`IntegerError::Shape`] where there are more or fewer.
    pub fn new(numbers: &[f32], shape: [usize; 4]) -> Result<Self, IntegerError> {
        let count = shape
            .iter()
            .try_fold(1usize, |count, &n| count.checked_mul(n));
        if count != Some(numbers.len()) {
            return Err(IntegerError::Shape {
                what: "a map of numbers",
                expected: format!("as many as {shape:?} has"),
                found: format!("{} numbers", numbers.len()),
            });
        }
        // SAFETY: all of the room is written.
        Ok(unsafe {
            Self::filled(shape, |room| {
                room.write_copy_of_slice(numbers);
            })
        })
    }

    /// The numbers, `[B, H, W, C]`.
    pub fn numbers(&self) -> &[f32] {
        &self.numbers[..self.numbers.len() - SLACK]
    }

    /// The numbers, and those behind them that may be read as well.
    pub(super) fn with_slack(&self) -> &[f32] {
        &self.numbers
    }

    /// `[B, H, W, C]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// These numbers plus, where there is one, `residual`, then the activation.
    ///
    /// # Errors
    /// [`IntegerError::Shape`] where the residual has another shape.
    pub fn finished(
        mut self,
        residual: Option<Addend<'_>>,
        activation: Activation,
    ) -> Result<Self, IntegerError> {
        if let Some(residual) = residual
            && residual.shape() != self.shape
        {
            return Err(IntegerError::Shape {
                what: "the residual",
                expected: format!("{:?}", self.shape),
                found: format!("{:?}", residual.shape()),
            });
        }
        let count = self.numbers.len() - SLACK;
        let _span = span_of(
            "integer finish",
            || 0,
            || (vec![self.shape.to_vec()], 4 * count),
        );
        let pieces = self.numbers[..count].par_chunks_mut(TASK).enumerate();
        pieces.for_each(|(index, numbers)| {
            let start = index * TASK;
            let its = start..start + numbers.len();
            match residual {
                Some(Addend::Bytes(map)) => {
                    let quantisation = map.quantisation();
                    for (number, &byte) in numbers.iter_mut().zip(&map.bytes()[its]) {
                        *number += quantisation.number(byte);
                    }
                }
                Some(Addend::Numbers(map)) => {
                    for (number, more) in numbers.iter_mut().zip(&map.numbers()[its]) {
                        *number += more;
                    }
                }
                None => {}
            }
            match activation {
                Activation::Identity => {}
                Activation::Relu => numbers.iter_mut().for_each(|x| *x = x.max(0.0)),
                Activation::Relu6 => numbers.iter_mut().for_each(|x| *x = x.clamp(0.0, SIX)),
                Activation::Silu => numbers.copy_from_slice(&silu::forward(numbers)),
                Activation::Gelu => numbers.copy_from_slice(&gelu::forward(numbers)),
            }
        });
        Ok(self)
    }

    /// The nearest bytes, as [`ByteMap::quantise`] has them.
    ///
    /// # Errors
    /// [`IntegerError::Scale`].
    pub fn quantised(&self, quantisation: Quantisation) -> Result<ByteMap, IntegerError> {
        quantisation.check("numbers to be quantised")?;
        let read = || (vec![self.shape.to_vec()], size_of_val(self.numbers()));
        let _span = span_of("numbers to bytes", || 0, read);
        // SAFETY: the lines cover the room, and are written.
        Ok(unsafe {
            ByteMap::filled(self.shape, quantisation, |room| {
                let pieces = self.numbers().par_chunks(TASK);
                let pieces = pieces.zip(room.par_chunks_mut(TASK));
                pieces.for_each(|(numbers, room)| {
                    room.fill(MaybeUninit::new(0));
                    Level::fastest().run(Line {
                        numbers,
                        bytes: room.assume_init_mut(),
                        quantisation,
                    });
                });
            })
        })
    }

    /// The numbers with channels first, `[B, C, H, W]`.
    pub fn channels_first(&self) -> Vec<f32> {
        let [batch, height, width, channels] = self.shape;
        let size = height * width;
        let mut numbers = vec![0.0; batch * channels * size];
        if numbers.is_empty() {
            return numbers;
        }
        let images = numbers.par_chunks_mut(channels * size).enumerate();
        images.for_each(|(image, numbers)| {
            let from = &self.numbers()[image * channels * size..][..channels * size];
            let groups = numbers.par_chunks_mut(CHANNELS * size).enumerate();
            groups.for_each(|(group, maps)| {
                let first = group * CHANNELS;
                for (channel, map) in maps.chunks_exact_mut(size).enumerate() {
                    let its = from[first + channel..].iter().step_by(channels);
                    for (to, &number) in map.iter_mut().zip(its) {
                        *to = number;
                    }
                }
            });
        });
        numbers
    }
}
