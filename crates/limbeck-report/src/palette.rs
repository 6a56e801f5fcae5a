//! The colours in which classes are drawn.

/// The id of pixels that belong to no class (`limbeck_data::VOID`).
pub(crate) const VOID: usize = 255;

/// The colours of a data set's classes, red, green, blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette {
    colours: Vec<[u8; 3]>,
}

impl Palette {
    /// The colours of classes of these names: those that the data set is usually drawn in where the
    /// names are those of Cityscapes or CamVid, otherwise the colour map of Pascal VOC.
    ///
    /// VOC's map begins with black, which stands for its background; where the first class is called
    /// something else the map begins one later, so that nothing is drawn like background.
    pub fn of<S: AsRef<str>>(classes: &[S]) -> Self {
        let named: Vec<String> = classes.iter().map(|name| plain(name.as_ref())).collect();
        for set in [&CITYSCAPES[..], &CAMVID[..]] {
            let colour = |name: &String| {
                let known = set.iter().find(|(known, _)| known == name);
                known.map(|(_, colour)| *colour)
            };
            let colours: Option<Vec<[u8; 3]>> = named.iter().map(colour).collect();
            if let Some(colours) = colours.filter(|colours| !colours.is_empty()) {
                return Self { colours };
            }
        }
        let is_background = |name: &String| BACKGROUND.contains(&name.as_str());
        let first = usize::from(!named.first().is_none_or(is_background));
        Self {
            colours: (first..first + classes.len()).map(voc).collect(),
        }
    }

    /// The colour of the class at position `class`; that of VOC's map for one beyond the names.
    pub fn colour(&self, class: usize) -> [u8; 3] {
        let known = self.colours.get(class).copied();
        known.unwrap_or_else(|| voc(class))
    }

    /// The same as `#rrggbb`.
    pub fn hex(&self, class: usize) -> String {
        let [red, green, blue] = self.colour(class);
        format!("#{red:02x}{green:02x}{blue:02x}")
    }
}

/// What a class of everything else is called.
const BACKGROUND: [&str; 6] = ["background", "bg", "other", "ground", "none", "class0"];

/// A name without what differs between spellings of it.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// The colour map of Pascal VOC (`VOClabelcolormap` of its development kit): from the lowest bits of
/// the number on, three at a time go to red, green and blue, each to the highest bit that is free.
fn voc(class: usize) -> [u8; 3] {
    let mut colour = [0; 3];
    for level in 0..8 {
        for (channel, value) in colour.iter_mut().enumerate() {
            let bit = class >> (3 * level + channel) & 1;
            *value |= (bit as u8) << (7 - level);
        }
    }
    colour
}

/// Colours of Cityscapes' classes (`cityscapesscripts/helpers/labels.py`).
const CITYSCAPES: [(&str, [u8; 3]); 19] = [
    ("road", [128, 64, 128]),
    ("sidewalk", [244, 35, 232]),
    ("building", [70, 70, 70]),
    ("wall", [102, 102, 156]),
    ("fence", [190, 153, 153]),
    ("pole", [153, 153, 153]),
    ("trafficlight", [250, 170, 30]),
    ("trafficsign", [220, 220, 0]),
    ("vegetation", [107, 142, 35]),
    ("terrain", [152, 251, 152]),
    ("sky", [70, 130, 180]),
    ("person", [220, 20, 60]),
    ("rider", [255, 0, 0]),
    ("car", [0, 0, 142]),
    ("truck", [0, 0, 70]),
    ("bus", [0, 60, 100]),
    ("train", [0, 80, 100]),
    ("motorcycle", [0, 0, 230]),
    ("bicycle", [119, 11, 32]),
];

/// Colours of CamVid's eleven classes as SegNet draws them (its `test_segmentation_camvid.py`).
const CAMVID: [(&str, [u8; 3]); 11] = [
    ("sky", [128, 128, 128]),
    ("building", [128, 0, 0]),
    ("pole", [192, 192, 128]),
    ("road", [128, 64, 128]),
    ("pavement", [60, 40, 222]),
    ("tree", [128, 128, 0]),
    ("signsymbol", [192, 128, 128]),
    ("fence", [64, 64, 128]),
    ("car", [64, 0, 128]),
    ("pedestrian", [64, 64, 0]),
    ("bicyclist", [0, 128, 192]),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Colours of VOC's classes as its development kit lists them.
    #[test]
    fn the_map_is_that_of_pascal_voc() {
        let found: Vec<[u8; 3]> = (0..9).map(voc).collect();
        assert_eq!(
            found,
            [
                [0, 0, 0],
                [128, 0, 0],
                [0, 128, 0],
                [128, 128, 0],
                [0, 0, 128],
                [128, 0, 128],
                [0, 128, 128],
                [128, 128, 128],
                [64, 0, 0]
            ]
        );
        assert_eq!(voc(20), [0, 64, 128]);
        assert_eq!(voc(VOID), [224, 224, 192]);
    }

    #[test]
    fn sets_that_are_known_have_their_own_colours() {
        let camvid = Palette::of(&["Sky", "Building", "Sign_Symbol"]);
        assert_eq!(camvid.colour(0), [128, 128, 128]);
        assert_eq!(camvid.colour(2), [192, 128, 128]);
        let cityscapes = Palette::of(&["road", "traffic light"]);
        assert_eq!(cityscapes.hex(1), "#faaa1e");
    }

    #[test]
    fn classes_of_other_sets_all_differ_and_only_background_is_black() {
        let with = Palette::of(&["background", "disc"]);
        assert_eq!(with.colour(0), [0, 0, 0]);
        let without = Palette::of(&["grass", "disc"]);
        assert_eq!(
            (without.colour(0), without.colour(1)),
            ([128, 0, 0], [0, 128, 0])
        );
        let names: Vec<String> = (0..254).map(|class| format!("thing {class}")).collect();
        let many = Palette::of(&names);
        let colours: std::collections::BTreeSet<_> =
            (0..254).map(|class| many.colour(class)).collect();
        assert_eq!(colours.len(), 254);
    }
}
