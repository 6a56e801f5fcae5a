//! Which layout a folder of images has: parts of classes, classes alone, or pictures without labels.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::class_names::{class_names, layout, listed, missing_classes, no_classes};
use super::left_out::{LeftOut, Reason};
use super::role::Role;
use super::tree::Tree;
use super::{Folder, no_images};
use crate::source::Source;
use crate::source::kept::Room;
use crate::{DataError, Found};

/// How many folders may lie around a data set, as archives leave them.
const MAX_WRAPPED: usize = 2;

/// Looks for `train/CLASS/…` with the other parts beside it, `CLASS/…` alone, or images without
/// class folders.
pub(in crate::source) fn find_folder(
    folder: &Path,
    tree: Tree,
) -> Result<Option<Found>, DataError> {
    if tree.run {
        return Err(layout(
            folder,
            "it is the folder of a run of limbeck, not one of images",
        ));
    }
    if !tree.holds_images() {
        let mut left_out = LeftOut::default();
        tree.tell_left_out(Path::new(""), &mut left_out);
        let train = tree
            .folders
            .iter()
            .find(|folder| Role::of(folder) == Some(Role::Train));
        if left_out.is_empty()
            && let Some(train) = train
        {
            return Err(no_classes(&folder.join(&train.name)));
        }
        if left_out.is_empty() || tree.folders.iter().all(|folder| folder.run) {
            return Ok(None);
        }
        let reason = format!("it holds no images; {}", left_out.lines().join("; "));
        return Err(layout(folder, reason));
    }
    let mut left_out = LeftOut::default();
    let whole = tree;
    let (tree, place) = unwrapped(&whole, folder.to_owned(), MAX_WRAPPED);
    whole.tell_left_out_around(tree, Path::new(""), &mut left_out);
    let mut found = match Parts::of(tree, &place)? {
        Some(parts) => parts.find(tree, &place, &mut left_out)?,
        None if !is_without_labels(tree) => classes_alone(tree, &place, &mut left_out)?,
        None => {
            tree.tell_left_out(Path::new(""), &mut left_out);
            Found {
                train: Some(Arc::new(Folder::without_labels(&place, tree, Room::new())?)),
                ..nothing()
            }
        }
    };
    let labelled = found
        .parts()
        .iter()
        .all(|(_, part)| !part.classes().is_empty());
    let what = if labelled {
        "images"
    } else {
        "images without labels"
    };
    found.name = format!("{} ({what})", crate::open::folder_name(folder));
    if place != folder {
        found
            .notes
            .push(format!("the data set lies in {}", place.display()));
    }
    found.notes.extend(left_out.lines());
    Ok(Some(found))
}

fn nothing() -> Found {
    Found {
        name: String::new(),
        train: None,
        validation: None,
        test: None,
        notes: Vec::new(),
    }
}

/// The folder in which the data set lies where archives have put folders around it.
fn unwrapped(tree: &Tree, place: PathBuf, depth: usize) -> (&Tree, PathBuf) {
    let mut inner = tree.folders_with_images();
    let (Some(lone), None) = (inner.next(), inner.next()) else {
        return (tree, place);
    };
    if depth == 0 || !tree.images.is_empty() || Role::of(lone).is_some() {
        return (tree, place);
    }
    let within = unwrapped(lone, place.join(&lone.name), depth - 1);
    let folders: Vec<&Tree> = within.0.folders_with_images().collect();
    if folders.len() >= 2 || folders.iter().any(|folder| Role::of(folder).is_some()) {
        within
    } else {
        (tree, place)
    }
}

/// The folders of a data set that lie there as its parts.
struct Parts<'a> {
    train: Option<&'a Tree>,
    validation: Option<&'a Tree>,
    test: Option<&'a Tree>,
}

impl<'a> Parts<'a> {
    /// The parts in `tree`; `None` where there are none, or folders of their names are classes.
    fn of(tree: &'a Tree, place: &Path) -> Result<Option<Self>, DataError> {
        let one = |role: Role| {
            let mut there = tree
                .folders
                .iter()
                .filter(|folder| Role::of(folder) == Some(role));
            match (there.next(), there.next()) {
                (Some(one), Some(other)) => Err(layout(
                    place,
                    format!(
                        "it has both {} and {}; keep the one with the images to {}",
                        one.name.display(),
                        other.name.display(),
                        match role {
                            Role::Train => "train on",
                            Role::Validation => "choose by",
                            Role::Test => "test on",
                        }
                    ),
                )),
                (one, _) => Ok(one),
            }
        };
        let parts = Self {
            train: one(Role::Train)?,
            validation: one(Role::Validation)?,
            test: one(Role::Test)?,
        };
        let there: Vec<&Tree> = [parts.train, parts.validation, parts.test]
            .into_iter()
            .flatten()
            .collect();
        // A class may be called `train`: such a folder lies beside other classes, alone of its
        // kind, and has no classes of its own.
        let others = tree
            .folders_with_images()
            .any(|folder| Role::of(folder).is_none());
        let is_class = others && there.len() == 1 && there[0].folders_with_images().count() < 2;
        Ok((!there.is_empty() && !is_class).then_some(parts))
    }

