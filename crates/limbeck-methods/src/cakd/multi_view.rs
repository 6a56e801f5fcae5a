//! Other views of the student's images (paper, equation 7).

use burn::tensor::{Tensor, TensorData};

use limbeck_data::{Normalisation, Stream};

/// Brightness and contrast are multiplied by a factor within this distance of 1 (our reading).
const JITTER: f64 = 0.4;
/// The least side of a crop, in sides of the image (our reading).
const LEAST_SIDE: f64 = 0.7;
/// The greatest angle of a rotation, in degrees (our reading).
const ANGLE: f64 = 30.0;
/// Side of the squares that are masked, as the image's side divided by this (our reading).
const SQUARES: usize = 4;
/// Probability that a square is masked (our reading).
const MASKED: f64 = 0.25;

/// One image of a batch.
struct View<'a> {
    /// `[C, H, W]`, flat.
    numbers: &'a mut [f64],
    channels: usize,
    height: usize,
    width: usize,
}

/// What a channel's black has become.
fn black(normalisation: &Normalisation, channel: usize) -> f64 {
    let mean = normalisation.mean.get(channel).copied().unwrap_or(0.0);
    let deviation = normalisation.std.get(channel).copied().unwrap_or(1.0);
    -mean / deviation
}

/// Replaces each of `images` `[B, C, H, W]` with probability `share` by a view of it: one of
/// jittered colours, a crop, a rotation and masked squares, each as likely.
pub(super) fn multi_view(
    images: &Tensor<4>,
    share: f64,
    normalisation: &Normalisation,
    random: &mut Stream,
) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let plain = images.clone().inner();
    let options = (&plain.device(), plain.dtype());
    let mut numbers: Vec<f64> = plain.into_data().iter::<f64>().collect();
    for image in numbers.chunks_exact_mut(channels * height * width) {
        if random.unit() >= share {
            continue;
        }
        let mut view = View {
            numbers: image,
            channels,
            height,
            width,
        };
        match random.below(4) {
            0 => view.jitter(normalisation, random),
            1 => view.crop(random),
            2 => view.rotate(normalisation, random),
            _ => view.mask(random),
        }
    }
    let shape = [batch, channels, height, width];
    Tensor::from_data(TensorData::new(numbers, shape), options)
}

