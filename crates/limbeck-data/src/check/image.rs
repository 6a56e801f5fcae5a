//! What there is to know of one image.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::masks::LookedMask;
use crate::dataset::reason_of;
use crate::decode::{decode, read_bounded};
use crate::source::{Annotation, Labelling, Source};
use crate::{DataError, Image};

/// Standard deviation below which all channels of an image count as near-constant, in levels of 255.
const NEAR_CONSTANT: f64 = 2.0;

/// The first half of a SHA-256: enough to tell images apart.
pub(super) type Hash = [u8; 16];

/// What is kept of an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Looked {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// Of its file, where it has one of its own.
    pub file: Option<Hash>,
    /// Of shape and pixels.
    pub pixels: Hash,
    /// Sums of the levels of red, green and blue, and of their squares; of a grey image three times
    /// the same.
    pub sums: [[u64; 3]; 2],
    pub near_constant: bool,
    /// What its mask holds, where images have masks.
    pub mask: Option<LookedMask>,
}

/// Looks at every image of a source, in its order; a reason where one cannot be used.
pub(super) fn look_at_all(source: &dyn Source, threads: usize) -> Vec<Result<Looked, String>> {
    let next = AtomicUsize::new(0);
    let looked = Mutex::new(vec![Err(String::new()); source.len()]);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= source.len() {
                return;
            }
            let image =
                catch_unwind(AssertUnwindSafe(|| look(source, index))).unwrap_or_else(|panic| {
                    Err(format!("reading it panicked: {}", reason_of(&*panic)))
                });
            // A thread that panics holds no lock.
            if let Ok(mut looked) = looked.lock() {
                looked[index] = image;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, 64) {
            scope.spawn(work);
        }
        work();
    });
    looked.into_inner().unwrap_or_default()
}

fn look(source: &dyn Source, index: usize) -> Result<Looked, String> {
    let reason = |error: DataError| error.to_string();
    let (image, file) = match source.file(index) {
        None => (source.image(index).map_err(reason)?, None),
        Some(path) => {
            let bytes = read_bounded(&path).map_err(reason)?;
            (
                decode(&bytes, &path).map_err(reason)?,
                Some(hash(&[&bytes])),
            )
        }
    };
    let mask = match source.labelling() {
        Labelling::Masks => match source.annotation(index).map_err(reason)? {
            Annotation::Mask(mask) => Some(LookedMask::of(&mask)),
            Annotation::None | Annotation::Class(_) | Annotation::Boxes(_) => {
                return Err(format!("{} has no mask", source.name(index)));
            }
        },
        Labelling::None | Labelling::Classes | Labelling::Boxes => None,
    };
    let Image {
        width,
        height,
        channels,
        ref pixels,
    } = image;
    let shape = [channels, height, width];
    let mut sums = [[0; 3]; 2];
    for pixel in pixels.chunks_exact(channels) {
        for colour in 0..3 {
            let level = u64::from(pixel[colour.min(channels - 1)]);
            sums[0][colour] += level;
            sums[1][colour] += level * level;
        }
    }
    let count = (width * height) as f64;
    let deviation = |colour: usize| {
        let mean = sums[0][colour] as f64 / count;
        (sums[1][colour] as f64 / count - mean * mean)
            .max(0.0)
            .sqrt()
    };
    Ok(Looked {
        shape,
        file,
        pixels: hash(&[
            &shape.map(|side| side as u64).map(u64::to_le_bytes).concat(),
            pixels,
        ]),
        near_constant: (0..3).all(|colour| deviation(colour) < NEAR_CONSTANT),
        sums,
        mask,
    })
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let full: [u8; 32] = hash.finalize().into();
    let mut half = Hash::default();
    half.copy_from_slice(&full[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Difficulty, Packed, Shapes};

    #[test]
    fn what_is_seen_does_not_depend_on_the_threads() {
        let shapes = Shapes::new(40, 0, Difficulty::default());
        let one = look_at_all(&shapes, 1);
        assert_eq!(one, look_at_all(&shapes, 4));
        assert!(
            one.iter()
                .all(|image| !image.as_ref().unwrap().near_constant)
        );
    }

    #[test]
    fn sums_and_constancy_are_those_of_the_levels() {
        let classes = vec!["a".to_owned()];
        let pixels = vec![10, 20, 7, 7];
        let source = Packed::new(classes, [1, 1, 2], vec![0, 0], pixels).unwrap();
        let images = look_at_all(&source, 1);
        let first = images[0].as_ref().unwrap();
        assert_eq!(first.shape, [1, 1, 2]);
        assert_eq!(first.sums, [[30; 3], [500; 3]]);
        assert!(!first.near_constant);
        assert!(images[1].as_ref().unwrap().near_constant);
    }
}
