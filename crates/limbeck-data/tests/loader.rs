//! What trainers rely on: the same batches for any number of workers, from any batch on.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use limbeck_data::{
    Annotation, Augment, Batch, ColourJitter, DataError, Eraser, Image, Images, Labelling, Loader,
    LoaderConfig, Mask, Normalisation, OpenOptions, PadCrop, Part, RandAugment, RandomErasing,
    RandomResizedCrop, RandomScale, Scaled, Source, VOID, WholeImage, WholeImages, open,
};

fn part() -> Part {
    open(Path::new("shapes:120"), &OpenOptions::default())
        .unwrap()
        .train
}

fn augment() -> Augment {
    Augment {
        pad_crop: Some(PadCrop::default()),
        flip: 0.5,
        quarter_turns: true,
        random_resized_crop: Some(RandomResizedCrop::default()),
        rand_augment: Some(RandAugment::default()),
        colour_jitter: Some(ColourJitter::default()),
        random_erasing: Some(RandomErasing {
            eraser: Eraser::Noise,
            ..RandomErasing::default()
        }),
        normalisation: Some(Normalisation {
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
        }),
        mixup_alpha: 0.8,
        cutmix_alpha: 1.0,
        ..Augment::default()
    }
}

fn config(workers: usize) -> LoaderConfig {
    LoaderConfig {
        batch: 10,
        shuffle: true,
        drop_last: false,
        workers,
        prefetch: 3,
        seed: 5,
        ..LoaderConfig::default()
    }
}

fn loader(workers: usize) -> Loader {
    Loader::new(part(), augment(), true, config(workers)).unwrap()
}

fn batches(loader: &Loader, epoch: usize, start: usize) -> Vec<Batch> {
    loader.epoch(epoch, start).map(Result::unwrap).collect()
}

#[test]
fn any_number_of_workers_gives_the_same_bytes_in_the_same_order() {
    let alone = batches(&loader(0), 2, 0);
    assert_eq!(alone.len(), 11);
    for workers in [1, 2, 4, 30] {
        assert_eq!(batches(&loader(workers), 2, 0), alone, "{workers} workers");
    }
}

#[test]
fn an_epoch_can_be_entered_at_any_batch() {
    let whole = batches(&loader(2), 1, 0);
    for start in [0, 1, 7, 10, 11, 99] {
        let rest = batches(&loader(2), 1, start);
        assert_eq!(rest, whole[start.min(whole.len())..]);
    }
}

#[test]
fn an_epoch_shows_every_image_once_in_an_order_of_its_own() {
    let loader = loader(1);
    let order = |epoch| -> Vec<usize> {
        batches(&loader, epoch, 0)
            .into_iter()
            .flat_map(|batch| batch.indices)
            .collect()
    };
    assert_ne!(order(0), order(1));
    let mut sorted = order(0);
    sorted.sort_unstable();
    assert_eq!(sorted, (0..part().len()).collect::<Vec<_>>());
}

#[test]
fn without_training_images_are_plain_and_in_order_in_every_epoch() {
    let settings = LoaderConfig {
        shuffle: false,
        ..config(1)
    };
    let loader = Loader::new(part(), augment(), false, settings).unwrap();
    let first = batches(&loader, 0, 0);
    assert_eq!(first, batches(&loader, 1, 0));
    assert!(first.iter().all(|batch| batch.targets.is_none()));
    assert_eq!(first[1].indices, (10..20).collect::<Vec<_>>());
    let image = part().image(12).unwrap();
    let numbers = 3 * 32 * 32;
    let loaded = &first[1].images[2 * numbers..3 * numbers];
    let expected = (f32::from(image.pixel(5, 0)[1]) / 255.0 - 0.5) / 0.25;
    assert_eq!(loaded[32 * 32 + 5], expected);
    assert_eq!(first[1].labels[2], part().stratum(12) as i64);
}

