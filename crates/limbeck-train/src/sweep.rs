//! A part of the data batch by batch, always in the same order: how networks are measured and asked
//! outside of training.

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_data::{Augment, Batch, DataError, Loader, LoaderConfig, Part};

/// Images of a batch: large enough for the products to be efficient, small enough for the maps of a
/// wide network to stay in memory.
pub(crate) const BATCH: usize = 100;

/// Images of a part in one view each.
pub(crate) struct Sweep {
    loader: Loader,
    view: usize,
}

/// A batch of them.
pub(crate) struct Swept {
    /// `[B, C, H, W]`.
    pub images: Tensor<4>,
    /// Class of each image, `[B]`; empty where images have no classes.
    pub labels: Vec<i64>,
    /// Number of each image in its part, `[B]`.
    pub samples: Vec<usize>,
}

impl Sweep {
    /// `part` in batches of `batch` images. `augment` gives size, channels and normalisation;
    /// whatever it does at random is left out.
    ///
    /// # Errors
    /// An empty part, or settings out of range.
    pub fn new(
        part: Part,
        augment: &Augment,
        batch: usize,
        workers: usize,
    ) -> Result<Self, DataError> {
        let config = LoaderConfig {
            batch,
            workers,
            ..LoaderConfig::default()
        };
        Ok(Self {
            loader: Loader::new(part, augment.clone(), false, config)?,
            view: 0,
        })
    }

    /// The view of that number, drawn from `seed`, as training shows it before images are mixed, in
    /// batches of `batch` images.
    ///
    /// # Errors
    /// An empty part, or settings out of range.
    pub fn of_view(
        part: Part,
        augment: &Augment,
        view: usize,
        seed: u64,
        batch: usize,
        workers: usize,
    ) -> Result<Self, DataError> {
        let single = Augment {
            mixup_alpha: 0.0,
            cutmix_alpha: 0.0,
            ..augment.clone()
        };
        let config = LoaderConfig {
            batch,
            seed,
            workers,
            ..LoaderConfig::default()
        };
        Ok(Self {
            loader: Loader::new(part, single, true, config)?,
            view,
        })
    }

    /// The images.
    pub fn part(&self) -> &Part {
        self.loader.part()
    }

    /// Height and width of the images.
    pub fn size(&self) -> [usize; 2] {
        self.loader.augment().size
    }

    /// The batches as they are loaded.
    pub fn loaded(&self) -> impl Iterator<Item = Result<Batch, DataError>> + use<> {
        self.loader.epoch(self.view, 0)
    }

    /// The batches on `device`, as numbers of `dtype`.
    pub fn batches(
        &self,
        device: &Device,
        dtype: DType,
    ) -> impl Iterator<Item = Result<Swept, DataError>> + use<> {
        let device = device.clone();
        self.loaded().map(move |batch| {
            let batch = batch?;
            let numbers = TensorData::new(batch.images, batch.shape);
            Ok(Swept {
                images: Tensor::from_data(numbers, (&device, dtype)),
                labels: batch.labels,
                samples: batch.samples,
            })
        })
    }
}
