//! The class folders of a part: their names, and how those of two parts differ.

use std::collections::BTreeSet;
use std::path::Path;

use super::left_out::{LeftOut, Reason};
use super::no_images;
use super::role::Role;
use super::tree::Tree;
use crate::DataError;

/// How many names a message lists.
const LISTED: usize = 5;

/// A folder whose images lie otherwise than in classes.
pub(super) fn layout(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::Layout {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

/// A folder without any class.
pub(super) fn no_classes(root: &Path) -> DataError {
    DataError::EmptyFolder {
        path: root.to_owned(),
        wanted: "folders of images, one for each class".to_owned(),
    }
}

/// Names of the class folders in `tree`, which lies at `root`.
///
/// # Errors
/// Fewer than two classes, one without images, names that are not UTF-8, and folders that look like
/// parts or groups of classes rather than classes.
pub(super) fn class_names(root: &Path, tree: &Tree) -> Result<Vec<String>, DataError> {
    let folders: Vec<&Tree> = tree.folders.iter().filter(|folder| !folder.run).collect();
    let names: Vec<String> = folders
        .iter()
        .map(|folder| {
            let name = folder.name.to_str().map(str::to_owned);
            name.ok_or_else(|| {
                layout(
                    &root.join(&folder.name),
                    "the name of a class must be valid UTF-8",
                )
            })
        })
        .collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Err(no_classes(root));
    }
    if let [name] = names.as_slice() {
        let reason = format!(
            "it has one class, `{name}`, but telling classes apart takes at least two (give {} to \
             use its images without labels)",
            root.join(name).display()
        );
        return Err(layout(root, reason));
    }
    if let Some(empty) = folders.iter().find(|folder| !folder.holds_images()) {
        let mut left_out = LeftOut::default();
        empty.tell_left_out(Path::new(&empty.name), &mut left_out);
        if left_out.is_empty() {
            return Err(no_images(&root.join(&empty.name)));
        }
        let reason = format!("it holds no images; {}", left_out.lines().join("; "));
        return Err(layout(&root.join(&empty.name), reason));
    }
    refuse_groups(root, &folders, &names)?;
    Ok(names)
}

/// Refuses "classes" that all hold the same folders: those are more likely to be the classes.
fn refuse_groups(root: &Path, folders: &[&Tree], names: &[String]) -> Result<(), DataError> {
    let inside = |folder: &&Tree| -> BTreeSet<String> {
        let inner = folder.folders_with_images();
        inner
            .map(|inner| inner.name.to_string_lossy().into_owned())
            .collect()
    };
    let mut all = folders.iter().map(inside);
    let Some(first) = all.next().filter(|first| first.len() >= 2) else {
        return Ok(());
    };
    if folders.iter().any(|folder| !folder.images.is_empty()) || all.any(|other| other != first) {
        return Ok(());
    }
    let inner: Vec<String> = first.into_iter().collect();
    let parts = folders[0]
        .folders_with_images()
        .all(|folder| Role::of(folder).is_some());
    let (outer, inner) = (listed(names), listed(&inner));
    let reason = if parts {
        format!(
            "each of its folders ({outer}) holds the parts {inner}; a part has to hold the classes, \
             as in train/{}/*.jpg",
            names[0]
        )
    } else {
        format!(
            "each of its folders ({outer}) holds the same folders ({inner}), which look like the \
             classes; if {outer} are parts, call them train, val and test, and if not, give one of \
             them"
        )
    };
    Err(layout(root, reason))
}

/// The classes of which a part has no images; those that it has besides are refused.
pub(super) fn missing_classes(
    root: &Path,
    classes: &[String],
    other_root: &Path,
    other: &Tree,
    left_out: &mut LeftOut,
) -> Result<Vec<String>, DataError> {
    let mut unknown = Vec::new();
    for folder in other.folders.iter().filter(|folder| !folder.run) {
        let name = folder.name.to_string_lossy();
        if classes.iter().any(|class| *class == name) {
            continue;
        }
        match folder.holds_images() {
            true => unknown.push(name.into_owned()),
            false => {
                let part = Path::new(&other.name);
                left_out.add(Reason::Empty, &part.join(&folder.name));
            }
        }
    }
    let has = |class: &String| {
        let mut there = other.folders_with_images();
        there.any(|folder| folder.name.to_str() == Some(class))
    };
    let missing: Vec<String> = classes
        .iter()
        .filter(|class| !has(class))
        .cloned()
        .collect();
    if unknown.is_empty() {
        return Ok(missing);
    }
    let mut differences = Vec::new();
    if !missing.is_empty() {
        differences.push(format!("missing {}", listed(&missing)));
    }
    differences.push(format!("unknown {}", listed(&unknown)));
    Err(DataError::ClassesDiffer {
        path: root.to_owned(),
        other: other_root.to_owned(),
        differences: differences.join("; "),
    })
}

/// The first few names, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(LISTED);
    let first = names[..names.len() - more].join(", ");
    match more {
        0 => first,
        _ => format!("{first} and {more} more"),
    }
}
