//! Images with masks, in files.

mod ade20k;
mod boxes;
mod camvid;
mod cityscapes;
mod class_file;
mod coco_stuff;
mod encoding;
mod find;
pub(super) mod labelme;
mod layout;
mod pairing;
mod sample;
mod settle;
mod voc;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::folder::common_shape;
use super::kept::Room;
use super::{Annotation, Labelling, Source};
use crate::decode::{
    RawMask, decode_file, decode_mask_file, dimensions, is_marked, is_turned, upright,
};
use crate::{DataError, Image, Mask};
pub(super) use class_file::yaml;
use encoding::Encoding;
pub(super) use find::{find_masks, images_of_masks};
pub use pairing::Pairing;

/// Images with the class of each pixel, a mask file for each. All images are given in colour.
#[derive(Debug)]
pub struct Pairs {
    classes: Vec<String>,
    pairs: Vec<Pair>,
    encoding: Arc<Encoding>,
    reader: Reader,
    shape: Option<[usize; 3]>,
    pairing: Pairing,
    room: Room,
}

/// How masks are read.
#[derive(Clone, Debug)]
enum Reader {
    /// Pictures of ids or colours, and MATLAB's files of SBD.
    Files,
    /// LabelMe's shapes, drawn with these ids.
    Shapes(labelme::Labels),
}

impl Reader {
    fn read(&self, path: &Path) -> Result<RawMask, DataError> {
        match self {
            Self::Files => decode_mask_file(path),
            Self::Shapes(labels) => labelme::mask_of(path, labels),
        }
    }
}

/// An image and its mask.
#[derive(Debug)]
struct Pair {
    image: PathBuf,
    mask: PathBuf,
    kept_image: OnceLock<Arc<Image>>,
    kept_mask: OnceLock<Arc<Mask>>,
}

impl Pairs {
    fn new(
        classes: Vec<String>,
        encoding: Arc<Encoding>,
        reader: Reader,
        files: Vec<(PathBuf, PathBuf)>,
        pairing: Pairing,
        room: Room,
    ) -> Self {
        let shape = common_shape(files.len(), |index| files[index].0.clone());
        let pair = |(image, mask)| Pair {
            image,
            mask,
            kept_image: OnceLock::new(),
            kept_mask: OnceLock::new(),
        };
        Self {
            classes,
            pairs: files.into_iter().map(pair).collect(),
            encoding,
            reader,
            shape,
            pairing,
            room,
        }
    }

    fn hash_pair(pair: &Pair, hash: &mut Sha256) {
        for path in [&pair.image, &pair.mask] {
            let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update(length.to_le_bytes());
        }
    }
}

impl Pair {
    /// Refuses a mask that does not lie over the image, as it is stored or as a camera's mark says
    /// that it is to be turned.
    fn fits(&self, mask: &Mask) -> Result<(), DataError> {
        let mask_size = [mask.width, mask.height];
        let Some(image_size) = dimensions(&self.image) else {
            // Reading the image will say what is wrong with it.
            return Ok(());
        };
        let turned = [image_size[1], image_size[0]];
        if mask_size == image_size || mask_size == turned && is_turned(&self.image) {
            return Ok(());
        }
        Err(DataError::MaskSize {
            mask: self.mask.clone(),
            mask_size,
            image: self.image.clone(),
            image_size,
        })
    }
}

impl Source for Pairs {
    fn labelling(&self) -> Labelling {
        Labelling::Masks
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        let pair = &self.pairs[index];
        if let Some(mask) = pair.kept_mask.get() {
            return Ok(Annotation::Mask(Mask::clone(mask)));
        }
        let mask = self
            .encoding
            .apply(self.reader.read(&pair.mask)?, &pair.mask)?;
        pair.fits(&mask)?;
        let mask = Arc::new(mask);
        self.room.keep(&pair.kept_mask, &mask, mask.ids.len());
        Ok(Annotation::Mask(Arc::unwrap_or_clone(mask)))
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        self.shared_image(index).map(Arc::unwrap_or_clone)
    }

    fn shared_image(&self, index: usize) -> Result<Arc<Image>, DataError> {
        let pair = &self.pairs[index];
        if let Some(image) = pair.kept_image.get() {
            return Ok(Arc::clone(image));
        }
        let image = decode_file(&pair.image)?.with_channels(3);
        let image = Arc::new(upright(image, &pair.image, || dimensions(&pair.mask)));
        self.room.keep(&pair.kept_image, &image, image.pixels.len());
        Ok(image)
    }

    fn usual_shape(&self) -> Option<[usize; 3]> {
        self.shape
    }

    fn name(&self, index: usize) -> String {
        self.pairs[index].image.display().to_string()
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        // What is turned is not what decoding the file gives.
        let path = &self.pairs[index].image;
        (!is_marked(path)).then(|| path.clone())
    }

    fn mask_file(&self, index: usize) -> Option<PathBuf> {
        Some(self.pairs[index].mask.clone())
    }

    fn pairing(&self) -> Option<&Pairing> {
        Some(&self.pairing)
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = self.labels_digest();
        self.encoding.hash(&mut hash);
        for pair in &self.pairs {
            Self::hash_pair(pair, &mut hash);
        }
        hash.finalize().into()
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        Self::hash_pair(&self.pairs[index], hash);
    }
}

/// Whether a file's name says that it is JPEG.
fn is_named_jpeg(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ["jpg", "jpeg", "jpe", "jfif"].contains(&end.to_lowercase().as_str()))
}