#[test]
fn shapes_and_targets_fit_together() {
    for batch in batches(&loader(2), 0, 0) {
        let [images, channels, height, width] = batch.shape;
        assert_eq!(images, batch.indices.len());
        assert_eq!(batch.images.len(), images * channels * height * width);
        assert_eq!(batch.labels.len(), images);
        let targets = batch.targets.unwrap();
        assert_eq!(targets.len(), images * 10);
        for (target, &label) in targets.chunks_exact(10).zip(&batch.labels) {
            assert!((target.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert!(target[label as usize] >= 0.5);
        }
    }
}

#[test]
fn images_in_two_sizes_are_one_view_and_the_large_ones_are_those_of_a_larger_loader() {
    let small = Augment {
        size: [16, 16],
        mixup_alpha: 0.0,
        cutmix_alpha: 0.0,
        random_erasing: None,
        ..augment()
    };
    let load = |augment: &Augment, enlarged, workers| {
        let config = LoaderConfig {
            images: Images {
                enlarged,
                ..Images::default()
            },
            ..config(workers)
        };
        let loader = Loader::new(part(), augment.clone(), true, config).unwrap();
        batches(&loader, 1, 0)
    };
    let larger = small.resized([32, 32]);
    assert_eq!(
        (larger.size, larger.pad_crop.unwrap().pixels),
        ([32, 32], 8)
    );
    let two_sizes = load(&small, 2, 0);
    assert_eq!(two_sizes, load(&small, 2, 3));
    for (both, alone) in two_sizes.iter().zip(load(&larger, 1, 0)) {
        assert_eq!(both.shape[2..], [16, 16]);
        let large = both.large.as_ref().unwrap();
        assert_eq!(large.size, [32, 32]);
        assert_eq!(large.images, alone.images);
        assert!(alone.large.is_none());
        // A reduced image is as bright as the large one, up to the rounding to 8 bits.
        let numbers = |images: &[f32], side: usize| -> Vec<f32> {
            let planes = images.chunks_exact(side * side);
            planes
                .map(|plane| plane.iter().sum::<f32>() / plane.len() as f32)
                .collect()
        };
        for (a, b) in numbers(&both.images, 16)
            .iter()
            .zip(numbers(&large.images, 32))
        {
            assert!((a - b).abs() < 0.1, "{a} and {b}");
        }
    }
    for refused in [
        Augment {
            random_erasing: Some(RandomErasing::default()),
            ..small.clone()
        },
        Augment {
            mixup_alpha: 0.2,
            ..small
        },
    ] {
        let config = LoaderConfig {
            images: Images {
                enlarged: 2,
                ..Images::default()
            },
            ..config(0)
        };
        let error = Loader::new(part(), refused, true, config).unwrap_err();
        assert!(error.to_string().contains("two sizes"), "{error}");
    }
}

#[test]
fn a_last_incomplete_batch_is_kept_or_dropped_as_asked() {
    let count = |drop_last| {
        let settings = LoaderConfig {
            batch: 25,
            drop_last,
            ..config(2)
        };
        let loader = Loader::new(part(), augment(), true, settings).unwrap();
        let sizes: Vec<usize> = batches(&loader, 0, 0).iter().map(|b| b.shape[0]).collect();
        assert_eq!(sizes.len(), loader.batches());
        sizes
    };
    assert_eq!(count(false), [25, 25, 25, 25, 8]);
    assert_eq!(count(true), [25, 25, 25, 25]);
}

#[test]
fn settings_outside_their_range_are_refused_by_name() {
    let error = |part: Part, augment: Augment, config: LoaderConfig| {
        Loader::new(part, augment, true, config)
            .unwrap_err()
            .to_string()
    };
    let batch = LoaderConfig {
        batch: 0,
        ..config(1)
    };
    assert_eq!(
        error(part(), augment(), batch),
        "`batch` must be at least 1, found 0"
    );
    let too_big = LoaderConfig {
        batch: 1_000,
        drop_last: true,
        ..config(1)
    };
    assert!(error(part(), augment(), too_big).contains("make the batch smaller"));
    let none = Part {
        indices: Vec::new(),
        ..part()
    };
    assert!(error(none, augment(), config(1)).contains("no image to load"));
    let workers = config(1_000_000);
    assert!(error(part(), augment(), workers).contains("`workers` must be at most"));
    type Change = fn(&mut Augment);
    let cases: [(&str, Change); 7] = [
        ("size", |a| a.size = [0, 32]),
        ("channels", |a| a.channels = 2),
        ("fit_share", |a| a.fit_share = 0.0),
        ("flip", |a| a.flip = 1.5),
        ("mixup_alpha", |a| a.mixup_alpha = -1.0),
        ("cutmix_alpha", |a| a.cutmix_alpha = f64::NAN),
        ("normalisation", |a| a.channels = 1),
    ];
    for (key, change) in cases {
        let mut augment = augment();
        change(&mut augment);
        assert!(error(part(), augment, config(1)).contains(&format!("`{key}` must be")));
    }
}

/// Images of which one cannot be loaded.
#[derive(Debug)]
struct Broken {
    classes: Vec<String>,
    bad: usize,
    panics: bool,
    loaded: AtomicUsize,
}

impl Source for Broken {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        100_000
    }

    fn annotation(&self, _index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::Class(0))
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        self.loaded.fetch_add(1, Ordering::Relaxed);
        if index == self.bad && self.panics {
            panic!("boom");
        }
        if index == self.bad {
            return Err(DataError::Corrupt {
                path: "cat.png".into(),
                reason: "it is cut short".to_owned(),
            });
        }
        Ok(Image::filled(1, 1, 3, 7))
    }
}

