//! Which classes masks have, from what a file says and from what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::class_file::{ClassFile, Stored, is_void_name};
use super::encoding::{Encoding, not_grey};
use super::sample::Sample;
use crate::decode::decode_mask_file;
use crate::{DataError, MAX_MASK_CLASSES, VOID};

/// The class of what a mask of two values has for 0.
const BACKGROUND: &str = "background";

/// The class of what a mask of two values has besides.
const FOREGROUND: &str = "foreground";

/// Share of the pixels that are 0 or 255 above which levels between are taken for blurred edges.
const BLURRED: f64 = 0.8;

/// Levels between 0 and 255 above which edges count as blurred.
const BLURRED_LEVELS: usize = 16;

/// Classes, and what masks have for them.
#[derive(Debug)]
pub(super) struct Settled {
    pub classes: Vec<String>,
    pub encoding: Encoding,
    /// What was settled and how, for people.
    pub notes: Vec<String>,
}

/// Settles the classes of the masks that `sample` is of; `place` is the folder of the data set.
///
/// # Errors
/// Ids that belong to no class, colours that nothing is said of, too few or too many classes.
pub(super) fn settle(
    place: &Path,
    sample: &Sample,
    file: Option<ClassFile>,
) -> Result<Settled, DataError> {
    if sample.looked_at == 0 && file.is_none() {
        return Err(match (&sample.lossy, &sample.error) {
            (Some(path), _) => DataError::LossyMask { path: path.clone() },
            (None, error) => DataError::Layout {
                path: place.to_owned(),
                reason: format!(
                    "none of its masks can be read; the first one: {}",
                    error.as_deref().unwrap_or("there is none")
                ),
            },
        });
    }
    let settled = match file {
        Some(file) => by_file(sample, &file)?,
        None => by_ids(sample)?,
    };
    let count = settled.classes.len();
    if !(2..=MAX_MASK_CLASSES).contains(&count) {
        return Err(DataError::Layout {
            path: place.to_owned(),
            reason: format!(
                "its masks have {count} class(es) ({}), but 2 to {MAX_MASK_CLASSES} are needed; a \
                 file classes.yaml beside the masks' folder can say which ids are which",
                settled.classes.join(", ")
            ),
        });
    }
    Ok(settled)
}

/// True of masks that hold 0 and 255 and nothing else.
fn is_binary(sample: &Sample) -> bool {
    sample.coloured.is_none()
        && [0, 255].iter().all(|id| sample.ids.contains_key(id))
        && sample.ids.keys().all(|&id| id == 0 || id == 255)
}

fn binary(background: &str, foreground: &str) -> Settled {
    let hint = "they hold 0 and 255 elsewhere, which were taken for two classes".to_owned();
    Settled {
        classes: vec![background.to_owned(), foreground.to_owned()],
        encoding: Encoding::of_ids([(0, 0), (255, 1), (1, 1)], hint),
        notes: vec![format!(
            "the masks hold 0 and 255 alone, so 255 is taken for class 1, {foreground}, and not \
             for void"
        )],
    }
}

