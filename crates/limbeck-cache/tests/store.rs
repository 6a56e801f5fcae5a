//! What is written is read again: every encoding, every position, from any thread.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::{collections::HashSet, sync::Barrier};

use limbeck_cache::{
    Build, Cache, CacheError, Encoding, Minor, Output, Share, record_bytes, shard_records,
};
use support::{CLASSES, build, built, content, decoded, manifest, numbers, plain_manifest};

fn softmax(logits: &[f32]) -> Vec<f64> {
    let exponentials: Vec<f64> = logits.iter().map(|&x| f64::from(x).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|e| e / sum).collect()
}

#[test]
fn every_output_comes_back_as_exactly_as_its_encoding_allows() {
    let folder = tempfile::tempdir().unwrap();
    let cache = built(folder.path(), &manifest());
    for position in (0..cache.records()).rev() {
        let given = |output| numbers(cache.manifest(), position, output);
        let found = |output| decoded(&cache, position, output).unwrap();
        let largest = |numbers: &[f32]| numbers.iter().fold(0.0_f32, |m, x| m.max(x.abs()));

        assert_eq!(found(1), given(1));
        for (found, given) in found(2).iter().zip(given(2)) {
            assert!((found - given).abs() <= given.abs() / 2048.0 + 3e-8);
        }
        let scale = largest(&given(3)) / 127.0;
        for (found, given) in found(3).iter().zip(given(3)) {
            assert!((found - given).abs() <= scale * 0.500_01, "{found} {given}");
        }

        let (sparse, dense) = (found(0), softmax(&given(0)));
        assert!((sparse.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let mut order: Vec<usize> = (0..CLASSES).collect();
        order.sort_by(|&a, &b| dense[b].total_cmp(&dense[a]));
        for &class in &order[..3] {
            let error = (f64::from(sparse[class]) - dense[class]).abs();
            assert!(error <= dense[class] / 2048.0 + 3e-8);
        }
        let stored: f64 = order[..3].iter().map(|&c| f64::from(sparse[c])).sum();
        for &class in &order[3..] {
            let minor = (1.0 - stored) / (CLASSES - 3) as f64;
            assert!((f64::from(sparse[class]) - minor).abs() < 1e-7);
        }
    }
}

#[test]
fn a_record_of_sparse_logits_is_indices_and_probabilities_by_descending_probability() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = plain_manifest();
    manifest.outputs[0].encoding = Encoding::TopK(2);
    let begun = Build::begin(folder.path(), &manifest, Share::WHOLE).unwrap();
    let mut writer = begun.shard(0).unwrap().unwrap();
    // Two halves, the first of equal ones first; the rest has no probability.
    let mut logits = [-100.0; CLASSES];
    logits[8] = 0.0;
    logits[4] = 0.0;
    for _ in 0..4 {
        writer.push(&[&logits]).unwrap();
    }
    writer.finish().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let record = cache.record(2).unwrap();
    let half = 0x3800_u16.to_le_bytes();
    assert_eq!(
        record.bytes(0).unwrap(),
        [4, 0, 8, 0, half[0], half[1], half[0], half[1]]
    );
    assert_eq!(record.bytes(1), None);
}

#[test]
fn the_probability_of_the_rest_can_be_kept_from_being_negative() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = plain_manifest();
    manifest.outputs[0].encoding = Encoding::TopK(2);
    let begun = Build::begin(folder.path(), &manifest, Share::WHOLE).unwrap();
    let mut writer = begun.shard(0).unwrap().unwrap();
    // Half precision has steps of 2⁻¹¹ above 1/2 and of 2⁻¹³ below 1/4: both are rounded up, by 0.4
    // steps, so the rest is below 0.
    let mut logits = [-50.0; CLASSES];
    logits[0] = (0.75_f32 + 0.6 / 2048.0).ln();
    logits[1] = (0.25_f32 - 0.6 / 2048.0).ln();
    for _ in 0..4 {
        writer.push(&[&logits]).unwrap();
    }
    writer.finish().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let record = cache.record(0).unwrap();
    let mut kept = [0.0; CLASSES];
    record.decode(0, &mut kept).unwrap();
    let mut clamped = [0.0; CLASSES];
    record
        .decode_with(0, Minor::ClampedAtZero, &mut clamped)
        .unwrap();
    assert!(kept[9] < 0.0, "{kept:?}");
    assert!((kept.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(clamped[9], 0.0);
    assert_eq!(kept[..2], clamped[..2]);
}

#[test]
fn more_than_65_536_classes_have_wider_indices() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = plain_manifest();
    let classes = 70_000;
    manifest.outputs[0].shape = vec![classes];
    manifest.outputs[0].encoding = Encoding::TopK(3);
    manifest.shard_records = 1;
    let begun = Build::begin(folder.path(), &manifest, Share::WHOLE).unwrap();
    let mut writer = begun.shard(5).unwrap().unwrap();
    let mut logits = vec![0.0; classes];
    for (class, logit) in [(69_999, 20.0), (65_536, 19.0), (3, 18.0)] {
        logits[class] = logit;
    }
    writer.push(&[&logits]).unwrap();
    writer.finish().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    assert_eq!(cache.record(5).unwrap().bytes(0).unwrap().len(), 3 * 6);
    let found = decoded(&cache, 5, 0).unwrap();
    assert!(found[69_999] > found[65_536] && found[65_536] > found[3] && found[3] > found[0]);
}

#[test]
fn positions_are_section_by_section_view_by_view_and_found_back() {
    let manifest = manifest();
    let mut expected = 0;
    for section in &manifest.sections {
        for view in 0..section.views {
            for sample in 0..section.samples {
                let position = manifest.position(&section.name, view, sample).unwrap();
                assert_eq!(position, expected);
                let (found, v, s) = manifest.place(position).unwrap();
                assert_eq!((&found.name, v, s), (&section.name, view, sample));
                expected += 1;
            }
        }
    }
    assert_eq!(manifest.records().unwrap(), expected);
    assert!(manifest.place(expected).is_none());
    for (section, view, sample) in [("train", 3, 0), ("train", 0, 7), ("other", 0, 0)] {
        let error = manifest.position(section, view, sample).unwrap_err();
        assert!(matches!(error, CacheError::Unknown { .. }), "{error}");
    }
}

#[test]
fn several_threads_read_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let cache = built(folder.path(), &manifest());
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (cache, start) = (&cache, &start);
            scope.spawn(move || {
                start.wait();
                for i in 0..cache.records() {
                    let position = (i * 17 + thread * 5) % cache.records();
                    let found = decoded(cache, position, 1).unwrap();
                    assert_eq!(found, numbers(cache.manifest(), position, 1));
                }
            });
        }
    });
}

