//! A data set: three parts that share classes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::loader::Domains;
use crate::source::scaled_sides;
use crate::source::{Annotation, BoxLabel, Labelling, Source};
use crate::{DataError, Image, Mask, VOID};

/// Some of the images of a source.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where the images come from.
    pub source: Arc<dyn Source>,
    /// Which of them, ascending.
    pub indices: Vec<usize>,
}

impl Part {
    /// All images of a source.
    #[must_use]
    pub fn all(source: Arc<dyn Source>) -> Self {
        let indices = (0..source.len()).collect();
        Self { source, indices }
    }

    /// At most `count` of the images, spread evenly over them.
    #[must_use]
    pub fn spread(&self, count: usize) -> Self {
        let count = count.min(self.len());
        let chosen = (0..count).map(|i| self.indices[i * self.len() / count]);
        Self {
            source: self.source.clone(),
            indices: chosen.collect(),
        }
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True if there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// What is known of each image.
    #[must_use]
    pub fn labelling(&self) -> Labelling {
        self.source.labelling()
    }

    /// What is known of the image at `position`, which is below [`Part::len`].
    ///
    /// # Errors
    /// A file that cannot be read, by name.
    pub fn annotation(&self, position: usize) -> Result<Annotation, DataError> {
        self.source.annotation(self.indices[position])
    }

    /// Class of the image at `position`, which is below [`Part::len`]; `None` where images have no
    /// classes.
    #[must_use]
    pub fn class(&self, position: usize) -> Option<usize> {
        match self.labelling() {
            Labelling::None | Labelling::Masks | Labelling::Boxes => None,
            Labelling::Classes => self.annotation(position).ok()?.class(),
        }
    }

    /// What splits, limits and balanced batches are balanced over: the class where there is one,
    /// else 0. `position` is below [`Part::len`].
    #[must_use]
    pub fn stratum(&self, position: usize) -> usize {
        self.source.stratum(self.indices[position])
    }

    /// Number of strata, which are counted from 0: that of the classes where there are some, else 1.
    pub(crate) fn strata(&self) -> usize {
        strata(&*self.source)
    }

    /// The image at `position`, which is below [`Part::len`].
    ///
    /// # Errors
    /// A file that cannot be read or decoded, by name. A source that panics, or gives an image of
    /// another shape than it says, with the number of the image.
    pub fn image(&self, position: usize) -> Result<Image, DataError> {
        self.shared_image(position).map(Arc::unwrap_or_clone)
    }

    /// The same, shared with the source where that keeps what is decoded.
    ///
    /// # Errors
    /// Those of [`Part::image`].
    pub fn shared_image(&self, position: usize) -> Result<Arc<Image>, DataError> {
        let index = self.indices[position];
        let lie = |reason: String| DataError::Source {
            index,
            name: self.source.name(index),
            reason,
        };
        let image = catch_unwind(AssertUnwindSafe(|| self.source.shared_image(index)))
            .map_err(|panic| lie(format!("reading it panicked: {}", reason_of(&*panic))))??;
        let Image {
            width,
            height,
            channels,
            ref pixels,
        } = *image;
        if pixels.len() != width * height * channels
            || pixels.is_empty()
            || channels > 3
            || channels == 2
        {
            return Err(lie(format!(
                "it has {} numbers for {height}x{width} pixels of {channels} channel(s), expected \
                 height times width times 1 or 3, and more than none",
                pixels.len()
            )));
        }
        match self.source.shape() {
            Some(shape) if shape != [channels, height, width] => Err(lie(format!(
                "it has {channels} channel(s) of {height}x{width} pixels, but its source says that \
                 all images have {} of {}x{}",
                shape[0], shape[1], shape[2]
            ))),
            _ => Ok(image),
        }
    }

    /// The image at `position`, which is below [`Part::len`], and its mask, of the same size unless
    /// the source reduces images alone ([`Source::reduction`]).
    ///
    /// # Errors
    /// As [`Part::image`]; a mask that cannot be read, that has another size than its image, or ids
    /// that are no classes, with their number.
    pub fn pair(&self, position: usize) -> Result<(Image, Mask), DataError> {
        let (image, mask) = self.shared_pair(position)?;
        Ok((Arc::unwrap_or_clone(image), mask))
    }

    /// The same, the image shared with the source where that keeps what is decoded.
    ///
    /// # Errors
    /// Those of [`Part::pair`].
    pub(crate) fn shared_pair(&self, position: usize) -> Result<(Arc<Image>, Mask), DataError> {
        let index = self.indices[position];
        let image = self.shared_image(position)?;
        let lie = |reason: String| DataError::Source {
            index,
            name: self.source.name(index),
            reason,
        };
        let annotation = catch_unwind(AssertUnwindSafe(|| self.source.annotation(index)))
            .map_err(|panic| lie(format!("its mask panicked: {}", reason_of(&*panic))))??;
        let Annotation::Mask(mask) = annotation else {
            return Err(lie(
                "it has no mask, but its source says that all have one".to_owned()
            ));
        };
        if mask.ids.len() != mask.width * mask.height {
            return Err(lie(format!(
                "its mask has {} ids for {}x{} pixels",
                mask.ids.len(),
                mask.height,
                mask.width
            )));
        }
        let expected = scaled_sides([mask.height, mask.width], self.source.reduction());
        if expected != [image.height, image.width] {
            return Err(lie(format!(
                "the image has {}x{} pixels, its mask {}x{}; both must have the same size",
                image.height, image.width, mask.height, mask.width
            )));
        }
        let classes = self.classes().len();
        let foreign = |id: &&u8| usize::from(**id) >= classes && **id != VOID;
        if let Some(id) = mask.ids.iter().find(foreign) {
            let count = mask.ids.iter().filter(foreign).count();
            return Err(lie(format!(
                "{count} pixels of its mask have ids beyond the {classes} classes, such as {id}; \
                 ids are 0 to {}, and {VOID} where the class is not known",
                classes.saturating_sub(1)
            )));
        }
        Ok((image, mask))
    }

    /// The image at `position`, which is below [`Part::len`], and its boxes.
    ///
    /// # Errors
    /// As [`Part::image`]; boxes that are not finite or have no area, or whose class is none.
    pub fn boxed(&self, position: usize) -> Result<(Image, Vec<BoxLabel>), DataError> {
        Ok((self.image(position)?, self.boxes(position)?))
    }

    /// The boxes of the image at `position`, which is below [`Part::len`].
    ///
    /// # Errors
    /// As [`Part::boxed`].
    pub fn boxes(&self, position: usize) -> Result<Vec<BoxLabel>, DataError> {
        let index = self.indices[position];
        let lie = |reason: String| DataError::Source {
            index,
            name: self.source.name(index),
            reason,
        };
        let annotation = catch_unwind(AssertUnwindSafe(|| self.source.annotation(index)))
            .map_err(|panic| lie(format!("its boxes panicked: {}", reason_of(&*panic))))??;
        let Annotation::Boxes(boxes) = annotation else {
            return Err(lie(
                "it has no boxes, but its source says that all have some".to_owned(),
            ));
        };
        let classes = self.classes().len();
        for label in &boxes {
            if label.class >= classes {
                return Err(lie(format!(
                    "a box of it has the class {}, but there are {classes} classes",
                    label.class
                )));
            }
            let [left, top, right, bottom] = label.corners;
            let is_box =
                label.corners.iter().all(|at| at.is_finite()) && right > left && bottom > top;
            if !is_box {
                return Err(lie(format!(
                    "a box of it has the corners {:?}; the right and the lower border must lie beyond \
                     the left and the upper one",
                    label.corners
                )));
            }
        }
        Ok(boxes)
    }

    /// Height and width of the image at `position`, which is below [`Part::len`].
    ///
    /// # Errors
    /// As [`Part::image`], where it has to be decoded for that.
    pub fn size(&self, position: usize) -> Result<[usize; 2], DataError> {
        if let Some(size) = self.source.size(self.indices[position]) {
            return Ok(size);
        }
        let image = self.image(position)?;
        Ok([image.height, image.width])
    }

    /// Refuses a source that contradicts itself: a label that is no class, no label where it says
    /// that there are some, a number of an image that it does not have. Masks and boxes are not read
    /// here; each is looked at when it is ([`Part::pair`], [`Part::boxed`]).
    ///
    /// # Errors
    /// [`DataError::Source`] with the number of the first such image.
    pub fn check(&self) -> Result<(), DataError> {
        let classes = self.classes().len();
        let lie = |index: usize, reason: String| DataError::Source {
            index,
            name: self.source.name(index),
            reason,
        };
        for &index in &self.indices {
            if index >= self.source.len() {
                let reason = format!("the source has {} images", self.source.len());
                return Err(DataError::Source {
                    index,
                    name: index.to_string(),
                    reason,
                });
            }
            if matches!(self.labelling(), Labelling::Masks | Labelling::Boxes) {
                continue;
            }
            let annotation = catch_unwind(AssertUnwindSafe(|| self.source.annotation(index)))
                .map_err(|panic| {
                    let reason = format!("its annotation panicked: {}", reason_of(&*panic));
                    lie(index, reason)
                })??;
            match (self.labelling(), annotation) {
                (Labelling::None, Annotation::None) => {}
                (Labelling::Classes, Annotation::Class(class)) if class < classes => {}
                (Labelling::Classes, Annotation::Class(class)) => {
                    return Err(lie(
                        index,
                        format!("its label is {class}, but there are {classes} classes"),
                    ));
                }
                (Labelling::None, Annotation::Class(class)) => {
                    return Err(lie(
                        index,
                        format!("its label is {class}, but its source says that it has no labels"),
                    ));
                }
                (Labelling::Masks | Labelling::Boxes, _)
                | (_, Annotation::Mask(_) | Annotation::Boxes(_)) => {
                    let reason = "it has labels of another kind than its source says";
                    return Err(lie(index, reason.to_owned()));
                }
                (Labelling::Classes, Annotation::None) => {
                    return Err(lie(
                        index,
                        "it has no label, but its source says that all have one".to_owned(),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Refuses masks that cannot be learnt from or measured on, as far as their files' names tell.
    ///
    /// # Errors
    /// [`DataError::LossyMask`] for a JPEG file.
    pub(crate) fn check_masks(&self) -> Result<(), DataError> {
        let lossy = self
            .source
            .pairing()
            .and_then(|pairing| pairing.lossy.first());
        match lossy {
            Some(path) => Err(DataError::LossyMask { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// SHA-256, in hexadecimal, of what this part holds: class names, and of each image its class and
    /// what tells it from others as far as that is cheap: pixels of what lies in memory, names and
    /// lengths of image files. Other parts of the data set have no share in it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for class in self.classes() {
            hash.update((class.len() as u64).to_le_bytes());
            hash.update(class);
        }
        hash.update((self.len() as u64).to_le_bytes());
        for &index in &self.indices {
            hash.update((self.source.stratum(index) as u64).to_le_bytes());
            self.source.hash_image(index, &mut hash);
        }
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A short name for the image at `position`, such as its file's path.
    #[must_use]
    pub fn name(&self, position: usize) -> String {
        self.source.name(self.indices[position])
    }

    /// Class names; a label is a position in this list.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        self.source.classes()
    }

    /// Number of images of each class, `[K]`; zeros where images have no class each.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes().len()];
        for class in (0..self.len()).filter_map(|position| self.class(position)) {
            if let Some(count) = counts.get_mut(class) {
                *count += 1;
            }
        }
        counts
    }
}

/// Number of strata of a source that tells the truth.
pub(crate) fn strata(source: &dyn Source) -> usize {
    match source.labelling() {
        Labelling::Classes => source.classes().len().max(1),
        Labelling::None | Labelling::Masks | Labelling::Boxes => 1,
    }
}

/// What a panic says of itself.
pub(crate) fn reason_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("for an unknown reason")
}

/// A data set, ready to train on.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// For people, such as `fashion-mnist (IDX)`.
    pub name: String,
    /// What is known of each image.
    pub labelling: Labelling,
    /// Class names; a label is a position in this list. Empty where images have no classes.
    pub classes: Vec<String>,
    /// Channels, height and width, if all images are known to have the same. Of folders of image
    /// files, only a few are looked at.
    pub shape: Option<[usize; 3]>,
    /// Images to train on.
    pub train: Part,
    /// Images to choose by; never any of `train` or `test`.
    pub validation: Part,
    /// Images touched once, at the end.
    pub test: Part,
    /// Another domain to adapt to, of which the test part then is.
    pub domains: Option<Domains>,
    /// SHA-256, in hexadecimal, over what is in the folder before any splitting: classes and
    /// labels, pixels of what lies in memory, names and lengths of image files. Together with
    /// [`OpenOptions`](crate::OpenOptions) it says which images each part has.
    pub fingerprint: String,
    /// What was found besides, and what was left out and why: a line each, for people.
    pub notes: Vec<String>,
}

impl Dataset {
    /// All images that a training reads: to learn from, to choose by, to test on, to adapt to.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        let own = [&self.train, &self.validation, &self.test];
        own.into_iter()
            .chain(self.domains.iter().map(|domains| &domains.target))
    }
}
