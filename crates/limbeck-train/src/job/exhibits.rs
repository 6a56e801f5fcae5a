//! What a job shows when its last step is done: images with a part hidden and reconstructed, and the parts
//! of images that lie nearest to prototypes. What was trained beside the student is still there.

use burn::tensor::Tensor;
use limbeck_data::{Image, Part};
use limbeck_methods::{Batch, Target, TaskKind};
use limbeck_nn::seed::{self, Purpose};

use super::Job;
use crate::{
    TrainError, files, picture,
    specimens::{drawn, part_of, various},
    step::Learner,
    sweep::Sweep,
};

/// Images that are reconstructed.
const RECONSTRUCTED: usize = 6;
/// File of the job's folder with their pictures.
const RECONSTRUCTIONS: &str = "reconstructions.png";
/// Grey of what was hidden.
const HIDDEN: u8 = 127;

/// Training images that prototypes are compared with.
const COMPARED: usize = 512;
/// Of these at once.
const BATCH: usize = 32;
/// Prototypes that are shown.
const PROTOTYPES: usize = 16;
/// Parts of images that are shown of each.
const PARTS: usize = 6;
/// Positions that a part of an image is high and wide, so that it can be told what is there.
const AROUND: f64 = 3.0;

/// What is shown of a job.
#[derive(Clone, Debug, Default)]
pub struct Exhibits {
    /// Images with a part hidden and reconstructed.
    pub reconstructions: Vec<Reconstructed>,
    /// Whether these have mean and contrast of each patch from the image itself.
    pub standardised: bool,
    /// The prototypes with the largest shares, the largest first.
    pub prototypes: Vec<Prototype>,
}

/// An image with a part hidden, and what became of it.
#[derive(Clone, Debug)]
pub struct Reconstructed {
    /// Position in the test part.
    pub position: usize,
    /// As the network sees it.
    pub image: Image,
    /// What was hidden in grey.
    pub masked: Image,
    /// What was hidden reconstructed.
    pub made: Image,
    /// Root of the mean squared error of the hidden pixels, in percent of the way from black to white.
    pub error: f64,
}

/// A prototype and what lies nearest to it.
#[derive(Clone, Debug)]
pub struct Prototype {
    /// Its number.
    pub number: usize,
    /// Its share in the positions of the images, in percent.
    pub share: f64,
    /// Parts of different images, the nearest first.
    pub parts: Vec<Image>,
}

