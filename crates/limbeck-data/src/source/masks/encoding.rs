//! What the numbers or colours of mask files stand for.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::decode::{RawMask, RawPixels};
use crate::{DataError, Mask, VOID};

/// In the table: an id that belongs to no class and is not void either.
const UNKNOWN: u16 = u16::MAX;

/// The class of each id, or of each colour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Class, [`VOID`] or [`UNKNOWN`] by id; ids beyond it are unknown.
    table: Vec<u16>,
    /// Class or [`VOID`] by colour; empty where masks hold ids.
    colours: HashMap<[u8; 3], u8>,
    /// Which ids there are, and what to do about others: the end of a message.
    hint: String,
}

impl Encoding {
    /// Ids with their class or [`VOID`]. An id that nothing is said of is unknown; 255 is void
    /// unless something else is said of it.
    pub fn of_ids(ids: impl IntoIterator<Item = (u16, u8)>, hint: String) -> Self {
        let mut table = vec![UNKNOWN; usize::from(VOID) + 1];
        table[usize::from(VOID)] = u16::from(VOID);
        for (id, class) in ids {
            let id = usize::from(id);
            if table.len() <= id {
                table.resize(id + 1, UNKNOWN);
            }
            table[id] = u16::from(class);
        }
        Self {
            table,
            colours: HashMap::new(),
            hint,
        }
    }

    /// Colours with their class or [`VOID`].
    pub fn of_colours(colours: impl IntoIterator<Item = ([u8; 3], u8)>, hint: String) -> Self {
        Self {
            table: Vec::new(),
            colours: colours.into_iter().collect(),
            hint,
        }
    }

    /// The mask in classes. `path` is for messages.
    ///
    /// # Errors
    /// Ids or colours that belong to no class, and how many pixels have each.
    pub fn apply(&self, raw: RawMask, path: &Path) -> Result<Mask, DataError> {
        let mut unknown = Unknown::default();
        let mut by_id = |ids: &[u16]| -> Vec<u8> {
            let class = |id: &u16| match self.table.get(usize::from(*id)) {
                Some(&class) if class != UNKNOWN => class as u8,
                _ => {
                    *unknown.ids.entry(*id).or_default() += 1;
                    VOID
                }
            };
            ids.iter().map(class).collect()
        };
        let ids = match (&raw.pixels, self.colours.is_empty()) {
            (RawPixels::Ids { ids, .. }, true) => by_id(ids),
            (RawPixels::Colours(_), true) => {
                by_id(&raw.ids().map_err(|[x, y]| not_grey(path, x, y))?)
            }
            (RawPixels::Colours(colours), false) => colours
                .iter()
                .map(|colour| self.class_of(*colour, &mut unknown))
                .collect(),
            (RawPixels::Ids { ids, palette }, false) => {
                // A colour each, so that the table is asked once for each id.
                let most = ids.iter().copied().max().unwrap_or(0);
                let mut counts = vec![0; usize::from(most) + 1];
                ids.iter().for_each(|id| counts[usize::from(*id)] += 1);
                let classes: Vec<u8> = counts
                    .iter()
                    .enumerate()
                    .map(|(id, &count)| {
                        let level = id.min(255) as u8;
                        let colour = match palette {
                            Some(palette) => palette.get(id).copied().unwrap_or_default(),
                            None => [level; 3],
                        };
                        match count {
                            0 => VOID,
                            _ => {
                                let mut here = Unknown::default();
                                let class = self.class_of(colour, &mut here);
                                for (colour, _) in here.colours {
                                    *unknown.colours.entry(colour).or_default() += count;
                                }
                                class
                            }
                        }
                    })
                    .collect();
                ids.iter().map(|id| classes[usize::from(*id)]).collect()
            }
        };
        unknown.refuse(path, &self.hint)?;
        Ok(Mask {
            width: raw.width,
            height: raw.height,
            ids,
        })
    }