fn broken(bad: usize, panics: bool, workers: usize) -> (Arc<Broken>, Loader) {
    let source = Arc::new(Broken {
        classes: vec!["one".to_owned()],
        bad,
        panics,
        loaded: AtomicUsize::new(0),
    });
    let augment = Augment {
        size: [1, 1],
        ..Augment::default()
    };
    let settings = LoaderConfig {
        shuffle: false,
        ..config(workers)
    };
    let part = Part::all(source.clone());
    (source, Loader::new(part, augment, true, settings).unwrap())
}

#[test]
fn an_error_reaches_the_consumer_in_its_turn_and_ends_the_epoch() {
    for workers in [0, 1, 4] {
        let (_, loader) = broken(25, false, workers);
        let mut epoch = loader.epoch(0, 0);
        assert!(epoch.next().unwrap().is_ok());
        assert!(epoch.next().unwrap().is_ok());
        let error = epoch.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "cat.png is damaged: it is cut short");
        assert!(epoch.next().is_none());
    }
}

#[test]
fn a_panic_reaches_the_consumer_as_an_error() {
    for workers in [0, 1, 4] {
        let (_, loader) = broken(3, true, workers);
        let mut epoch = loader.epoch(0, 0);
        let error = epoch.next().unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "image 3 of the data source (3) cannot be used: reading it panicked: boom"
        );
        assert!(epoch.next().is_none());
    }
}

#[test]
fn dropping_an_epoch_early_ends_its_threads_and_loads_no_more_than_was_ahead() {
    let (source, loader) = broken(usize::MAX, false, 4);
    let mut epoch = loader.epoch(0, 0);
    epoch.next().unwrap().unwrap();
    drop(epoch);
    let loaded = source.loaded.load(Ordering::Relaxed);
    // One batch handed out, four on the way, one asked for after the first.
    assert!(loaded <= 60, "{loaded}");
    drop(loader);
    // Threads hold the source; all of them are gone.
    assert_eq!(Arc::strong_count(&source), 1);
}

/// Scenes with everything that is done to image and mask together.
fn masks(workers: usize) -> Loader {
    let data = open(Path::new("scenes:60"), &OpenOptions::default()).unwrap();
    let augment = Augment {
        size: [48, 48],
        random_scale: Some(RandomScale::default()),
        largest_class_share: Some(0.75),
        shift: 2,
        rotation: 10.0,
        pad_crop: None,
        random_resized_crop: None,
        rand_augment: Some(RandAugment {
            geometric: false,
            ..RandAugment::default()
        }),
        mixup_alpha: 0.0,
        cutmix_alpha: 0.0,
        ..augment()
    };
    Loader::new(data.train, augment, true, config(workers)).unwrap()
}

#[test]
fn masks_come_with_their_images_whatever_the_number_of_workers() {
    let alone = batches(&masks(0), 1, 0);
    for batch in &alone {
        assert_eq!(batch.masks.len(), batch.indices.len() * 48 * 48);
        assert!(batch.labels.is_empty() && batch.targets.is_none());
        assert!(batch.masks.iter().all(|&id| id < 7 || id == VOID));
        assert!(batch.masks.contains(&0));
    }
    for workers in [1, 2, 4] {
        assert_eq!(batches(&masks(workers), 1, 0), alone, "{workers} workers");
    }
    assert_eq!(batches(&masks(2), 1, 3), alone[3..]);
    let other = batches(&masks(2), 2, 0);
    assert_ne!(other[0].masks, alone[0].masks);
}

#[test]
fn masks_to_test_on_are_those_of_the_source() {
    let data = open(Path::new("scenes:60"), &OpenOptions::default()).unwrap();
    let augment = Augment {
        size: [64, 64],
        ..Augment::default()
    };
    let settings = LoaderConfig {
        shuffle: false,
        ..config(2)
    };
    let loader = Loader::new(data.test.clone(), augment, false, settings).unwrap();
    for batch in batches(&loader, 0, 0) {
        for (&position, ids) in batch.indices.iter().zip(batch.masks.chunks_exact(64 * 64)) {
            assert_eq!(data.test.pair(position).unwrap().1.ids, ids);
        }
    }
}

