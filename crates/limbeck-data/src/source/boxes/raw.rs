//! A data set as its files say it, and what is made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::problem::{BoxPlace, Problems};
use super::settle::{RawImage, settle};
use super::{BoxedImage, BoxedImages, FoundBoxes};
use crate::DataError;
use crate::open::folder_name;
use crate::source::folder::Role;
use crate::source::kept::Room;

/// The images of a part as its files say them.
#[derive(Debug, Default)]
pub(super) struct RawPart {
    pub images: Vec<RawImage>,
    pub problems: Problems,
}

/// A data set as its files say it.
#[derive(Debug)]
pub(super) struct RawSet {
    pub folder: PathBuf,
    /// Such as `COCO`.
    pub format: &'static str,
    pub classes: Vec<String>,
    pub category_ids: Option<Vec<i64>>,
    /// Without a role, all images.
    pub parts: Vec<(Option<Role>, RawPart)>,
    pub notes: Vec<String>,
}

impl RawSet {
    /// Settles all boxes and makes parts that share no image.
    ///
    /// # Errors
    /// No images, no classes, more boxes than an image may have.
    pub fn finish(mut self) -> Result<FoundBoxes, DataError> {
        if self.classes.is_empty() {
            return Err(DataError::Layout {
                path: self.folder,
                reason: "its files name no class".to_owned(),
            });
        }
        let mut parts: [Option<(Vec<BoxedImage>, Problems)>; 3] = [None, None, None];
        for (role, raw) in self.parts {
            let place = Role::ALL.iter().position(|one| Some(*one) == role);
            let part = &mut parts[place.unwrap_or(0)];
            let (images, problems) = part.get_or_insert_with(Default::default);
            problems.join(raw.problems);
            refuse_repeated(&raw.images)?;
            for image in raw.images {
                images.push(settle(image, problems)?);
            }
        }
        for (images, _) in parts.iter_mut().flatten() {
            images.sort_by(|a, b| a.file.cmp(&b.file));
        }
        let mut parts = parts.map(|part| part.filter(|(images, _)| !images.is_empty()));
        separate(&mut parts, &mut self.notes);
        // A lone validation part is what is reported on, so it is the test part.
        if parts[2].is_none() {
            parts[2] = parts[1].take();
        }
        if parts.iter().all(Option::is_none) {
            return Err(DataError::Layout {
                path: self.folder,
                reason: format!(
                    "none of the images that its {} files name is there",
                    self.format
                ),
            });
        }
        for (role, part) in Role::ALL.iter().zip(&parts) {
            let lines = part.iter().flat_map(|(_, problems)| problems.lines());
            let lines = lines.map(|line| format!("{}: {line}", role.name()));
            self.notes.extend(lines);
        }
        let room = Room::new();
        let [train, validation, test] = parts.map(|part| {
            let (images, problems) = part?;
            let classes = self.classes.clone();
            Some(Arc::new(BoxedImages::new(
                classes,
                self.category_ids.clone(),
                images,
                problems,
                room.clone(),
            )))
        });
        Ok(FoundBoxes {
            name: format!("{} ({})", folder_name(&self.folder), self.format),
            classes: self.classes,
            category_ids: self.category_ids,
            train,
            validation,
            test,
            notes: self.notes,
        })
    }
}

/// Refuses an image that is described twice: which of its boxes hold is not for us to say.
fn refuse_repeated(images: &[RawImage]) -> Result<(), DataError> {
    let mut described: BTreeMap<&Path, BoxPlace> = BTreeMap::new();
    for image in images {
        let place = BoxPlace {
            file: image.from.clone(),
            position: image.position,
        };
        let text = place.to_string();
        if let Some(other) = described.insert(&image.image, place) {
            return Err(DataError::Layout {
                path: image.image.clone(),
                reason: format!("its boxes are given twice, by {other} and by {text}; keep one"),
            });
        }
    }
    Ok(())
}

/// Takes images out of what trains that are measured on too. A part that has all of another's images is
/// no part of its own.
fn separate(parts: &mut [Option<(Vec<BoxedImage>, Problems)>; 3], notes: &mut Vec<String>) {
    let files = |images: &[BoxedImage]| -> BTreeSet<PathBuf> {
        images.iter().map(|image| image.file.clone()).collect()
    };
    for (earlier, later) in [(1, 2), (0, 2), (0, 1)] {
        let (Some((first, _)), Some((second, _))) = (&parts[earlier], &parts[later]) else {
            continue;
        };
        let names = [earlier, later].map(|part| Role::ALL[part].name());
        let held = files(second);
        let common = first
            .iter()
            .filter(|image| held.contains(&image.file))
            .count();
        if common == 0 {
            continue;
        }
        if common < first.len() {
            notes.push(format!(
                "{common} images are in the {} part and in the {} part: they stay in the latter alone",
                names[0], names[1]
            ));
            if let Some((images, _)) = &mut parts[earlier] {
                images.retain(|image| !held.contains(&image.file));
            }
            continue;
        }
        // Where training would lose everything, the other part is not one.
        let dropped = if earlier == 0 { later } else { earlier };
        notes.push(format!(
            "all images of the {} part are in the {} part too, so there is no {} part of the data's own",
            names[0],
            names[1],
            Role::ALL[dropped].name()
        ));
        parts[dropped] = None;
    }
}
