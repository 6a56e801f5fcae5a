//! What can go wrong with data.

use std::path::PathBuf;

/// Errors of data sets, images, augmentation settings and the loader.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is nothing at the path.
    #[error(
        "no folder at {}; give the folder of a data set, or `shapes` or `scenes` for a generated one",
        path.display()
    )]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// The path is not a folder.
    #[error("{} is a file; give the folder that holds the data set", path.display())]
    NotAFolder {
        /// What was asked for.
        path: PathBuf,
    },
    /// The folder has nothing in it that could be used.
    #[error("{} holds no {wanted}", path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
        /// What it should hold.
        wanted: String,
    },
    /// No data set of a known layout is in the folder.
    #[error(
        "{} is not a data set of a known layout; looked for IDX files \
         (train-images-idx3-ubyte[.gz], …), CIFAR-10 or CIFAR-100 (binary or Python version), images with \
         masks (images/*.jpg and masks/*.png), and folders of images, one for each class \
         (train/CLASS/*.jpg, or CLASS/*.jpg); found {found}",
        path.display()
    )]
    NotRecognised {
        /// The folder.
        path: PathBuf,
        /// Some of what is in it.
        found: String,
    },
    /// A folder of images with masks and with boxes.
    #[error(
        "{} has masks and boxes; say which are to be learnt: --task segmentation or --task detection",
        path.display()
    )]
    MasksAndBoxes {
        /// The folder.
        path: PathBuf,
    },
    /// A folder without boxes, where these are wanted.
    #[error(
        "{}: no boxes of objects were found; looked for YOLO (data.yaml, or images/ and labels/ with \
         classes.txt), COCO (JSON with images, annotations and categories), PASCAL VOC (XML with bndbox) and \
         LabelMe (JSON with shapes beside each image)",
        path.display()
    )]
    NoBoxes {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has a known layout that is incomplete or contradicts itself.
    #[error("{}: {reason}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system could not read a file or folder.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a data set is damaged.
    #[error("{} is damaged: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// An image is whole, but of a kind that is not read.
    #[error(
        "{} is of a kind that is not supported: {reason}; convert it to PNG or JPEG, with 8 or 16 \
         bits a channel",
        path.display()
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A mask was stored in a way that changes ids.
    #[error(
        "{} is a JPEG file, which blurs the ids of a mask into others: take the original mask, or \
         make a new one, as PNG",
        path.display()
    )]
    LossyMask {
        /// The mask.
        path: PathBuf,
    },
    /// A mask is whole, but of a kind that holds no exact ids.
    #[error(
        "{} cannot be read as a mask: {reason}; save it as a PNG file of grey levels or with a \
         palette, the number of each pixel being its id",
        path.display()
    )]
    MaskKind {
        /// The mask.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A mask has ids that belong to no class.
    #[error(
        "{} has {} that belong{} to no class: {}; {hint}",
        path.display(),
        if ids.len() == 1 { "an id" } else { "ids" },
        if ids.len() == 1 { "s" } else { "" },
        listed_ids(ids)
    )]
    UnknownIds {
        /// The mask.
        path: PathBuf,
        /// Each such id, or colour, and how many pixels have it.
        ids: Vec<(String, usize)>,
        /// Which ids there are, and what to do.
        hint: String,
    },
    /// An image and its mask do not lie over each other.
    #[error(
        "{} has {}x{} pixels, but its image, {}, has {}x{}; make both the same size",
        mask.display(), mask_size[0], mask_size[1],
        image.display(), image_size[0], image_size[1]
    )]
    MaskSize {
        /// The mask.
        mask: PathBuf,
        /// Its width and height.
        mask_size: [usize; 2],
        /// The image.
        image: PathBuf,
        /// Its width and height.
        image_size: [usize; 2],
    },
    /// A label does not belong to any class.
    #[error(
        "{}: image {index} has label {label}, but labels must be {first} to {}",
        path.display(),
        (first + classes).saturating_sub(1)
    )]
    Label {
        /// The file with the labels.
        path: PathBuf,
        /// Position of the image, counted from 0.
        index: usize,
        /// Its label.
        label: usize,
        /// The least label.
        first: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A source says one thing of an image and gives another, or panics over it.
    #[error("image {index} of the data source ({name}) cannot be used: {reason}")]
    Source {
        /// Number of the image, counted from 0.
        index: usize,
        /// What the source calls it.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two parts of a data set do not have the same classes.
    #[error(
        "the class folders of {} differ from those of {}: {differences}",
        other.display(),
        path.display()
    )]
    ClassesDiffer {
        /// Folder of the training part.
        path: PathBuf,
        /// Folder of the other part.
        other: PathBuf,
        /// Which are missing, which are in excess.
        differences: String,
    },
    /// A part would have no images, or not enough.
    #[error("the {part} part would be empty: {reason}")]
    EmptyPart {
        /// Such as `validation`.
        part: &'static str,
        /// How that comes, what to do.
        reason: String,
    },
    /// A class has fewer images than shots of it are asked for.
    #[error(
        "{shots} shots of each class are asked for, and {class} has {images} images to train on; ask for fewer"
    )]
    TooFewShots {
        /// Images of each class.
        shots: usize,
        /// Which class, in a sentence.
        class: String,
        /// How many there are.
        images: usize,
    },
    /// A setting is outside its range.
    #[error("`{key}` must be {expected}, found {found}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A loader's worker stopped where it should not.
    #[error("loading batch {batch} stopped: {reason}")]
    Worker {
        /// Number of the batch in its epoch.
        batch: usize,
        /// What the worker said.
        reason: String,
    },
}

/// The first few ids, each with the number of its pixels.
fn listed_ids(ids: &[(String, usize)]) -> String {
    const LISTED: usize = 8;
    let first = ids.iter().take(LISTED);
    let mut texts: Vec<String> = first
        .map(|(id, pixels)| format!("{id} ({pixels} pixels)"))
        .collect();
    if ids.len() > LISTED {
        texts.push(format!("and {} more", ids.len() - LISTED));
    }
    texts.join(", ")
}

impl DataError {
    /// Wraps what the system said about a file or folder.
    pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// A damaged file.
    pub(crate) fn corrupt(path: &std::path::Path, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// A setting outside its range.
    pub(crate) fn setting(
        key: &'static str,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        Self::Setting {
            key,
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}