#[test]
fn what_masks_cannot_come_with_is_refused() {
    let data = open(Path::new("scenes:60"), &OpenOptions::default()).unwrap();
    let refused = |augment: Augment, images: Images| {
        let config = LoaderConfig {
            images,
            ..config(0)
        };
        let loader = Loader::new(data.train.clone(), augment, true, config);
        loader.unwrap_err().to_string()
    };
    let error = refused(augment(), Images::default());
    assert!(error.contains("a pixel has one class"), "{error}");
    let views = Images {
        views: 2,
        ..Images::default()
    };
    let error = refused(Augment::default(), views);
    assert!(
        error.contains("`views` must be 1 where images have masks"),
        "{error}"
    );
    let partners = Images {
        partners: true,
        ..Images::default()
    };
    let error = refused(Augment::default(), partners);
    assert!(error.contains("they have no class each"), "{error}");
}

/// A source whose masks are not what they should be.
#[derive(Debug)]
struct Odd {
    classes: Vec<String>,
    mask: Mask,
}

impl Source for Odd {
    fn labelling(&self) -> Labelling {
        Labelling::Masks
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        1
    }

    fn annotation(&self, _index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::Mask(self.mask.clone()))
    }

    fn stratum(&self, _index: usize) -> usize {
        0
    }

    fn image(&self, _index: usize) -> Result<Image, DataError> {
        Ok(Image::filled(6, 4, 3, 0))
    }
}

#[test]
fn masks_of_another_size_and_foreign_ids_are_refused_by_what_was_found() {
    let part = |mask| {
        Part::all(Arc::new(Odd {
            classes: vec!["road".into(), "car".into()],
            mask,
        }))
    };
    let error = |mask| part(mask).pair(0).unwrap_err().to_string();
    let other = error(Mask::filled(4, 6, 0));
    assert!(
        other.contains("the image has 4x6 pixels, its mask 6x4"),
        "{other}"
    );
    let mut mask = Mask::filled(6, 4, 1);
    mask.ids[3..5].fill(7);
    mask.ids[9] = VOID;
    let foreign = error(mask.clone());
    assert!(
        foreign.contains("2 pixels of its mask have ids beyond the 2 classes, such as 7"),
        "{foreign}"
    );
    mask.ids[3..5].fill(0);
    assert_eq!(part(mask.clone()).pair(0).unwrap().1, mask);
}

#[test]
fn scaled_sources_reduce_images_and_masks_to_train_on_alone() {
    let data = open(Path::new("scenes:60"), &OpenOptions::default()).unwrap();
    let scaled = |masks| {
        let source = Scaled::new(data.train.source.clone(), 0.5, masks).unwrap();
        Part::all(Arc::new(source))
    };
    let (image, mask) = scaled(true).pair(3).unwrap();
    assert_eq!([image.height, mask.height, mask.width], [32, 32, 32]);
    let (image, mask) = scaled(false).pair(3).unwrap();
    assert_eq!([image.height, mask.height, mask.width], [32, 64, 64]);
    assert_eq!(scaled(true).source.shape(), Some([3, 32, 32]));
    assert_ne!(scaled(true).fingerprint(), scaled(false).fingerprint());
    for factor in [0.0, 1.5, f64::NAN] {
        let error = Scaled::new(data.train.source.clone(), factor, true).unwrap_err();
        assert!(error.to_string().starts_with("`scale` must be above 0"));
    }
}

#[test]
fn whole_images_come_in_order_and_in_their_own_size_with_their_masks() {
    let data = open(Path::new("scenes:60"), &OpenOptions::default()).unwrap();
    let reduced = Scaled::new(data.test.source.clone(), 0.5, false).unwrap();
    let part = Part {
        source: Arc::new(reduced),
        indices: vec![3, 4, 9, 20],
    };
    let read = |workers| -> Vec<WholeImage> {
        let images = WholeImages::new(part.clone(), augment(), workers).unwrap();
        images.map(Result::unwrap).collect()
    };
    let alone = read(0);
    for (position, whole) in alone.iter().enumerate() {
        assert_eq!(
            (whole.position, whole.sample),
            (position, part.indices[position])
        );
        assert_eq!(whole.shape, [3, 32, 32]);
        assert_eq!(whole.image.len(), 3 * 32 * 32);
        let mask = whole.mask.as_ref().unwrap();
        assert_eq!([mask.height, mask.width], [64, 64]);
    }
    for workers in [1, 3, 9] {
        assert_eq!(read(workers), alone);
    }
}
