//! Several views of a batch's images: crops of different sizes in other colours.
//!
//! Geometry and colours of a view are the same for all images of the batch, so that one list of
//! matching patches serves all of them.

use burn::tensor::{Tensor, TensorData};
use limbeck_data::{Normalisation, Stream};

use super::colours::{Colour, Tint, blur, solarise};
use super::resample::crop;

/// Least and greatest width of a crop, in heights (torchvision).
const RATIOS: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// How often a crop is drawn before the middle is taken instead (torchvision).
const ATTEMPTS: usize = 10;
/// Deviations of the blur in pixels of images of [`BLURRED_SIDE`] pixels (authors' code).
const BLUR: [f64; 2] = [0.1, 2.0];
/// The side that these deviations are for; others are blurred in proportion.
const BLURRED_SIDE: f64 = 224.0;

/// The part of an image that a view shows, in pixels, and the patches that it is cut into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crop {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Whether left and right are exchanged.
    pub flipped: bool,
    /// Rows and columns of patches.
    pub grid: [usize; 2],
}

/// What views of one kind are drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewKind {
    /// Height and width, multiples of the patch.
    pub size: [usize; 2],
    /// Least and greatest area, as a share of the image's.
    pub scale: [f64; 2],
    /// Probability of a mirror image.
    pub flip: f64,
    /// Probability of other colours.
    pub jitter: f64,
    /// Probability of no colours.
    pub grey: f64,
    /// Probability of a blur.
    pub blur: f64,
    /// Probability that the bright half is turned around.
    pub solarise: f64,
    /// Whether each patch has colours of its own.
    pub patch_colours: bool,
}

/// One view of all images of a batch.
#[derive(Clone, Debug)]
pub struct View {
    /// What it shows.
    pub crop: Crop,
    /// `[B, C, h, w]`, normalised as the batch is.
    pub images: Tensor<4>,
}

impl ViewKind {
    /// A view of `images` `[B, C, H, W]` with patches of `patch` pixels.
    pub fn draw(
        &self,
        images: &Tensor<4>,
        patch: usize,
        normalisation: &Normalisation,
        stream: &mut Stream,
    ) -> View {
        let [_, _, height, width] = images.dims();
        let crop_of = self.crop(height, width, patch, stream);
        let regions = match self.patch_colours {
            true => crop_of.grid,
            false => [1, 1],
        };
        let colours = Colours {
            tints: (0..regions[0] * regions[1])
                .map(|_| Tint::draw(self.jitter, self.grey, stream))
                .collect(),
            regions,
            sigma: {
                let side = self.size[0].min(self.size[1]) as f64;
                let sigma = stream.uniform(BLUR[0], BLUR[1]) * side / BLURRED_SIDE;
                stream.chance(self.blur).then_some(sigma)
            },
            solarised: stream.chance(self.solarise),
        };
        let images = colours.apply(crop(images, &crop_of, self.size), normalisation);
        View {
            crop: crop_of,
            images,
        }
    }

    /// A part of uniform area and log-uniform ratio that fits into the image (torchvision's
    /// `RandomResizedCrop`).
    fn crop(&self, height: usize, width: usize, patch: usize, stream: &mut Stream) -> Crop {
        let flipped = stream.chance(self.flip);
        let made = |top, left, height, width| Crop {
            top,
            left,
            height,
            width,
            flipped,
            grid: self.size.map(|side| side / patch.max(1)),
        };
        let ratios = RATIOS.map(f64::ln);
        for _ in 0..ATTEMPTS {
            let area = (width * height) as f64 * stream.uniform(self.scale[0], self.scale[1]);
            let ratio = stream.uniform(ratios[0], ratios[1]).exp();
            let w = (area * ratio).sqrt().round() as usize;
            let h = (area / ratio).sqrt().round() as usize;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = stream.below(height - h + 1);
                return made(top, stream.below(width - w + 1), h, w);
            }
        }
        let own = width as f64 / height as f64;
        let (mut w, mut h) = (width, height);
        if own < RATIOS[0] {
            h = ((width as f64 / RATIOS[0]).round() as usize).clamp(1, height);
        } else if own > RATIOS[1] {
            w = ((height as f64 * RATIOS[1]).round() as usize).clamp(1, width);
        }
        made((height - h) / 2, (width - w) / 2, h, w)
    }
}

