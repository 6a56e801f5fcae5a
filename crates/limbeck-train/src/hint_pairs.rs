//! Which layers of a trained teacher a student is worth learning from, over images.

use limbeck_data::{Augment, Normalisation, Part};
use limbeck_methods::{HeldOut, HintSelection, HintSettings, HintSurvey, blocks};
use limbeck_nn::{Network, Tap, Taps};

use crate::{TrainError, held_out::HeldOutImages};

/// Images of a batch: large enough for the products to be efficient.
const BATCH: usize = 100;

/// Chooses hints among the blocks of `teacher`, which sees images normalised by `normalisation`,
/// for a student with the taps `student`; see the page of `hints`. A sample of `part` is looked
/// at, not augmented.
///
/// # Errors
/// Settings that do not fit the networks, and images that cannot be read.
pub fn hint_pairs(
    teacher: &Network,
    normalisation: Normalisation,
    student: &[Tap],
    part: &Part,
    settings: &HintSettings,
) -> Result<HintSelection, TrainError> {
    let names = blocks(&teacher.taps());
    settings.check(student, &names)?;
    let input = teacher.input();
    let augment = Augment {
        size: [input.height, input.width],
        channels: input.channels,
        normalisation: Some(normalisation),
        ..Augment::default()
    };
    let (device, dtype) = (teacher.store.device(), teacher.store.dtype());
    let sample = part.spread(settings.images);
    let images = HeldOutImages::new(sample, &augment, BATCH, device, dtype)?;
    let network = teacher.frozen();
    let taps = Taps::from_iter(&names);
    let mut survey = HintSurvey::new(&names, settings.images);
    images.look(&mut |batch| survey.add(&network.evaluate(batch.images.clone(), &taps)))?;
    Ok(survey.select(settings, student)?)
}
