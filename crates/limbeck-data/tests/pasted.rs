//! Foregrounds that the loader pastes, and the masks that say where they are.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use limbeck_data::{
    Augment, Batch, Images, Loader, LoaderConfig, OpenOptions, PadCrop, Part, Paste,
    SaliencySource, Scenes, Source, open,
};
use tempfile::TempDir;

const ALWAYS: Paste = Paste {
    keep: 0.0,
    blur: 0.5,
    blur_sigma: 1.0,
    saliency: SaliencySource::Estimated,
};

fn shapes() -> Part {
    let data = open(Path::new("shapes:120"), &OpenOptions::default());
    data.unwrap().train
}

fn loader(part: Part, pasted: Option<Paste>, workers: usize) -> Loader {
    let augment = Augment {
        pad_crop: Some(PadCrop::default()),
        flip: 0.5,
        ..Augment::default()
    };
    let config = LoaderConfig {
        batch: 10,
        shuffle: true,
        workers,
        prefetch: 3,
        seed: 5,
        images: Images {
            views: 2,
            pasted,
            ..Images::default()
        },
        ..LoaderConfig::default()
    };
    Loader::new(part, augment, true, config).unwrap()
}

fn batches(loader: &Loader, epoch: usize, start: usize) -> Vec<Batch> {
    loader.epoch(epoch, start).map(Result::unwrap).collect()
}

#[test]
fn any_number_of_workers_and_any_start_give_the_same_bytes() {
    let pasted = Some(Paste::default());
    let expected = batches(&loader(shapes(), pasted, 0), 1, 0);
    for workers in [1, 3] {
        let loader = loader(shapes(), pasted, workers);
        // Masks that were kept are those that were made first.
        batches(&loader, 0, 0);
        assert_eq!(batches(&loader, 1, 0), expected);
        assert_eq!(batches(&loader, 1, 4), expected[4..]);
    }
}

#[test]
fn images_that_are_kept_are_seen_as_without_pasting_and_each_view_is_drawn_on_its_own() {
    let plain = batches(&loader(shapes(), None, 0), 0, 0);
    let pasted = batches(&loader(shapes(), Some(Paste::default()), 0), 0, 0);
    let (mut kept, mut alike, mut images) = (0, 0, 0);
    for (plain, pasted) in plain.iter().zip(&pasted) {
        assert_eq!(plain.indices, pasted.indices);
        let numbers = plain.images.len() / plain.indices.len();
        let same = |a: &[f32], b: &[f32], image: usize| {
            let span = image * numbers..(image + 1) * numbers;
            a[span.clone()] == b[span]
        };
        for image in 0..plain.indices.len() {
            let first = same(&plain.images, &pasted.images, image);
            let second = same(&plain.views[0], &pasted.views[0], image);
            kept += usize::from(first);
            alike += usize::from(first == second);
            images += 1;
        }
    }
    let share = |count: usize| count as f64 / images as f64;
    assert!((share(kept) - 0.7).abs() < 0.15, "{}", share(kept));
    // Both kept or neither: 0.7² + 0.3².
    assert!((share(alike) - 0.58).abs() < 0.15, "{}", share(alike));
}

#[test]
fn images_that_are_measured_on_are_not_pasted() {
    let config = |pasted| LoaderConfig {
        batch: 10,
        images: Images {
            pasted,
            ..Images::default()
        },
        ..LoaderConfig::default()
    };
    let measured = |pasted| {
        let loader = Loader::new(shapes(), Augment::default(), false, config(pasted));
        batches(&loader.unwrap(), 0, 0)
    };
    assert_eq!(measured(Some(ALWAYS)), measured(None));
}

/// `DATA/CLASS/NAME.png`, red on blue, and a mask of the left half at each of `masks`.
fn folders(masks: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for class in ["cat", "dog"] {
        std::fs::create_dir_all(root.path().join(class)).unwrap();
        for name in ["a", "b"] {
            let path = root.path().join(class).join(format!("{name}.png"));
            let pixel = |x, _| {
                if x < 4 {
                    Rgb([250, 0, 0])
                } else {
                    Rgb([0, 0, 250])
                }
            };
            RgbImage::from_fn(8, 8, pixel).save(path).unwrap();
        }
    }
    for mask in masks {
        let path = root.path().join(mask);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let pixel = |x, _| Luma([if x < 4 { 255 } else { 0 }]);
        GrayImage::from_fn(8, 8, pixel).save(path).unwrap();
    }
    root
}