impl View<'_> {
    /// Brightness by one factor, then contrast around each channel's mean by another.
    fn jitter(&mut self, normalisation: &Normalisation, random: &mut Stream) {
        let mut factor = || 1.0 + JITTER * (2.0 * random.unit() - 1.0);
        let (brightness, contrast) = (factor(), factor());
        let pixels = self.height * self.width;
        for (channel, plane) in self.numbers.chunks_exact_mut(pixels).enumerate() {
            let black = black(normalisation, channel);
            for number in plane.iter_mut() {
                *number = black + brightness * (*number - black);
            }
            let mean = plane.iter().sum::<f64>() / pixels as f64;
            for number in plane.iter_mut() {
                *number = mean + contrast * (*number - mean);
            }
        }
    }

    /// A part of the image, scaled to its size.
    fn crop(&mut self, random: &mut Stream) {
        let side = LEAST_SIDE + (1.0 - LEAST_SIDE) * random.unit();
        let (top, left) = (random.unit() * (1.0 - side), random.unit() * (1.0 - side));
        let (height, width) = (self.height as f64, self.width as f64);
        self.resample(
            |_| 0.0,
            |y, x| {
                // No further out than the centres of the outermost pixels.
                let y = (top * height + side * y).clamp(0.5, height - 0.5);
                let x = (left * width + side * x).clamp(0.5, width - 0.5);
                (y, x)
            },
        );
    }

    /// Around the centre; black comes in from outside.
    fn rotate(&mut self, normalisation: &Normalisation, random: &mut Stream) {
        let (sin, cos) = (ANGLE * (2.0 * random.unit() - 1.0)).to_radians().sin_cos();
        let (middle_y, middle_x) = (self.height as f64 / 2.0, self.width as f64 / 2.0);
        self.resample(
            |channel| black(normalisation, channel),
            |y, x| {
                let (y, x) = (y - middle_y, x - middle_x);
                (middle_y + cos * y + sin * x, middle_x + cos * x - sin * y)
            },
        );
    }

    /// Squares become the mean of all images.
    fn mask(&mut self, random: &mut Stream) {
        let (rows, columns) = (self.height.div_ceil(SQUARES), self.width.div_ceil(SQUARES));
        let masked: Vec<bool> = (0..SQUARES * SQUARES)
            .map(|_| random.unit() < MASKED)
            .collect();
        for (index, number) in self.numbers.iter_mut().enumerate() {
            let (y, x) = (index / self.width % self.height, index % self.width);
            if masked[y / rows * SQUARES + x / columns] {
                *number = 0.0;
            }
        }
    }

    /// Every pixel from the place that `place` gives for it, bilinearly; places are pixel centres
    /// from the upper left corner, and `outside` is what a channel has beyond the border.
    fn resample(&mut self, outside: impl Fn(usize) -> f64, place: impl Fn(f64, f64) -> (f64, f64)) {
        let (height, width) = (self.height as isize, self.width as isize);
        let source = self.numbers.to_vec();
        let pixels = self.height * self.width;
        for channel in 0..self.channels {
            let plane = &source[channel * pixels..(channel + 1) * pixels];
            let at = |y: isize, x: isize| match (0..height).contains(&y) && (0..width).contains(&x)
            {
                true => plane[(y * width + x) as usize],
                false => outside(channel),
            };
            for y in 0..self.height {
                for x in 0..self.width {
                    let (from_y, from_x) = place(y as f64 + 0.5, x as f64 + 0.5);
                    let (from_y, from_x) = (from_y - 0.5, from_x - 0.5);
                    let (top, left) = (from_y.floor(), from_x.floor());
                    let (down, right) = (from_y - top, from_x - left);
                    let (top, left) = (top as isize, left as isize);
                    let upper = (1.0 - right) * at(top, left) + right * at(top, left + 1);
                    let lower = (1.0 - right) * at(top + 1, left) + right * at(top + 1, left + 1);
                    self.numbers[channel * pixels + y * self.width + x] =
                        (1.0 - down) * upper + down * lower;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, numbers, random as draw};

    fn plain() -> Normalisation {
        Normalisation {
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
        }
    }

    #[test]
    fn about_the_share_of_the_images_is_replaced_and_none_or_all_at_its_ends() {
        let images = draw("x", [64, 3, 8, 8]);
        let changed = |share: f64| {
            let views = multi_view(&images, share, &plain(), &mut Stream::of_seed(4));
            assert_eq!(views.dims(), images.dims());
            let (a, b) = (numbers(&views), numbers(&images));
            let pairs = a.chunks(192).zip(b.chunks(192));
            pairs.filter(|(a, b)| a != b).count()
        };
        assert_eq!(changed(0.0), 0);
        assert!((20..=44).contains(&changed(0.5)));
        // A mask may leave every square as it is.
        assert!(changed(1.0) >= 62);
    }

    #[test]
    fn the_same_seed_gives_the_same_views() {
        let images = draw("x", [8, 3, 8, 8]);
        let views = |seed| {
            numbers(&multi_view(
                &images,
                0.5,
                &plain(),
                &mut Stream::of_seed(seed),
            ))
        };
        assert_eq!(views(1), views(1));
        assert_ne!(views(1), views(2));
    }

    #[test]
    fn resampling_at_its_own_places_changes_nothing_and_a_crop_keeps_one_colour() {
        let mut image: Vec<f64> = numbers(&draw("x", [1, 2, 4, 6]));
        let before = image.clone();
        let mut view = View {
            numbers: &mut image,
            channels: 2,
            height: 4,
            width: 6,
        };
        view.resample(|_| 9.0, |y, x| (y, x));
        assert_close(view.numbers, &before);
        view.numbers.fill(0.7);
        view.crop(&mut Stream::of_seed(3));
        assert_close(view.numbers, &[0.7; 48]);
    }
}
