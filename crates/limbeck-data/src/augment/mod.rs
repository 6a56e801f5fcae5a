//! Augmentation: pure functions of an image and a [`Stream`](crate::Stream), one file each.

mod affine;
mod boxes;
mod check;
mod colour;
mod colour_jitter;
mod cutmix;
mod fit;
mod flip;
mod mix;
mod mixup;
mod normalise;
mod pad_crop;
mod paste;
mod quarter_turn;
mod rand_augment;
mod random_erasing;
mod random_resized_crop;
mod random_scale;
mod rotation;
mod settings;
mod tone;
mod view;

pub use boxes::{BOX_PADDING, BoxAffine, BoxSample, HsvJitter, Letterbox, flip_with_boxes, mosaic};
pub use colour_jitter::ColourJitter;
pub use fit::Fit;
pub(crate) use mix::{main_labels, mix, mixed_targets};
pub use normalise::Normalisation;
pub use pad_crop::{PadCrop, Padding};
pub use paste::{Paste, composite, gaussian_blur};
pub use rand_augment::RandAugment;
pub use random_erasing::{Eraser, RandomErasing};
pub use random_resized_crop::RandomResizedCrop;
pub use random_scale::RandomScale;
pub use settings::Augment;
