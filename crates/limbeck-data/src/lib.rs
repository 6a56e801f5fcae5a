//! Data sets, decoding, augmentation and the ordered loader of Limbeck.

mod augment;
mod dataset;
mod decode;
mod error;
mod image;
mod loader;
mod open;
mod resize;
mod source;
mod split;
mod stream;

pub use self::augment::{
    Augment, ColourJitter, Eraser, Fit, Normalisation, PadCrop, Padding, RandAugment,
    RandomErasing, RandomResizedCrop,
};
pub use self::dataset::{Dataset, Part};
pub use self::decode::{decode, decode_file};
pub use self::error::DataError;
pub use self::image::{Image, luma};
pub use self::loader::{Batch, Epoch, Loader, LoaderConfig};
pub use self::open::{OpenOptions, open};
pub use self::resize::resize;
pub use self::source::{Difficulty, Folder, Packed, Shapes, Source};
pub use self::stream::{Purpose, Stream};
