//! A batch of the loader on the device.

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_data::BoxLabel;

use crate::{Origin, Section, Target, detection::TargetBox};

/// A [`limbeck_data::Batch`] on the device. Tensors are cheap to clone.
#[derive(Clone, Debug)]
pub struct Batch {
    /// First view of the images, `[B, C, H, W]`.
    pub images: Tensor<4>,
    /// Further views of the same images, each `[B, C, H, W]`.
    pub views: Vec<Tensor<4>>,
    /// What is known of the images.
    pub target: Target,
    /// Position of each image in the training part, `[B]`.
    pub indices: Vec<usize>,
    /// Which view of which images `images` are; `None` of images that come from elsewhere.
    pub origin: Option<Origin>,
    /// Another image of each one's class.
    pub partners: Option<Box<Batch>>,
    /// The batch before, in a second view.
    pub replay: Option<Box<Batch>>,
    /// The images before they were reduced to their size, `[B, C, L, L']`.
    pub large: Option<Tensor<4>>,
    /// The images in the style of another domain, and as many of that.
    pub styled: Option<InStyles>,
}

/// Images of two domains in both styles, each `[B, C, H, W]`.
#[derive(Clone, Debug)]
pub struct InStyles {
    /// The batch's images in the target's style.
    pub source_fake: Tensor<4>,
    /// Images of the target domain.
    pub target: Tensor<4>,
    /// The same in the source's style.
    pub target_fake: Tensor<4>,
    /// What is known of images of the target, for judging alone; `None` where nothing is.
    pub target_boxes: Option<Vec<TargetBox>>,
}

impl Batch {
    /// Images `[B, C, H, W]`, at `indices` `[B]` of the training part, with what is known of them and
    /// nothing besides.
    pub fn new(images: Tensor<4>, target: Target, indices: Vec<usize>) -> Self {
        Self {
            images,
            views: Vec::new(),
            target,
            indices,
            origin: None,
            partners: None,
            replay: None,
            large: None,
            styled: None,
        }
    }

    /// Moves `batch` to `device`; floating-point numbers become `dtype`.
    pub fn on_device(batch: limbeck_data::Batch, device: &Device, dtype: DType) -> Self {
        let [count, channels, height, width] = batch.shape;
        let images = |numbers: Vec<f32>, [height, width]: [usize; 2]| {
            let shape = [count, channels, height, width];
            Tensor::<4>::from_data(TensorData::new(numbers, shape), (device, dtype))
        };
        let size = [height, width];
        let company = |batch: Box<limbeck_data::Batch>| {
            let batch = Self::on_device(*batch, device, dtype);
            Box::new(batch)
        };
        let target = match (batch.labels.is_empty(), batch.masks.is_empty()) {
            _ if !batch.boxes.is_empty() => Target::Boxes {
                boxes: target_boxes(&batch.boxes, size),
                images: count,
            },
            (true, true) => Target::None,
            (true, false) => {
                let ids = batch.masks.into_iter().map(i64::from).collect::<Vec<_>>();
                let shape = [count, height, width];
                Target::Masks(Tensor::from_data(TensorData::new(ids, shape), device))
            }
            (false, _) => Target::Classes {
                labels: Tensor::from_data(TensorData::new(batch.labels, [count]), device),
                shares: batch.targets.map(|shares| {
                    let shape = [count, shares.len() / count];
                    Tensor::from_data(TensorData::new(shares, shape), (device, dtype))
                }),
            },
        };
        let views = batch.views.into_iter();
        Self {
            images: images(batch.images, size),
            views: views.map(|view| images(view, size)).collect(),
            target,
            // Only images of the training part are augmented.
            origin: batch.view.map(|view| Origin {
                section: Section::Train,
                view: view as u64,
                samples: batch.samples,
                share: batch.share,
            }),
            indices: batch.indices,
            partners: batch.partners.map(company),
            replay: batch.replay.map(company),
            large: batch.large.map(|large| images(large.images, large.size)),
            styled: batch.styled.map(|styled| InStyles {
                source_fake: images(styled.source_fake, size),
                target: images(styled.target, size),
                target_fake: images(styled.target_fake, size),
                target_boxes: styled.target_boxes.map(|boxes| target_boxes(&boxes, size)),
            }),
        }
    }
}