impl Job<'_> {
    /// What there is to show, `learner` being at the end of its last stage.
    pub(super) fn exhibits(&self, learner: &Learner) -> Result<Exhibits, TrainError> {
        let mut exhibits = Exhibits::default();
        match self.validation.task() {
            TaskKind::Pretraining => self.reconstruct(learner, &mut exhibits)?,
            _ => exhibits.prototypes = self.prototypes(learner)?,
        }
        Ok(exhibits)
    }

    /// Draws what is hidden from the job's seed, so that it is the same of student and baseline.
    fn exhibit_seed(&self) -> u64 {
        // No step has this position.
        seed::derive(self.seed, Purpose::Step, u64::MAX)
    }

    fn reconstruct(&self, learner: &Learner, exhibits: &mut Exhibits) -> Result<(), TrainError> {
        let positions = various(self.shown, RECONSTRUCTED);
        if positions.is_empty() {
            return Ok(());
        }
        let part = part_of(self.shown, &positions);
        let sweep = Sweep::new(part, self.augment, positions.len(), 0)?;
        let (device, dtype) = (learner.cast.device(), learner.cast.dtype());
        let Some(swept) = sweep.batches(device, dtype).next() else {
            return Ok(());
        };
        let swept = swept?;
        let batch = Batch::new(swept.images.clone(), Target::None, swept.samples);
        let Some(made) = learner.reconstruct(&batch, self.exhibit_seed())? else {
            return Ok(());
        };
        exhibits.standardised = made.standardised;
        let originals = self.pictures(swept.images);
        let hidden: Vec<f32> = made.hidden.into_data().iter::<f32>().collect();
        let made = self.pictures(made.images);
        for (index, (image, made)) in originals.into_iter().zip(made).enumerate() {
            let places = image.width * image.height;
            let hidden = &hidden[index * places..(index + 1) * places];
            let masked = masked(&image, hidden);
            exhibits.reconstructions.push(Reconstructed {
                position: positions[index],
                error: error(&image, &made, hidden),
                image,
                masked,
                made,
            });
        }
        let rows = exhibits.reconstructions.iter().map(|it| {
            let pictures = [&it.image, &it.masked, &it.made];
            pictures.map(Clone::clone).to_vec()
        });
        if let Some(sheet) = picture::sheet(&rows.collect::<Vec<_>>()) {
            files::write_whole(&self.folder.join(RECONSTRUCTIONS), &picture::png(&sheet))?;
        }
        Ok(())
    }

    /// Images `[B, C, H, W]` as they were before they were normalised.
    fn pictures(&self, images: Tensor<4>) -> Vec<Image> {
        let [_, channels, height, width] = images.dims();
        let numbers: Vec<f32> = images.into_data().iter::<f32>().collect();
        let shape = [channels, height, width];
        let normalisation = self.augment.normalisation.as_ref();
        numbers
            .chunks(channels * height * width)
            .map(|numbers| picture::of_numbers(numbers, shape, normalisation))
            .collect()
    }

    /// The prototypes with the parts of training images, in their first view, that lie nearest to them.
    fn prototypes(&self, learner: &Learner) -> Result<Vec<Prototype>, TrainError> {
        let part: Part = part_of(&self.train, &drawn(&self.train, COMPARED));
        let seed = self.recipe.data.view_seed.unwrap_or(self.seed);
        let sweep = Sweep::of_view(part, self.augment, 0, seed, BATCH, 0)?;
        let (device, dtype) = (learner.cast.device(), learner.cast.dtype());
        let mut found: Vec<Gathered> = Vec::new();
        let mut images = 0;
        for batch in sweep.loaded() {
            let batch = Batch::on_device(batch?, device, dtype);
            let likeness = learner.likeness(&batch, self.teacher, self.exhibit_seed())?;
            let Some(likeness) = likeness else {
                return Ok(Vec::new());
            };
            let [count, prototypes, positions] = likeness.nearness.dims();
            found.resize_with(prototypes, Gathered::default);
            let nearness: Vec<f32> = likeness.nearness.into_data().iter::<f32>().collect();
            let shares: Vec<f32> = likeness.shares.into_data().iter::<f32>().collect();
            let pictures = self.pictures(batch.images);
            for (place, (near, share)) in nearness
                .chunks(positions)
                .zip(shares.chunks(positions))
                .enumerate()
            {
                let (image, prototype) = (place / prototypes, place % prototypes);
                let gathered = &mut found[prototype];
                let mean: f64 = share.iter().map(|&share| f64::from(share)).sum();
                gathered.share += mean / positions as f64;
                gathered.take(near, &pictures[image], likeness.grid);
            }
            images += count;
        }
        let mut found: Vec<Prototype> = found
            .into_iter()
            .enumerate()
            .map(|(number, gathered)| Prototype {
                number,
                share: 100.0 * gathered.share / images.max(1) as f64,
                parts: gathered.nearest.into_iter().map(|(_, part)| part).collect(),
            })
            .collect();
        found.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.number.cmp(&b.number)));
        found.truncate(PROTOTYPES);
        Ok(found)
    }
}

/// What has been gathered of a prototype.
#[derive(Default)]
struct Gathered {
    share: f64,
    /// The parts that lie nearest so far, the nearest first.
    nearest: Vec<(f32, Image)>,
}

impl Gathered {
    /// Takes in the nearest position of an image, where it is near enough.
    fn take(&mut self, nearness: &[f32], image: &Image, grid: [usize; 2]) {
        let (mut best, mut place) = (f32::NEG_INFINITY, 0);
        for (position, &near) in nearness.iter().enumerate() {
            if near > best {
                (best, place) = (near, position);
            }
        }
        let rank = self.nearest.partition_point(|(near, _)| *near >= best);
        if rank < PARTS {
            self.nearest
                .insert(rank, (best, around(image, place, grid)));
            self.nearest.truncate(PARTS);
        }
    }
}