    /// The parts as sources.
    fn find(self, tree: &Tree, place: &Path, left_out: &mut LeftOut) -> Result<Found, DataError> {
        tree.tell_left_out_here(Path::new(""), left_out);
        let example = tree.images.first().map(Path::new).unwrap_or(Path::new(""));
        left_out.add_several(Reason::Unlabelled, example, tree.images.len());
        for folder in tree
            .folders
            .iter()
            .filter(|folder| Role::of(folder).is_none())
        {
            let reason = if folder.run {
                Reason::Run
            } else {
                Reason::Beside
            };
            left_out.add(reason, Path::new(&folder.name));
        }
        if let Some(train) = self.train
            && !train.holds_images()
        {
            return Err(no_classes(&place.join(&train.name)));
        }
        let holding = |part: Option<&'a Tree>, left_out: &mut LeftOut| {
            let empty = part.filter(|part| !part.holds_images());
            if let Some(empty) = empty {
                left_out.add(Reason::Empty, Path::new(&empty.name));
            }
            part.filter(|part| part.holds_images())
        };
        let (validation, test) = (
            holding(self.validation, left_out),
            holding(self.test, left_out),
        );
        let Some(first) = self.train.or(validation).or(test) else {
            return Err(no_images(place));
        };
        let room = Room::new();
        let mut notes = Vec::new();
        let mut source = |part: &Tree| -> Result<Option<Arc<dyn Source>>, DataError> {
            let root = place.join(&part.name);
            let here = Path::new(&part.name);
            if is_without_labels(first) {
                part.tell_left_out(here, left_out);
                let folder = Folder::without_labels(&root, part, room.clone())?;
                return Ok(Some(Arc::new(folder)));
            }
            if part.folders_with_images().next().is_none() {
                let example = here.join(part.images.first().map_or(Path::new(""), Path::new));
                left_out.add_several(Reason::Unlabelled, &example, part.images.len());
                return Ok(None);
            }
            let first_root = place.join(&first.name);
            let classes = class_names(&first_root, first)?;
            tell_left_out_of_classes(part, here, left_out);
            if !std::ptr::eq(first, part) {
                let missing = missing_classes(&first_root, &classes, &root, part, left_out)?;
                if !missing.is_empty() {
                    notes.push(format!(
                        "{} has no images of {}",
                        part.name.display(),
                        listed(&missing)
                    ));
                }
            }
            let folder = Folder::of_classes(&root, part, classes, room.clone())?;
            Ok(Some(Arc::new(folder)))
        };
        let mut open = |part: Option<&Tree>| part.map_or(Ok(None), &mut source);
        let (train, validation, test) = (open(self.train)?, open(validation)?, open(test)?);
        // A lone validation folder is what is reported on, so it becomes the test part.
        let (validation, test) = match test {
            Some(test) => (validation, Some(test)),
            None => (None, validation),
        };
        notes.extend(self.unusual_names());
        Ok(Found {
            train,
            validation,
            test,
            notes,
            ..nothing()
        })
    }

    /// Which folders are taken for which part, where their names are not the usual ones.
    fn unusual_names(&self) -> Option<String> {
        let parts = [
            ("train", self.train, Role::Train),
            ("validation", self.validation, Role::Validation),
            ("test", self.test, Role::Test),
        ];
        let there = parts
            .into_iter()
            .filter_map(|(part, tree, role)| Some((part, tree?, role)));
        let unusual = there.clone().any(|(_, tree, role)| {
            !role
                .names()
                .iter()
                .any(|name| tree.name == OsStr::new(name))
        });
        unusual.then(|| {
            let texts: Vec<String> = there
                .map(|(part, tree, _)| format!("{part} is {}", tree.name.display()))
                .collect();
            format!("parts by the names of their folders: {}", texts.join(", "))
        })
    }
}

/// Folders of classes without parts around them.
fn classes_alone(tree: &Tree, place: &Path, left_out: &mut LeftOut) -> Result<Found, DataError> {
    let classes = class_names(place, tree)?;
    tell_left_out_of_classes(tree, Path::new(""), left_out);
    Ok(Found {
        train: Some(Arc::new(Folder::of_classes(
            place,
            tree,
            classes,
            Room::new(),
        )?)),
        ..nothing()
    })
}

/// True of a part whose images lie in no folders that could be classes.
fn is_without_labels(part: &Tree) -> bool {
    !part.images.is_empty() && part.folders_with_images().count() < 2
}

/// Adds what was left out of a part with classes; `place` is the path of the part.
fn tell_left_out_of_classes(part: &Tree, place: &Path, left_out: &mut LeftOut) {
    part.tell_left_out(place, left_out);
    let example = place.join(part.images.first().map_or(Path::new(""), Path::new));
    left_out.add_several(Reason::Unlabelled, &example, part.images.len());
}
