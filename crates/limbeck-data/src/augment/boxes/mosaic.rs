//! Four images around a point, each with its boxes (Bochkovskiy et al., "YOLOv4", 2020).

use super::{BOX_PADDING, BoxAffine, BoxSample, paste};
use crate::{Image, Stream, resize};

/// Four images side by side on a grey ground of twice `side`, around a point that is drawn from the
/// middle half of it, then scaled and moved to `side` by `side` pixels. Each image is brought to a longer
/// side of `side` first; what reaches beyond the ground is cut off, with its boxes. All images have as
/// many channels as the first.
#[must_use]
pub fn mosaic(
    samples: &[BoxSample; 4],
    side: usize,
    affine: &BoxAffine,
    stream: &mut Stream,
) -> BoxSample {
    let mut middle = || stream.uniform(0.5 * side as f64, 1.5 * side as f64) as isize;
    let (x, y) = (middle(), middle());
    let channels = samples[0].image.channels;
    let mut ground = BoxSample {
        image: Image::filled(2 * side, 2 * side, channels, BOX_PADDING),
        boxes: Vec::new(),
    };
    for (place, sample) in samples.iter().enumerate() {
        let image = &sample.image;
        let factor = side as f64 / image.width.max(image.height) as f64;
        let scaled = |length: usize| ((length as f64 * factor).round() as usize).max(1);
        let (width, height) = (scaled(image.width), scaled(image.height));
        // Upper left, upper right, lower left, lower right: each touches the point by a corner.
        let left = if place % 2 == 0 {
            x - width as isize
        } else {
            x
        };
        let top = if place < 2 { y - height as isize } else { y };
        let image = match (image.width, image.height) == (width, height) {
            true => image.clone(),
            false => resize(image, height, width),
        };
        paste(
            &mut ground.image,
            &image.with_channels(channels),
            [left, top],
        );
        let factors = [
            width as f32 / sample.image.width as f32,
            height as f32 / sample.image.height as f32,
        ];
        let shift = [left as f32, top as f32];
        let whole = [2.0 * side as f32; 2];
        let moved = sample.boxes.iter().map(|label| label.moved(factors, shift));
        ground
            .boxes
            .extend(moved.filter_map(|label| label.clipped(whole)));
    }
    affine.apply(&ground, [side, side], stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxLabel, Purpose};

    /// An image of one level with a box of its class around all of it.
    fn sample(class: usize, width: usize, height: usize) -> BoxSample {
        BoxSample {
            image: Image::filled(width, height, 3, 30 + 50 * class as u8),
            boxes: vec![BoxLabel::new(
                class,
                [0.0, 0.0, width as f32, height as f32],
            )],
        }
    }

    fn samples() -> [BoxSample; 4] {
        [
            sample(0, 40, 40),
            sample(1, 80, 40),
            sample(2, 20, 40),
            sample(3, 64, 64),
        ]
    }

    #[test]
    fn every_box_is_around_its_own_image_alone() {
        let mut met = [0; 4];
        for number in 0..40 {
            let mut stream = Stream::new(3, Purpose::Augment, 0, number, 0);
            let mosaic = mosaic(&samples(), 64, &BoxAffine::default(), &mut stream);
            assert_eq!((mosaic.image.width, mosaic.image.height), (64, 64));
            for label in &mosaic.boxes {
                met[label.class] += 1;
                let [left, top, right, bottom] = label.corners;
                // Away from the border, where neighbours are blended in.
                for y in (top as usize + 2)..(bottom as usize).saturating_sub(2) {
                    for x in (left as usize + 2)..(right as usize).saturating_sub(2) {
                        let level = mosaic.image.pixel(x, y)[0];
                        assert_eq!(level, 30 + 50 * label.class as u8, "{number}: {x} {y}");
                    }
                }
            }
        }
        assert!(met.iter().all(|count| *count > 10), "{met:?}");
    }

    #[test]
    fn the_same_stream_gives_the_same_image() {
        let made = |number| {
            let mut stream = Stream::new(3, Purpose::Augment, 0, number, 0);
            mosaic(&samples(), 32, &BoxAffine::default(), &mut stream)
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }
}
