//! What a stage of a training wants of its images.

use crate::{DataError, Paste};

/// What comes with each image of a batch, and how batches are put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Images {
    /// Independent augmentations of each image, at least 1.
    pub views: usize,
    /// Whether each image comes with another of its class, drawn uniformly from the part (it may
    /// be the image itself).
    pub partners: bool,
    /// Whether the batch before comes along in a second view; the first batch of a stage has none.
    pub replay: bool,
    /// Batches of so many classes with so many images each, instead of a shuffled order.
    pub balanced: Option<Balanced>,
    /// How many times as high and wide the first view comes along as well, at least 1; with 1 it
    /// does not. The images are then the reduced ones.
    pub enlarged: usize,
    /// Whether foregrounds are pasted on other backgrounds, in each view on its own and before
    /// anything else is done to it; partners stay as they are.
    pub pasted: Option<Paste>,
    /// Whether each image comes along in the style of another domain, and as many images of that domain in
    /// both styles, of which nothing is known ([`Domains`](crate::Domains)).
    pub styled: bool,
}

/// Class-balanced batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balanced {
    /// Classes of a batch.
    pub classes: usize,
    /// Images of each class.
    pub images: usize,
}

impl Default for Images {
    /// One view of each image in a shuffled order.
    fn default() -> Self {
        Self {
            views: 1,
            partners: false,
            replay: false,
            balanced: None,
            enlarged: 1,
            pasted: None,
            styled: false,
        }
    }
}

impl Images {
    /// Height and width of the largest copy of images of `size`: `size` itself where no larger one
    /// comes along.
    #[must_use]
    pub fn largest(&self, size: [usize; 2]) -> [usize; 2] {
        size.map(|side| side.saturating_mul(self.enlarged))
    }

    /// Whether anything comes along with the images.
    pub(crate) fn accompanied(&self) -> bool {
        self.views > 1 || self.partners || self.replay || self.enlarged > 1 || self.styled
    }

    /// Refuses what images with `labels` (`masks` or `boxes`) cannot come with: a further view would need
    /// labels of its own, and an image of many classes has no partner of its class.
    pub(crate) fn check_for_places(&self, labels: &str) -> Result<(), DataError> {
        if self.views > 1 {
            return Err(DataError::setting(
                "views",
                format!("1 where images have {labels}"),
                self.views,
            ));
        }
        if self.pasted.is_some() {
            return Err(DataError::setting(
                "pasted",
                format!(
                    "left out where images have {labels}, which name the background that is pasted over"
                ),
                "it",
            ));
        }
        if self.partners || self.balanced.is_some() {
            return Err(DataError::setting(
                "partners` and `balanced",
                format!("left out where images have {labels}: they have no class each"),
                "one of them",
            ));
        }
        Ok(())
    }
}
