//! What stages of procedures ask of the loader: views, partners, the batch before, balanced classes.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use limbeck_data::{
    Augment, Balanced, Batch, Images, Loader, LoaderConfig, OpenOptions, PadCrop, Part, open,
};

const SEED: u64 = 5;

/// Whatever can come along in one size.
const COMPANY: Images = Images {
    views: 3,
    partners: true,
    replay: true,
    balanced: None,
    enlarged: 1,
    pasted: None,
    styled: false,
};

const fn classes(classes: usize, images: usize) -> Option<Balanced> {
    Some(Balanced { classes, images })
}

fn part() -> Part {
    open(Path::new("shapes:120"), &OpenOptions::default())
        .unwrap()
        .train
}

fn augment() -> Augment {
    Augment {
        pad_crop: Some(PadCrop::default()),
        flip: 0.5,
        ..Augment::default()
    }
}

fn accompanied(workers: usize) -> LoaderConfig {
    LoaderConfig {
        batch: 10,
        shuffle: true,
        drop_last: true,
        workers,
        prefetch: 3,
        seed: SEED,
        images: COMPANY,
        first_epoch: 1,
        ..LoaderConfig::default()
    }
}

fn loader(config: LoaderConfig) -> Loader {
    Loader::new(part(), augment(), true, config).unwrap()
}

fn batches(loader: &Loader, epoch: usize, start: usize) -> Vec<Batch> {
    loader.epoch(epoch, start).map(Result::unwrap).collect()
}

#[test]
fn any_number_of_workers_and_any_start_give_the_same_bytes() {
    for balanced in [false, true] {
        let config = |workers| LoaderConfig {
            images: Images {
                balanced: classes(5, 2).filter(|_| balanced),
                ..COMPANY
            },
            ..accompanied(workers)
        };
        let expected = batches(&loader(config(0)), 2, 0);
        for workers in [1, 3] {
            assert_eq!(batches(&loader(config(workers)), 2, 0), expected);
        }
        for start in [0, 1, 4] {
            assert_eq!(batches(&loader(config(2)), 2, start), expected[start..]);
        }
    }
}

#[test]
fn the_first_view_is_what_it_is_without_company() {
    let plain = loader(LoaderConfig {
        images: Images::default(),
        ..accompanied(0)
    });
    for (alone, accompanied) in
        batches(&plain, 2, 0)
            .iter()
            .zip(batches(&loader(accompanied(0)), 2, 0))
    {
        assert_eq!(alone.images, accompanied.images);
        assert_eq!(alone.indices, accompanied.indices);
        assert_eq!(accompanied.views.len(), 2);
        assert_ne!(accompanied.views[0], accompanied.images);
        assert_ne!(accompanied.views[0], accompanied.views[1]);
    }
}

#[test]
fn partners_are_of_the_same_class_and_change_from_epoch_to_epoch() {
    let loader = loader(accompanied(0));
    let part = part();
    let of_epoch = |epoch| {
        let mut pairs = Vec::new();
        for batch in batches(&loader, epoch, 0) {
            let partners = batch.partners.unwrap();
            assert_eq!(partners.images.len(), batch.images.len());
            pairs.extend(batch.indices.into_iter().zip(partners.indices));
        }
        pairs.sort_unstable();
        pairs
    };
    let pairs = of_epoch(1);
    for &(image, partner) in &pairs {
        assert_eq!(part.class(image), part.class(partner));
    }
    assert!(pairs.iter().any(|(image, partner)| image != partner));
    assert_ne!(pairs, of_epoch(2));
}

#[test]
fn the_batch_before_comes_along_in_a_second_view_across_epochs() {
    let replaying = loader(accompanied(0));
    let first = batches(&replaying, 1, 0);
    let second = batches(&replaying, 2, 0);
    assert!(first[0].replay.is_none());
    let all: Vec<&Batch> = first.iter().chain(&second).collect();
    for pair in all.windows(2) {
        let replay = pair[1].replay.as_ref().unwrap();
        assert_eq!(replay.indices, pair[0].indices);
        assert_eq!(replay.labels, pair[0].labels);
        assert_eq!(replay.images, pair[0].views[0]);
    }
}

#[test]
fn balanced_batches_have_so_many_classes_with_so_many_images_each() {
    let config = LoaderConfig {
        images: Images {
            balanced: classes(5, 2),
            ..Images::default()
        },
        ..accompanied(0)
    };
    let balanced = loader(config);
    let orders: Vec<Vec<usize>> = [0, 1]
        .iter()
        .map(|&epoch| {
            let mut order = Vec::new();
            for batch in batches(&balanced, epoch, 0) {
                let mut classes = batch.labels.clone();
                classes.sort_unstable();
                classes.dedup();
                assert_eq!(classes.len(), 5);
                for class in classes {
                    let count = batch.labels.iter().filter(|&&label| label == class).count();
                    assert_eq!(count, 2);
                }
                order.extend(batch.indices);
            }
            order
        })
        .collect();
    assert_ne!(orders[0], orders[1]);
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let refuse = |config: LoaderConfig, augment: Augment| {
        let error = Loader::new(part(), augment, true, config).unwrap_err();
        error.to_string()
    };
    let mixing = Augment {
        mixup_alpha: 0.5,
        ..augment()
    };
    let error = refuse(accompanied(0), mixing);
    assert!(error.contains("mixup_alpha"), "{error}");
    let views = LoaderConfig {
        images: Images {
            views: 0,
            ..COMPANY
        },
        ..accompanied(0)
    };
    assert!(refuse(views, augment()).contains("views"));
    let product = LoaderConfig {
        images: Images {
            balanced: classes(4, 2),
            ..COMPANY
        },
        ..accompanied(0)
    };
    assert!(refuse(product, augment()).contains("4 classes times 2 images"));
    let too_many = LoaderConfig {
        batch: 4_000,
        images: Images {
            balanced: classes(1_000, 4),
            ..COMPANY
        },
        drop_last: false,
        ..accompanied(0)
    };
    assert!(Loader::new(part(), augment(), true, too_many).is_err());
}

#[test]
fn what_is_held_out_shares_nothing_with_what_stays() {
    let part = part();
    let (stays, apart) = part.apart(0.25, 3).unwrap();
    assert_eq!(stays.len() + apart.len(), part.len());
    assert!(
        apart
            .indices
            .iter()
            .all(|index| !stays.indices.contains(index))
    );
    let counts = part.class_counts().into_iter().zip(apart.class_counts());
    for (all, apart) in counts {
        assert!(apart > 0 && apart < all, "{apart} of {all}");
    }
    let again = part.apart(0.25, 3).unwrap().1;
    assert_eq!(again.indices, apart.indices);
    assert_ne!(part.apart(0.25, 4).unwrap().1.indices, apart.indices);
    assert!(part.apart(1e-9, 3).is_err());
}
