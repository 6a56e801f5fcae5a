//! Opens a data set by looking at what is in a folder.

use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::source::{find_boxes, find_cifar, find_files, find_idx, find_scenes, find_shapes};
use crate::{DataError, Found, Labelling};

/// How a data set is opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenOptions {
    /// Decides which images go to which part.
    pub seed: u64,
    /// Share of the training images that is set aside to choose by, in `[0, 1)`; not used where
    /// the data set has a validation part of its own. With 0 the validation part is empty.
    pub validation: f64,
    /// Train on at most this many images, as many of each class. Validation and test part stay
    /// whole: what is carved out of the training images is carved out of all of them first, so that
    /// the same seed gives the same parts to measure on, whatever the limit.
    pub limit: Option<usize>,
    /// Which labels are taken where a data set has several kinds; where missing, such a set is refused.
    pub labels: Option<Labelling>,
}

impl Default for OpenOptions {
    /// Seed 0, a tenth for validation, no limit, the labels that there are.
    fn default() -> Self {
        Self {
            seed: 0,
            validation: 0.1,
            limit: None,
            labels: None,
        }
    }
}

/// Opens the data set at `path`, recognised by what lies there:
///
/// - IDX files under the names of MNIST and Fashion-MNIST, plain or `.gz`;
/// - CIFAR-10 and CIFAR-100, the binary or the Python version, also in the folder of the archive's
///   name below `path`; pickles are read without running anything;
/// - images with masks, the class of each pixel: `images/` with `masks/` beside it, with parts in
///   both or without, `train/images/` with `train/masks/`, or `train/` with `trainannot/`; masks have
///   the names of their images, or these with an end such as `_mask`; classes come from a file
///   `classes.txt`, `.json`, `.yaml` or `.csv`, or are the ids that the masks hold;
/// - images with boxes around objects, in the formats of YOLO, COCO, PASCAL VOC and LabelMe
///   ([`find_boxes`](crate::find_boxes)), for which the path may also be a file that describes them;
/// - image files in `train/CLASS/`, with `test/CLASS/` and `val/CLASS/` beside it; a `val` folder
///   without a `test` folder is the test part. Parts are known by their names whatever the case:
///   train, training; val, valid, validation, dev; test, testing, eval;
/// - image files in `CLASS/`;
/// - image files without class folders, in the folder itself or in its parts: they have no labels;
/// - a name `shapes` or `shapes:N`, if there is no such folder: [`Shapes`](crate::Shapes), `N`
///   images to train on (2,000 if not given) and half as many to test on; `scenes` or `scenes:N`:
///   [`Scenes`](crate::Scenes), images with masks (1,000 if not given), or with boxes where these are
///   wanted ([`BoxedScenes`](crate::BoxedScenes)).
///
/// Any of these may lie in one further folder, as archives leave them. What is left out of a folder
/// is told in [`Dataset::notes`].
///
/// The parts are class-balanced and depend on `options.seed`; a test or validation part that
/// the data set brings is kept, and what it lacks is taken from its training part: the validation
/// part as `options` say, the test part a fifth.
///
/// # Errors
/// Every way in which the folder, its files or the options can be wrong, by name.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    find_labelled(path, options.labels)?.split(options)
}

/// What lies at `path`, as [`open`] recognises it, before any splitting.
///
/// # Errors
/// Every way in which the folder and its files can be wrong, by name.
pub fn find(path: &Path) -> Result<Found, DataError> {
    find_labelled(path, None)
}

/// The same with labels of the `wanted` kind, where there are several.
///
/// # Errors
/// As [`find`], and images that have no boxes where these are wanted.
pub fn find_labelled(path: &Path, wanted: Option<Labelling>) -> Result<Found, DataError> {
    if !path.exists() {
        if let Some(found) = find_shapes(path)? {
            return Ok(found);
        }
        if let Some(found) = find_scenes(path, wanted)? {
            return Ok(found);
        }
        return Err(DataError::Missing {
            path: path.to_owned(),
        });
    }
    let describes = |end: &std::ffi::OsStr| ["yaml", "yml", "json"].iter().any(|one| end == *one);
    if path.is_file() && path.extension().is_some_and(describes) {
        return Ok(find_boxes(path)?.into());
    }
    if !path.is_dir() {
        return Err(DataError::NotAFolder {
            path: path.to_owned(),
        });
    }
    for find in [find_idx, find_cifar] {
        if let Some(found) = find(path)? {
            return Ok(found);
        }
        if let Some(inner) = only_folder(path)
            && let Some(mut found) = find(&inner)?
        {
            found
                .notes
                .push(format!("the data set lies in {}", inner.display()));
            return Ok(found);
        }
    }
    find_files(path, wanted)?.ok_or_else(|| not_recognised(path))
}

/// The only visible folder in a folder, as archives leave one around a data set.
fn only_folder(path: &Path) -> Option<PathBuf> {
    let visible = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        path.is_dir() && !name.starts_with(b".") && name != b"__MACOSX"
    };
    let entries = std::fs::read_dir(path).ok()?;
    let mut folders = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(visible);
    match (folders.next(), folders.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// The last part of a folder's path, for people.
pub(crate) fn folder_name(folder: &Path) -> String {
    let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    full.file_name().map_or_else(
        || full.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// How many names a message lists.
const LISTED: usize = 5;

fn not_recognised(path: &Path) -> DataError {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) => return DataError::io(path, e),
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    if names.is_empty() {
        return DataError::EmptyFolder {
            path: path.to_owned(),
            wanted: "files at all".to_owned(),
        };
    }
    names.sort();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    let mut found = names.join(", ");
    if more > 0 {
        found = format!("{found} and {more} more");
    }
    DataError::NotRecognised {
        path: path.to_owned(),
        found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(path: &Path, options: &OpenOptions) -> String {
        open(path, options).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_a_data_set_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let options = OpenOptions::default();
        assert!(error(&folder.path().join("none"), &options).contains("no folder at"));
        assert!(error(folder.path(), &options).contains("holds no files at all"));
        let file = folder.path().join("notes.txt");
        std::fs::write(&file, "text").unwrap();
        assert!(error(&file, &options).contains("is a file"));
        let unknown = error(folder.path(), &options);
        assert!(unknown.contains("looked for IDX") && unknown.contains("found notes.txt"));
    }

    #[test]
    fn shares_and_limits_outside_their_range_are_refused() {
        let shapes = Path::new("shapes:100");
        for validation in [-0.1, 1.0, f64::NAN] {
            let options = OpenOptions {
                validation,
                ..OpenOptions::default()
            };
            assert!(error(shapes, &options).contains("`validation` must be"));
        }
        let options = OpenOptions {
            limit: Some(0),
            ..OpenOptions::default()
        };
        assert!(error(shapes, &options).contains("`limit` must be at least 1"));
    }

    #[test]
    fn shapes_open_by_name_with_the_number_asked_for() {
        let dataset = open(Path::new("shapes:100"), &OpenOptions::default()).unwrap();
        assert_eq!(dataset.classes.len(), 10);
        assert_eq!(
            [
                dataset.train.len(),
                dataset.validation.len(),
                dataset.test.len()
            ],
            [90, 10, 50]
        );
        assert_eq!(dataset.shape, Some([3, 32, 32]));
        assert!(error(Path::new("shapes:many"), &OpenOptions::default()).contains("shapes"));
    }
}
