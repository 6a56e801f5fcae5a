//! Pictures of a part one after the other in their own size, ready for a network.

use std::sync::mpsc::sync_channel;
use std::thread;

use limbeck_data::{Augment, DataError, Labelling, Mask, Part};

/// Pictures that are made ahead of the one at hand.
const AHEAD: usize = 2;

/// A picture in its own size.
pub(crate) struct Picture {
    /// Index in its part.
    pub index: usize,
    /// Number in its source.
    pub sample: usize,
    /// `[C, H, W]`, flat, normalised.
    pub numbers: Vec<f32>,
    /// Height and width.
    pub size: [usize; 2],
    /// The right mask in a size of its own, where there is one.
    pub truth: Option<Mask>,
}

/// The pictures of `part` in its order; `augment` gives channels and normalisation. With `ahead` they
/// are read while others are looked at.
pub(crate) fn pictures(
    part: &Part,
    augment: &Augment,
    ahead: bool,
) -> Box<dyn Iterator<Item = Result<Picture, DataError>>> {
    let (part, augment) = (part.clone(), augment.clone());
    let all = (0..part.len()).map(move |index| picture(&part, &augment, index));
    if !ahead {
        return Box::new(all);
    }
    let (sender, receiver) = sync_channel(AHEAD);
    thread::spawn(move || {
        for picture in all {
            // Nobody listens any more: there was an error, or the run was stopped.
            if sender.send(picture).is_err() {
                break;
            }
        }
    });
    Box::new(receiver.into_iter())
}

fn picture(part: &Part, augment: &Augment, index: usize) -> Result<Picture, DataError> {
    let (image, truth) = match part.labelling() {
        Labelling::Masks => {
            let (image, mask) = part.pair(index)?;
            (image, Some(mask))
        }
        Labelling::None | Labelling::Classes => (part.image(index)?, None),
    };
    let size = [image.height, image.width];
    let plain = Augment {
        size,
        channels: augment.channels,
        normalisation: augment.normalisation.clone(),
        ..Augment::default()
    };
    let mut numbers = vec![0.0; plain.numbers()];
    plain.apply(image, None, &mut numbers);
    Ok(Picture {
        index,
        sample: part.indices[index],
        numbers,
        size,
        truth,
    })
}
