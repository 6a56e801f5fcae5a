//! One view of an image with its boxes.

use super::{BoxAffine, BoxSample, Letterbox, flip_with_boxes, mosaic};
use crate::augment::Augment;
use crate::augment::normalise::write_planes;
use crate::{BoxLabel, DataError, Image, Stream};

/// Leaves an image as it is.
const STILL: BoxAffine = BoxAffine {
    scale: 0.0,
    translate: 0.0,
};

impl Augment {
    /// Writes an image to train on as `[C, H, W]` numbers to `out`, which has [`Augment::numbers`] of them,
    /// and gives the boxes that are left, in its pixels: four images around a point or one letterboxed,
    /// scaled and moved, in other colours, mirrored. `another` gives a further image of the part.
    ///
    /// # Errors
    /// Those of `another`.
    pub fn apply_boxes(
        &self,
        sample: BoxSample,
        mut another: impl FnMut(&mut Stream) -> Result<BoxSample, DataError>,
        stream: &mut Stream,
        out: &mut [f32],
    ) -> Result<Vec<BoxLabel>, DataError> {
        let affine = self.random_affine.unwrap_or(STILL);
        let mut sample = if self.mosaic > 0.0 && stream.chance(self.mosaic) {
            let others = [another(stream)?, another(stream)?, another(stream)?];
            let [second, third, fourth] = others;
            let samples = [sample, second, third, fourth].map(|sample| self.in_channels(sample));
            mosaic(&samples, self.size[0], &affine, stream)
        } else {
            let sample = self.in_channels(sample);
            let size = [sample.image.height, sample.image.width];
            let framed = Letterbox::new(size, self.size).apply(&sample);
            match self.random_affine {
                None => framed,
                Some(affine) => affine.apply(&framed, self.size, stream),
            }
        };
        if let Some(jitter) = &self.hsv_jitter {
            sample.image = jitter.apply(sample.image, stream);
        }
        if self.flip > 0.0 && stream.chance(self.flip) {
            sample = flip_with_boxes(sample);
        }
        write_planes(&sample.image, self.normalisation.as_ref(), out);
        Ok(sample.boxes)
    }

    /// Writes an image to measure on alike, letterboxed and nothing else, and gives its frame.
    pub fn apply_framed(&self, image: Image, out: &mut [f32]) -> Letterbox {
        let image = image.with_channels(self.channels);
        let frame = Letterbox::new([image.height, image.width], self.size);
        write_planes(&frame.image(&image), self.normalisation.as_ref(), out);
        frame
    }

    fn in_channels(&self, sample: BoxSample) -> BoxSample {
        BoxSample {
            image: sample.image.with_channels(self.channels),
            ..sample
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HsvJitter, Purpose};

    fn sample(level: u8) -> BoxSample {
        let mut image = Image::filled(40, 20, 3, level);
        for y in 4..12 {
            for x in 10..30 {
                image.pixel_mut(x, y).fill(255);
            }
        }
        BoxSample {
            image,
            boxes: vec![BoxLabel::new(1, [10.0, 4.0, 30.0, 12.0])],
        }
    }

    fn view(augment: &Augment, number: u64) -> (Vec<f32>, Vec<BoxLabel>) {
        let mut out = vec![0.0; augment.numbers()];
        let mut stream = Stream::new(3, Purpose::Augment, 0, number, 0);
        let another = |stream: &mut Stream| Ok(sample(stream.below(60) as u8));
        let boxes = augment.apply_boxes(sample(0), another, &mut stream, &mut out);
        (out, boxes.unwrap())
    }

    #[test]
    fn boxes_stay_on_what_they_are_around_whatever_is_done() {
        let augment = Augment {
            size: [64, 64],
            mosaic: 0.5,
            flip: 0.5,
            random_affine: Some(BoxAffine::default()),
            ..Augment::default()
        };
        let mut four = 0;
        for number in 0..60 {
            let (pixels, boxes) = view(&augment, number);
            four += usize::from(boxes.len() > 1);
            for label in boxes {
                assert_eq!(label.class, 1);
                let [left, top, right, bottom] = label.corners;
                let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
                let middle = pixels[y as usize * 64 + x as usize];
                assert!(middle > 0.95, "{number}: {label:?} {middle}");
            }
        }
        assert!(four > 10, "{four}");
    }

    #[test]
    fn a_view_is_a_function_of_its_stream() {
        let augment = Augment {
            size: [64, 64],
            mosaic: 1.0,
            flip: 0.5,
            random_affine: Some(BoxAffine::default()),
            hsv_jitter: Some(HsvJitter::default()),
            ..Augment::default()
        };
        assert_eq!(view(&augment, 1), view(&augment, 1));
        assert_ne!(view(&augment, 1).0, view(&augment, 2).0);
    }

    #[test]
    fn what_is_measured_on_lies_whole_in_its_frame() {
        let augment = Augment {
            size: [64, 64],
            mosaic: 1.0,
            ..Augment::default()
        };
        let mut out = vec![0.0; augment.numbers()];
        let frame = augment.apply_framed(sample(0).image, &mut out);
        // 40x20 pixels become 64x32, with 16 rows of grey above.
        let back = frame.back([16.0, 22.4, 48.0, 35.2]);
        for (found, expected) in back.iter().zip([10.0, 4.0, 30.0, 12.0]) {
            assert!((found - expected).abs() < 1e-4, "{back:?}");
        }
        assert!((out[0] - 114.0 / 255.0).abs() < 1e-6);
        assert_eq!(out[20 * 64], 0.0);
    }
}
