//! Image files to 8-bit grey or colour.

mod header;
mod jpeg;
mod mask;
mod orientation;

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::error::{ImageFormatHint, UnsupportedErrorKind};
use image::{DynamicImage, ImageError, ImageReader, Limits};

pub(crate) use self::header::Header;
pub use self::mask::{RawMask, RawPixels, decode_mask, decode_mask_file};
pub(crate) use self::orientation::{is_marked, is_turned, upright};
use crate::{DataError, Image};

/// Greatest width or height, in pixels: the most that JPEG can express.
const MAX_SIDE: u32 = 65_535;

/// Most bytes that decoding one image may take: about 180 megapixels of colour.
const MAX_DECODED: u64 = 512 << 20;

/// Most bytes of an image file.
const MAX_FILE: u64 = 256 << 20;

/// Endings of file names that are taken for images, in lower case.
pub const IMAGE_EXTENSIONS: [&str; 13] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "ppm", "pgm", "pbm", "tif", "tiff", "gif",
];

/// Whether bytes are the start of an image of a kind that is read, at least 16 where there are as
/// many.
pub(crate) fn is_image(start: &[u8]) -> bool {
    image::guess_format(start).is_ok_and(|format| format.reading_enabled())
}

/// Reads an image file; see [`decode`].
///
/// # Errors
/// A file that cannot be read or decoded, by name.
pub fn decode_file(path: &Path) -> Result<Image, DataError> {
    decode(&read_bounded(path)?, path)
}

/// The same turned upright as a camera's mark says, which is how pictures with masks are read. A grey
/// image stays as it is stored.
///
/// # Errors
/// Those of [`decode_file`].
pub fn decode_file_upright(path: &Path) -> Result<Image, DataError> {
    Ok(upright(decode_file(path)?, path, || None))
}

/// The bytes of an image file, one more than is allowed at the most.
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>, DataError> {
    let metadata = std::fs::metadata(path).map_err(|e| DataError::io(path, e))?;
    if !metadata.is_file() {
        // Opening a pipe would wait for somebody to write into it.
        return Err(DataError::Layout {
            path: path.to_owned(),
            reason: "it is no regular file, so it cannot be an image".to_owned(),
        });
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|e| DataError::io(path, e))?;
    Ok(bytes)
}

/// Decodes JPEG, PNG, WebP, BMP, PPM (PGM, PBM), TIFF and GIF, told apart by content. `path` is for
/// messages.
///
/// The result is grey where the file is, otherwise red, green, blue. 16 bits are rounded to 8,
/// palettes and CMYK are resolved, transparency is dropped (not blended), and a camera's
/// orientation mark is not followed: all as torchvision's loader does, so accuracies carry over. Of
/// several pages or frames, the first is taken.
///
/// # Errors
/// [`DataError::Corrupt`] for what is not such an image, or is damaged, cut short or too big;
/// [`DataError::Unsupported`] for 32 bits a channel and whatever else is not read.
pub fn decode(bytes: &[u8], path: &Path) -> Result<Image, DataError> {
    let corrupt = |reason: String| DataError::corrupt(path, reason);
    if bytes.is_empty() {
        return Err(corrupt("it is empty".to_owned()));
    }
    if bytes.len() as u64 > MAX_FILE {
        return Err(corrupt(format!("it has more than {MAX_FILE} bytes")));
    }
    if jpeg::is_jpeg(bytes) && !jpeg::is_complete(bytes) {
        return Err(corrupt("the JPEG image is cut short".to_owned()));
    }
    // A decoder that meets what its author did not think of must not end a long run without the
    // name of the file.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        reader(bytes).and_then(ImageReader::decode)
    }))
    .map_err(|_| corrupt("its decoder gave up".to_owned()))?
    .map_err(|e| match e {
        ImageError::Unsupported(e)
            if !matches!(
                e.kind(),
                UnsupportedErrorKind::Format(ImageFormatHint::Unknown)
            ) =>
        {
            unsupported(path, &e.to_string())
        }
        e => corrupt(e.to_string()),
    })?;
    if matches!(
        decoded,
        DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)
    ) {
        return Err(unsupported(path, "it has 32 bits a channel"));
    }
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    if width == 0 || height == 0 {
        return Err(corrupt(format!("it is {width}x{height} pixels large")));
    }
    let (channels, pixels) = if is_grey(&decoded) {
        (1, decoded.into_luma8().into_raw())
    } else {
        (3, decoded.into_rgb8().into_raw())
    };
    Ok(Image {
        width,
        height,
        channels,
        pixels,
    })
}

/// An image that is whole, but of a kind that is not read. Of numbers of 32 bits nothing says which
/// is black and which is white, so they are not guessed at.
fn unsupported(path: &Path, reason: &str) -> DataError {
    DataError::Unsupported {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Width and height of an image file, from its header; `None` if that cannot be read.
pub(crate) fn dimensions(path: &Path) -> Option<[usize; 2]> {
    let reader = ImageReader::open(path).ok()?.with_guessed_format().ok()?;
    let (width, height) = catch_unwind(AssertUnwindSafe(|| reader.into_dimensions()))
        .ok()?
        .ok()?;
    Some([width as usize, height as usize])
}

fn reader(bytes: &[u8]) -> image::ImageResult<ImageReader<Cursor<&[u8]>>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.limits(limits());
    Ok(reader)
}

/// How large an image may be.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    limits
}

