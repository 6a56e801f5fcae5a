//! What the masks of one part hold.

use std::path::PathBuf;

use serde::Serialize;

use super::Examples;
use super::image::Looked;
use crate::VOID;
use crate::source::{Labelling, Pairing, Source};

/// Share of the pixels with a class from which a mask counts as one of a single class.
const ONE_CLASS: f64 = 0.995;

/// What the masks of one part hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskCheck {
    /// Every class, in the order of the ids.
    pub classes: Vec<ClassShare>,
    /// Share of all pixels whose class is not known, in percent.
    pub void: f64,
    /// Ids that are neither a class nor void.
    pub foreign_ids: Vec<ForeignId>,
    /// Images that have no mask, which are left out.
    pub images_without_mask: Examples<String>,
    /// Masks that have no image, which are left out.
    pub masks_without_image: Examples<String>,
    /// Masks in JPEG files, which blurs ids into others: a data set with such masks is refused.
    pub jpeg: Examples<String>,
    /// Images whose masks have another size than they, and both sizes.
    pub other_size: Examples<OtherSize>,
    /// Images whose masks know no pixel's class: nothing is learnt from them.
    pub all_void: Examples<String>,
    /// Images whose masks have one class alone, or nearly so (99.5 % of the pixels with a class).
    pub one_class: Examples<String>,
}

/// How much of the images a class has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassShare {
    /// Its id, a position in the classes.
    pub id: u8,
    /// Its name.
    pub class: String,
    /// Share of all pixels, in percent.
    pub pixels: f64,
    /// Number of images that show it.
    pub images: usize,
}

/// An id that is neither a class nor void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForeignId {
    /// The id.
    pub id: u8,
    /// How many pixels have it.
    pub pixels: u64,
    /// How many images.
    pub images: usize,
    /// The first of them.
    pub image: String,
}

/// An image and a mask of different sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherSize {
    /// Name of the image.
    pub image: String,
    /// Its height and width.
    pub size: [usize; 2],
    /// Height and width of its mask.
    pub mask: [usize; 2],
}

/// What is kept of a mask.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LookedMask {
    /// Height and width.
    pub size: [usize; 2],
    /// Ids that there are, ascending, and how many pixels have each.
    pub counts: Vec<(u8, u64)>,
}

impl LookedMask {
    pub fn of(mask: &crate::Mask) -> Self {
        let mut counts = [0u64; 256];
        for &id in &mask.ids {
            counts[usize::from(id)] += 1;
        }
        let there = (0..=VOID).zip(counts).filter(|&(_, count)| count > 0);
        Self {
            size: [mask.height, mask.width],
            counts: there.collect(),
        }
    }

    /// Why it cannot be used with an image of `size`, if it cannot.
    pub fn fault(&self, size: [usize; 2], classes: usize) -> Option<String> {
        if self.size != size {
            return Some(format!(
                "the image has {}x{} pixels, its mask {}x{}",
                size[0], size[1], self.size[0], self.size[1]
            ));
        }
        let foreign = || {
            let counts = self.counts.iter();
            counts.filter(|&&(id, _)| is_foreign(id, classes))
        };
        let first = foreign().next()?.0;
        let pixels: u64 = foreign().map(|(_, count)| count).sum();
        Some(format!(
            "{pixels} pixels of its mask have ids beyond the {classes} classes, such as {first}"
        ))
    }
}

fn is_foreign(id: u8, classes: usize) -> bool {
    id != VOID && usize::from(id) >= classes
}

