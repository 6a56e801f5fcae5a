//! Made-up images, loaded and varied as in a training.

use std::sync::Arc;

use limbeck_data::{
    Annotation, Augment, Batch, DataError, Epoch, Image, Loader, PadCrop, Part, Source,
};
use limbeck_methods::Images;
use limbeck_nn::InputShape;

use crate::{TrainError, job::loader_config, recipe::Recipe};

/// Images of the data set: enough for an epoch of some length.
const IMAGES: usize = 4096;

/// Batches without end, made ahead by threads of their own.
pub(super) struct Feed {
    loader: Loader,
    epoch: usize,
    batches: Epoch,
}

impl Feed {
    /// Batches of `batch` as `wanted`, loaded and varied as in the CIFAR protocol (shifted by up to 4 pixels,
    /// mirrored) with the workers that recipes have.
    ///
    /// # Errors
    /// Images that cannot be loaded as they are wanted.
    pub fn new(
        input: InputShape,
        batch: usize,
        wanted: Images,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let part = Part::all(Arc::new(Noise::of(input, IMAGES.max(batch))));
        let mut recipe = Recipe::default();
        recipe.data.batch = batch;
        let augment = Augment {
            size: [input.height, input.width],
            channels: input.channels,
            flip: 0.5,
            pad_crop: Some(PadCrop::default()),
            ..Augment::default()
        };
        let config = loader_config(&recipe, &part, seed, wanted, 0);
        let loader = Loader::new(part, augment, true, config)?;
        Ok(Self {
            batches: loader.epoch(0, 0),
            epoch: 0,
            loader,
        })
    }

    /// The next batch.
    ///
    /// # Errors
    /// None that is known of: the images are made up.
    pub fn batch(&mut self) -> Result<Batch, TrainError> {
        loop {
            if let Some(batch) = self.batches.next() {
                return Ok(batch?);
            }
            self.epoch += 1;
            self.batches = self.loader.epoch(self.epoch, 0);
        }
    }
}

/// Images of noise in memory, their classes in turn.
#[derive(Debug)]
struct Noise {
    images: Vec<Image>,
    classes: Vec<String>,
}

impl Noise {
    fn of(input: InputShape, count: usize) -> Self {
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let pixels = input.channels * input.height * input.width;
        let mut image = || Image {
            width: input.width,
            height: input.height,
            channels: input.channels,
            pixels: (0..pixels).map(|_| byte()).collect(),
        };
        Self {
            images: (0..count).map(|_| image()).collect(),
            classes: (0..input.classes).map(|class| class.to_string()).collect(),
        }
    }
}

impl Source for Noise {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::Class(index % self.classes.len()))
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        Ok(self.images[index].clone())
    }
}
