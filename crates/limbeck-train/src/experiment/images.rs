//! Every image of every part is read before the first epoch, so that a damaged one is met before
//! the hours of a training and not after them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use limbeck_data::{DataError, Labelling, Part};
use rayon::prelude::*;

use crate::{TrainError, observer::Observer};

/// A reading that took longer is told.
const TOLD: Duration = Duration::from_secs(3);

/// Reads and decodes all images of `parts` and their masks once, on all cores; those that lie decoded in memory cannot be
/// damaged and are left out. False if it was interrupted.
///
/// # Errors
/// [`TrainError::Images`] with the first image that cannot be read and the number of others.
pub(crate) fn check_images<'a>(
    parts: impl IntoIterator<Item = &'a Part>,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<bool, TrainError> {
    let begun = Instant::now();
    let mut read = 0;
    let mut failures: Vec<DataError> = Vec::new();
    for part in parts {
        if part.source.is_certain() {
            continue;
        }
        let found: Vec<DataError> = (0..part.len())
            .into_par_iter()
            .filter(|_| !interrupt.load(Ordering::Relaxed))
            .filter_map(|position| match part.labelling() {
                Labelling::Masks => part.pair(position).err(),
                Labelling::Boxes => part.boxed(position).err(),
                Labelling::None | Labelling::Classes => part.image(position).err(),
            })
            .collect();
        if interrupt.load(Ordering::Relaxed) {
            return Ok(false);
        }
        failures.extend(found);
        read += part.len();
    }
    let others = failures.len().saturating_sub(1);
    if let Some(first) = failures.into_iter().next() {
        return Err(TrainError::Images { first, others });
    }
    if begun.elapsed() > TOLD {
        let seconds = begun.elapsed().as_secs_f64();
        observer.note(&format!(
            "images: all {read} were read in {seconds:.0} s, and none is damaged"
        ));
    }
    Ok(true)
}
