//! The Python version: pickled dictionaries of labels and one array of images.

use std::path::Path;

use limbeck_pickle::{Limits, Value, parse};

use super::numpy::{GLOBALS, matrix};
use super::{Content, IMAGE};
use crate::DataError;

/// Appends the labels and images of a file.
pub(super) fn read(
    bytes: &[u8],
    classes: usize,
    content: &mut Content,
    path: &Path,
) -> Result<(), DataError> {
    let value = parse_data(bytes, path)?;
    let key = if classes == 100 {
        "fine_labels"
    } else {
        "labels"
    };
    let labels = entry(&value, key, path)?
        .as_sequence()
        .ok_or_else(|| DataError::corrupt(path, format!("`{key}` is not a list")))?;
    let images = entry(&value, "data", path)?;
    let (rows, columns, pixels) =
        matrix(images).map_err(|reason| DataError::corrupt(path, reason))?;
    if columns != IMAGE {
        return Err(DataError::corrupt(
            path,
            format!("an image has {columns} bytes, expected {IMAGE}"),
        ));
    }
    if rows != labels.len() {
        return Err(DataError::corrupt(
            path,
            format!("it holds {rows} images, but {} labels", labels.len()),
        ));
    }
    for (index, label) in labels.iter().enumerate() {
        let label = label.as_usize().ok_or_else(|| {
            DataError::corrupt(
                path,
                format!(
                    "the label of image {index} is {}, not a number of at least 0",
                    label.kind()
                ),
            )
        })?;
        content
            .labels
            .push(u8::try_from(label).map_err(|_| DataError::Label {
                path: path.to_owned(),
                index,
                label,
                first: 0,
                classes,
            })?);
    }
    content.pixels.extend(pixels);
    Ok(())
}

/// The names in `batches.meta` (CIFAR-10) or `meta` (CIFAR-100).
pub(super) fn class_names(bytes: &[u8], path: &Path) -> Result<Vec<String>, DataError> {
    let value = parse_data(bytes, path)?;
    let names = match value.get("fine_label_names") {
        Some(names) => names,
        None => entry(&value, "label_names", path)?,
    };
    names
        .as_sequence()
        .and_then(|names| {
            let texts = names.iter().map(|name| name.as_text().map(str::to_owned));
            texts.collect()
        })
        .ok_or_else(|| DataError::corrupt(path, "its class names are not a list of texts"))
}

/// Reads a pickle and refuses what names anything besides numpy arrays.
fn parse_data(bytes: &[u8], path: &Path) -> Result<Value, DataError> {
    let value =
        parse(bytes, Limits::default()).map_err(|e| DataError::corrupt(path, e.to_string()))?;
    match value.global_outside(&GLOBALS) {
        None => Ok(value),
        Some(global) => Err(DataError::corrupt(
            path,
            format!(
                "it names `{global}`, which a data set has no use for and which Python would run; \
                 nothing was run"
            ),
        )),
    }
}

fn entry<'a>(value: &'a Value, key: &str, path: &Path) -> Result<&'a Value, DataError> {
    value
        .get(key)
        .ok_or_else(|| DataError::corrupt(path, format!("it has no entry `{key}`")))
}
