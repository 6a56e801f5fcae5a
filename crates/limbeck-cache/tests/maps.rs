//! Maps of logits: the most probable classes of each position, and as they are.

#![allow(clippy::unwrap_used, reason = "tests end by panicking")]

mod support;

use limbeck_cache::{Cache, CacheError, Encoding, Manifest, Minor, Output, shard_records};
use support::{built, decoded, manifest, numbers, plain_manifest};

/// Logits of 10 classes at 3×2 positions, stored in both ways, and the same rows as vectors.
fn with_map(encoding: Encoding) -> Manifest {
    let mut manifest = plain_manifest();
    manifest.outputs[0] = Output {
        kind: "map".to_owned(),
        shape: vec![10, 3, 2],
        encoding,
        ..manifest.outputs[0].clone()
    };
    manifest
}

/// Record 5 of a cache with this map.
fn record(encoding: Encoding) -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = built(folder.path(), &with_map(encoding));
    (folder, cache)
}

#[test]
fn a_position_holds_what_a_classifier_with_its_logits_would() {
    let (_folder, cache) = record(Encoding::TopK(3));
    let logits = numbers(cache.manifest(), 5, 0);
    let found = decoded(&cache, 5, 0).unwrap();
    for position in 0..6 {
        let row: Vec<f64> = (0..10)
            .map(|class| f64::from(logits[class * 6 + position]))
            .collect();
        let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
        let mut order: Vec<usize> = (0..10).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        let mut rest = 1.0;
        for &class in &order[..3] {
            let probability = row[class].exp() / sum;
            let stored = f64::from(found[class * 6 + position]);
            assert!((stored - probability).abs() <= probability / 2048.0 + 3e-8);
            rest -= stored;
        }
        for &class in &order[3..] {
            let stored = f64::from(found[class * 6 + position]);
            assert!((stored - rest / 7.0).abs() < 1e-7);
        }
    }
}

#[test]
fn a_record_takes_four_bytes_for_each_class_of_each_position() {
    let (_folder, cache) = record(Encoding::TopK(3));
    assert_eq!(cache.record(0).unwrap().bytes(0).unwrap().len(), 6 * 3 * 4);
    let (_folder, cache) = record(Encoding::F16);
    assert_eq!(cache.record(0).unwrap().bytes(0).unwrap().len(), 60 * 2);
}

#[test]
fn a_map_that_is_stored_whole_comes_back_to_the_bit() {
    let (_folder, cache) = record(Encoding::F32);
    for position in [0, 17, 28] {
        assert_eq!(
            decoded(&cache, position, 0).unwrap(),
            numbers(cache.manifest(), position, 0)
        );
    }
    let mut few = vec![0.0; 59];
    let error = cache
        .record(0)
        .unwrap()
        .decode_with(0, Minor::Kept, &mut few);
    assert!(matches!(error, Err(CacheError::Length { .. })));
}

#[test]
fn other_shapes_and_as_many_classes_as_there_are_cannot_be_sparse() {
    for (shape, k) in [(vec![10, 3], 3), (vec![10, 3, 2], 10), (vec![10, 3, 2], 0)] {
        let mut manifest = with_map(Encoding::TopK(k));
        manifest.outputs[0].shape = shape;
        assert!(matches!(manifest.check(), Err(CacheError::Plan(_))));
    }
    let huge = Output {
        shape: vec![2, usize::MAX / 2, 2],
        ..with_map(Encoding::TopK(1)).outputs[0].clone()
    };
    let mut overflowing = manifest();
    overflowing.outputs[0] = huge;
    assert!(matches!(overflowing.check(), Err(CacheError::Plan(_))));
}

#[test]
fn shards_of_large_maps_stay_small_enough_to_be_lost() {
    // 150 classes at 128×128 positions in single precision.
    let record = 150 * 128 * 128 * 4;
    assert_eq!(shard_records(record, 100_000), 27);
    assert_eq!(shard_records(1 << 30, 100), 1);
}
