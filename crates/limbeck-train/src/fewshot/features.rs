//! Features and labels of images, from a file.

use std::path::{Path, PathBuf};

use limbeck_nn::weights::{ArrayFile, ONLY_ARRAY, StoredTensor};

use super::FewshotError;
use crate::embed::names_beside;

/// Features of images with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSet {
    /// The file.
    pub path: PathBuf,
    /// Numbers of a feature.
    pub width: usize,
    /// Features `[N, width]`, row-major, finite, none of them all zeros.
    pub features: Vec<f32>,
    /// Class of each image, `[N]`.
    pub labels: Vec<usize>,
    /// Names of the classes, where the file tells them.
    pub classes: Option<Vec<String>>,
    /// Names of the images, where they are told.
    pub names: Option<Vec<String>>,
}

impl FeatureSet {
    /// Reads `features` `[N, D]` and `labels` `[N]` of a safetensors or `.npz` file. A `.npy` file
    /// holds the features alone: its labels are in the file `labels`, which otherwise takes the place
    /// of the file's own.
    ///
    /// # Errors
    /// A file that cannot be read; arrays that are missing or do not fit each other; a feature that is
    /// not finite or all zeros, by row and name.
    pub fn read(path: &Path, labels: Option<&Path>) -> Result<Self, FewshotError> {
        let file = ArrayFile::read(path)?;
        let wrong = |reason: String| FewshotError::content(path, reason);
        let array = array(&file, &["features"])?;
        let &[count, width] = array.shape() else {
            return Err(wrong(format!(
                "features must be [images, numbers], found {:?}",
                array.shape()
            )));
        };
        if count == 0 || width == 0 {
            return Err(wrong(format!("features [{count}, {width}] hold nothing")));
        }
        let (label_path, labels) = match labels {
            Some(path) => (path, read_labels(&ArrayFile::read(path)?, true)?),
            None => (path, read_labels(&file, false)?),
        };
        if labels.len() != count {
            return Err(FewshotError::content(
                label_path,
                format!("{} labels for {count} features", labels.len()),
            ));
        }
        let names =
            list(&file, "names")?.map_or_else(|| list_beside(path), |names| Ok(Some(names)))?;
        if let Some(names) = names.as_ref().filter(|names| names.len() != count) {
            return Err(wrong(format!(
                "{} names of images for {count} features",
                names.len()
            )));
        }
        let set = Self {
            path: path.to_owned(),
            width,
            features: array.to_f64().into_iter().map(|x| x as f32).collect(),
            labels,
            classes: list(&file, "classes")?,
            names,
        };
        set.check_rows()?;
        Ok(set)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The feature of one image, `[width]`.
    pub fn row(&self, image: usize) -> &[f32] {
        let start = image * self.width;
        self.features
            .get(start..start + self.width)
            .unwrap_or_default()
    }

    /// What an image is called in messages.
    pub fn name(&self, image: usize) -> String {
        match self.names.as_ref().and_then(|names| names.get(image)) {
            Some(name) => format!("row {image} (`{name}`)"),
            None => format!("row {image}"),
        }
    }

    fn check_rows(&self) -> Result<(), FewshotError> {
        for image in 0..self.len() {
            let row = self.row(image);
            let refuse = |what: String| {
                let name = self.name(image);
                let reason =
                    format!("the feature of {name} {what}; embed the image again or leave it out");
                Err(FewshotError::content(&self.path, reason))
            };
            if let Some(odd) = row.iter().find(|number| !number.is_finite()) {
                return refuse(format!("holds {odd}"));
            }
            if row.iter().all(|&number| number == 0.0) {
                return refuse("is all zeros, which points nowhere".to_owned());
            }
        }
        Ok(())
    }
}

/// The array under one of `names`, or the only one of a file that has a single nameless one.
pub(super) fn array<'a>(
    file: &'a ArrayFile,
    names: &[&str],
) -> Result<&'a StoredTensor, FewshotError> {
    let found = names.iter().find_map(|name| file.get(name));
    found.or_else(|| file.get(ONLY_ARRAY)).ok_or_else(|| {
        let held: Vec<String> = file.iter().map(|(name, _)| format!("`{name}`")).collect();
        let wanted = names.first().copied().unwrap_or_default();
        FewshotError::content(
            file.path(),
            format!(
                "no array is called `{wanted}`; it holds {}",
                held.join(", ")
            ),
        )
    })
}

fn read_labels(file: &ArrayFile, alone: bool) -> Result<Vec<usize>, FewshotError> {
    let wrong = |reason: String| FewshotError::content(file.path(), reason);
    if !alone && file.get("labels").is_none() && file.get(ONLY_ARRAY).is_some() {
        return Err(wrong(
            "a .npy file holds features alone; name the file of their labels with --labels (of --test, \
             --test-labels)"
                .to_owned(),
        ));
    }
    let array = array(file, &["labels"])?;
    if array.shape().len() != 1 {
        return Err(wrong(format!(
            "labels must be one number for each image, found an array {:?}",
            array.shape()
        )));
    }
    let class = |(row, label): (usize, f64)| {
        let whole = label >= 0.0 && label.fract() == 0.0 && label < 1e9;
        whole.then_some(label as usize).ok_or_else(|| {
            wrong(format!(
                "the label of row {row} is {label}, and classes count 0, 1, 2, …"
            ))
        })
    };
    array.to_f64().into_iter().enumerate().map(class).collect()
}

/// A JSON list of names in the metadata.
pub(super) fn list(file: &ArrayFile, key: &str) -> Result<Option<Vec<String>>, FewshotError> {
    let Some(text) = file.metadata().get(key) else {
        return Ok(None);
    };
    let names = serde_json::from_str(text).map_err(|_| {
        FewshotError::content(
            file.path(),
            format!("`{key}` in its metadata is no JSON list of names"),
        )
    })?;
    Ok(Some(names))
}

/// The list of images' names in a file of its own.
fn list_beside(path: &Path) -> Result<Option<Vec<String>>, FewshotError> {
    let beside = names_beside(path);
    if !beside.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&beside)
        .map_err(|error| FewshotError::content(&beside, error.to_string()))?;
    let names = serde_json::from_str(&text)
        .map_err(|_| FewshotError::content(&beside, "it is no JSON list of names"))?;
    Ok(Some(names))
}