fn part(root: &TempDir) -> Part {
    let found = limbeck_data::find(root.path()).unwrap();
    let parts = found.parts();
    let (_, source) = parts.first().unwrap();
    Part::all(std::sync::Arc::clone(source))
}

fn from_files(part: Part) -> Result<Loader, String> {
    let config = LoaderConfig {
        batch: 4,
        workers: 0,
        images: Images {
            pasted: Some(Paste {
                blur: 0.0,
                saliency: SaliencySource::Files,
                ..ALWAYS
            }),
            ..Images::default()
        },
        ..LoaderConfig::default()
    };
    let augment = Augment {
        size: [8, 8],
        ..Augment::default()
    };
    Loader::new(part, augment, true, config).map_err(|error| error.to_string())
}

/// What the first batch says that is wrong.
fn error(loader: &Loader) -> String {
    let batch = loader.epoch(0, 0).next().unwrap();
    batch.unwrap_err().to_string()
}

#[test]
fn masks_lie_beside_the_images_or_around_their_folders_and_are_no_classes() {
    for masks in [
        [
            "cat/saliency/a.png",
            "cat/saliency/b.png",
            "dog/saliency/a.png",
            "dog/saliency/b.png",
        ],
        [
            "saliency/cat/a.png",
            "saliency/cat/b.png",
            "saliency/dog/a.png",
            "saliency/dog/b.png",
        ],
    ] {
        let root = folders(&masks);
        let part = part(&root);
        assert_eq!(part.classes(), ["cat", "dog"]);
        let batch = batches(&from_files(part).unwrap(), 0, 0).remove(0);
        for image in batch.images.chunks_exact(3 * 64) {
            let red = |x: usize| image[8 + x];
            assert!((red(0) - 250.0 / 255.0).abs() < 1e-6);
            // The background is grey.
            let [r, g, b] = [0, 1, 2].map(|channel| image[channel * 64 + 8 + 6]);
            assert!(r == g && g == b, "{r} {g} {b}");
        }
    }
}

#[test]
fn an_image_without_a_mask_is_named_before_anything_is_loaded() {
    let root = folders(&[
        "saliency/cat/a.png",
        "saliency/cat/b.png",
        "saliency/dog/a.png",
    ]);
    let error = from_files(part(&root)).unwrap_err();
    assert!(
        error.contains("dog/b.png") || error.contains("dog\\b.png"),
        "{error}"
    );
    assert!(error.contains("put saliency/b.png beside it"), "{error}");
    let error = from_files(shapes()).unwrap_err();
    assert!(error.contains("no file of its own"), "{error}");
    assert!(error.contains("set `saliency` to \"estimated\""), "{error}");
}

#[test]
fn masks_of_another_size_in_colours_or_in_two_blacks_are_refused_by_name() {
    let all = [
        "saliency/cat/a.png",
        "saliency/cat/b.png",
        "saliency/dog/a.png",
        "saliency/dog/b.png",
    ];
    let spoilt = |save: &dyn Fn(&Path)| {
        let root = folders(&all);
        save(&root.path().join(all[0]));
        error(&from_files(part(&root)).unwrap())
    };
    let size = spoilt(&|path| GrayImage::new(8, 9).save(path).unwrap());
    assert!(size.contains("saliency/cat/a.png has 8x9 pixels"), "{size}");
    assert!(size.contains("make both the same size"), "{size}");
    let colours = |path: &Path| {
        RgbImage::from_pixel(8, 8, Rgb([1, 2, 3]))
            .save(path)
            .unwrap()
    };
    assert!(spoilt(&colours).contains("has one channel, and this file has colours"));
    let blacks = |path: &Path| GrayImage::from_pixel(8, 8, Luma([1])).save(path).unwrap();
    assert!(spoilt(&blacks).contains("nothing but 0 and 1"));
}

#[test]
fn settings_out_of_range_and_images_with_masks_are_refused() {
    let refused = |part: Part, pasted| {
        let config = LoaderConfig {
            images: Images {
                pasted: Some(pasted),
                ..Images::default()
            },
            ..LoaderConfig::default()
        };
        let loader = Loader::new(part, Augment::default(), true, config);
        loader.unwrap_err().to_string()
    };
    let keep = Paste {
        keep: -0.5,
        ..ALWAYS
    };
    assert!(refused(shapes(), keep).contains("`keep` must be a number from 0 to 1"));
    let scenes = Scenes::new(20, 0, limbeck_data::SceneDifficulty::default());
    assert!(!scenes.is_empty());
    let error = refused(Part::all(std::sync::Arc::new(scenes)), ALWAYS);
    assert!(error.contains("`pasted` must be left out"), "{error}");
}