/// What happens to the colours of a view, of all images alike.
struct Colours {
    /// Of each region, row by row.
    tints: Vec<Tint>,
    /// Rows and columns of regions; they divide the view.
    regions: [usize; 2],
    sigma: Option<f64>,
    solarised: bool,
}

impl Colours {
    /// Images `[B, C, h, w]` in these colours, cut off at black and white. Of one channel, each pixel is
    /// its grey; other numbers of channels than 1 and 3 keep their colours.
    fn apply(&self, images: Tensor<4>, normalisation: &Normalisation) -> Tensor<4> {
        let shape = images.dims();
        let [_, channels, height, width] = shape;
        if channels != 1 && channels != 3 {
            return images;
        }
        let of = |values: &[f64], channel: usize, without: f64| {
            values.get(channel).copied().unwrap_or(without) as f32
        };
        let mean: [f32; 3] = std::array::from_fn(|c| of(&normalisation.mean, c, 0.0));
        let deviation: [f32; 3] = std::array::from_fn(|c| of(&normalisation.std, c, 1.0));
        let options = (&images.device(), images.dtype());
        let mut numbers: Vec<f32> = images.to_data().iter::<f32>().collect();
        let plane = height * width;
        let mut pixels: Vec<Colour> = vec![[0.0; 3]; plane];
        for image in numbers.chunks_exact_mut((channels * plane).max(1)) {
            for (at, pixel) in pixels.iter_mut().enumerate() {
                *pixel = std::array::from_fn(|colour| {
                    let channel = colour.min(channels - 1);
                    let value = image[channel * plane + at] * deviation[channel] + mean[channel];
                    value.clamp(0.0, 1.0)
                });
            }
            self.colour(&mut pixels, height, width);
            for (at, pixel) in pixels.iter().enumerate() {
                for channel in 0..channels {
                    let value = (pixel[channel] - mean[channel]) / deviation[channel];
                    image[channel * plane + at] = value;
                }
            }
        }
        Tensor::from_data(TensorData::new(numbers, shape), options)
    }

