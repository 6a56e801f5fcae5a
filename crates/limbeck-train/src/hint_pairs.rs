//! Which layers of a trained teacher a student is worth learning from, over images.

use limbeck_data::Part;
use limbeck_methods::{HintSelection, HintSettings, HintSurvey, blocks};
use limbeck_nn::{Tap, Taps};

use crate::{
    TrainError,
    model_source::LoadedModel,
    sweep::{BATCH, Sweep},
};

/// Chooses hints among the blocks of `teacher` for a student with the taps `student`; see the page
/// of `hints`. A sample of `part` is looked at, prepared as the teacher knows its images.
///
/// # Errors
/// Settings that do not fit the networks, and images that cannot be read.
pub fn hint_pairs(
    teacher: &LoadedModel,
    student: &[Tap],
    part: &Part,
    settings: &HintSettings,
) -> Result<HintSelection, TrainError> {
    let augment = teacher.augment()?;
    let teacher = &teacher.network;
    let names = blocks(&teacher.taps());
    settings.check(student, &names)?;
    let (device, dtype) = (teacher.store.device(), teacher.store.dtype());
    let sample = part.spread(settings.images);
    let images = Sweep::new(sample, &augment, BATCH, 1)?;
    let network = teacher.frozen();
    let taps = Taps::from_iter(&names);
    let mut survey = HintSurvey::new(&names, settings.images);
    for batch in images.batches(device, dtype) {
        survey.add(&network.evaluate(batch?.images, &taps))?;
    }
    Ok(survey.select(settings, student)?)
}
