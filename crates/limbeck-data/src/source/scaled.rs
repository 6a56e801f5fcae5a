//! Images that are reduced as soon as they are read.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Annotation, Labelling, Pairing, Source};
use crate::{DataError, Image, resize};

/// The images of another source with both sides multiplied by a factor.
///
/// Masks to train on are brought to the size of their images, of each pixel the id at its centre. Masks
/// to measure against stay in their own size: what a network says of a reduced image is compared with
/// all that is known of the picture.
#[derive(Clone, Debug)]
pub struct Scaled {
    inner: Arc<dyn Source>,
    factor: f64,
    masks: bool,
}

/// Height and width of an image of `size` after scaling, at least 1.
pub(crate) fn scaled_sides(size: [usize; 2], factor: f64) -> [usize; 2] {
    size.map(|side| ((side as f64 * factor).round() as usize).max(1))
}

impl Scaled {
    /// The images of `inner`, scaled by `factor`; with `masks`, the masks as well.
    ///
    /// # Errors
    /// [`DataError::Setting`] unless `factor` is above 0 and at most 1.
    pub fn new(inner: Arc<dyn Source>, factor: f64, masks: bool) -> Result<Self, DataError> {
        if !(factor > 0.0 && factor <= 1.0) {
            return Err(DataError::setting(
                "scale",
                "above 0 and at most 1, where 1 leaves images as they are",
                factor,
            ));
        }
        Ok(Self {
            inner,
            factor,
            masks,
        })
    }

    fn scaled_shape(&self, shape: Option<[usize; 3]>) -> Option<[usize; 3]> {
        let [channels, height, width] = shape?;
        let [height, width] = scaled_sides([height, width], self.factor);
        Some([channels, height, width])
    }

    fn hash_settings(&self, hash: &mut Sha256) {
        hash.update(self.factor.to_le_bytes());
        hash.update([u8::from(self.masks)]);
    }
}

impl Source for Scaled {
    fn labelling(&self) -> Labelling {
        self.inner.labelling()
    }

    fn classes(&self) -> &[String] {
        self.inner.classes()
    }

    fn len(&self) -> usize {
        self.inner.len()
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(match self.inner.annotation(index)? {
            Annotation::Mask(mask) if self.masks => {
                let [height, width] = scaled_sides([mask.height, mask.width], self.factor);
                Annotation::Mask(mask.resized(height, width))
            }
            // Boxes are measured in the pixels of the images that they are found in.
            Annotation::Boxes(boxes) => Annotation::Boxes(
                boxes
                    .into_iter()
                    .map(|label| label.moved([self.factor as f32; 2], [0.0; 2]))
                    .collect(),
            ),
            annotation => annotation,
        })
    }

    fn stratum(&self, index: usize) -> usize {
        self.inner.stratum(index)
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        let image = self.inner.shared_image(index)?;
        let [height, width] = scaled_sides([image.height, image.width], self.factor);
        Ok(resize(&image, height, width))
    }

    fn shape(&self) -> Option<[usize; 3]> {
        self.scaled_shape(self.inner.shape())
    }

    fn usual_shape(&self) -> Option<[usize; 3]> {
        self.scaled_shape(self.inner.usual_shape())
    }

    fn size(&self, index: usize) -> Option<[usize; 2]> {
        Some(scaled_sides(self.inner.size(index)?, self.factor))
    }

    fn reduction(&self) -> f64 {
        if self.masks {
            self.inner.reduction()
        } else {
            self.inner.reduction() * self.factor
        }
    }

    fn name(&self, index: usize) -> String {
        self.inner.name(index)
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.inner.file(index).filter(|_| self.factor == 1.0)
    }

    fn category_ids(&self) -> Option<&[i64]> {
        self.inner.category_ids()
    }

    fn image_id(&self, index: usize) -> Option<i64> {
        self.inner.image_id(index)
    }

    fn mask_file(&self, index: usize) -> Option<PathBuf> {
        self.inner.mask_file(index)
    }

    fn pairing(&self) -> Option<&Pairing> {
        self.inner.pairing()
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.inner.digest());
        self.hash_settings(&mut hash);
        hash.finalize().into()
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        self.inner.hash_image(index, hash);
        self.hash_settings(hash);
    }

    fn is_certain(&self) -> bool {
        self.inner.is_certain()
    }
}
