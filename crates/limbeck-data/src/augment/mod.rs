//! Augmentation: pure functions of an image and a [`Stream`](crate::Stream), one file each.

mod cutmix;
mod fit;
mod flip;
mod mix;
mod mixup;
mod normalise;
mod pad_crop;
mod settings;

pub use fit::Fit;
pub(crate) use mix::{main_labels, mix, mixed_targets};
pub use normalise::Normalisation;
pub use pad_crop::{PadCrop, Padding};
pub use settings::Augment;
