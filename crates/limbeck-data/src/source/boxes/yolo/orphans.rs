//! Files of labels whose image is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::source::boxes::files::start_of;

/// Files of labels in the folders of `labels`, which are those of known images, that belong to no image,
/// in order. What holds no rows of numbers, such as a list of classes, is no file of labels.
pub(super) fn without_image(labels: &BTreeSet<&Path>) -> Vec<PathBuf> {
    let folders: BTreeSet<&Path> = labels.iter().filter_map(|file| file.parent()).collect();
    let mut stems = BTreeMap::new();
    let mut found = Vec::new();
    for folder in folders {
        for file in files_in(folder) {
            if ends_in_txt(&file)
                && !labels.contains(file.as_path())
                && has_rows(&file)
                && !has_image(&file, &mut stems)
            {
                found.push(file);
            }
        }
    }
    found
}

/// Files in a folder, in order.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn ends_in_txt(file: &Path) -> bool {
    file.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("txt"))
}

/// Whether the first line that is not empty is one of a box: five numbers or more.
fn has_rows(file: &Path) -> bool {
    let text = start_of(file);
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.is_some_and(|line| {
        let mut words = line.split_whitespace();
        words.clone().count() >= 5 && words.all(|word| word.parse::<f64>().is_ok())
    })
}

/// Whether a file of the same name with another ending lies beside it, or in `images` in the place of the
/// last `labels` on its way. `stems` are those of the folders that were looked into.
fn has_image(file: &Path, stems: &mut BTreeMap<PathBuf, BTreeSet<OsString>>) -> bool {
    let (Some(folder), Some(stem)) = (file.parent(), file.file_stem()) else {
        return false;
    };
    let steps: Vec<_> = folder.components().collect();
    let place = steps.iter().rposition(|step| step.as_os_str() == "labels");
    let images = place.map(|place| {
        let mut images: PathBuf = steps[..place].iter().collect();
        images.push("images");
        images.extend(&steps[place + 1..]);
        images
    });
    let folders = [Some(folder.to_owned()), images];
    folders.into_iter().flatten().any(|folder| {
        let stems = stems.entry(folder).or_insert_with_key(|folder| {
            let images = files_in(folder).into_iter();
            let images = images.filter(|file| !ends_in_txt(file));
            images
                .filter_map(|file| file.file_stem().map(OsString::from))
                .collect()
        });
        stems.contains(stem)
    })
}
