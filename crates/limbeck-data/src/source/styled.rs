//! The images of a source drawn in the style of another's.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::kept::Room;
use super::{Annotation, Labelling, Source};
use crate::style::StyleMap;
use crate::{DataError, Image, Purpose, Stream, decode_file_upright};

/// The images of a source in another style, pixel for pixel, so that what is known of them stays valid. What
/// is drawn once is kept, as far as there is room.
#[derive(Debug)]
pub struct Styled {
    inner: Arc<dyn Source>,
    style: Style,
    kept: Vec<OnceLock<Arc<Image>>>,
    room: Room,
}

/// Where the style is from.
#[derive(Clone, Debug)]
pub enum Style {
    /// A map, to the style of an image of this source that is drawn for each by `seed`.
    Map {
        /// Which.
        map: StyleMap,
        /// Read by [`StyleMap::Fourier`]: reach of the frequencies.
        share: f64,
        /// Whose style is taken.
        of: Arc<dyn Source>,
        /// Decides whose style each image takes.
        seed: u64,
    },
    /// Images that have been drawn before: for each a file of the same name, whatever its ending, in this
    /// folder.
    Files(PathBuf),
}

/// Endings of files that are looked for.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "bmp", "webp"];

impl Styled {
    /// The images of `inner` in a style.
    ///
    /// # Errors
    /// A folder of files that is not there; a source to take styles from without images.
    pub fn new(inner: Arc<dyn Source>, style: Style) -> Result<Self, DataError> {
        match &style {
            Style::Files(folder) if !folder.is_dir() => {
                return Err(DataError::Missing {
                    path: folder.clone(),
                });
            }
            Style::Map { of, .. } if of.is_empty() => {
                return Err(DataError::EmptyPart {
                    part: "target",
                    reason: "there is no image whose style could be taken".to_owned(),
                });
            }
            Style::Map { share, .. } if !(0.0..=0.5).contains(share) => {
                return Err(DataError::setting("share", "from 0 to 0.5", share));
            }
            _ => {}
        }
        Ok(Self {
            kept: (0..inner.len()).map(|_| OnceLock::new()).collect(),
            inner,
            style,
            room: Room::new(),
        })
    }

    fn draw(&self, index: usize) -> Result<Image, DataError> {
        match &self.style {
            Style::Map {
                map,
                share,
                of,
                seed,
            } => {
                let image = self.inner.image(index)?;
                let other = Stream::new(*seed, Purpose::Style, 0, index as u64, 0).below(of.len());
                Ok(map.apply(&image, &of.image(other)?, *share))
            }
            Style::Files(folder) => self.read(folder, index),
        }
    }

    fn read(&self, folder: &std::path::Path, index: usize) -> Result<Image, DataError> {
        let name = PathBuf::from(self.inner.name(index));
        let stem = name.file_stem().unwrap_or_default();
        let files = ENDINGS.iter().map(|ending| {
            let mut file = stem.to_owned();
            file.push(format!(".{ending}"));
            folder.join(file)
        });
        let Some(file) = files.clone().find(|file| file.is_file()) else {
            return Err(DataError::Layout {
                path: folder.to_owned(),
                reason: format!(
                    "it has no image for `{}`: a file of the same name, with one of the endings {}",
                    name.display(),
                    ENDINGS.join(", ")
                ),
            });
        };
        let image = decode_file_upright(&file)?;
        let size = self.inner.size(index);
        if size.is_some_and(|size| size != [image.height, image.width]) {
            let [height, width] = size.unwrap_or_default();
            return Err(DataError::corrupt(
                &file,
                format!(
                    "it has {}x{} pixels and `{}` {height}x{width}: an image and its drawing in the other \
                     style lie on each other pixel by pixel",
                    image.height,
                    image.width,
                    name.display()
                ),
            ));
        }
        Ok(image)
    }
}

impl Source for Styled {
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
        self.inner.annotation(index)
    }

    fn stratum(&self, index: usize) -> usize {
        self.inner.stratum(index)
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        self.shared_image(index).map(Arc::unwrap_or_clone)
    }

    fn shared_image(&self, index: usize) -> Result<Arc<Image>, DataError> {
        if let Some(image) = self.kept[index].get() {
            return Ok(Arc::clone(image));
        }
        let image = Arc::new(self.draw(index)?);
        self.room
            .keep(&self.kept[index], &image, image.pixels.len());
        Ok(image)
    }

    fn usual_shape(&self) -> Option<[usize; 3]> {
        self.inner.usual_shape()
    }

    fn size(&self, index: usize) -> Option<[usize; 2]> {
        self.inner.size(index)
    }

    fn name(&self, index: usize) -> String {
        self.inner.name(index)
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        self.inner.hash_image(index, hash);
        match &self.style {
            Style::Map {
                map, share, seed, ..
            } => {
                hash.update(format!("{map:?}"));
                hash.update(share.to_le_bytes());
                hash.update(seed.to_le_bytes());
            }
            Style::Files(folder) => hash.update(folder.to_string_lossy().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxedScenes, SceneDifficulty, Scenes};

    fn scenes(series: u64) -> Arc<dyn Source> {
        let scenes = Scenes::new(12, series, SceneDifficulty::default());
        Arc::new(BoxedScenes::new(scenes))
    }

    #[test]
    fn an_image_has_one_style_and_keeps_its_boxes() {
        let style = |seed| Style::Map {
            map: StyleMap::Statistics,
            share: 0.05,
            of: scenes(1),
            seed,
        };
        let styled = Styled::new(scenes(0), style(0)).unwrap();
        let again = Styled::new(scenes(0), style(0)).unwrap();
        let other = Styled::new(scenes(0), style(1)).unwrap();
        let mut differ = 0;
        for index in 0..12 {
            let image = styled.image(index).unwrap();
            assert_eq!(image, styled.image(index).unwrap());
            assert_eq!(image, again.image(index).unwrap());
            assert_ne!(image, scenes(0).image(index).unwrap());
            differ += usize::from(image != other.image(index).unwrap());
            assert_eq!(
                styled.annotation(index).unwrap(),
                scenes(0).annotation(index).unwrap()
            );
        }
        assert!(differ > 6);
    }

    #[test]
    fn what_has_been_drawn_before_is_found_by_name_and_has_the_same_size() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str, side: u32| {
            let image = image::RgbImage::from_pixel(side, side, image::Rgb([1, 2, 3]));
            image.save(folder.path().join(name)).unwrap();
        };
        save("0.png", 64);
        save("1.png", 32);
        let styled = Styled::new(scenes(0), Style::Files(folder.path().to_owned())).unwrap();
        assert_eq!(styled.image(0).unwrap().pixels[..3], [1, 2, 3]);
        let error = |index| styled.image(index).unwrap_err().to_string();
        assert!(error(1).contains("32x32"), "{}", error(1));
        assert!(error(2).contains("no image for `2`"), "{}", error(2));
        let none = Styled::new(scenes(0), Style::Files(folder.path().join("none")));
        assert!(none.is_err());
    }
}
