//! What the boxes to learn from hold, as far as it decides whether anything can be learnt.

use limbeck_data::{Dataset, Labelling, Part};

use crate::TrainError;

/// Boxes of each class of `part` that are learnt or have to be found. Images whose boxes cannot be read are
/// left out: all are read before the first step, and what is wrong with them is said then.
fn counts(part: &Part) -> Vec<usize> {
    let mut counts = vec![0; part.classes().len()];
    for position in 0..part.len() {
        for label in part.boxes(position).unwrap_or_default() {
            if let Some(count) = counts.get_mut(label.class)
                && !label.crowd
                && !label.difficult
            {
                *count += 1;
            }
        }
    }
    counts
}

/// Whether there is a box to be learnt or found.
pub(super) fn has_boxes(part: &Part) -> bool {
    counts(part).iter().any(|&count| count > 0)
}

/// Refuses images to learn from without any box; a class without one there, and parts to measure on
/// without any, are a warning.
///
/// # Errors
/// How many images there are, and what to do.
pub(super) fn check_boxes(dataset: &Dataset, warnings: &mut Vec<String>) -> Result<(), TrainError> {
    if dataset.labelling != Labelling::Boxes {
        return Ok(());
    }
    let learnt = counts(&dataset.train);
    if learnt.iter().all(|&count| count == 0) {
        return Err(TrainError::Setting(format!(
            "none of the {} images to learn from has a box, so there is nothing to learn; `limbeck check` \
             says what was found and what was left out",
            dataset.train.len()
        )));
    }
    let named = dataset.classes.iter().zip(&learnt);
    let missing: Vec<&str> = named
        .filter(|(_, count)| **count == 0)
        .map(|(name, _)| name.as_str())
        .collect();
    if !missing.is_empty() {
        warnings.push(format!(
            "no box to learn from is of {}: {} cannot be found",
            missing.join(", "),
            if missing.len() == 1 { "it" } else { "they" }
        ));
    }
    for (name, part) in [("validation", &dataset.validation), ("test", &dataset.test)] {
        if !part.is_empty() && !has_boxes(part) {
            warnings.push(format!(
                "none of the {} images of the {name} part has a box to find: nothing can be measured on \
                 them",
                part.len()
            ));
        }
    }
    Ok(())
}
