//! One batch, and how it is made.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::LoaderConfig;
use crate::augment::{main_labels, mix, mixed_targets};
use crate::{Augment, DataError, Part, Purpose, Stream};

/// A batch of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Position of each image in its part, `[B]`.
    pub indices: Vec<usize>,
    /// Normalised images `[B, C, H, W]`, flat.
    pub images: Vec<f32>,
    /// `[B, C, H, W]`.
    pub shape: [usize; 4],
    /// Class of each image, `[B]`; under mixing, the class with the greater share.
    pub labels: Vec<i64>,
    /// Soft targets `[B, K]`, flat, each row a distribution; `None` unless images are mixed.
    pub targets: Option<Vec<f32>>,
}

/// Everything that the batches of all epochs depend on.
#[derive(Debug)]
pub(super) struct Plan {
    pub part: Part,
    pub augment: Augment,
    pub train: bool,
    pub config: LoaderConfig,
}

impl Plan {
    pub(super) fn batches(&self) -> usize {
        let (images, batch) = (self.part.len(), self.config.batch);
        if self.config.drop_last {
            images / batch
        } else {
            images.div_ceil(batch)
        }
    }

    /// Positions in the order of an epoch.
    pub(super) fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.part.len()).collect();
        if self.config.shuffle {
            Stream::new(self.config.seed, Purpose::Order, epoch as u64, 0, 0).shuffle(&mut order);
        }
        order
    }

    /// Makes a batch. `go_on` is asked before each image; `None` if it said no. A panic on the way
    /// becomes an error.
    pub(super) fn make(
        &self,
        order: &[usize],
        epoch: usize,
        number: usize,
        go_on: impl Fn() -> bool,
    ) -> Option<Result<Batch, DataError>> {
        let made = catch_unwind(AssertUnwindSafe(|| {
            self.try_make(order, epoch, number, &go_on).transpose()
        }));
        made.unwrap_or_else(|panic| {
            let reason = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown reason");
            Some(Err(DataError::Worker {
                batch: number,
                reason: format!("it panicked: {reason}"),
            }))
        })
    }

    fn try_make(
        &self,
        order: &[usize],
        epoch: usize,
        number: usize,
        go_on: &impl Fn() -> bool,
    ) -> Result<Option<Batch>, DataError> {
        let indices = order[self.range(number)].to_vec();
        let numbers = self.augment.numbers();
        let mut images = vec![0.0; indices.len() * numbers];
        for (&position, out) in indices.iter().zip(images.chunks_exact_mut(numbers)) {
            if !go_on() {
                return Ok(None);
            }
            let mut stream = self.train.then(|| self.stream(position, epoch));
            self.augment
                .apply(self.part.image(position)?, stream.as_mut(), out);
        }
        let mut labels: Vec<i64> = indices
            .iter()
            .map(|&position| self.part.label(position) as i64)
            .collect();
        let [height, width] = self.augment.size;
        let shape = [indices.len(), self.augment.channels, height, width];
        let mut targets = None;
        if self.train && self.augment.mixes() {
            let key = (epoch as u64, number as u64);
            let mut stream = Stream::new(self.config.seed, Purpose::Mix, key.0, key.1, 0);
            let (mixup, cutmix) = (self.augment.mixup_alpha, self.augment.cutmix_alpha);
            let share = mix(&mut images, shape, mixup, cutmix, &mut stream);
            targets = Some(mixed_targets(&labels, self.part.classes().len(), share));
            labels = main_labels(&labels, share);
        }
        Ok(Some(Batch {
            indices,
            images,
            shape,
            labels,
            targets,
        }))
    }

    /// Which places of an epoch's order make up a batch.
    fn range(&self, number: usize) -> Range<usize> {
        let start = number * self.config.batch;
        start..(start + self.config.batch).min(self.part.len())
    }

    /// Augments the image at a position. The key is its number in the source, so that another
    /// limit or split shows the image in the same way.
    fn stream(&self, position: usize, epoch: usize) -> Stream {
        let sample = self.part.indices[position] as u64;
        Stream::new(self.config.seed, Purpose::Augment, epoch as u64, sample, 0)
    }
}
