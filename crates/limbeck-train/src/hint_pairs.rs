//! Which layers of a trained teacher a student is worth learning from, over images.

use limbeck_data::Part;
use limbeck_methods::{HeldOut, HintSelection, HintSettings, HintSurvey, blocks};
use limbeck_nn::{Tap, Taps};

use crate::{TrainError, held_out::HeldOutImages, model_source::LoadedModel};

/// Images of a batch: large enough for the products to be efficient.
const BATCH: usize = 100;

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
    let images = HeldOutImages::new(sample, &augment, BATCH, device, dtype)?;
    let network = teacher.frozen();
    let taps = Taps::from_iter(&names);
    let mut survey = HintSurvey::new(&names, settings.images);
    images.look(&mut |batch| survey.add(&network.evaluate(batch.images.clone(), &taps)))?;
    Ok(survey.select(settings, student)?)
}