    fn class_of(&self, colour: [u8; 3], unknown: &mut Unknown) -> u8 {
        self.colours.get(&colour).copied().unwrap_or_else(|| {
            *unknown.colours.entry(colour).or_default() += 1;
            VOID
        })
    }

    /// Takes what ids stand for into `hash`.
    pub fn hash(&self, hash: &mut Sha256) {
        hash.update((self.table.len() as u64).to_le_bytes());
        self.table
            .iter()
            .for_each(|class| hash.update(class.to_le_bytes()));
        let colours: BTreeMap<&[u8; 3], &u8> = self.colours.iter().collect();
        for (colour, class) in colours {
            hash.update(colour);
            hash.update([*class]);
        }
    }
}

/// What was met that belongs to no class, with its number of pixels.
#[derive(Default)]
struct Unknown {
    ids: BTreeMap<u16, usize>,
    colours: BTreeMap<[u8; 3], usize>,
}

impl Unknown {
    fn refuse(self, path: &Path, hint: &str) -> Result<(), DataError> {
        let ids = self
            .ids
            .iter()
            .map(|(id, pixels)| (id.to_string(), *pixels));
        let colours = self.colours.iter().map(|(colour, pixels)| {
            let [red, green, blue] = colour;
            (format!("colour {red},{green},{blue}"), *pixels)
        });
        let ids: Vec<(String, usize)> = ids.chain(colours).collect();
        if ids.is_empty() {
            return Ok(());
        }
        Err(DataError::UnknownIds {
            path: path.to_owned(),
            ids,
            hint: hint.to_owned(),
        })
    }
}

/// A mask in colours where ids are wanted.
pub(super) fn not_grey(path: &Path, x: usize, y: usize) -> DataError {
    DataError::MaskKind {
        path: path.to_owned(),
        reason: format!(
            "it is in colours (the first one in column {x}, row {y}), and nothing says which class \
             each colour is (a file classes.csv with lines name,r,g,b beside the masks' folder \
             would)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pixels: RawPixels) -> RawMask {
        RawMask {
            width: 3,
            height: 1,
            pixels,
        }
    }

    fn ids(ids: [u16; 3], palette: Option<Vec<[u8; 3]>>) -> RawMask {
        raw(RawPixels::Ids {
            ids: ids.to_vec(),
            palette,
        })
    }

    #[test]
    fn ids_get_their_classes_and_unknown_ones_are_counted() {
        let encoding = Encoding::of_ids([(7, 0), (300, 1), (0, VOID)], "add them".to_owned());
        let path = Path::new("m.png");
        let mask = encoding.apply(ids([7, 300, 255], None), path).unwrap();
        assert_eq!(mask.ids, [0, 1, VOID]);
        let error = encoding.apply(ids([1, 400, 400], None), path).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("m.png has ids that belong to no class: 1 (1 pixels), 400 (2 pixels)")
                && error.contains("add them"),
            "{error}"
        );
    }

    #[test]
    fn colours_are_found_in_colours_palettes_and_grey_alike() {
        let table = [([0, 0, 0], 0), ([255, 0, 0], 1), ([9, 9, 9], VOID)];
        let encoding = Encoding::of_colours(table, String::new());
        let path = Path::new("m.png");
        let colours = raw(RawPixels::Colours(vec![[255, 0, 0], [0; 3], [9; 3]]));
        assert_eq!(encoding.apply(colours, path).unwrap().ids, [1, 0, VOID]);
        let palette = Some(vec![[255, 0, 0], [0, 0, 0], [1, 2, 3]]);
        let mask = encoding.apply(ids([0, 1, 0], palette.clone()), path);
        assert_eq!(mask.unwrap().ids, [1, 0, 1]);
        assert_eq!(
            encoding.apply(ids([9, 0, 0], None), path).unwrap().ids,
            [VOID, 0, 0]
        );
        let error = encoding.apply(ids([2, 2, 0], palette), path).unwrap_err();
        assert!(
            error.to_string().contains("colour 1,2,3 (2 pixels)"),
            "{error}"
        );
    }
}
