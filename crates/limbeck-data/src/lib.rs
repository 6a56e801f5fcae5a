//! Data sets, decoding, augmentation and the ordered loader of Limbeck: from files to the numbers
//! that a network sees. Plain buffers come out; nothing here knows of tensors.
//!
//! # The way of an image
//!
//! 1. [`open`] looks at a folder and finds out what it holds: IDX files, CIFAR in its binary or
//!    its Python version, or folders of image files; the names `shapes` and `scenes` stand for
//!    generated sets, the latter with masks.
//!    The result is a [`Dataset`] of three parts that share no image: `train`, `validation` to
//!    choose by, and `test`, which is touched once. What the data set does not bring is taken from
//!    its training part, class by class, as the seed says.
//! 2. Each [`Part`] is a list of numbers into a [`Source`], which gives what is known of an image
//!    ([`Annotation`]: its class, or nothing) and the [`Image`] itself (8 bits, 1 or 3 channels)
//!    for the price of decoding or drawing it.
//! 3. [`Augment`] makes an image into the numbers of a network's input: fitted to the size and
//!    normalised, and to train also cropped, mirrored, coloured and so on.
//! 4. The [`Loader`] puts images into batches, in an order of its own for each epoch, with threads
//!    that work ahead. An [`Epoch`] hands out one [`Batch`] after the other and says how long it
//!    kept its consumer waiting.
//!
//! # Chance
//!
//! All chance comes from a [`Stream`], which is made anew from (seed, purpose, epoch, sample,
//! view) wherever it is needed. No state is carried from one image to the next, so that any view
//! of any image can be made again at any time: a run that was killed goes on in the middle of an
//! epoch, and any number of threads gives the same bytes.
//!
//! # Trust
//!
//! Files come from strangers. Every header is checked against what follows before memory is
//! taken, images are bounded in size, pickles are read without running anything, and what is
//! damaged or cut short becomes a [`DataError`] that names the file.
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//! use limbeck_data::{Augment, Loader, LoaderConfig, Normalisation, OpenOptions, PadCrop, open};
//!
//! let data = open(Path::new("shapes:200"), &OpenOptions::default())?;
//! let mut augment = Augment {
//!     pad_crop: Some(PadCrop::default()),
//!     flip: 0.5,
//!     ..Augment::default()
//! };
//! augment.normalisation = Some(Normalisation::measure(&data.train, &augment, 0)?);
//! let config = LoaderConfig { batch: 32, shuffle: true, ..LoaderConfig::default() };
//! let loader = Loader::new(data.train, augment, true, config)?;
//! for batch in loader.epoch(0, 0) {
//!     let batch = batch?;
//!     assert_eq!(batch.images.len(), batch.shape.iter().product::<usize>());
//! }
//! # Ok::<(), limbeck_data::DataError>(())
//! ```

mod augment;
mod blocks;
pub mod check;
mod continual;
mod dataset;
mod decode;
mod error;
mod found;
mod image;
mod images;
mod loader;
mod mask;
mod measured;
mod open;
mod resize;
mod saliency;
mod share;
mod source;
mod split;
mod stream;
mod style;
mod window;

pub use self::augment::{
    Augment, BOX_PADDING, BoxAffine, BoxSample, ColourJitter, Eraser, Fit, HsvJitter, Letterbox,
    Normalisation, PadCrop, Padding, Paste, RandAugment, RandomErasing, RandomResizedCrop,
    RandomScale, composite, flip_with_boxes, gaussian_blur, mosaic,
};
pub use self::blocks::BlockPattern;
pub use self::continual::{ContinualSetting, ShownClasses, SplitError, TaskSplit};
pub use self::dataset::{Dataset, Part};
pub use self::decode::{
    IMAGE_EXTENSIONS, RawMask, RawPixels, decode, decode_file, decode_file_upright, decode_mask,
    decode_mask_file,
};
pub use self::error::DataError;
pub use self::found::Found;
pub use self::image::{Image, luma};
pub use self::images::{Balanced, Images};
pub use self::loader::{
    Batch, Domains, Epoch, InStyles, Large, Loader, LoaderConfig, WholeImage, WholeImages,
};
pub use self::mask::{MAX_MASK_CLASSES, Mask, VOID};
pub use self::measured::Measured;
pub use self::open::{OpenOptions, find, find_labelled, open};
pub use self::resize::resize;
pub use self::saliency::{SaliencySource, saliency};
pub use self::source::{
    Annotation, BoxCheck, BoxLabel, BoxPlace, BoxPosition, BoxProblem, BoxProblems, BoxSizes,
    BoxedImage, BoxedImages, BoxedScenes, ClassBoxes, Difficulty, Folder, FoundBoxes, Labelling,
    Packed, Pairing, Pairs, Relabelled, Scaled, SceneBox, SceneDifficulty, Scenes, Shapes, Source,
    Style, Styled, find_boxes, images_below,
};
pub use self::stream::{Purpose, Stream};
pub use self::style::{StyleMap, swap_amplitudes, take_statistics};
