//! One view of an image, and of its mask with it.

use std::borrow::Cow;

use super::Augment;
use super::colour_jitter::colour_jitter;
use super::fit::fit;
use super::flip::flip;
use super::normalise::write_planes;
use super::pad_crop::{Padding, draw_shift, shifted};
use super::quarter_turn::quarter_turns;
use super::rand_augment::rand_augment;
use super::random_erasing::random_erasing;
use super::random_resized_crop::random_resized_crop;
use super::random_scale::random_crop;
use super::rotation::{rotate_image, rotate_mask};
use crate::resize::{nearest_window, resize, resize_window};
use crate::window::Window;
use crate::{Image, Mask, Stream, VOID};

/// How often another crop is drawn where one class fills it, as in MMSegmentation.
const ATTEMPTS: usize = 10;

/// An image and, where it has one, its mask of the same size.
struct View<'a> {
    image: Cow<'a, Image>,
    mask: Option<Mask>,
}

impl View<'_> {
    /// Height and width.
    fn size(&self) -> [usize; 2] {
        [self.image.height, self.image.width]
    }

    /// What a window shows of both.
    fn through(self, window: &Window) -> Self {
        if window.keeps(self.size()) {
            return self;
        }
        Self {
            image: Cow::Owned(resize_window(&self.image, window)),
            mask: self.mask.map(|mask| nearest_window(&mask, window)),
        }
    }

    /// Brought to `[height, width]` from below by pixels of `fill` and of void at the right and at
    /// the lower border.
    fn padded(self, [height, width]: [usize; 2], fill: &[u8]) -> Self {
        if self.size() == [height, width] {
            return self;
        }
        Self {
            image: Cow::Owned(padded(&self.image, height, width, fill)),
            mask: self
                .mask
                .map(|mask| Mask::from_image(padded(&mask.into_image(), height, width, &[VOID]))),
        }
    }

    /// Both by what moves pixels and makes none.
    fn moved(self, by: impl Fn(Image) -> Image) -> Self {
        Self {
            image: Cow::Owned(by(self.image.into_owned())),
            mask: self
                .mask
                .map(|mask| Mask::from_image(by(mask.into_image()))),
        }
    }

    /// Both shifted; beyond the border is `fill` and void, as far as the padding does not say what.
    fn shifted(self, shift: [isize; 2], padding: Padding, fill: &[u8]) -> Self {
        Self {
            image: Cow::Owned(shifted(&self.image, shift, padding, fill)),
            mask: self
                .mask
                .map(|mask| Mask::from_image(shifted(&mask.into_image(), shift, padding, &[VOID]))),
        }
    }

    /// Both turned around the middle; `fill` and void come in.
    fn rotated(self, degrees: f64, fill: &[u8]) -> Self {
        Self {
            image: Cow::Owned(rotate_image(&self.image, degrees, fill)),
            mask: self.mask.map(|mask| rotate_mask(&mask, degrees, VOID)),
        }
    }
}

/// The image with pixels of `fill` at the right and at the lower border.
fn padded(image: &Image, height: usize, width: usize, fill: &[u8]) -> Image {
    let mut pixels = Vec::with_capacity(height * width * image.channels);
    for row in image.pixels.chunks_exact(image.width * image.channels) {
        pixels.extend_from_slice(row);
        for _ in image.width..width {
            pixels.extend_from_slice(fill);
        }
    }
    for _ in 0..height.saturating_sub(image.height) * width {
        pixels.extend_from_slice(fill);
    }
    Image {
        width,
        height,
        channels: image.channels,
        pixels,
    }
}

/// Whether more than one class is there and none has `share` of the pixels whose class is known, or
/// more.
fn is_varied(mask: &Mask, share: f64) -> bool {
    let mut counts = [0usize; 256];
    for &id in &mask.ids {
        counts[usize::from(id)] += 1;
    }
    let known = &counts[..usize::from(VOID)];
    let greatest = known.iter().max().copied().unwrap_or(0);
    let total: usize = known.iter().sum();
    greatest < total && (greatest as f64) < share * total as f64
}

