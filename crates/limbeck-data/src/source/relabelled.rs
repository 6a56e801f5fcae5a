//! The images of a source under other class numbers.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Annotation, Labelling, Pairing, Source};
use crate::{DataError, Image, MAX_MASK_CLASSES, VOID};

/// A source whose classes have other numbers: those that a model knows them by, or those of a step in
/// which some of them are learnt.
#[derive(Debug)]
pub struct Relabelled {
    source: Arc<dyn Source>,
    classes: Vec<String>,
    /// The new number of each class of `source`.
    numbers: Vec<usize>,
}

impl Relabelled {
    /// The images of `source` with the classes called `classes`, matched by name.
    ///
    /// # Errors
    /// The names of classes of `source` that are none of `classes`, or, of masks, that have a number
    /// which a mask cannot hold.
    pub fn by_name(source: Arc<dyn Source>, classes: &[String]) -> Result<Self, Vec<String>> {
        let masks = source.labelling() == Labelling::Masks;
        let number = |name: &String| {
            let number = classes.iter().position(|class| class == name)?;
            (!masks || number < MAX_MASK_CLASSES).then_some(number)
        };
        let unknown: Vec<String> = source
            .classes()
            .iter()
            .filter(|name| number(name).is_none())
            .cloned()
            .collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        Ok(Self {
            numbers: source.classes().iter().filter_map(number).collect(),
            classes: classes.to_vec(),
            source,
        })
    }
}

impl Relabelled {
    /// Masks of `source` that show the classes `shown` and call all others background, the class 0;
    /// the first `count` classes are those that are told apart by now.
    pub(crate) fn showing(source: Arc<dyn Source>, shown: Range<usize>, count: usize) -> Self {
        let number = |id| if shown.contains(&id) { id } else { 0 };
        Self {
            classes: source.classes().iter().take(count).cloned().collect(),
            numbers: (0..usize::from(VOID)).map(number).collect(),
            source,
        }
    }
}

impl Source for Relabelled {
    fn labelling(&self) -> Labelling {
        self.source.labelling()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(match self.source.annotation(index)? {
            Annotation::None => Annotation::None,
            Annotation::Class(class) => Annotation::Class(self.numbers[class]),
            Annotation::Boxes(mut boxes) => {
                for label in &mut boxes {
                    label.class = self.numbers[label.class];
                }
                Annotation::Boxes(boxes)
            }
            Annotation::Mask(mut mask) => {
                // Void is no class, and what is beyond the classes stays there.
                for id in &mut mask.ids {
                    let number = self.numbers.get(usize::from(*id));
                    *id = number.map_or(*id, |&number| number as u8);
                }
                Annotation::Mask(mask)
            }
        })
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        self.source.image(index)
    }

    fn shared_image(&self, index: usize) -> Result<Arc<Image>, DataError> {
        self.source.shared_image(index)
    }

    fn shape(&self) -> Option<[usize; 3]> {
        self.source.shape()
    }

    fn usual_shape(&self) -> Option<[usize; 3]> {
        self.source.usual_shape()
    }

    fn name(&self, index: usize) -> String {
        self.source.name(index)
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.source.file(index)
    }

    fn size(&self, index: usize) -> Option<[usize; 2]> {
        self.source.size(index)
    }

    fn reduction(&self) -> f64 {
        self.source.reduction()
    }

    fn image_id(&self, index: usize) -> Option<i64> {
        self.source.image_id(index)
    }

    fn mask_file(&self, index: usize) -> Option<PathBuf> {
        self.source.mask_file(index)
    }

    fn pairing(&self) -> Option<&Pairing> {
        self.source.pairing()
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = self.labels_digest();
        hash.update(self.source.digest());
        for &number in &self.numbers {
            hash.update((number as u64).to_le_bytes());
        }
        hash.finalize().into()
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        self.source.hash_image(index, hash);
    }

    fn is_certain(&self) -> bool {
        self.source.is_certain()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Packed;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn source() -> Arc<dyn Source> {
        let classes = names(&["cat", "dog"]);
        Arc::new(Packed::new(classes, [1, 1, 1], vec![0, 1, 1], vec![7, 8, 9]).unwrap())
    }

    #[test]
    fn classes_get_the_numbers_of_their_names() {
        let classes = names(&["dog", "fish", "cat"]);
        let part = Relabelled::by_name(source(), &classes).unwrap();
        assert_eq!(part.classes(), classes);
        assert_eq!(part.annotation(0).unwrap(), Annotation::Class(2));
        assert_eq!(part.stratum(2), 0);
        assert_eq!(part.image(2).unwrap().pixels, [9]);
    }

    /// A mask of both classes and void.
    #[derive(Debug)]
    struct Masked(Vec<String>);

    impl Source for Masked {
        fn labelling(&self) -> Labelling {
            Labelling::Masks
        }

        fn classes(&self) -> &[String] {
            &self.0
        }

        fn len(&self) -> usize {
            1
        }

        fn annotation(&self, _: usize) -> Result<Annotation, DataError> {
            Ok(Annotation::Mask(crate::Mask {
                width: 3,
                height: 1,
                ids: vec![0, 1, crate::VOID],
            }))
        }

        fn image(&self, _: usize) -> Result<Image, DataError> {
            Ok(Image::filled(3, 1, 3, 0))
        }
    }

    #[test]
    fn ids_of_masks_get_the_numbers_of_their_names_and_void_stays() {
        let source = || Arc::new(Masked(names(&["cat", "dog"])));
        let part = Relabelled::by_name(source(), &names(&["dog", "fish", "cat"])).unwrap();
        let Annotation::Mask(mask) = part.annotation(0).unwrap() else {
            panic!("no mask");
        };
        assert_eq!(mask.ids, [2, 0, crate::VOID]);
        let mut many = vec![String::new(); 255];
        many.extend(names(&["cat", "dog"]));
        assert_eq!(
            Relabelled::by_name(source(), &many).unwrap_err(),
            ["cat", "dog"]
        );
    }

    #[test]
    fn classes_that_are_not_known_are_named() {
        let unknown = Relabelled::by_name(source(), &names(&["dog", "fish"])).unwrap_err();
        assert_eq!(unknown, ["cat"]);
    }
}
