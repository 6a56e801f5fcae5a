//! Images in their own size, one after the other, as they are measured.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::LoaderConfig;
use super::ordered::Ordered;
use crate::dataset::reason_of;
use crate::{Augment, DataError, Labelling, Mask, Part};

/// An image in its own size.
#[derive(Clone, Debug, PartialEq)]
pub struct WholeImage {
    /// Its position in its part.
    pub position: usize,
    /// Its number in its source.
    pub sample: usize,
    /// `[C, H, W]`, flat, normalised, neither cut nor padded.
    pub image: Vec<f32>,
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// Its mask where there is one, in its own size: the image's, unless the source reduces images
    /// alone ([`Source::reduction`](crate::Source::reduction)).
    pub mask: Option<Mask>,
}

/// Images of a part in their own sizes and in their order, read ahead of time. After an error there
/// are no more.
#[derive(Debug)]
pub struct WholeImages(Ordered<WholeImage>);

impl WholeImages {
    /// The images of `part` by `workers` threads (0: when they are asked for). Of `augment`, channels
    /// and normalisation are used.
    ///
    /// # Errors
    /// Settings out of range, a part without images.
    pub fn new(part: Part, augment: Augment, workers: usize) -> Result<Self, DataError> {
        augment.check()?;
        let config = LoaderConfig {
            workers,
            ..LoaderConfig::default()
        };
        config.check(part.len(), &augment)?;
        part.check()?;
        Ok(Self(Ordered::start(
            0..part.len(),
            workers,
            config.prefetch,
            move |position, go_on| {
                go_on().then(|| {
                    let read = AssertUnwindSafe(|| read(&part, &augment, position));
                    catch_unwind(read).unwrap_or_else(|panic| {
                        Err(DataError::Worker {
                            batch: position,
                            reason: format!("it panicked: {}", reason_of(&*panic)),
                        })
                    })
                })
            },
        )))
    }
}

fn read(part: &Part, augment: &Augment, position: usize) -> Result<WholeImage, DataError> {
    let (image, mask) = match part.labelling() {
        Labelling::Masks => {
            let (image, mask) = part.pair(position)?;
            (image, Some(mask))
        }
        Labelling::None | Labelling::Classes | Labelling::Boxes => (part.image(position)?, None),
    };
    let (image, [height, width]) = augment.whole(image);
    Ok(WholeImage {
        position,
        sample: part.indices[position],
        image,
        shape: [augment.channels, height, width],
        mask,
    })
}

impl Iterator for WholeImages {
    type Item = Result<WholeImage, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
