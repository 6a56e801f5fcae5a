//! Where the foreground of an image is: a mask of one channel, 255 in the foreground.

mod boundary;
mod file;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::source::Room;
use crate::{DataError, Image, Part};

pub use boundary::saliency;

/// Where masks of saliency come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaliencySource {
    /// Estimated from the image ([`saliency`]).
    #[default]
    Estimated,
    /// A file of the same name in a folder `saliency` beside the images or around them.
    Files,
}

impl SaliencySource {
    /// The mask of `image`, the one at `position` of `part`: one channel, 255 in the foreground.
    ///
    /// # Errors
    /// No file, one that cannot be read, or one that is no mask of the image's size.
    pub fn mask(self, part: &Part, position: usize, image: &Image) -> Result<Image, DataError> {
        match self {
            Self::Estimated => Ok(saliency(image)),
            Self::Files => file::read(&file::find(part, position)?, &part.name(position), image),
        }
    }
}

/// Masks of the images of a part, each made when it is first asked for. Masks are kept in memory as
/// long as there is room and made again beyond that, to the same bytes.
#[derive(Debug)]
pub(crate) struct KeptSaliency {
    /// The file of each mask; empty where masks are estimated.
    files: Vec<PathBuf>,
    kept: Vec<OnceLock<Arc<Image>>>,
    room: Room,
}

impl KeptSaliency {
    /// For the images of `part`.
    ///
    /// # Errors
    /// An image without a mask, where masks are files.
    pub fn of(part: &Part, source: SaliencySource) -> Result<Self, DataError> {
        let files = match source {
            SaliencySource::Estimated => Vec::new(),
            SaliencySource::Files => (0..part.len())
                .map(|position| file::find(part, position))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self {
            files,
            kept: (0..part.len()).map(|_| OnceLock::new()).collect(),
            room: Room::new(),
        })
    }

    /// The mask of `image`, the one at `position` of `part`.
    ///
    /// # Errors
    /// A file that cannot be read, or that is no mask of the image's size.
    pub fn of_image(
        &self,
        part: &Part,
        position: usize,
        image: &Image,
    ) -> Result<Arc<Image>, DataError> {
        if let Some(mask) = self.kept[position].get() {
            return Ok(Arc::clone(mask));
        }
        let mask = match self.files.get(position) {
            Some(path) => file::read(path, &part.name(position), image)?,
            None => saliency(image),
        };
        let mask = Arc::new(mask);
        self.room
            .keep(&self.kept[position], &mask, mask.pixels.len());
        Ok(mask)
    }
}
