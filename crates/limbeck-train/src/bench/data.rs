//! How fast images are read and varied.

use std::path::Path;
use std::time::Instant;

use limbeck_data::{Augment, DataError, Labelling, Loader, LoaderConfig, Normalisation};
use limbeck_data::{OpenOptions, RandomResizedCrop, RandomScale, open};

use crate::latency::median;

/// What is measured: the training part of a data set, batch by batch, as training asks for it, with
/// nothing that learns from it.
#[derive(Clone, Copy, Debug)]
pub struct DataBench {
    /// Height and width of what a network would see.
    pub size: [usize; 2],
    /// Images of a batch.
    pub batch: usize,
    /// Threads that load.
    pub workers: usize,
    /// Runs, each over a data set that is opened anew.
    pub runs: usize,
}

/// Medians of what was found.
#[derive(Clone, Copy, Debug)]
pub struct DataRates {
    /// Images of the training part.
    pub images: usize,
    /// Whether they have masks, which then are read and varied with them.
    pub masks: bool,
    /// Images in a second in the first epoch, in which every file is read and decoded.
    pub first_per_second: f64,
    /// Images in a second in the second epoch, in which decoded images may be at hand.
    pub later_per_second: f64,
}

impl DataBench {
    /// Measures the data at `path`. Images with masks are scaled by 0.5 to 2 and cropped, others
    /// cropped and resized; both are mirrored and normalised.
    ///
    /// # Errors
    /// Data that cannot be opened or read, settings out of range.
    pub fn run(&self, path: &Path) -> Result<DataRates, DataError> {
        let mut rates = [Vec::new(), Vec::new()];
        let (mut images, mut masks) = (0, false);
        for _ in 0..self.runs {
            let part = open(path, &OpenOptions::default())?.train;
            images = part.len();
            masks = part.labelling() == Labelling::Masks;
            let augment = Augment {
                size: self.size,
                flip: 0.5,
                random_scale: masks.then(RandomScale::default),
                random_resized_crop: (!masks).then(RandomResizedCrop::default),
                normalisation: Some(imagenet()),
                ..Augment::default()
            };
            let config = LoaderConfig {
                batch: self.batch,
                shuffle: true,
                workers: self.workers,
                ..LoaderConfig::default()
            };
            let loader = Loader::new(part, augment, true, config)?;
            for (epoch, rates) in rates.iter_mut().enumerate() {
                let start = Instant::now();
                for batch in loader.epoch(epoch, 0) {
                    batch?;
                }
                rates.push(images as f64 / start.elapsed().as_secs_f64());
            }
        }
        let [first, later] = rates.map(median);
        Ok(DataRates {
            images,
            masks,
            first_per_second: first,
            later_per_second: later,
        })
    }
}

/// Mean and deviation of ImageNet, which most recipes normalise by.
fn imagenet() -> Normalisation {
    Normalisation::new(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])
}
