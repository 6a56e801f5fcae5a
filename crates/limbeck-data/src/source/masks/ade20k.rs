//! ADE20K as in its scene parsing challenge (ADEChallengeData2016; Zhou et al., 2017), known by the
//! names of its files.

use std::ffi::OsString;
use std::path::Path;

use super::encoding::Encoding;
use super::pairing::stem;
use super::sample::Sample;
use super::settle::Settled;
use crate::source::folder::Tree;
use crate::{DataError, VOID};

/// Number of classes; masks have them from 1 on, and 0 for everything else.
const COUNT: u16 = 150;

/// The classes in their order (`objectInfo150.txt`, the first of several names).
const CLASSES: &str = "wall,building,sky,floor,tree,ceiling,road,bed,windowpane,grass,cabinet,\
    sidewalk,person,earth,door,table,mountain,plant,curtain,chair,car,water,painting,sofa,shelf,\
    house,sea,mirror,rug,field,armchair,seat,fence,desk,rock,wardrobe,lamp,bathtub,railing,cushion,\
    base,box,column,signboard,chest of drawers,counter,sand,sink,skyscraper,fireplace,refrigerator,\
    grandstand,path,stairs,runway,case,pool table,pillow,screen door,stairway,river,bridge,bookcase,\
    blind,coffee table,toilet,flower,book,hill,bench,countertop,stove,palm,kitchen island,computer,\
    swivel chair,boat,bar,arcade machine,hovel,bus,towel,light,truck,tower,chandelier,awning,\
    streetlight,booth,television receiver,airplane,dirt track,apparel,pole,land,bannister,escalator,\
    ottoman,bottle,buffet,poster,stage,van,ship,fountain,conveyer belt,canopy,washer,plaything,\
    swimming pool,stool,barrel,basket,waterfall,tent,bag,minibike,cradle,oven,ball,food,step,tank,\
    trade name,microwave,pot,animal,bicycle,lake,dishwasher,screen,blanket,sculpture,hood,sconce,\
    vase,traffic light,tray,ashcan,fan,pier,crt screen,plate,monitor,bulletin board,shower,radiator,\
    glass,clock,flag";

/// Whether a file is named as those of ADE20K.
fn is_named_so(path: &Path) -> bool {
    let stem = stem(path);
    stem.starts_with("ADE_train_") || stem.starts_with("ADE_val_") || stem.starts_with("ADE_test_")
}

/// Refuses the full release, whose masks are colours of parts and instances.
pub(super) fn refuse_full(place: &Path, tree: &Tree) -> Result<(), DataError> {
    let full = |name: &&OsString| {
        let path = Path::new(name);
        is_named_so(path) && stem(path).ends_with("_seg")
    };
    if let Some(name) = tree.images.iter().find(full) {
        return Err(DataError::Layout {
            path: place.to_owned(),
            reason: format!(
                "it is the full release of ADE20K ({}), which is not read; take the one with 150 \
                 classes, ADEChallengeData2016",
                name.display()
            ),
        });
    }
    tree.folders
        .iter()
        .try_for_each(|folder| refuse_full(place, folder))
}

/// The classes, if all images are named as those of ADE20K.
pub(super) fn settle(
    place: &Path,
    images: &[&Path],
    masks: &[&Path],
) -> Result<Option<Settled>, DataError> {
    if !images.iter().all(|image| is_named_so(image)) {
        return Ok(None);
    }
    let sample = Sample::of(masks, true);
    let ids = sample.ids_besides_255();
    if sample.coloured.is_some() || ids.last().is_some_and(|last| *last > COUNT) {
        return Ok(None);
    }
    // The masks as they are published have no 255, so where it is there, somebody has already
    // taken 1 from every id.
    let reduced = sample.ids.contains_key(&255) && !ids.contains(&COUNT);
    let (encoding, note) = match reduced {
        true => (
            Encoding::of_ids(
                (0..COUNT).map(|id| (id, id as u8)),
                "ADE20K has the ids 0 to 149 where 255 is void".to_owned(),
            ),
            "255 is void already and ids count from 0",
        ),
        false => (
            Encoding::of_ids(
                (0..=COUNT).map(|id| (id, id.checked_sub(1).map_or(VOID, |id| id as u8))),
                "ADE20K has the ids 1 to 150, and 0 for everything else".to_owned(),
            ),
            "0 (everything else) is void, and ids count from 1",
        ),
    };
    Ok(Some(Settled {
        classes: names_in(place).unwrap_or_else(|| CLASSES.split(',').map(str::to_owned).collect()),
        encoding,
        notes: vec![format!(
            "the files are those of ADE20K with 150 classes: {note}"
        )],
    }))
}

/// The names in `objectInfo150.txt`, whose last column has several for each class.
fn names_in(place: &Path) -> Option<Vec<String>> {
    let text = super::class_file::read_text(&place.join("objectInfo150.txt")).ok()?;
    let name = |line: &str| {
        let (_, names) = line.rsplit_once('\t')?;
        Some(names.split([',', ';']).next()?.trim().to_owned())
    };
    let rows = text
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let names: Vec<String> = rows.map(name).collect::<Option<_>>()?;
    (names.len() == usize::from(COUNT)).then_some(names)
}
