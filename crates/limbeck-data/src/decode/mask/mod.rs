//! Mask files to the ids that they store.

mod from_bmp;
mod from_matlab;
mod from_png;
mod from_pnm;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::{DynamicImage, ImageFormat, ImageReader};

use super::{MAX_DECODED, MAX_FILE, MAX_SIDE, jpeg, limits, read_bounded};
use crate::DataError;

/// Most pixels of a mask: as many as an image of colours may have.
const MAX_PIXELS: u64 = MAX_DECODED / 3;

/// A mask as its file has it, before anything is known of classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMask {
    /// Pixels in a row, above 0.
    pub width: usize,
    /// Rows, above 0.
    pub height: usize,
    /// What the pixels are.
    pub pixels: RawPixels,
}

/// The pixels of a mask file, rows from top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawPixels {
    /// Numbers at the depth that the file has: grey levels, or positions in a palette.
    Ids {
        /// `height · width` of them.
        ids: Vec<u16>,
        /// The colours of a palette: red, green, blue.
        palette: Option<Vec<[u8; 3]>>,
    },
    /// Red, green and blue of each of the `height · width` pixels.
    Colours(Vec<[u8; 3]>),
}

impl RawMask {
    /// The number of each pixel: what is stored, or, where a file has three channels, the level that
    /// they share.
    ///
    /// # Errors
    /// The first pixel (column, row) with a colour that is not grey.
    pub fn ids(&self) -> Result<Vec<u16>, [usize; 2]> {
        match &self.pixels {
            RawPixels::Ids { ids, .. } => Ok(ids.clone()),
            RawPixels::Colours(colours) => colours
                .iter()
                .enumerate()
                .map(|(at, &[red, green, blue])| {
                    (red == green && green == blue)
                        .then_some(u16::from(red))
                        .ok_or([at % self.width, at / self.width])
                })
                .collect(),
        }
    }
}

/// Reads a mask file; see [`decode_mask`].
///
/// # Errors
/// A file that cannot be read or decoded, by name.
pub fn decode_mask_file(path: &Path) -> Result<RawMask, DataError> {
    decode_mask(&read_bounded(path)?, path)
}

/// Decodes a mask from PNG, BMP, PGM (PBM, PPM), TIFF or a MATLAB file of SBD, told apart by content,
/// at the depth that it is stored in: 1, 2, 4, 8 or 16 bits. Palettes are not resolved and levels are
/// not scaled: the number that the file has for a pixel is its id. `path` is for messages.
///
/// An alpha channel that is the same everywhere is dropped.
///
/// # Errors
/// [`DataError::Corrupt`] for what is not such a file, or is damaged, cut short or too big;
/// [`DataError::LossyMask`] for JPEG, [`DataError::MaskKind`] for whatever else holds no exact ids.
pub fn decode_mask(bytes: &[u8], path: &Path) -> Result<RawMask, DataError> {
    if bytes.is_empty() {
        return Err(DataError::corrupt(path, "it is empty"));
    }
    if bytes.len() as u64 > MAX_FILE {
        let reason = format!("it has more than {MAX_FILE} bytes");
        return Err(DataError::corrupt(path, reason));
    }
    if jpeg::is_jpeg(bytes) {
        return Err(DataError::LossyMask {
            path: path.to_owned(),
        });
    }
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_by_content(bytes, path)));
    let mask = decoded.map_err(|_| DataError::corrupt(path, "its decoder gave up"))??;
    let pixels = match &mask.pixels {
        RawPixels::Ids { ids, .. } => ids.len(),
        RawPixels::Colours(colours) => colours.len(),
    };
    if pixels == 0 || pixels != mask.width * mask.height {
        let reason = format!("it has {pixels} pixels for {}x{}", mask.width, mask.height);
        return Err(DataError::corrupt(path, reason));
    }
    Ok(mask)
}

