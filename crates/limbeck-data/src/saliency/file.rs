//! Masks of saliency in files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::decode::decode_file;
use crate::source::SALIENCY_FOLDER;
use crate::{DataError, Image, Part};

/// How many folders above an image the folder of masks may lie beside: those of a class, of a part
/// and of the data set, and one that an archive has put around them.
const LEVELS: usize = 4;

/// Endings that a mask may have, in the order in which they are looked for.
const ENDINGS: [&str; 8] = ["png", "bmp", "pgm", "tif", "tiff", "webp", "jpg", "jpeg"];

/// The mask's file of the image at `position`: of `DATA/train/cat/1.jpg` it is `1.png` in
/// `DATA/train/cat/saliency`, else `cat/1.png` in `DATA/train/saliency`, else `train/cat/1.png` in
/// `DATA/saliency`. A folder called `images` on the way may be left out.
///
/// # Errors
/// An image that has none, or that is no file of its own, with what to do.
pub(super) fn find(part: &Part, position: usize) -> Result<PathBuf, DataError> {
    let lie = |reason: String| DataError::Source {
        index: part.indices[position],
        name: part.name(position),
        reason,
    };
    let Some(image) = part.source.file(part.indices[position]) else {
        return Err(lie(
            "it has no file of its own (or is read in another scale) and so no mask of saliency \
             beside it; set `saliency` to \"estimated\""
                .to_owned(),
        ));
    };
    for folder in image.ancestors().skip(1).take(LEVELS) {
        let Ok(rest) = image.strip_prefix(folder) else {
            continue;
        };
        let within = rest.strip_prefix("images").unwrap_or(rest);
        for rest in [rest, within] {
            let mask = folder.join(SALIENCY_FOLDER).join(rest);
            let mut endings = ENDINGS.iter().map(|ending| mask.with_extension(ending));
            if let Some(found) = endings.find(|path| path.is_file()) {
                return Ok(found);
            }
        }
    }
    let stem = image.file_stem().unwrap_or(OsStr::new("NAME"));
    Err(lie(format!(
        "it has no mask of saliency; put {}/{}.png beside it, or set `saliency` to \"estimated\"",
        SALIENCY_FOLDER,
        stem.to_string_lossy()
    )))
}

/// Reads the mask at `path` of `image`, which is called `name`.
///
/// # Errors
/// A file that cannot be read, in colours, of another size, or that holds nothing but 0 and 1.
pub(super) fn read(path: &Path, name: &str, image: &Image) -> Result<Image, DataError> {
    let mask = decode_file(path)?;
    let wrong = |reason: &str| DataError::Layout {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let pixels = mask.pixels.chunks_exact(mask.channels);
    if pixels
        .clone()
        .any(|pixel| pixel.iter().any(|value| *value != pixel[0]))
    {
        return Err(wrong(
            "a mask of saliency has one channel, and this file has colours; save it in grey levels, 255 \
             in the foreground",
        ));
    }
    if [mask.width, mask.height] != [image.width, image.height] {
        return Err(DataError::MaskSize {
            mask: path.to_owned(),
            mask_size: [mask.width, mask.height],
            image: PathBuf::from(name),
            image_size: [image.width, image.height],
        });
    }
    let levels: Vec<u8> = pixels.map(|pixel| pixel[0]).collect();
    if levels.iter().max() == Some(&1) {
        return Err(wrong(
            "this mask of saliency holds nothing but 0 and 1, which are two blacks; save its foreground \
             as 255",
        ));
    }
    Ok(Image {
        channels: 1,
        pixels: levels,
        ..mask
    })
}