/// Boxes in pixels of images of `[height, width]`, an image after the other, as shares of its sides.
fn target_boxes(boxes: &[Vec<BoxLabel>], [height, width]: [usize; 2]) -> Vec<TargetBox> {
    let (height, width) = (height as f64, width as f64);
    let target = |image: usize, label: &BoxLabel| {
        let [left, top, right, bottom] = label.corners.map(f64::from);
        TargetBox {
            image,
            class: label.class,
            center: [0.5 * (left + right) / width, 0.5 * (top + bottom) / height],
            size: [(right - left) / width, (bottom - top) / height],
        }
    };
    let images = boxes.iter().enumerate();
    images
        .flat_map(|(image, boxes)| boxes.iter().map(move |label| target(image, label)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use limbeck_data::{Augment, Images, Loader, LoaderConfig, OpenOptions, open};

    use super::*;

    #[test]
    fn what_the_loader_makes_of_images_is_on_the_device_as_it_was() {
        let data = open(Path::new("shapes:60"), &OpenOptions::default()).unwrap();
        let config = LoaderConfig {
            batch: 6,
            workers: 0,
            images: Images {
                views: 3,
                partners: true,
                replay: true,
                balanced: None,
                enlarged: 2,
                pasted: None,
                styled: false,
            },
            ..LoaderConfig::default()
        };
        let augment = Augment {
            size: [8, 8],
            flip: 0.5,
            ..Augment::default()
        };
        let loader = Loader::new(data.train, augment, true, config).unwrap();
        let made = loader.epoch(0, 1).next().unwrap().unwrap();
        let moved = Batch::on_device(made.clone(), &Device::flex(), DType::F32);
        let numbers = |images: &Tensor<4>| images.to_data().iter::<f32>().collect::<Vec<f32>>();
        assert_eq!(moved.images.dims(), [6, 3, 8, 8]);
        assert_eq!(numbers(&moved.images), made.images);
        let views: Vec<Vec<f32>> = moved.views.iter().map(numbers).collect();
        assert_eq!(views, made.views);
        let large = moved.large.unwrap();
        assert_eq!(large.dims(), [6, 3, 16, 16]);
        assert_eq!(numbers(&large), made.large.unwrap().images);
        let origin = moved.origin.unwrap();
        assert_eq!((origin.view, origin.samples), (0, made.samples));
        for (moved, made) in [(moved.partners, made.partners), (moved.replay, made.replay)] {
            let (moved, made) = (moved.unwrap(), made.unwrap());
            assert_eq!(numbers(&moved.images), made.images);
            assert_eq!(moved.indices, made.indices);
            assert!(moved.origin.is_none() && moved.views.is_empty());
            let (labels, shares) = moved.target.classes("test").unwrap();
            let labels: Vec<i64> = labels.to_data().iter::<i64>().collect();
            assert_eq!(labels, made.labels);
            assert!(shares.is_none());
        }
    }

    #[test]
    fn images_without_classes_have_no_target_and_mixed_ones_the_shares_of_theirs() {
        let mut batch = limbeck_data::Batch {
            boxes: Vec::new(),
            frames: Vec::new(),
            styled: None,
            indices: vec![0, 1],
            samples: vec![0, 1],
            view: None,
            share: Some(0.75),
            images: vec![0.0; 2],
            shape: [2, 1, 1, 1],
            labels: vec![1, 0],
            masks: Vec::new(),
            targets: Some(vec![0.25, 0.75, 0.75, 0.25]),
            views: Vec::new(),
            partners: None,
            replay: None,
            large: None,
        };
        let of = |batch| Batch::on_device(batch, &Device::flex(), DType::F64).target;
        let target = of(batch.clone());
        let (_, shares) = target.classes("test").unwrap();
        let shares: Vec<f64> = shares.unwrap().to_data().iter::<f64>().collect();
        assert_eq!(shares, [0.25, 0.75, 0.75, 0.25]);
        batch.labels.clear();
        batch.targets = None;
        assert!(matches!(of(batch), Target::None));
    }
}
