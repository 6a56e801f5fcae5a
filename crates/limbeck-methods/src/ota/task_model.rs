//! The copy of the teacher that is fine-tuned.

use limbeck_nn::{InputShape, Network, TaskKind, model};

use super::Ota;
use crate::{Cast, MethodError, Probe, cast::member_seed};

/// The teacher's network for images and classes of `input`, with the teacher's backbone and a head drawn
/// anew.
///
/// # Errors
/// Stored outputs in the teacher's place, a network that is not of the zoo, tells no head from a backbone
/// or does not take such images, and one of which weights have other shapes for them.
pub(super) fn of_teacher(
    probe: &Probe,
    input: InputShape,
    cast: &Cast,
) -> Result<Network, MethodError> {
    let refuse = |reason: String| MethodError::Configuration {
        method: Ota::ID.to_owned(),
        reason,
    };
    let Some(teacher) = &probe.teacher_network else {
        return Err(refuse(
            "it fine-tunes a copy of the teacher, and stored outputs hold none of its weights; give the \
             teacher itself with --teacher"
                .to_owned(),
        ));
    };
    let teacher = &teacher.network;
    let name = teacher.name();
    if teacher.task() == Some(TaskKind::Segmentation) {
        return Err(refuse(format!(
            "it fine-tunes the teacher to classify, and `{name}` segments; choose a classifier of the zoo, \
             or one that was pre-trained"
        )));
    }
    let seed = member_seed(probe.seed, 1);
    let mut copy = model::build(name, input, seed, cast.device(), cast.dtype())?;
    for id in copy.store.ids() {
        let entry = copy.store.entry(id);
        match copy.is_backbone(&entry.name) {
            Some(true) => {}
            Some(false) => continue,
            None => {
                return Err(refuse(format!(
                    "it gives the teacher a new head, and `{name}` tells no head from a backbone; choose \
                     a classifier of the zoo"
                )));
            }
        }
        let found = teacher
            .store
            .find(&entry.name)
            .map(|id| teacher.store.entry(id));
        let Some(found) = found.filter(|found| found.shape == entry.shape) else {
            let seen = teacher.input();
            return Err(refuse(format!(
                "the teacher `{name}`, made for {} channels of {}×{} pixels, has its weight `{}` in \
                 another shape than for this run's {} channels of {}×{}; set augment.size and \
                 augment.channels to the teacher's",
                seen.channels,
                seen.height,
                seen.width,
                entry.name,
                input.channels,
                input.height,
                input.width
            )));
        };
        let value = found.value.clone();
        copy.store.set(id, value);
    }
    Ok(copy)
}
