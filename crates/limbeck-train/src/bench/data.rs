//! How fast images are read and varied.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use image::imageops::FilterType;
use limbeck_data::{Augment, DataError, Labelling, Loader, LoaderConfig, Normalisation, Part};
use limbeck_data::{OpenOptions, RandomResizedCrop, RandomScale, open};

use crate::latency::median;

/// Files that are read by the crate `image` alone at most.
const READ_ALONE: usize = 1_000;

/// Side of a part that is as large as a random one on average, 54 % of the area, in sides of the image.
const USUAL_SIDE: f64 = 0.735;

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
    /// Images in a second that the crate `image` alone reads and decodes, and scales a part of to the size, on
    /// one thread; `None` where images have masks or no files.
    pub image_crate_per_second: Option<f64>,
}

impl DataBench {
    /// Measures the data at `path`. Images with masks are scaled by 0.5 to 2 and cropped, others
    /// cropped and resized; both are mirrored and normalised.
    ///
    /// # Errors
    /// Data that cannot be opened or read, settings out of range.
    pub fn run(&self, path: &Path) -> Result<DataRates, DataError> {
        let mut rates = [Vec::new(), Vec::new()];
        let mut alone = Vec::new();
        let (mut images, mut masks) = (0, false);
        for _ in 0..self.runs {
            let part = open(path, &OpenOptions::default())?.train;
            images = part.len();
            masks = part.labelling() == Labelling::Masks;
            if !masks {
                alone.extend(self.by_the_image_crate(&part));
            }
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
            image_crate_per_second: (!alone.is_empty()).then(|| median(alone)),
        })
    }

    /// Images in a second by the crate `image` alone, of files that it can read.
    fn by_the_image_crate(&self, part: &Part) -> Option<f64> {
        let [height, width] = self.size.map(|side| side as u32);
        let start = Instant::now();
        let mut count = 0;
        for index in part.spread(READ_ALONE).indices {
            let decoded = image::load_from_memory(&std::fs::read(part.source.file(index)?).ok()?);
            let decoded = decoded.ok()?;
            let [w, h] = [decoded.width(), decoded.height()]
                .map(|side| ((f64::from(side) * USUAL_SIDE) as u32).max(1));
            let (left, top) = ((decoded.width() - w) / 2, (decoded.height() - h) / 2);
            let part = decoded.crop_imm(left, top, w, h);
            black_box(part.resize_exact(width, height, FilterType::Triangle));
            count += 1;
        }
        Some(f64::from(count) / start.elapsed().as_secs_f64())
    }
}

/// Mean and deviation of ImageNet, which most recipes normalise by.
fn imagenet() -> Normalisation {
    Normalisation::new(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])
}
