//! What the masks to learn from hold, as far as it decides whether anything can be learnt.

use limbeck_data::{Annotation, Augment, Dataset, Labelling, Mask, Part, VOID};

use crate::TrainError;

/// Whether a mask has the class of at least one pixel.
fn is_known(mask: &Mask) -> bool {
    mask.ids.iter().any(|&id| id != VOID)
}

/// Whether there is a pixel to be learnt or measured on. Stops at the first.
pub(super) fn has_pixels(part: &Part) -> bool {
    masks(part).any(|mask| is_known(&mask))
}

/// Masks of `part` in order. One that cannot be read is left out: all are read before the first step,
/// and what is wrong with them is said then.
fn masks(part: &Part) -> impl Iterator<Item = Mask> {
    (0..part.len()).filter_map(|position| match part.annotation(position) {
        Ok(Annotation::Mask(mask)) => Some(mask),
        _ => None,
    })
}

/// Refuses masks to learn from in which no pixel has a class; in those to choose by and to test on it
/// is a warning.
///
/// # Errors
/// How many masks there are, and what to do.
pub(super) fn check_masks(dataset: &Dataset, warnings: &mut Vec<String>) -> Result<(), TrainError> {
    if dataset.labelling != Labelling::Masks {
        return Ok(());
    }
    if !has_pixels(&dataset.train) {
        return Err(TrainError::Setting(format!(
            "all pixels of the {} masks to learn from are void, so there is nothing to learn; \
             `limbeck check` says which ids the masks hold, and the list of classes (classes.txt, \
             classes.yaml) which of them are ignored",
            dataset.train.len()
        )));
    }
    for (name, part) in [("validation", &dataset.validation), ("test", &dataset.test)] {
        if !part.is_empty() && !has_pixels(part) {
            warnings.push(format!(
                "all pixels of the {} masks of the {name} part are void: nothing can be measured on \
                 them",
                part.len()
            ));
        }
    }
    Ok(())
}

/// That crops of `augment` are larger than every image that is learnt from, even as much enlarged as
/// they may be; `None` where one of them holds a crop, or nothing is cropped.
pub(super) fn padded_crops(dataset: &Dataset, augment: &Augment) -> Option<String> {
    let range = augment
        .random_scale
        .filter(|_| dataset.labelling == Labelling::Masks)?
        .range;
    let [height, width] = augment.size;
    let scaled = |side: usize| (side as f64 * range[1]).round() as usize;
    let mut largest = [0, 0];
    for mask in masks(&dataset.train) {
        if scaled(mask.height) >= height && scaled(mask.width) >= width {
            return None;
        }
        largest = [largest[0].max(mask.height), largest[1].max(mask.width)];
    }
    (largest != [0, 0]).then(|| {
        format!(
            "augment.size: crops of {height}×{width} are larger than every image, of which the largest \
             sides are {}×{}{}; they are padded with void",
            largest[0],
            largest[1],
            match range[1] == 1.0 {
                true => String::new(),
                false => format!(" and at most {} times that (augment.random_scale)", range[1]),
            }
        )
    })
}