/// The ids that were found are the classes.
fn by_ids(sample: &Sample) -> Result<Settled, DataError> {
    if let Some((path, [x, y])) = &sample.coloured {
        return Err(not_grey(path, *x, *y));
    }
    let ids = sample.ids_besides_255();
    if is_binary(sample) {
        return Ok(binary(BACKGROUND, FOREGROUND));
    }
    let kind = |id: u16, reason: String| {
        let path = sample.ids.get(&id).map(|met| met.first.clone());
        Err(DataError::MaskKind {
            path: path.unwrap_or_default(),
            reason,
        })
    };
    let all: usize = sample.ids.values().map(|met| met.pixels).sum();
    let pixels_of = |id: u16| sample.ids.get(&id).map_or(0, |met| met.pixels);
    let ends = pixels_of(0) + pixels_of(255);
    let between = ids.iter().filter(|&&id| id != 0).count();
    if between >= BLURRED_LEVELS && pixels_of(255) > 0 && ends as f64 > BLURRED * all as f64 {
        return kind(
            ids[1],
            "most of it is 0 and 255 with levels between at the edges, so it was blurred or resized \
             with smoothing (threshold it, or resize the original by nearest neighbour)"
                .to_owned(),
        );
    }
    if ids.len() > MAX_MASK_CLASSES {
        return kind(
            *ids.last().unwrap_or(&0),
            format!(
                "the masks hold {} different numbers (up to {}), more than {MAX_MASK_CLASSES} \
                 classes: instances or depths are no classes",
                ids.len(),
                ids.last().unwrap_or(&0)
            ),
        );
    }
    let classes: Vec<String> = match ids.as_slice() {
        [0, 1] => vec![BACKGROUND.to_owned(), FOREGROUND.to_owned()],
        ids => ids.iter().map(u16::to_string).collect(),
    };
    let found = ranges(&ids);
    let hint = format!(
        "the classes are the ids found in {} of {} masks ({found}), and 255 is void; a file \
         classes.yaml beside the masks' folder can name all ids, with `ignore: […]` for void ones",
        sample.looked_at, sample.of
    );
    let note = format!(
        "the classes are the ids found in {} of {} masks ({found}), 255 is void; names come from a \
         file classes.txt, .json or .yaml beside the masks' folder, which may also merge ids and \
         ignore some",
        sample.looked_at, sample.of
    );
    let encoding = Encoding::of_ids(
        ids.iter().enumerate().map(|(class, &id)| (id, class as u8)),
        hint,
    );
    Ok(Settled {
        classes,
        encoding,
        notes: vec![note],
    })
}

/// The file says what the classes are.
fn by_file(sample: &Sample, file: &ClassFile) -> Result<Settled, DataError> {
    let name = file.path.file_name().unwrap_or_default().display();
    let mut notes = Vec::new();
    let has_id = |stored: &Stored| matches!(stored, Stored::Id(_));
    let positional = !file
        .entries
        .iter()
        .any(|entry| entry.stored.iter().any(has_id));
    let table: BTreeSet<[u8; 3]> = file
        .entries
        .iter()
        .flat_map(|entry| &entry.stored)
        .chain(&file.ignored)
        .filter_map(|stored| match stored {
            Stored::Colour(colour) => Some(*colour),
            Stored::Id(_) => None,
        })
        .collect();
    let of_the_table = sample.colours.keys().all(|colour| table.contains(colour));
    let in_colours = !table.is_empty() && (sample.coloured.is_some() || positional && of_the_table);
    if !in_colours && let Some((path, [x, y])) = &sample.coloured {
        return Err(not_grey(path, *x, *y));
    }
    // What each class has in the masks, and what is void.
    let mut classes: Vec<String> = Vec::new();
    let mut stored: Vec<(Stored, u8)> = Vec::new();
    let mut merged = BTreeSet::new();
    let mut void_names = Vec::new();
    for ignored in &file.ignored {
        stored.push((*ignored, VOID));
    }
    if file.entries.len() > MAX_MASK_CLASSES + 1 {
        return Err(DataError::Layout {
            path: file.path.clone(),
            reason: format!(
                "it names {} classes, more than the {MAX_MASK_CLASSES} that masks can have",
                file.entries.len()
            ),
        });
    }
    for (at, entry) in file.entries.iter().enumerate() {
        let mut here = entry.stored.clone();
        if positional {
            here.push(Stored::Id(at as u16));
        }
        let class = if is_void_name(&entry.name) {
            void_names.push(entry.name.clone());
            VOID
        } else if let Some(class) = classes.iter().position(|class| *class == entry.name) {
            merged.insert(entry.name.clone());
            class as u8
        } else {
            classes.push(entry.name.clone());
            (classes.len() - 1) as u8
        };
        stored.extend(here.into_iter().map(|stored| (stored, class)));
    }
    if !void_names.is_empty() {
        notes.push(format!(
            "{name}: {} is void by its name",
            void_names.join(", ")
        ));
    }
    if !merged.is_empty() {
        let merged: Vec<String> = merged.into_iter().collect();
        notes.push(format!(
            "{name}: ids of the same name are one class: {}",
            merged.join(", ")
        ));
    }
    let hint = format!(
        "{} says which there are; add them to it, or let a file classes.yaml say `ignore: […]`",
        file.path.display()
    );
    if in_colours {
        let colours = stored.iter().filter_map(|(stored, class)| match stored {
            Stored::Colour(colour) => Some((*colour, *class)),
            Stored::Id(_) => None,
        });
        return Ok(Settled {
            classes,
            encoding: Encoding::of_colours(colours, hint),
            notes,
        });
    }
    let mut ids: BTreeMap<u16, u8> = BTreeMap::new();
    for (stored, class) in &stored {
        if let Stored::Id(id) = stored
            && let Some(other) = ids.insert(*id, *class)
            && other != *class
        {
            return Err(DataError::Layout {
                path: file.path.clone(),
                reason: format!("id {id} is there twice, for different classes"),
            });
        }
    }
    let plain = positional && file.ignored.is_empty();
    if plain
        && let Some(settled) = by_plain_names(sample, &file.entries.len(), &classes, &ids, &hint)
    {
        notes.extend(settled.notes);
        return Ok(Settled { notes, ..settled });
    }
    let encoding = Encoding::of_ids(ids.iter().map(|(id, class)| (*id, *class)), hint);
    refuse_unknown(sample, &ids, &encoding)?;
    Ok(Settled {
        classes,
        encoding,
        notes,
    })
}

