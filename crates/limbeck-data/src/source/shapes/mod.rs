//! `shapes`: a generated data set of ten classes, nothing to download.
//!
//! The class of an image is the outline of its largest object. Everything else is drawn at
//! random and says nothing about the class: colours, textures, place, turn and size of the
//! object, smaller objects of any class around it, a bar across, light and noise. A network has
//! to learn outlines in spite of it all, which keeps a small one well below a big one.

mod difficulty;
pub(super) mod outline;
mod scene;
pub(super) mod texture;

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use difficulty::Difficulty;

use super::{Annotation, Source, generated};
use crate::{DataError, Found, Image, Purpose, Stream};
use outline::Outline;

/// Width and height of the images, in pixels.
pub(crate) const SIDE: usize = 32;

/// Images to train on if no number is given: an epoch of a small network is seconds on a laptop.
const TRAIN: usize = 2_000;

/// What a given number may be: at least four of each class, at most hours of drawing.
const COUNTS: std::ops::RangeInclusive<usize> = 40..=10_000_000;

/// Key of all images. They never depend on a run's seed, so runs can be compared.
const SEED: u64 = 0;

/// Generated images, each made from its number when asked for.
#[derive(Clone, Debug)]
pub struct Shapes {
    classes: Vec<String>,
    count: usize,
    /// Tells images to train on from images to test on.
    series: u64,
    difficulty: Difficulty,
}

impl Shapes {
    /// The first `count` images of a series. No two series share an image; the data set `shapes`
    /// trains on series 0 and tests on series 1. Image `i` is of class `i mod 10`.
    #[must_use]
    pub fn new(count: usize, series: u64, difficulty: Difficulty) -> Self {
        Self {
            classes: Outline::ALL
                .map(|outline| outline.name().to_owned())
                .to_vec(),
            count,
            series,
            difficulty,
        }
    }
}

impl Source for Shapes {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.count
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::Class(index % Outline::ALL.len()))
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        let mut stream = Stream::new(SEED, Purpose::Shapes, self.series, index as u64, 0);
        let outline = Outline::ALL[index % Outline::ALL.len()];
        Ok(scene::draw(outline, &self.difficulty, &mut stream))
    }

    fn shape(&self) -> Option<[usize; 3]> {
        Some([3, SIDE, SIDE])
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        hash.update(self.series.to_le_bytes());
        hash.update((index as u64).to_le_bytes());
        hash.update(format!("{:?}", self.difficulty));
    }

    fn is_certain(&self) -> bool {
        true
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = self.labels_digest();
        hash.update(self.series.to_le_bytes());
        hash.update(format!("{:?}", self.difficulty));
        hash.finalize().into()
    }
}

/// The generated set, if the path is `shapes` or `shapes:N`.
pub(crate) fn find_shapes(path: &Path) -> Result<Option<Found>, DataError> {
    let Some(count) = generated::count(path, "shapes:N", TRAIN, &COUNTS)? else {
        return Ok(None);
    };
    let difficulty = Difficulty::default();
    Ok(Some(Found {
        name: "shapes (generated)".to_owned(),
        train: Some(Arc::new(Shapes::new(count, 0, difficulty))),
        validation: None,
        test: Some(Arc::new(Shapes::new(count / 2, 1, difficulty))),
        notes: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(series: u64, difficulty: Difficulty) -> Shapes {
        Shapes::new(60, series, difficulty)
    }

    #[test]
    fn an_image_depends_on_its_number_and_series_alone() {
        let source = shapes(0, Difficulty::default());
        assert_eq!(source.image(17).unwrap(), source.image(17).unwrap());
        assert_ne!(source.image(17).unwrap(), source.image(27).unwrap());
        let other = shapes(1, Difficulty::default());
        assert_ne!(source.image(17).unwrap(), other.image(17).unwrap());
    }

    #[test]
    fn classes_take_turns_and_images_are_32_by_32_in_colour() {
        let source = shapes(0, Difficulty::default());
        assert_eq!(source.classes().len(), 10);
        let mut counts = [0; 10];
        for index in 0..source.len() {
            counts[source.stratum(index)] += 1;
            let image = source.image(index).unwrap();
            assert_eq!((image.width, image.height, image.channels), (SIDE, SIDE, 3));
            assert_eq!(image.pixels.len(), SIDE * SIDE * 3);
        }
        assert_eq!(counts, [6; 10]);
    }

    #[test]
    fn every_image_has_contrast_and_does_not_drown_in_black_or_white() {
        let source = shapes(0, Difficulty::default());
        for index in 0..source.len() {
            let pixels = source.image(index).unwrap().pixels;
            let clipped = pixels.iter().filter(|&&p| p == 0 || p == 255).count();
            assert!(
                clipped * 4 < pixels.len(),
                "image {index}: {clipped} clipped"
            );
            let distinct: std::collections::BTreeSet<u8> = pixels.into_iter().collect();
            assert!(distinct.len() > 20, "image {index}");
        }
    }
}
