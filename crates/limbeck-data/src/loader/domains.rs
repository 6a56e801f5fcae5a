//! Images of two domains, each in both styles.

use std::sync::Arc;

use crate::{BoxLabel, DataError, Labelling, Part, Source};

/// What a loader needs besides its own images, which are of the source domain.
#[derive(Clone, Debug)]
pub struct Domains {
    /// The images of the loader's source in the target's style, under the same numbers.
    pub source_fake: Arc<dyn Source>,
    /// Images of the target domain. What is known of them comes along to judge by.
    pub target: Part,
    /// The images of that part's source in the source's style, under the same numbers.
    pub target_fake: Arc<dyn Source>,
    /// Further images of the target domain, to choose by what is trained on its labels. Loaders read none.
    pub target_validation: Part,
}

impl Domains {
    /// Refuses domains whose images and drawings are not the same ones.
    pub(super) fn check(&self, part: &Part) -> Result<(), DataError> {
        if part.labelling() != Labelling::Boxes {
            return Err(DataError::setting(
                "styled",
                "left out where images have no boxes",
                "it",
            ));
        }
        if self.target.is_empty() {
            return Err(DataError::EmptyPart {
                part: "target",
                reason: "there is no image of the other domain to learn from".to_owned(),
            });
        }
        let pairs = [
            (part.source.len(), self.source_fake.len()),
            (self.target.source.len(), self.target_fake.len()),
        ];
        match pairs.iter().find(|(images, drawn)| images != drawn) {
            None => Ok(()),
            Some((images, drawn)) => Err(DataError::setting(
                "styled",
                format!("{images} images in the other style"),
                drawn,
            )),
        }
    }
}

/// A batch's images in the other style, and as many of the other domain in both; flat, each as the
/// batch's own.
#[derive(Clone, Debug, PartialEq)]
pub struct InStyles {
    /// The batch's images in the target's style.
    pub source_fake: Vec<f32>,
    /// Images of the target domain.
    pub target: Vec<f32>,
    /// The same in the source's style.
    pub target_fake: Vec<f32>,
    /// Boxes on images of the target domain, for judging alone; `None` where they have no labels.
    pub target_boxes: Option<Vec<Vec<BoxLabel>>>,
}