fn is_grey(image: &DynamicImage) -> bool {
    matches!(
        image,
        DynamicImage::ImageLuma8(_)
            | DynamicImage::ImageLumaA8(_)
            | DynamicImage::ImageLuma16(_)
            | DynamicImage::ImageLumaA16(_)
    )
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Luma, LumaA, Rgb, Rgba};
    use proptest::prelude::*;

    use super::*;

    const FORMATS: [ImageFormat; 7] = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Pnm,
        ImageFormat::Tiff,
        ImageFormat::Gif,
    ];

    fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn gradient() -> DynamicImage {
        DynamicImage::ImageRgb8(image::RgbImage::from_fn(20, 12, |x, y| {
            Rgb([x as u8 * 10, y as u8 * 20, 128])
        }))
    }

    fn error(bytes: &[u8]) -> String {
        decode(bytes, Path::new("cat.jpg")).unwrap_err().to_string()
    }

    #[test]
    fn all_formats_are_told_apart_by_content_and_give_their_pixels() {
        for format in FORMATS {
            let image = decode(&encode(&gradient(), format), Path::new("any.name")).unwrap();
            assert_eq!((image.width, image.height, image.channels), (20, 12, 3));
            let exact = gradient().into_rgb8().into_raw();
            let farthest = image
                .pixels
                .iter()
                .zip(&exact)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            // JPEG loses a little, above all in colour; GIF has 256 colours.
            let allowed = match format {
                ImageFormat::Jpeg | ImageFormat::Gif => 24,
                _ => 0,
            };
            assert!(farthest.unwrap() <= allowed, "{format:?}: {farthest:?}");
        }
    }

    #[test]
    fn grey_stays_grey_and_alpha_and_16_bits_are_reduced() {
        let path = Path::new("x.png");
        let grey = DynamicImage::ImageLuma8(image::GrayImage::from_pixel(2, 2, Luma([77])));
        let image = decode(&encode(&grey, ImageFormat::Png), path).unwrap();
        assert_eq!((image.channels, image.pixels), (1, vec![77; 4]));

        let deep = image::ImageBuffer::from_pixel(1, 1, Luma([0x8000u16]));
        let image = decode(&encode(&deep.into(), ImageFormat::Png), path).unwrap();
        assert_eq!((image.channels, image.pixels), (1, vec![128]));

        let clear = image::RgbaImage::from_pixel(1, 1, Rgba([10, 20, 30, 0]));
        let image = decode(&encode(&clear.into(), ImageFormat::Png), path).unwrap();
        assert_eq!((image.channels, image.pixels), (3, vec![10, 20, 30]));

        let clear = image::GrayAlphaImage::from_pixel(1, 1, LumaA([99, 3]));
        let image = decode(&encode(&clear.into(), ImageFormat::Png), path).unwrap();
        assert_eq!((image.channels, image.pixels), (1, vec![99]));

        let deep = image::ImageBuffer::from_pixel(1, 1, Rgb([0u16, 0xffff, 0x8000]));
        let image = decode(&encode(&deep.into(), ImageFormat::Tiff), path).unwrap();
        assert_eq!((image.channels, image.pixels), (3, vec![0, 255, 128]));
    }

    #[test]
    fn numbers_of_32_bits_are_not_supported_rather_than_damaged() {
        let deep = image::ImageBuffer::from_pixel(2, 2, Rgb([0.5f32, 200.0, 1.0]));
        let error = error(&encode(&deep.into(), ImageFormat::Tiff));
        assert!(
            error.contains("not supported") && error.contains("8 or 16 bits"),
            "{error}"
        );
    }

    #[test]
    fn cmyk_jpegs_become_colour() {
        let image = decode(&jpeg::tests::cmyk(), Path::new("print.jpg")).unwrap();
        assert_eq!((image.width, image.height, image.channels), (8, 8, 3));
        // No ink is stored as 255 in such files: cyan 64 of 255, no other ink but a little black.
        let [red, green, blue] = [0, 1, 2].map(|channel| image.pixel(3, 3)[channel]);
        assert!(red.abs_diff(48) <= 2, "{red}");
        assert!(
            green.abs_diff(191) <= 2 && blue.abs_diff(191) <= 2,
            "{green} {blue}"
        );
    }

    #[test]
    fn images_that_are_cut_short_are_refused_by_name() {
        for format in FORMATS {
            let bytes = encode(&gradient(), format);
            for keep in [bytes.len() / 2, bytes.len() * 9 / 10] {
                let error = error(&bytes[..keep]);
                assert!(
                    error.starts_with("cat.jpg is damaged"),
                    "{format:?}: {error}"
                );
            }
        }
        assert!(error(&encode(&gradient(), ImageFormat::Jpeg)[..300]).contains("cut short"));
    }

    #[test]
    fn what_is_no_image_is_refused_by_name() {
        assert_eq!(error(b""), "cat.jpg is damaged: it is empty");
        assert!(error(b"<html>not found</html>").starts_with("cat.jpg is damaged"));
        let missing = decode_file(Path::new("/no/such/cat.jpg")).unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("cannot read /no/such/cat.jpg")
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let error = decode_file(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
    }

    #[test]
    fn headers_that_announce_huge_images_are_refused_before_memory_is_taken() {
        assert!(error(b"P6\n60000 60000\n255\n").starts_with("cat.jpg is damaged"));
        assert!(error(b"P5\n4000000000 1\n255\n").starts_with("cat.jpg is damaged"));
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic(
            format in 0usize..7,
            changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = encode(&gradient(), FORMATS[format]);
            for (place, value) in changes {
                let len = bytes.len();
                bytes[place % len] = value;
            }
            if let Ok(image) = decode(&bytes, Path::new("x")) {
                prop_assert_eq!(image.pixels.len(), image.width * image.height * image.channels);
            }
        }
    }
}
