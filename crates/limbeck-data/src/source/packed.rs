//! Images of one size that all lie in memory.

use sha2::{Digest, Sha256};

use super::{Annotation, Source};
use crate::{DataError, Image};

/// Images of one size in memory, the labels beside them.
#[derive(Debug)]
pub struct Packed {
    classes: Vec<String>,
    /// Channels, height, width.
    shape: [usize; 3],
    /// `[N]`.
    labels: Vec<u8>,
    /// `[N, C, H, W]`.
    pixels: Vec<u8>,
}

impl Packed {
    /// Images `[N, C, H, W]`, 8 bits a channel, with their labels `[N]`. `shape` is channels (1
    /// or 3), height and width.
    ///
    /// # Errors
    /// [`DataError::Setting`] if the lengths contradict each other or a label is not a class.
    pub fn new(
        classes: Vec<String>,
        shape: [usize; 3],
        labels: Vec<u8>,
        pixels: Vec<u8>,
    ) -> Result<Self, DataError> {
        let [channels, height, width] = shape;
        if !(channels == 1 || channels == 3) || height == 0 || width == 0 {
            return Err(DataError::setting(
                "shape",
                "[1 or 3, height, width] with sides above 0",
                format!("{shape:?}"),
            ));
        }
        let wanted = labels.len() * channels * height * width;
        if pixels.len() != wanted {
            return Err(DataError::setting(
                "pixels",
                format!("{wanted} bytes for {} images of {shape:?}", labels.len()),
                pixels.len(),
            ));
        }
        if let Some(&label) = labels.iter().find(|&&l| usize::from(l) >= classes.len()) {
            return Err(DataError::setting(
                "labels",
                format!("below the number of classes, {}", classes.len()),
                label,
            ));
        }
        Ok(Self {
            classes,
            shape,
            labels,
            pixels,
        })
    }
}

impl Source for Packed {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::Class(usize::from(self.labels[index])))
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        let [channels, height, width] = self.shape;
        let plane = height * width;
        let planes = &self.pixels[index * channels * plane..(index + 1) * channels * plane];
        let pixels = if channels == 1 {
            planes.to_vec()
        } else {
            let mut pixels = vec![0; planes.len()];
            for (channel, plane) in planes.chunks_exact(plane).enumerate() {
                for (to, &from) in pixels[channel..].iter_mut().step_by(channels).zip(plane) {
                    *to = from;
                }
            }
            pixels
        };
        Ok(Image {
            width,
            height,
            channels,
            pixels,
        })
    }

    fn shape(&self) -> Option<[usize; 3]> {
        Some(self.shape)
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        let size: usize = self.shape.iter().product();
        hash.update(&self.pixels[index * size..(index + 1) * size]);
    }

    fn is_certain(&self) -> bool {
        true
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = self.labels_digest();
        for side in self.shape {
            hash.update((side as u64).to_le_bytes());
        }
        hash.update(&self.pixels);
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(n: usize) -> Vec<String> {
        (0..n).map(|class| class.to_string()).collect()
    }

    #[test]
    fn planes_become_interleaved_pixels() {
        let pixels = vec![1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
        let source = Packed::new(classes(2), [3, 1, 2], vec![0, 1], pixels).unwrap();
        assert_eq!(source.image(0).unwrap().pixels, [1, 3, 5, 2, 4, 6]);
        assert_eq!(source.image(1).unwrap().pixels, [11, 13, 15, 12, 14, 16]);
        assert_eq!(source.annotation(1).unwrap(), Annotation::Class(1));
    }

    #[test]
    fn contradicting_lengths_and_unknown_labels_are_refused() {
        assert!(Packed::new(classes(2), [1, 2, 2], vec![0, 1], vec![0; 7]).is_err());
        assert!(Packed::new(classes(2), [1, 2, 2], vec![0, 2], vec![0; 8]).is_err());
        assert!(Packed::new(classes(2), [2, 2, 2], vec![0, 1], vec![0; 16]).is_err());
    }

    #[test]
    fn the_digest_changes_with_any_pixel_label_or_class_name() {
        let digest = |classes: Vec<String>, labels: Vec<u8>, pixels: Vec<u8>| {
            Packed::new(classes, [1, 1, 1], labels, pixels)
                .unwrap()
                .digest()
        };
        let base = digest(classes(2), vec![0, 1], vec![8, 9]);
        assert_eq!(base, digest(classes(2), vec![0, 1], vec![8, 9]));
        assert_ne!(base, digest(classes(2), vec![0, 1], vec![8, 8]));
        assert_ne!(base, digest(classes(2), vec![1, 1], vec![8, 9]));
        assert_ne!(base, digest(classes(3), vec![0, 1], vec![8, 9]));
    }
}