    fn colour(&self, pixels: &mut [Colour], height: usize, width: usize) {
        let [rows, columns] = self.regions;
        if let [tint] = &self.tints[..] {
            tint.apply(pixels);
        } else {
            let (high, wide) = (height / rows.max(1), width / columns.max(1));
            let mut region = vec![[0.0; 3]; high * wide];
            for (number, tint) in self.tints.iter().enumerate() {
                let first = (number / columns) * high * width + (number % columns) * wide;
                let lines = |row: usize| first + row * width..first + row * width + wide;
                for (row, line) in region.chunks_exact_mut(wide).enumerate() {
                    line.copy_from_slice(&pixels[lines(row)]);
                }
                tint.apply(&mut region);
                for (row, line) in region.chunks_exact(wide).enumerate() {
                    pixels[lines(row)].copy_from_slice(line);
                }
            }
        }
        if let Some(sigma) = self.sigma {
            blur(pixels, height, sigma);
        }
        if self.solarised {
            solarise(pixels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{numbers, random, tensor};

    fn kind(size: usize, scale: [f64; 2]) -> ViewKind {
        ViewKind {
            size: [size, size],
            scale,
            flip: 0.5,
            jitter: 0.0,
            grey: 0.0,
            blur: 0.0,
            solarise: 0.0,
            patch_colours: false,
        }
    }

    fn normalisation() -> Normalisation {
        Normalisation {
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
        }
    }

    fn draw(kind: &ViewKind, images: &Tensor<4>, seed: u64) -> View {
        kind.draw(images, 4, &normalisation(), &mut Stream::of_seed(seed))
    }

    /// Images in colours from black to white, normalised.
    fn images(name: &str, batch: usize) -> Tensor<4> {
        random::<4>(name, [batch, 3, 16, 16]).clamp(-2.0, 2.0)
    }

    #[test]
    fn crops_stay_inside_with_the_areas_and_ratios_asked_for() {
        let kind = kind(8, [0.1, 0.5]);
        let (mut least, mut greatest, mut flips) = (1.0f64, 0.0f64, 0);
        for seed in 0..1000 {
            let crop = kind.crop(50, 60, 4, &mut Stream::of_seed(seed));
            assert!(crop.top + crop.height <= 50 && crop.left + crop.width <= 60);
            assert_eq!(crop.grid, [2, 2]);
            let share = (crop.height * crop.width) as f64 / 3000.0;
            let ratio = crop.width as f64 / crop.height as f64;
            assert!((0.09..=0.52).contains(&share) && (0.7..=1.43).contains(&ratio));
            (least, greatest) = (least.min(share), greatest.max(share));
            flips += usize::from(crop.flipped);
        }
        assert!(least < 0.12 && greatest > 0.48, "{least} {greatest}");
        assert!((440..560).contains(&flips), "{flips}");
    }

    #[test]
    fn the_whole_image_in_its_own_colours_is_itself() {
        let images = images("images", 2);
        let kind = ViewKind {
            flip: 0.0,
            ..kind(16, [1.0, 1.0])
        };
        // Of all ratios only a square fits, which the middle is.
        let view = draw(&kind, &images, 1);
        assert_eq!((view.crop.height, view.crop.width), (16, 16));
        for (a, b) in numbers(&view.images).iter().zip(numbers(&images)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn all_images_of_a_batch_are_seen_alike_and_every_view_and_seed_otherwise() {
        let one = images("one", 1);
        let twice = Tensor::cat(vec![one.clone(), one], 0);
        let kind = ViewKind {
            jitter: 0.8,
            grey: 0.2,
            blur: 0.5,
            solarise: 0.2,
            ..kind(8, [0.2, 1.0])
        };
        let mut stream = Stream::of_seed(4);
        let first = kind.draw(&twice, 4, &normalisation(), &mut stream);
        let second = kind.draw(&twice, 4, &normalisation(), &mut stream);
        let values = numbers(&first.images);
        assert_eq!(values[..values.len() / 2], values[values.len() / 2..]);
        assert_ne!(values, numbers(&second.images));
        assert_eq!(values, numbers(&draw(&kind, &twice, 4).images));
        assert_ne!(values, numbers(&draw(&kind, &twice, 5).images));
    }

    #[test]
    fn colours_of_patches_differ_and_are_the_same_within_each() {
        let grey = tensor(vec![0.4; 3 * 64], [1, 3, 8, 8]);
        let kind = ViewKind {
            jitter: 1.0,
            patch_colours: true,
            flip: 0.0,
            ..kind(8, [1.0, 1.0])
        };
        let values = numbers(&draw(&kind, &grey, 2).images);
        let at = |row: usize, column: usize| values[8 * row + column];
        assert!((at(0, 0) - at(3, 3)).abs() < 1e-6);
        assert!((at(0, 0) - at(0, 4)).abs() > 1e-3);
        assert!((at(0, 0) - at(4, 0)).abs() > 1e-3);
        let whole = ViewKind {
            patch_colours: false,
            ..kind
        };
        let values = numbers(&draw(&whole, &grey, 2).images);
        assert!((values[0] - values[7]).abs() < 1e-6);
    }

    #[test]
    fn images_of_one_channel_take_light_and_contrast() {
        let one = images("one", 2).narrow(1, 0, 1);
        let kind = ViewKind {
            jitter: 1.0,
            solarise: 1.0,
            ..kind(8, [0.5, 1.0])
        };
        let view = draw(&kind, &one, 3);
        assert_eq!(view.images.dims(), [2, 1, 8, 8]);
        assert!(numbers(&view.images).iter().all(|x| x.is_finite()));
    }
}