#[test]
fn the_bytes_told_in_advance_are_those_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = manifest();
    built(folder.path(), &manifest);
    let bytes: usize = content(folder.path()).values().map(Vec::len).sum();
    assert_eq!(manifest.bytes().unwrap(), bytes as u64);
}

#[test]
fn a_view_takes_at_most_a_twentieth_more_than_tinyvits_record() {
    for k in [10, 100] {
        let mut manifest = plain_manifest();
        manifest.outputs[0] = Output {
            shape: vec![1000],
            encoding: Encoding::TopK(k),
            ..manifest.outputs[0].clone()
        };
        manifest.teacher.classes = (0..1000).map(|i| format!("a class called {i}")).collect();
        manifest.data.classes = manifest.teacher.classes.clone();
        manifest.sections[0].samples = 100_000;
        manifest.sections[0].views = 10;
        let records = manifest.sections.iter().map(|s| s.samples * s.views).sum();
        manifest.shard_records = shard_records(record_bytes(&manifest.outputs), records);
        let bytes = manifest.bytes().unwrap() as f64 / records as f64;
        assert!(bytes <= (4 + 4 * k) as f64 * 1.05, "{k}: {bytes}");
    }
}

#[test]
fn shards_are_small_but_neither_tiny_nor_too_many() {
    assert_eq!(shard_records(44, 1_000_000), 16_384);
    assert_eq!(shard_records(4004, 1_000_000), 2095);
    assert_eq!(shard_records(1 << 20, 1_000_000), 256);
    assert!(1_300_000_000_u64.div_ceil(shard_records(404, 1_300_000_000)) <= 16_384);
    assert_eq!(shard_records(0, 0), 16_384);
}

#[test]
fn shares_together_write_every_shard_once_and_merge_by_being_put_in_one_folder() {
    let whole = tempfile::tempdir().unwrap();
    built(whole.path(), &manifest());
    let merged = tempfile::tempdir().unwrap();
    std::fs::create_dir(merged.path().join("shards")).unwrap();
    let mut seen = HashSet::new();
    for index in 0..3 {
        let part = tempfile::tempdir().unwrap();
        let share = Share { index, of: 3 };
        build(part.path(), &manifest(), share).unwrap();
        for (name, bytes) in content(part.path()) {
            assert!(seen.insert(name.clone()) || name == "manifest.json");
            std::fs::write(merged.path().join(name), bytes).unwrap();
        }
    }
    assert_eq!(content(merged.path()), content(whole.path()));
    let cache = Cache::open(merged.path()).unwrap();
    assert!(cache.missing_shards().is_empty());
    for shard in 0..cache.shards() {
        assert!(cache.check_shard(shard).unwrap().is_empty());
    }
}

#[test]
fn a_share_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (index, of) in [(0, 0), (2, 2)] {
        let error = Build::begin(folder.path(), &manifest(), Share { index, of }).unwrap_err();
        assert!(matches!(error, CacheError::Share { .. }), "{error}");
    }
}
