//! The images of a source under other class numbers.

use std::sync::Arc;

use super::{Annotation, Labelling, Source};
use crate::{DataError, Image};

/// A source whose classes have other numbers, such as those that a model knows them by.
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
    /// The names of classes of `source` that are none of `classes`.
    pub fn by_name(source: Arc<dyn Source>, classes: &[String]) -> Result<Self, Vec<String>> {
        let number = |name: &String| classes.iter().position(|class| class == name);
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
            other @ (Annotation::None | Annotation::Mask(_)) => other,
            Annotation::Class(class) => Annotation::Class(self.numbers[class]),
        })
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        self.source.image(index)
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

    #[test]
    fn classes_that_are_not_known_are_named() {
        let unknown = Relabelled::by_name(source(), &names(&["dog", "fish"])).unwrap_err();
        assert_eq!(unknown, ["cat"]);
    }
}