/// What a plain list of `count` names means for masks that do not hold the ids from 0 on alone;
/// `None` where they do, or where it cannot be told.
fn by_plain_names(
    sample: &Sample,
    count: &usize,
    classes: &[String],
    ids: &BTreeMap<u16, u8>,
    hint: &str,
) -> Option<Settled> {
    let there = sample.ids_besides_255();
    let count = *count as u16;
    let (first, last) = (*there.first()?, *there.last()?);
    match classes {
        [one] if is_binary(sample) => return Some(binary(BACKGROUND, one)),
        [background, other] if is_binary(sample) => return Some(binary(background, other)),
        [one] if there == [0, 1] => {
            return Some(Settled {
                classes: vec![BACKGROUND.to_owned(), one.clone()],
                encoding: Encoding::of_ids([(0, 0), (1, 1)], hint.to_owned()),
                notes: vec![format!("id 0 is taken for {BACKGROUND}, id 1 for {one}")],
            });
        }
        _ => {}
    }
    if last != count {
        return None;
    }
    let (shifted, note): (Vec<(u16, u8)>, String) = if first == 0 {
        let ids = ids.iter().map(|(id, class)| (*id, *class));
        (
            ids.chain([(count, VOID)]).collect(),
            format!(
                "there are {count} names for the ids 0 to {count}, so {count} is taken for void; if \
                 it is another one, say so in a file classes.yaml: `ignore: […]` besides the names"
            ),
        )
    } else {
        let ids = ids.iter().map(|(id, class)| (*id + 1, *class));
        (
            ids.collect(),
            format!("the masks count from 1: id 1 is {}", classes.first()?),
        )
    };
    Some(Settled {
        classes: classes.to_vec(),
        encoding: Encoding::of_ids(shifted, hint.to_owned()),
        notes: vec![note],
    })
}

/// Refuses a sample that has ids besides those of the table, naming the first such mask.
pub(super) fn refuse_unknown(
    sample: &Sample,
    ids: &BTreeMap<u16, u8>,
    encoding: &Encoding,
) -> Result<(), DataError> {
    let unknown = sample
        .ids
        .iter()
        .find(|(id, _)| **id != 255 && !ids.contains_key(id));
    if let Some((_, met)) = unknown {
        encoding.apply(decode_mask_file(&met.first)?, &met.first)?;
    }
    Ok(())
}

/// Ids in ascending order, such as `0 to 10, 12`.
fn ranges(ids: &[u16]) -> String {
    let runs = ids.chunk_by(|a, b| a + 1 == *b);
    let texts: Vec<String> = runs
        .map(|run| match run {
            [one] => one.to_string(),
            [first, second] => format!("{first}, {second}"),
            [first, .., last] => format!("{first} to {last}"),
            [] => String::new(),
        })
        .collect();
    texts.join(", ")
}
