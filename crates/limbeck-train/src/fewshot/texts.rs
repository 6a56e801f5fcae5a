//! Vectors of the classes' texts, from a file.

use std::path::{Path, PathBuf};

use limbeck_nn::weights::ArrayFile;

use super::{
    FeatureSet, FewshotError,
    features::{array, list},
};

/// A vector for each class.
#[derive(Clone, Debug, PartialEq)]
pub struct TextVectors {
    /// The file.
    pub path: PathBuf,
    /// Numbers of a vector.
    pub width: usize,
    /// Vectors `[C, width]`, row-major, finite, none of them all zeros.
    pub vectors: Vec<f32>,
    /// Names of the classes, where the file tells them.
    pub classes: Option<Vec<String>>,
}

impl TextVectors {
    /// Reads `texts` `[C, d]` of a safetensors or `.npz` file, the array of a `.npy` file, or the array
    /// that `key` names, such as the rows of a classifier.
    ///
    /// # Errors
    /// A file that cannot be read, no such array, or vectors that are not finite or all zeros.
    pub fn read(path: &Path, key: Option<&str>) -> Result<Self, FewshotError> {
        let file = ArrayFile::read(path)?;
        let wrong = |reason: String| FewshotError::content(path, reason);
        let array = match key {
            Some(key) => match file.get(key) {
                Some(array) => array,
                None => return Err(wrong(format!("no array is called `{key}`"))),
            },
            None => array(&file, &["texts", "text_features"]).map_err(|error| {
                FewshotError::Setting(format!("{error}; --texts-key names another"))
            })?,
        };
        let &[count, width] = array.shape() else {
            return Err(wrong(format!(
                "text vectors must be [classes, numbers], found {:?}",
                array.shape()
            )));
        };
        let vectors: Vec<f32> = array.to_f64().into_iter().map(|x| x as f32).collect();
        if count < 2 || width == 0 {
            return Err(wrong(format!(
                "text vectors [{count}, {width}] tell no classes apart"
            )));
        }
        for (class, row) in vectors.chunks(width).enumerate() {
            if let Some(odd) = row.iter().find(|number| !number.is_finite()) {
                return Err(wrong(format!(
                    "the text vector of class {class} holds {odd}"
                )));
            }
            if row.iter().all(|&number| number == 0.0) {
                return Err(wrong(format!(
                    "the text vector of class {class} is all zeros, which points nowhere"
                )));
            }
        }
        let classes = list(&file, "classes")?.filter(|classes| classes.len() == count);
        Ok(Self {
            path: path.to_owned(),
            width,
            vectors,
            classes,
        })
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.vectors.len() / self.width.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// The vector of one class, `[width]`.
    pub fn row(&self, class: usize) -> &[f32] {
        let start = class * self.width;
        self.vectors
            .get(start..start + self.width)
            .unwrap_or_default()
    }

    /// Whether features can be compared with these vectors.
    ///
    /// # Errors
    /// Another width; a class beyond the texts, by row; names of classes that differ.
    pub fn check(&self, set: &FeatureSet) -> Result<(), FewshotError> {
        let wrong = |reason: String| Err(FewshotError::content(&set.path, reason));
        let texts = self.path.display();
        if self.width != set.width {
            return wrong(format!(
                "features have {} numbers and the text vectors of `{texts}` {}; both must come from \
                 one model, behind its projections",
                set.width, self.width
            ));
        }
        let count = self.len();
        if let Some(row) = set.labels.iter().position(|&label| label >= count) {
            return wrong(format!(
                "{} is of class {}, and `{texts}` has texts of classes 0 to {}",
                set.name(row),
                set.labels[row],
                count - 1
            ));
        }
        let (Some(own), Some(others)) = (&self.classes, &set.classes) else {
            return Ok(());
        };
        let pairs = own.iter().zip(others).enumerate();
        match pairs.into_iter().find(|(_, (own, other))| own != other) {
            Some((class, (own, other))) => wrong(format!(
                "class {class} is `{other}`, and `{own}` in `{texts}`; bring both into one order"
            )),
            None => Ok(()),
        }
    }
}
