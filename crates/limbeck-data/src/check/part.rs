//! What one part holds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Examples;
use super::image::Looked;
use super::masks::MaskCheck;
use crate::source::{Annotation, BoxCheck, Labelling, Source};

/// What one part of a data set holds.
#[derive(Clone, Debug, Serialize)]
pub struct PartCheck {
    /// `train`, `validation` or `test`.
    pub part: &'static str,
    /// Number of images.
    pub images: usize,
    /// Number of images of each class, in the order of the classes; empty where images have no
    /// class each.
    pub classes: Vec<ClassCount>,
    /// What the masks hold, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks: Option<MaskCheck>,
    /// What the boxes are, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boxes: Option<BoxCheck>,
    /// Heights and widths; `None` where no image can be read.
    pub sizes: Option<Sizes>,
    /// How many images are grey.
    pub grey: usize,
    /// Mean of each channel over all pixels, of levels from 0 to 1: one channel where all images are
    /// grey, else red, green and blue.
    pub mean: Vec<f64>,
    /// Standard deviation of the same.
    pub deviation: Vec<f64>,
    /// Images of one colour, or nearly so.
    pub near_constant: Examples<String>,
    /// Images that cannot be used, they or their masks, and why.
    pub unreadable: Examples<Unreadable>,
}

/// How many images a class has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub class: String,
    /// Number of images.
    pub images: usize,
}

/// Heights and widths of images, in pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// How many different ones there are.
    pub different: usize,
    /// The most frequent one; of equally frequent ones the smallest.
    pub most_frequent: [usize; 2],
    /// How many images have that one.
    pub with_it: usize,
    /// The one with the fewest pixels.
    pub smallest: [usize; 2],
    /// The one with the most pixels.
    pub largest: [usize; 2],
}

/// An image that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Its name.
    pub image: String,
    /// Why.
    pub reason: String,
}

impl PartCheck {
    pub(super) fn of(
        part: &'static str,
        source: &dyn Source,
        images: &[Result<Looked, String>],
    ) -> Self {
        let read: Vec<&Looked> = images
            .iter()
            .filter_map(|image| image.as_ref().ok())
            .collect();
        let grey = read.iter().filter(|image| image.shape[0] == 1).count();
        let (mean, deviation) = statistics(&read, if grey == read.len() { 1 } else { 3 });
        let mut near_constant = Examples::default();
        let mut unreadable = Examples::default();
        let classes = source.classes().len();
        for (index, image) in images.iter().enumerate() {
            let reason = match image {
                Ok(image) => {
                    if image.near_constant {
                        near_constant.add(|| source.name(index));
                    }
                    let size = [image.shape[1], image.shape[2]];
                    let mask = image.mask.as_ref();
                    mask.and_then(|mask| mask.fault(size, classes))
                        .map(|fault| format!("{}: {fault}", source.name(index)))
                }
                Err(reason) => Some(reason.clone()),
            };
            if let Some(reason) = reason {
                unreadable.add(|| Unreadable {
                    image: source.name(index),
                    reason,
                });
            }
        }
        Self {
            part,
            images: images.len(),
            classes: class_counts(source),
            masks: MaskCheck::of(source, images),
            boxes: BoxCheck::of(source, |index| {
                let read = images.get(index).and_then(|image| image.as_ref().ok());
                let read = read.map(|image| [image.shape[1], image.shape[2]]);
                source.size(index).or(read)
            }),
            sizes: Sizes::of(&read),
            grey,
            mean,
            deviation,
            near_constant,
            unreadable,
        }
    }
}

fn class_counts(source: &dyn Source) -> Vec<ClassCount> {
    if source.labelling() != Labelling::Classes {
        return Vec::new();
    }
    let mut counts = vec![0; source.classes().len()];
    for index in 0..source.len() {
        let annotation = source.annotation(index).unwrap_or(Annotation::None);
        if let Some(count) = annotation.class().and_then(|class| counts.get_mut(class)) {
            *count += 1;
        }
    }
    let named = source.classes().iter().zip(counts);
    named
        .map(|(class, images)| ClassCount {
            class: class.clone(),
            images,
        })
        .collect()
}

/// Mean and standard deviation of so many channels, over all pixels. Sums are whole numbers, so
/// their order does not matter.
fn statistics(images: &[&Looked], channels: usize) -> (Vec<f64>, Vec<f64>) {
    let pixels: u128 = images
        .iter()
        .map(|image| (image.shape[1] * image.shape[2]) as u128)
        .sum();
    if pixels == 0 {
        return (Vec::new(), Vec::new());
    }
    let of = |power: usize, channel: usize| {
        let sum: u128 = images
            .iter()
            .map(|image| u128::from(image.sums[power][channel]))
            .sum();
        sum as f64 / pixels as f64 / 255f64.powi(power as i32 + 1)
    };
    let mean: Vec<f64> = (0..channels).map(|channel| of(0, channel)).collect();
    let deviation = (0..channels)
        .map(|channel| {
            (of(1, channel) - mean[channel] * mean[channel])
                .max(0.0)
                .sqrt()
        })
        .collect();
    (mean, deviation)
}

impl Sizes {
    fn of(images: &[&Looked]) -> Option<Self> {
        let mut counts: BTreeMap<[usize; 2], usize> = BTreeMap::new();
        for image in images {
            *counts.entry([image.shape[1], image.shape[2]]).or_default() += 1;
        }
        let pixels = |size: &[usize; 2]| size[0] * size[1];
        let (&most_frequent, &with_it) = counts
            .iter()
            .min_by_key(|(size, count)| (usize::MAX - **count, pixels(size)))?;
        let (mut smallest, mut largest) = (most_frequent, most_frequent);
        for size in counts.keys() {
            if pixels(size) < pixels(&smallest) {
                smallest = *size;
            }
            if pixels(size) > pixels(&largest) {
                largest = *size;
            }
        }
        Some(Self {
            different: counts.len(),
            most_frequent,
            with_it,
            smallest,
            largest,
        })
    }
}
