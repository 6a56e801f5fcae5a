//! YOLO's text files (Redmon; Ultralytics): one beside each image, a line for each object, and a
//! `data.yaml` that says which images are for what and how classes are called.

mod description;
mod orphans;
mod rows;

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::FoundBoxes;
use super::files::{locate, read_text, tidy};
use super::names::list_in;
use super::problem::{BoxPosition, BoxProblem};
use super::raw::{RawPart, RawSet};
use super::settle::{RawImage, header_or_problem};
use crate::DataError;
use crate::source::folder::{Role, Tree};
use description::Description;

/// Most bytes of a list of images.
const MAX_LIST: u64 = 64 << 20;

/// Images of a part, and where a list names them.
#[derive(Debug, Default)]
struct Listing {
    images: Vec<PathBuf>,
    raw: RawPart,
}

/// Looks for a description, or for images and labels side by side.
pub(super) fn find(folder: &Path) -> Result<Option<FoundBoxes>, DataError> {
    if let Some(description) = Description::find(folder)? {
        return assemble(description).map(Some);
    }
    let labels = folder.join("labels");
    if !folder.join("images").is_dir() || !labels.is_dir() {
        return Ok(None);
    }
    let mut texts = Vec::new();
    Tree::read(&labels)?.collect_others(&labels, "txt", &mut texts);
    if texts.is_empty() {
        return Ok(None);
    }
    let Some((_, classes)) = list_in(&[folder, &labels])? else {
        return Err(DataError::Layout {
            path: folder.to_owned(),
            reason:
                "images and labels of YOLO lie there, and nothing says how the classes are called; \
                     add a data.yaml with `train`, `val` and `names`, or a file classes.txt with a \
                     name a line"
                    .to_owned(),
        });
    };
    assemble(Description::of_folder(folder, classes)?).map(Some)
}

/// Reads what a description names.
pub(super) fn read(file: &Path) -> Result<FoundBoxes, DataError> {
    match Description::read(file)? {
        Some(description) => assemble(description),
        None => Err(DataError::Layout {
            path: file.to_owned(),
            reason: "it says neither how classes are called (`names`) nor which images there are \
                     (`train`, `val`, `test`)"
                .to_owned(),
        }),
    }
}

fn assemble(description: Description) -> Result<FoundBoxes, DataError> {
    let mut parts = Vec::new();
    for (role, entries) in &description.parts {
        let mut listing = Listing::default();
        for entry in entries {
            listing.add(entry, &description)?;
        }
        parts.push((*role, listing.read(&description)?));
    }
    tell_orphans(&mut parts);
    let set = RawSet {
        folder: description.folder().to_owned(),
        format: "YOLO",
        classes: description.classes,
        category_ids: None,
        parts,
        notes: description.notes,
    };
    set.finish()
}

/// Files of labels without an image are told in the first part that has labels in their folder.
fn tell_orphans(parts: &mut [(Option<Role>, RawPart)]) {
    let files = |part: &RawPart| -> BTreeSet<PathBuf> {
        part.images.iter().map(|image| image.from.clone()).collect()
    };
    let labels: Vec<BTreeSet<PathBuf>> = parts.iter().map(|(_, part)| files(part)).collect();
    let all: BTreeSet<&Path> = labels.iter().flatten().map(PathBuf::as_path).collect();
    for orphan in orphans::without_image(&all) {
        let beside =
            |labels: &BTreeSet<PathBuf>| labels.iter().any(|file| file.parent() == orphan.parent());
        let place = labels.iter().position(beside);
        if let Some((_, part)) = place.and_then(|place| parts.get_mut(place)) {
            part.problems
                .add(BoxProblem::LabelsWithoutImage, &orphan, BoxPosition::Whole);
        }
    }
}