fn decode_by_content(bytes: &[u8], path: &Path) -> Result<RawMask, DataError> {
    if bytes.starts_with(b"\x89PNG") {
        return from_png::decode(bytes, path);
    }
    if from_matlab::is_matlab(bytes) {
        return from_matlab::decode(bytes, path);
    }
    if let Some(mask) = from_bmp::decode_indexed(bytes, path)? {
        return Ok(mask);
    }
    if let Some(mask) = from_pnm::decode_grey(bytes, path)? {
        return Ok(mask);
    }
    let kind = |reason: &str| Err(mask_kind(path, reason));
    match image::guess_format(bytes) {
        Ok(ImageFormat::Bmp | ImageFormat::Pnm | ImageFormat::Tiff) => {}
        Ok(ImageFormat::WebP) => return kind("it is a WebP file, which may have changed its ids"),
        Ok(ImageFormat::Gif) => return kind("it is a GIF file"),
        _ => {
            let reason = "it is no image of a kind that masks are kept in";
            return Err(DataError::corrupt(path, reason));
        }
    }
    let decoded = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(image::ImageError::from)
        .and_then(|mut reader| {
            reader.limits(limits());
            reader.decode()
        })
        .map_err(|e| match e {
            image::ImageError::Unsupported(e) => mask_kind(path, &e.to_string()),
            e => DataError::corrupt(path, e.to_string()),
        })?;
    let [width, height] = size(path, decoded.width(), decoded.height())?;
    let pixels = match decoded {
        DynamicImage::ImageLuma8(levels) => grey(levels.into_raw().into_iter().map(u16::from)),
        DynamicImage::ImageLuma16(levels) => grey(levels.into_raw().into_iter()),
        DynamicImage::ImageLumaA8(levels) => {
            grey_alpha(&levels.into_raw(), path, |level| u16::from(*level))?
        }
        DynamicImage::ImageRgb8(colours) => RawPixels::Colours(colours_of(&colours.into_raw())),
        DynamicImage::ImageRgba8(colours) => colours_alpha(&colours.into_raw(), path)?,
        _ => return kind("it has neither whole numbers of at most 16 bits nor colours of 8 bits"),
    };
    Ok(RawMask {
        width,
        height,
        pixels,
    })
}

fn mask_kind(path: &Path, reason: &str) -> DataError {
    DataError::MaskKind {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Width and height, if a mask may have them.
fn size(path: &Path, width: u32, height: u32) -> Result<[usize; 2], DataError> {
    let pixels = u64::from(width) * u64::from(height);
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        let reason = format!(
            "it announces {width}x{height} pixels; sides must be 1 to {MAX_SIDE}, and pixels \
             {MAX_PIXELS} at the most"
        );
        return Err(DataError::corrupt(path, reason));
    }
    Ok([width as usize, height as usize])
}

fn grey(ids: impl Iterator<Item = u16>) -> RawPixels {
    RawPixels::Ids {
        ids: ids.collect(),
        palette: None,
    }
}

/// Levels and alpha in turns, `[N, 2]`.
fn grey_alpha<T: PartialEq>(
    samples: &[T],
    path: &Path,
    id: impl Fn(&T) -> u16,
) -> Result<RawPixels, DataError> {
    let (levels, alpha): (Vec<&T>, Vec<&T>) = samples
        .chunks_exact(2)
        .map(|pair| (&pair[0], &pair[1]))
        .unzip();
    refuse_alpha(&alpha, path)?;
    Ok(grey(levels.into_iter().map(id)))
}

/// Red, green, blue and alpha in turns, `[N, 4]`.
fn colours_alpha(samples: &[u8], path: &Path) -> Result<RawPixels, DataError> {
    let pixels = samples.chunks_exact(4);
    let alpha: Vec<u8> = pixels.clone().map(|pixel| pixel[3]).collect();
    refuse_alpha(&alpha, path)?;
    let colours = pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]);
    Ok(RawPixels::Colours(colours.collect()))
}

fn refuse_alpha<T: PartialEq>(alpha: &[T], path: &Path) -> Result<(), DataError> {
    if alpha.windows(2).any(|pair| pair[0] != pair[1]) {
        let reason = "it has an alpha channel that differs from pixel to pixel, and nothing says \
                      what that means";
        return Err(mask_kind(path, reason));
    }
    Ok(())
}

fn colours_of(samples: &[u8]) -> Vec<[u8; 3]> {
    let pixels = samples.chunks_exact(3);
    pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

/// Numbers of 1, 2, 4 or 8 bits, packed into bytes from the highest bit on, each row in bytes of its
/// own (`stride` of them).
fn unpacked(bytes: &[u8], width: usize, stride: usize, bits: usize) -> Vec<u16> {
    let per_byte = 8 / bits;
    let most = ((1u16 << bits) - 1) as u8;
    let mut ids = Vec::with_capacity(bytes.len() / stride.max(1) * width);
    for row in bytes.chunks_exact(stride.max(1)) {
        ids.extend((0..width).map(|x| {
            let shift = 8 - bits * (x % per_byte + 1);
            u16::from(row.get(x / per_byte).map_or(0, |byte| byte >> shift & most))
        }));
    }
    ids
}

#[cfg(test)]
mod tests;