impl Augment {
    /// The image as a network to test sees it, before normalisation.
    #[must_use]
    pub fn plain(&self, image: Image) -> Image {
        let image = Cow::Owned(image);
        let view = self.plain_view(View { image, mask: None });
        view.image.into_owned()
    }

    fn plain_view<'a>(&self, view: View<'a>) -> View<'a> {
        let window = fit(view.size(), self.size, self.fit, self.fit_share);
        self.with_channels(view.through(&window))
    }

    fn with_channels<'a>(&self, view: View<'a>) -> View<'a> {
        if view.image.channels == self.channels {
            return view;
        }
        View {
            image: Cow::Owned(view.image.into_owned().with_channels(self.channels)),
            ..view
        }
    }

    /// The mean colour of the normalisation, black where there is none: what is shown where there is
    /// no image.
    fn fill(&self) -> Vec<u8> {
        match &self.normalisation {
            None => vec![0; self.channels],
            Some(normalisation) => {
                let byte = |mean: &f64| (mean * 255.0).round().clamp(0.0, 255.0) as u8;
                normalisation.mean.iter().map(byte).collect()
            }
        }
    }

    /// A random window where crops are random, else what fits.
    fn window(&self, view: &View, stream: &mut Stream) -> Window {
        let size = view.size();
        let scaled = self
            .random_scale
            .as_ref()
            .map(|scale| scale.draw(size, stream));
        let mut attempts = ATTEMPTS;
        loop {
            let window = match (scaled, &self.random_resized_crop) {
                (Some(scaled), _) => random_crop(size, scaled, self.size, stream),
                (None, Some(crop)) => random_resized_crop(size, self.size, crop, stream),
                (None, None) => return fit(size, self.size, self.fit, self.fit_share),
            };
            attempts -= 1;
            match (self.largest_class_share, &view.mask) {
                (Some(share), Some(mask)) if attempts > 0 => {
                    if is_varied(&nearest_window(mask, &window), share) {
                        return window;
                    }
                }
                _ => return window,
            }
        }
    }

    /// Image and mask as a network to train sees them, before normalisation.
    fn augmented<'a>(&self, view: View<'a>, stream: &mut Stream) -> View<'a> {
        let window = self.window(&view, stream);
        let fill = self.fill();
        let mut view = self
            .with_channels(view.through(&window))
            .padded(self.size, &fill);
        if let Some(crop) = self.pad_crop {
            let shift = draw_shift(crop.pixels, stream);
            view = view.shifted(shift, crop.padding, &vec![0; self.channels]);
        }
        if self.shift > 0 {
            let shift = draw_shift(self.shift, stream);
            view = view.shifted(shift, Padding::Zero, &fill);
        }
        if self.flip > 0.0 && stream.chance(self.flip) {
            view = view.moved(flip);
        }
        if self.quarter_turns {
            let turns = stream.below(4);
            view = view.moved(|image| quarter_turns(image, turns));
        }
        if self.rotation > 0.0 {
            let degrees = stream.uniform(-self.rotation, self.rotation);
            view = view.rotated(degrees, &fill);
        }
        if let Some(settings) = &self.rand_augment {
            view.image = Cow::Owned(rand_augment(view.image.into_owned(), settings, stream));
        }
        if let Some(settings) = &self.colour_jitter {
            colour_jitter(view.image.to_mut(), settings, stream);
        }
        if let Some(jitter) = &self.hsv_jitter {
            view.image = Cow::Owned(jitter.apply(view.image.into_owned(), stream));
        }
        view
    }

    fn view<'a>(&self, view: View<'a>, stream: Option<&mut Stream>) -> View<'a> {
        match stream {
            None => self.plain_view(view),
            Some(stream) => self.augmented(view, stream),
        }
    }

    /// Writes the image as `[C, H, W]` numbers to `out`, which has [`Augment::numbers`] of them:
    /// augmented by the stream, or plain without one.
    pub fn apply(&self, image: Image, stream: Option<&mut Stream>, out: &mut [f32]) {
        self.write(Cow::Owned(image), None, stream, out);
    }

    /// The same for an image and its mask of the same size: the mask goes where the image goes. The
    /// ids `[H, W]` are written to `ids`.
    pub fn apply_pair(
        &self,
        image: Image,
        mask: Mask,
        stream: Option<&mut Stream>,
        out: &mut [f32],
        ids: &mut [u8],
    ) {
        if let Some(mask) = self.write(Cow::Owned(image), Some(mask), stream, out) {
            ids.copy_from_slice(&mask.ids);
        }
    }

    /// The same for an image that others may hold as well, with or without a mask; gives the mask as it
    /// is seen.
    pub(crate) fn write(
        &self,
        image: Cow<'_, Image>,
        mask: Option<Mask>,
        mut stream: Option<&mut Stream>,
        out: &mut [f32],
    ) -> Option<Mask> {
        let view = self.view(View { image, mask }, stream.as_deref_mut());
        write_planes(&view.image, self.normalisation.as_ref(), out);
        if let (Some(stream), Some(settings)) = (stream, &self.random_erasing) {
            let [height, width] = self.size;
            random_erasing(out, height, width, settings, stream);
        }
        view.mask
    }

    /// Writes the image as [`Augment::apply`] does to `large`, and reduced to `[height, width]` to
    /// `small`: one view in two sizes. Nothing is erased. The mask comes back in the smaller one.
    pub(crate) fn apply_in_two_sizes(
        &self,
        image: Cow<'_, Image>,
        mask: Option<Mask>,
        stream: Option<&mut Stream>,
        [height, width]: [usize; 2],
        small: &mut [f32],
        large: &mut [f32],
    ) -> Option<Mask> {
        let view = self.view(View { image, mask }, stream);
        let normalisation = self.normalisation.as_ref();
        write_planes(&view.image, normalisation, large);
        write_planes(&resize(&view.image, height, width), normalisation, small);
        view.mask.map(|mask| mask.resized(height, width))
    }

    /// All of an image in its own size, normalised: `[C, H, W]` numbers, height and width.
    #[must_use]
    pub fn whole(&self, image: Image) -> (Vec<f32>, [usize; 2]) {
        let image = image.with_channels(self.channels);
        let mut out = vec![0.0; image.pixels.len()];
        write_planes(&image, self.normalisation.as_ref(), &mut out);
        (out, [image.height, image.width])
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::everything;
    use super::*;
    use crate::{Normalisation, PadCrop, Purpose, RandomResizedCrop, RandomScale};

    fn image() -> Image {
        Image {
            width: 20,
            height: 14,
            channels: 3,
            pixels: (0..20 * 14 * 3).map(|v| (v * 31 % 256) as u8).collect(),
        }
    }

    fn applied(augment: &Augment, sample: Option<u64>) -> Vec<f32> {
        let mut stream = sample.map(|sample| Stream::new(0, Purpose::Augment, 0, sample, 0));
        let mut out = vec![0.0; augment.numbers()];
        augment.apply(image(), stream.as_mut(), &mut out);
        out
    }

    #[test]
    fn the_same_stream_gives_the_same_view_and_another_stream_another() {
        let augment = everything();
        assert_eq!(applied(&augment, Some(3)), applied(&augment, Some(3)));
        assert_ne!(applied(&augment, Some(3)), applied(&augment, Some(4)));
    }

    #[test]
    fn an_image_to_test_on_is_only_fitted_and_normalised() {
        let augment = everything();
        let plain = Augment {
            size: augment.size,
            normalisation: augment.normalisation.clone(),
            ..Augment::default()
        };
        assert_eq!(applied(&augment, None), applied(&plain, None));
        assert_eq!(applied(&plain, Some(3)), applied(&plain, None));
    }

    #[test]
    fn every_step_changes_what_is_trained_on() {
        let base = Augment {
            size: [12, 12],
            ..Augment::default()
        };
        let all = everything();
        let steps = [
            Augment {
                random_scale: Some(RandomScale::default()),
                ..base.clone()
            },
            Augment {
                shift: 2,
                ..base.clone()
            },
            Augment {
                rotation: 10.0,
                ..base.clone()
            },
            Augment {
                flip: 1.0,
                ..base.clone()
            },
            Augment {
                quarter_turns: true,
                ..base.clone()
            },
            Augment {
                random_resized_crop: all.random_resized_crop,
                ..base.clone()
            },
            Augment {
                pad_crop: all.pad_crop,
                ..base.clone()
            },
            Augment {
                rand_augment: all.rand_augment,
                ..base.clone()
            },
            Augment {
                colour_jitter: all.colour_jitter,
                ..base.clone()
            },
            Augment {
                normalisation: all.normalisation,
                ..base.clone()
            },
            Augment {
                random_erasing: all.random_erasing,
                ..base.clone()
            },
        ];
        for step in steps {
            let changes = (0..20).any(|s| applied(&step, Some(s)) != applied(&base, Some(s)));
            assert!(changes, "{step:?}");
        }
    }

    #[test]
    fn the_probability_of_mirroring_is_kept() {
        let augment = Augment {
            size: [14, 20],
            flip: 0.3,
            ..Augment::default()
        };
        let plain = applied(&augment, None);
        let mirrored = (0..2_000).filter(|&sample| applied(&augment, Some(sample)) != plain);
        assert!((520..680).contains(&mirrored.count()));
    }

    /// A disc of class 1 on class 0, bright on dark in the image.
    fn disc() -> (Image, Mask) {
        let mut mask = Mask::filled(61, 47, 0);
        for y in 0..47 {
            for x in 0..61 {
                let (dx, dy) = (x as f64 + 0.5 - 33.0, y as f64 + 0.5 - 21.0);
                mask.ids[y * 61 + x] = u8::from(dx.hypot(dy) < 11.0);
            }
        }
        let image = Image {
            width: 61,
            height: 47,
            channels: 3,
            pixels: mask.ids.iter().flat_map(|id| [50 + 150 * id; 3]).collect(),
        };
        (image, mask)
    }

    /// Centre of the weights, and their sum.
    fn centre(width: usize, weights: impl Iterator<Item = f64>) -> ([f64; 2], f64) {
        let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
        for (at, weight) in weights.enumerate() {
            sum += weight;
            x += weight * (at % width) as f64;
            y += weight * (at / width) as f64;
        }
        ([x / sum, y / sum], sum)
    }

    /// Every step that moves pixels, alone, and all together.
    fn moves() -> Vec<Augment> {
        let base = Augment {
            size: [40, 40],
            normalisation: Some(Normalisation::new(&[0.2; 3], &[1.0; 3])),
            ..Augment::default()
        };
        let scaled = Augment {
            random_scale: Some(RandomScale::default()),
            ..base.clone()
        };
        vec![
            base.clone(),
            scaled.clone(),
            Augment {
                random_resized_crop: Some(RandomResizedCrop::default()),
                ..base.clone()
            },
            Augment {
                pad_crop: Some(PadCrop::default()),
                ..base.clone()
            },
            Augment {
                pad_crop: Some(PadCrop {
                    pixels: 4,
                    padding: Padding::Reflect,
                }),
                ..base.clone()
            },
            Augment {
                shift: 5,
                ..base.clone()
            },
            Augment {
                flip: 0.5,
                ..base.clone()
            },
            Augment {
                quarter_turns: true,
                ..base.clone()
            },
            Augment {
                rotation: 45.0,
                ..base
            },
            Augment {
                shift: 3,
                flip: 0.5,
                quarter_turns: true,
                rotation: 20.0,
                ..scaled
            },
        ]
    }

    #[test]
    fn a_mask_stays_on_its_image_whatever_is_done_to_both() {
        let (image, mask) = disc();
        for augment in moves() {
            let (mut off, mut views) = ([0.0; 2], 0.0);
            for sample in 0..100 {
                let mut stream = Stream::new(0, Purpose::Augment, 0, sample, 0);
                let mut out = vec![0.0; augment.numbers()];
                let mut ids = vec![9; 40 * 40];
                let (image, mask) = (image.clone(), mask.clone());
                augment.apply_pair(image, mask, Some(&mut stream), &mut out, &mut ids);
                assert!(ids.iter().all(|id| [0, 1, VOID].contains(id)));
                let known = |at: usize| if ids[at] == VOID { 0.0 } else { 1.0 };
                let light = |at: usize| f64::from(out[at]) + 0.2 - 50.0 / 255.0;
                let (seen, area) = centre(40, (0..1600).map(|at| known(at) * light(at).max(0.0)));
                let (told, pixels) = centre(40, ids.iter().map(|&id| f64::from(u8::from(id == 1))));
                // Little of the disc says little of its centre.
                if pixels < 150.0 {
                    continue;
                }
                let off_by = [0, 1].map(|axis| seen[axis] - told[axis]);
                assert!(
                    off_by.iter().all(|by| by.abs() < 0.5),
                    "{augment:?} {off_by:?}"
                );
                let area = area / (150.0 / 255.0);
                assert!(
                    (area / pixels - 1.0).abs() < 0.1,
                    "{augment:?} {area} {pixels}"
                );
                off = [off[0] + off_by[0], off[1] + off_by[1]];
                views += 1.0;
            }
            assert!(views > 20.0, "{augment:?}");
            let mean = off.map(|sum: f64| (sum / views).abs());
            assert!(mean.iter().all(|by| *by < 0.05), "{augment:?} {mean:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_mean_colour_and_void() {
        let (image, mask) = disc();
        let [base, ..] = &moves()[..] else { return };
        let padded = Augment {
            size: [60, 70],
            random_scale: Some(RandomScale { range: [1.0, 1.0] }),
            ..base.clone()
        };
        let mut stream = Stream::new(0, Purpose::Augment, 0, 0, 0);
        let (mut out, mut ids) = (vec![9.0; padded.numbers()], vec![9; 60 * 70]);
        padded.apply_pair(image, mask.clone(), Some(&mut stream), &mut out, &mut ids);
        for (at, id) in ids.into_iter().enumerate() {
            let (x, y) = (at % 70, at / 70);
            if x < 61 && y < 47 {
                assert_eq!(id, mask.id(x, y));
            } else {
                assert_eq!(id, VOID);
                assert!(out[at].abs() < 1e-6, "0.2 is the byte 51");
            }
        }
    }

    #[test]
    fn crops_full_of_one_class_are_drawn_again() {
        // A small patch of class 1 in a sea of class 0: most crops see the sea alone.
        let mut mask = Mask::filled(64, 64, 0);
        for y in 28..36 {
            mask.ids[y * 64 + 28..y * 64 + 36].fill(1);
        }
        let image = Image::filled(64, 64, 3, 0);
        let varied = |share| {
            let augment = Augment {
                size: [16, 16],
                random_scale: Some(RandomScale { range: [1.0, 1.0] }),
                largest_class_share: share,
                ..Augment::default()
            };
            let seen = (0..200).filter(|&sample| {
                let mut stream = Stream::new(0, Purpose::Augment, 0, sample, 0);
                let (mut out, mut ids) = (vec![0.0; augment.numbers()], vec![0; 256]);
                let (image, mask) = (image.clone(), mask.clone());
                augment.apply_pair(image, mask, Some(&mut stream), &mut out, &mut ids);
                ids.iter().filter(|&&id| id == 1).count() > 256 / 10
            });
            seen.count()
        };
        let (without, with) = (varied(None), varied(Some(0.9)));
        assert!(without < 50 && with > 110, "{without} {with}");
        assert!(
            varied(Some(1.0)) > without,
            "one class alone is drawn again as well"
        );
    }

    #[test]
    fn a_whole_image_keeps_its_size() {
        let augment = Augment {
            normalisation: Some(Normalisation::new(&[0.0; 3], &[2.0; 3])),
            ..everything()
        };
        let (numbers, size) = augment.whole(image());
        assert_eq!(size, [14, 20]);
        let first: Vec<f32> = image()
            .pixels
            .iter()
            .step_by(3)
            .map(|&v| f32::from(v) / 510.0)
            .collect();
        assert!(
            numbers
                .iter()
                .zip(&first)
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
        assert_eq!(numbers.len(), 3 * 14 * 20);
    }
}