impl Listing {
    /// Adds the images of a folder, or of a list.
    fn add(&mut self, entry: &Path, description: &Description) -> Result<(), DataError> {
        if entry.is_dir() {
            let mut images = Vec::new();
            Tree::read(entry)?.collect(entry, &mut images);
            images.sort();
            self.images.extend(images.iter().map(|image| tidy(image)));
            return Ok(());
        }
        let text = read_text(entry, MAX_LIST)?;
        // Ultralytics takes `./` for the folder of the list, all else for that of the data set.
        let own = entry.parent().unwrap_or(Path::new(".")).to_owned();
        let mut roots = [own, description.base.clone()];
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            if line.starts_with("./") != (roots[0] != description.base) {
                roots.swap(0, 1);
            }
            let position = BoxPosition::Line(number);
            let problems = &mut self.raw.problems;
            match locate(&roots, line) {
                None => problems.add(BoxProblem::MissingImage, entry, position),
                Some((image, by_end)) => {
                    if by_end {
                        problems.add(BoxProblem::OtherPlace, entry, position);
                    }
                    self.images.push(image);
                }
            }
        }
        Ok(())
    }

    /// Reads the labels of all images.
    fn read(self, description: &Description) -> Result<RawPart, DataError> {
        let Self { images, mut raw } = self;
        let mut seen = BTreeSet::new();
        let mut labelled = 0;
        let mut unlabelled = Vec::new();
        for image in images {
            if !seen.insert(image.clone()) {
                raw.problems
                    .add(BoxProblem::RepeatedImage, &image, BoxPosition::Whole);
                continue;
            }
            let Some(header) = header_or_problem(&image, &mut raw.problems) else {
                continue;
            };
            let (labels, boxes) = match labels_of(&image) {
                Ok(labels) => {
                    labelled += 1;
                    let size = header.upright();
                    let boxes = rows::read(&labels, size, description, &mut raw.problems)?;
                    (labels, boxes)
                }
                Err(expected) => {
                    unlabelled.push(image.clone());
                    (expected, Vec::new())
                }
            };
            raw.images.push(RawImage {
                image,
                header,
                from: labels,
                position: BoxPosition::Whole,
                declared: None,
                id: None,
                boxes,
            });
        }
        if labelled == 0
            && let Some(first) = unlabelled.first()
        {
            let expected = labels_of(first).err().unwrap_or_default();
            return Err(DataError::Layout {
                path: description.folder().to_owned(),
                reason: format!(
                    "none of {} images has a file of labels; that of {} would be {}",
                    unlabelled.len(),
                    first.display(),
                    expected.display()
                ),
            });
        }
        for image in unlabelled {
            raw.problems
                .add(BoxProblem::NoLabels, &image, BoxPosition::Whole);
        }
        Ok(raw)
    }
}

/// The labels of an image: in `labels` in the place of the last `images` on its way, or beside it. Where
/// they should be if they are in neither place.
fn labels_of(image: &Path) -> Result<PathBuf, PathBuf> {
    let beside = image.with_extension("txt");
    let steps: Vec<Component> = beside.components().collect();
    let folders = &steps[..steps.len().saturating_sub(1)];
    let is_images = |step: &Component| {
        step.as_os_str()
            .to_str()
            .is_some_and(|name| name.eq_ignore_ascii_case("images"))
    };
    let Some(place) = folders.iter().rposition(is_images) else {
        return match beside.is_file() {
            true => Ok(beside),
            false => Err(beside),
        };
    };
    let mut labels = PathBuf::new();
    for (number, step) in steps.iter().enumerate() {
        match number == place {
            true => labels.push("labels"),
            false => labels.push(step),
        }
    }
    if labels.is_file() {
        Ok(labels)
    } else if beside.is_file() {
        Ok(beside)
    } else {
        Err(labels)
    }
}

/// The part that a key of a description is for.
fn parts_by_key() -> [(&'static str, Role); 3] {
    [
        ("train", Role::Train),
        ("val", Role::Validation),
        ("test", Role::Test),
    ]
}