/// The part of `image` around the position `place` of `grid`, rows and columns, moved inside where it would
/// stand out.
fn around(image: &Image, place: usize, [rows, columns]: [usize; 2]) -> Image {
    let (row, column) = (place / columns.max(1), place % columns.max(1));
    let span = |all: usize, count: usize, at: usize| {
        let cell = all as f64 / count.max(1) as f64;
        let length = ((AROUND * cell).round() as usize).clamp(1, all);
        let from = ((at as f64 + 0.5) * cell - length as f64 / 2.0)
            .round()
            .max(0.0) as usize;
        (from.min(all - length), length)
    };
    let (top, height) = span(image.height, rows, row);
    let (left, width) = span(image.width, columns, column);
    image.crop(left, top, width, height)
}

/// `image` with the pixels in grey whose `hidden` `[H · W]` is 1.
fn masked(image: &Image, hidden: &[f32]) -> Image {
    let mut masked = image.clone();
    for (pixel, &hidden) in masked.pixels.chunks_mut(image.channels).zip(hidden) {
        if hidden > 0.5 {
            pixel.fill(HIDDEN);
        }
    }
    masked
}

/// Root of the mean squared error of the hidden pixels, in percent of the way from black to white.
fn error(image: &Image, made: &Image, hidden: &[f32]) -> f64 {
    let (mut squares, mut count) = (0.0, 0usize);
    let channels = image.channels;
    let pixels = image
        .pixels
        .chunks(channels)
        .zip(made.pixels.chunks(channels));
    for ((right, made), _) in pixels.zip(hidden).filter(|(_, hidden)| **hidden > 0.5) {
        for (right, made) in right.iter().zip(made) {
            squares += (f64::from(*right) - f64::from(*made)).powi(2);
        }
        count += channels;
    }
    100.0 / 255.0 * (squares / count.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image whose pixels are their own numbers.
    fn numbered(width: usize, height: usize) -> Image {
        Image {
            width,
            height,
            channels: 1,
            pixels: (0..width * height).map(|number| number as u8).collect(),
        }
    }

    #[test]
    fn hidden_pixels_are_grey_and_they_alone_count() {
        let image = numbered(2, 2);
        let hidden = [0.0, 1.0, 1.0, 0.0];
        assert_eq!(masked(&image, &hidden).pixels, [0, HIDDEN, HIDDEN, 3]);
        let mut made = image.clone();
        made.pixels = vec![255, 52, 2, 255];
        let expected = 100.0 / 255.0 * (51f64.powi(2) / 2.0).sqrt();
        assert!((error(&image, &made, &hidden) - expected).abs() < 1e-9);
    }

    #[test]
    fn a_part_is_around_its_position_and_inside_the_image() {
        let image = numbered(12, 12);
        // A grid of 6 by 6: cells of 2 pixels, parts of 6.
        let middle = around(&image, 2 * 6 + 3, [6, 6]);
        assert_eq!((middle.width, middle.height), (6, 6));
        assert_eq!(middle.pixels[0], 2 * 12 + 4);
        assert_eq!(around(&image, 0, [6, 6]).pixels[0], 0);
        let corner = around(&image, 35, [6, 6]);
        assert_eq!(corner.pixels.last(), Some(&143));
        assert_eq!(around(&image, 0, [1, 1]), image);
    }

    #[test]
    fn the_nearest_parts_are_of_different_images_and_in_order() {
        let mut gathered = Gathered::default();
        let image = |value| Image::filled(2, 2, 1, value);
        for value in 0..10u8 {
            let near = [f32::from(value), f32::from(value) - 0.5];
            gathered.take(&near, &image(value), [1, 2]);
        }
        let shown: Vec<u8> = gathered.nearest.iter().map(|it| it.1.pixels[0]).collect();
        assert_eq!(shown, [9, 8, 7, 6, 5, 4]);
    }
}