impl MaskCheck {
    /// `None` where images have no masks.
    pub(super) fn of(source: &dyn Source, images: &[Result<Looked, String>]) -> Option<Self> {
        if source.labelling() != Labelling::Masks {
            return None;
        }
        let classes = source.classes();
        let mut pixels = [0u64; 256];
        let mut shown = [0usize; 256];
        let mut first = [None; 256];
        let mut other_size = Examples::default();
        let mut all_void = Examples::default();
        let mut one_class = Examples::default();
        for (index, image) in images.iter().enumerate() {
            let Ok(Looked {
                shape: [_, height, width],
                mask: Some(mask),
                ..
            }) = image
            else {
                continue;
            };
            let size = [*height, *width];
            if mask.size != size {
                other_size.add(|| OtherSize {
                    image: source.name(index),
                    size,
                    mask: mask.size,
                });
            }
            for &(id, count) in &mask.counts {
                let id = usize::from(id);
                pixels[id] += count;
                shown[id] += 1;
                first[id].get_or_insert(index);
            }
            let known = || mask.counts.iter().filter(|&&(id, _)| id != VOID);
            let sum: u64 = known().map(|(_, count)| count).sum();
            let greatest = known().map(|(_, count)| *count).max().unwrap_or(0);
            if sum == 0 {
                all_void.add(|| source.name(index));
            } else if greatest as f64 >= ONE_CLASS * sum as f64 {
                one_class.add(|| source.name(index));
            }
        }
        let paths = |paths: fn(&Pairing) -> &[PathBuf]| {
            let mut examples = Examples::default();
            for path in source.pairing().map_or(&[][..], paths) {
                examples.add(|| path.display().to_string());
            }
            examples
        };
        let total: u64 = pixels.iter().sum();
        let percent = |id: u8| 100.0 * pixels[usize::from(id)] as f64 / total.max(1) as f64;
        let ids = || 0..VOID;
        Some(Self {
            classes: ids()
                .zip(classes)
                .map(|(id, class)| ClassShare {
                    id,
                    class: class.clone(),
                    pixels: percent(id),
                    images: shown[usize::from(id)],
                })
                .collect(),
            void: percent(VOID),
            foreign_ids: ids()
                .filter(|&id| is_foreign(id, classes.len()))
                .filter_map(|id| {
                    first[usize::from(id)].map(|index| ForeignId {
                        id,
                        pixels: pixels[usize::from(id)],
                        images: shown[usize::from(id)],
                        image: source.name(index),
                    })
                })
                .collect(),
            images_without_mask: paths(|pairing| &pairing.images_without_mask),
            masks_without_image: paths(|pairing| &pairing.masks_without_image),
            jpeg: paths(|pairing| &pairing.lossy),
            other_size,
            all_void,
            one_class,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::source::{Annotation, Scenes};
    use crate::{DataError, Found, Image, Mask, SceneDifficulty};

    /// Images of 4x2 pixels with these masks.
    #[derive(Debug)]
    struct Given {
        classes: Vec<String>,
        masks: Vec<Mask>,
    }

    impl Source for Given {
        fn labelling(&self) -> Labelling {
            Labelling::Masks
        }

        fn classes(&self) -> &[String] {
            &self.classes
        }

        fn len(&self) -> usize {
            self.masks.len()
        }

        fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
            Ok(Annotation::Mask(self.masks[index].clone()))
        }

        fn stratum(&self, _index: usize) -> usize {
            0
        }

        fn image(&self, index: usize) -> Result<Image, DataError> {
            Ok(Image::filled(4, 2, 1, index as u8))
        }
    }

    fn mask(ids: [u8; 8]) -> Mask {
        Mask {
            width: 4,
            height: 2,
            ids: ids.to_vec(),
        }
    }

    #[test]
    fn shares_and_what_is_odd_are_counted_by_hand() {
        let source = Given {
            classes: ["sky", "road", "car"].map(str::to_owned).to_vec(),
            masks: vec![
                mask([0, 0, 1, 1, 1, 1, VOID, VOID]),
                mask([VOID; 8]),
                mask([1, 1, 1, 1, 1, 1, 1, VOID]),
                mask([0, 0, 0, 1, 9, 9, 9, 4]),
                Mask::filled(2, 4, 0),
            ],
        };
        let check = Found::whole("given", source).check(1).unwrap();
        let part = &check.parts[0];
        let masks = part.masks.as_ref().unwrap();
        let shares: Vec<f64> = masks.classes.iter().map(|c| c.pixels).collect();
        // 40 pixels: 2 + 3 + 8 of sky, 4 + 7 + 1 of road, none of cars.
        assert_eq!(shares, [32.5, 30.0, 0.0]);
        let images: Vec<usize> = masks.classes.iter().map(|c| c.images).collect();
        assert_eq!(images, [3, 3, 0]);
        assert_eq!(masks.void, 27.5);
        let foreign: Vec<(u8, u64)> = masks.foreign_ids.iter().map(|f| (f.id, f.pixels)).collect();
        assert_eq!(foreign, [(4, 1), (9, 3)]);
        assert_eq!(masks.foreign_ids[0].image, "3");
        assert_eq!(masks.all_void.examples, ["1"]);
        assert_eq!(masks.one_class.examples, ["2", "4"]);
        assert_eq!(masks.other_size.examples[0].mask, [4, 2]);
        // What training would end at is told as such.
        let reasons: Vec<&str> = part
            .unreadable
            .examples
            .iter()
            .map(|image| image.reason.as_str())
            .collect();
        assert_eq!(check.unreadable(), 2);
        assert!(
            reasons[0].contains("4 pixels of its mask have ids beyond the 3 classes, such as 4")
        );
        assert!(reasons[1].contains("the image has 2x4 pixels, its mask 4x2"));
        assert!(check.labels && part.classes.is_empty());
    }

    #[test]
    fn generated_scenes_have_nothing_odd() {
        let scenes = Scenes::new(30, 0, SceneDifficulty::default());
        let found = Found {
            train: Some(Arc::new(scenes)),
            ..Found::whole("scenes", Scenes::new(0, 1, SceneDifficulty::default()))
        };
        let one = found.check(1).unwrap();
        let masks = one.parts[0].masks.as_ref().unwrap();
        assert!(masks.classes.iter().all(|class| class.images > 0));
        let total: f64 = masks.classes.iter().map(|class| class.pixels).sum();
        assert!((total + masks.void - 100.0).abs() < 1e-9);
        assert_eq!(one.unreadable() + masks.all_void.count, 0);
        let several = found.check(3).unwrap();
        assert_eq!(several.parts[0].masks, one.parts[0].masks);
    }
}
