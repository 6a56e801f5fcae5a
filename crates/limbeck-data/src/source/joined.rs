//! The images of several sources, one after the other.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Annotation, Labelling, Source};
use crate::{DataError, Image};

/// Sources of the same classes, one after the other.
#[derive(Debug)]
pub(crate) struct Joined {
    sources: Vec<Arc<dyn Source>>,
}

impl Joined {
    /// `first` and then `others`.
    pub fn new(first: Arc<dyn Source>, others: impl IntoIterator<Item = Arc<dyn Source>>) -> Self {
        let mut sources = vec![first];
        sources.extend(others);
        Self { sources }
    }

    /// The source that image `index` is of, and its number there.
    fn find(&self, mut index: usize) -> (&dyn Source, usize) {
        let mut source = &self.sources[0];
        for next in &self.sources[1..] {
            if index < source.len() {
                break;
            }
            index -= source.len();
            source = next;
        }
        (&**source, index)
    }

    /// What all sources say alike.
    fn common<T: PartialEq>(&self, of: impl Fn(&dyn Source) -> Option<T>) -> Option<T> {
        let first = of(&*self.sources[0])?;
        let mut others = self.sources[1..].iter();
        others
            .all(|source| of(&**source).as_ref() == Some(&first))
            .then_some(first)
    }
}

impl Source for Joined {
    fn labelling(&self) -> Labelling {
        self.sources[0].labelling()
    }

    fn classes(&self) -> &[String] {
        self.sources[0].classes()
    }

    fn len(&self) -> usize {
        self.sources.iter().map(|source| source.len()).sum()
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        let (source, index) = self.find(index);
        source.annotation(index)
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        let (source, index) = self.find(index);
        source.image(index)
    }

    fn shared_image(&self, index: usize) -> Result<Arc<Image>, DataError> {
        let (source, index) = self.find(index);
        source.shared_image(index)
    }

    fn shape(&self) -> Option<[usize; 3]> {
        self.common(|source| source.shape())
    }

    fn usual_shape(&self) -> Option<[usize; 3]> {
        self.common(|source| source.usual_shape())
    }

    fn name(&self, index: usize) -> String {
        let (source, index) = self.find(index);
        source.name(index)
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        let (source, index) = self.find(index);
        source.file(index)
    }

    fn size(&self, index: usize) -> Option<[usize; 2]> {
        let (source, index) = self.find(index);
        source.size(index)
    }

    fn category_ids(&self) -> Option<&[i64]> {
        self.sources[0].category_ids()
    }

    fn image_id(&self, index: usize) -> Option<i64> {
        let (source, index) = self.find(index);
        source.image_id(index)
    }

    fn reduction(&self) -> f64 {
        self.sources[0].reduction()
    }

    fn mask_file(&self, index: usize) -> Option<PathBuf> {
        let (source, index) = self.find(index);
        source.mask_file(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Packed;

    #[test]
    fn images_follow_each_other_source_by_source() {
        let source = |pixels: &[u8]| -> Arc<dyn Source> {
            let classes = vec!["a".to_owned(), "b".to_owned()];
            let labels = pixels.iter().map(|pixel| pixel % 2).collect();
            Arc::new(Packed::new(classes, [1, 1, 1], labels, pixels.to_vec()).unwrap())
        };
        let joined = Joined::new(source(&[4]), [source(&[]), source(&[7, 8])]);
        assert_eq!(joined.len(), 3);
        let pixels: Vec<u8> = (0..3).map(|i| joined.image(i).unwrap().pixels[0]).collect();
        assert_eq!(pixels, [4, 7, 8]);
        assert_eq!(joined.stratum(1), 1);
        assert_eq!(joined.shape(), Some([1, 1, 1]));
    }
}
