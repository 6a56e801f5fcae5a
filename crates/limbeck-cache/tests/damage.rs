//! Whatever happens to the bytes of a cache is found, and nothing panics.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use limbeck_cache::{Build, Cache, CacheError, Damage, Manifest, Share};
use proptest::prelude::*;
use support::{build, built, content, decoded, manifest, write_shard};

const SHARD: &str = "shards/000002.cache";
const HEADER: usize = 68;

/// Whether the cache says that something is wrong with its shard 2, in every way of asking.
fn is_found(folder: &Path) -> bool {
    let cache = Cache::open(folder).unwrap();
    let by_check = match cache.check_shard(2) {
        Ok(damage) => !damage.is_empty(),
        Err(_) => true,
    };
    let by_reading = (8..12).any(|position| {
        (0..cache.manifest().outputs.len()).any(|output| decoded(&cache, position, output).is_err())
    });
    assert_eq!(by_check, by_reading);
    by_check
}

#[test]
fn every_flipped_bit_of_a_shard_is_found() {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), &manifest());
    let path = folder.path().join(SHARD);
    let good = fs::read(&path).unwrap();
    assert!(!is_found(folder.path()));
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        assert!(is_found(folder.path()), "bit {bit}");
    }
}

#[test]
fn every_truncation_and_extension_of_a_shard_is_found() {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), &manifest());
    let path = folder.path().join(SHARD);
    let good = fs::read(&path).unwrap();
    for length in 0..good.len() {
        fs::write(&path, &good[..length]).unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let damage = cache.check_shard(2).unwrap();
        let (expected, found) = (good.len() as u64, length as u64);
        assert_eq!(damage, [Damage::Size { expected, found }]);
        assert!(is_found(folder.path()));
    }
    fs::write(&path, [&good[..], &[0]].concat()).unwrap();
    assert!(is_found(folder.path()));
}

#[test]
fn a_flipped_bit_in_a_record_names_the_record_and_leaves_the_others_readable() {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), &manifest());
    let path = folder.path().join(SHARD);
    let mut bytes = fs::read(&path).unwrap();
    let record_bytes = (bytes.len() - HEADER) / 4;
    bytes[HEADER + record_bytes + 5] ^= 1;
    fs::write(&path, bytes).unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let damage = cache.check_shard(2).unwrap();
    assert_eq!(damage, [Damage::Record { position: 9 }]);
    let error = cache.record(9).unwrap_err().to_string();
    assert!(
        error.contains("shard 2") && error.contains("000002.cache") && error.contains("--repair"),
        "{error}"
    );
    assert!(cache.record(8).is_ok() && cache.record(10).is_ok());
}

#[test]
fn records_and_shards_in_the_wrong_place_are_found() {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), &manifest());
    let path = folder.path().join(SHARD);
    let good = fs::read(&path).unwrap();
    let record_bytes = (good.len() - HEADER) / 4;
    let mut swapped = good.clone();
    let (first, rest) = swapped[HEADER..].split_at_mut(record_bytes);
    first.swap_with_slice(&mut rest[..record_bytes]);
    fs::write(&path, swapped).unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let damage = cache.check_shard(2).unwrap();
    assert_eq!(damage, [8, 9].map(|position| Damage::Record { position }));

    fs::copy(folder.path().join("shards/000001.cache"), &path).unwrap();
    let damage = cache.check_shard(2).unwrap();
    assert!(matches!(&damage[..], [Damage::Header(reason)] if reason.contains("another shard")));
}

#[test]
fn a_shard_of_another_cache_is_found() {
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    built(folder.path(), &manifest());
    let mut manifest = manifest();
    manifest.view_seed += 1;
    built(other.path(), &manifest);
    fs::copy(other.path().join(SHARD), folder.path().join(SHARD)).unwrap();
    let error = Cache::open(folder.path()).unwrap().record(8).unwrap_err();
    assert!(error.to_string().contains("another cache"), "{error}");
}

#[test]
fn a_damaged_shard_is_discarded_and_built_again_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), &manifest());
    let whole = content(folder.path());
    fs::write(folder.path().join(SHARD), b"short").unwrap();
    let begun = Build::begin(folder.path(), &manifest(), Share::WHOLE).unwrap();
    assert!(begun.missing().is_empty());
    begun.discard(2).unwrap();
    let missing = begun.missing();
    assert_eq!(missing.len(), 1);
    assert_eq!(Cache::open(folder.path()).unwrap().missing_shards(), [2]);
    assert!(write_shard(&begun, &missing[0]).unwrap());
    assert_eq!(content(folder.path()), whole);
    begun.discard(2).unwrap();
    begun.discard(2).unwrap();
    assert!(matches!(
        begun.discard(8).unwrap_err(),
        CacheError::NoShard {
            number: 8,
            count: 8
        }
    ));
}

#[test]
fn a_missing_shard_is_named_and_the_rest_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), &manifest());
    fs::remove_file(folder.path().join(SHARD)).unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let error = cache.record(11).unwrap_err();
    assert!(matches!(error, CacheError::MissingShard { number: 2, .. }));
    assert!(cache.check_shard(2).is_err() && cache.check_shard(8).is_err());
    assert!(cache.record(12).is_ok());
    assert!(cache.record(cache.records()).is_err());
}

/// What an error has to say, and the change of a manifest that it is about.
type Change = (&'static str, fn(&mut Manifest));

/// Changes that a run's manifest may have, with the field that is named.
fn changes() -> Vec<Change> {
    vec![
        ("limbeck", |m| m.limbeck = "0.2.0".to_owned()),
        ("teacher.name", |m| m.teacher.name.push('x')),
        ("teacher.weights_sha256", |m| {
            m.teacher.weights_sha256 = "0".repeat(64)
        }),
        ("teacher.mean.1", |m| m.teacher.mean[1] = 0.25),
        ("teacher.std.0", |m| m.teacher.std[0] = 0.25),
        ("teacher.std", |m| m.teacher.std.truncate(1)),
        ("teacher.input.2", |m| m.teacher.input[2] = 28),
        ("teacher.params", |m| m.teacher.params += 1),
        ("teacher.macs", |m| m.teacher.macs += 1),
        ("teacher.classes.3", |m| {
            m.teacher.classes[3] = "cat".to_owned()
        }),
        ("data.fingerprint", |m| m.data.fingerprint = "0".repeat(64)),
        ("data.classes.0", |m| m.data.classes.swap(0, 1)),
        ("augment.crop.padding", |m| {
            m.augment["crop"]["padding"] = 2.into()
        }),
        ("augment.crop.scale", |m| {
            m.augment["crop"]["scale"] = 0.2.into()
        }),
        ("augment.rotate", |m| m.augment["rotate"] = 10.into()),
        ("view_seed", |m| m.view_seed = 8),
        ("sections.0.views", |m| m.sections[0].views = 4),
        ("sections.1.samples", |m| m.sections[1].samples = 4),
        ("sections", |m| m.sections.truncate(2)),
        ("outputs.0.encoding.top_k", |m| {
            m.outputs[0].encoding = limbeck_cache::Encoding::TopK(4);
        }),
        ("outputs.1.encoding", |m| {
            m.outputs[1].encoding = limbeck_cache::Encoding::F16
        }),
        ("outputs.1.name", |m| {
            m.outputs[1].name = "stage2".to_owned()
        }),
        ("outputs.2.kind", |m| m.outputs[2].kind = "map".to_owned()),
        ("outputs.3.shape.0", |m| m.outputs[3].shape = vec![4]),
        ("shard_records", |m| m.shard_records = 5),
    ]
}

#[test]
fn a_cache_of_something_else_is_refused_with_the_field_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), &manifest());
    let whole = content(folder.path());
    for (field, change) in changes() {
        let mut other = manifest();
        change(&mut other);
        let error = Build::begin(folder.path(), &other, Share::WHOLE).unwrap_err();
        let CacheError::Differs { difference, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(difference.field, field, "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
    assert_eq!(content(folder.path()), whole);
}

#[test]
fn where_the_data_are_and_the_last_digit_of_a_number_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), &manifest());
    let mut other = manifest();
    other.data.name = "elsewhere".to_owned();
    other.augment["crop"]["scale"] = 0.1_f64.next_up().into();
    assert_eq!(manifest().difference(&other), None);
    build(folder.path(), &other, Share::WHOLE).unwrap();
}

#[test]
fn a_folder_with_something_else_in_it_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), b"mine").unwrap();
    let error = Build::begin(folder.path(), &manifest(), Share::WHOLE).unwrap_err();
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(matches!(
        Cache::open(folder.path()).unwrap_err(),
        CacheError::NoManifest { .. }
    ));
}

/// Manifests that nothing can be stored by, with a word of the reason.
fn impossible() -> Vec<Change> {
    use limbeck_cache::Encoding::{F16, TopK};
    vec![
        ("format 2", |m| m.format = 2),
        ("too many", |m| m.sections[0].samples = u64::MAX),
        ("too many", |m| m.sections[1].views = u64::MAX),
        ("no view", |m| {
            m.sections.iter_mut().for_each(|s| s.views = 0)
        }),
        ("`train`", |m| m.sections[1].name = "train".to_owned()),
        ("0 sections", |m| m.sections.clear()),
        ("0 outputs", |m| m.outputs.clear()),
        ("`stage1`", |m| m.outputs[2].name = "stage1".to_owned()),
        ("without a name", |m| m.outputs[2].name.clear()),
        ("shape", |m| m.outputs[1].shape = vec![1 << 40, 1 << 40]),
        ("shape", |m| m.outputs[1].shape = vec![3, 0]),
        ("top-0", |m| m.outputs[0].encoding = TopK(0)),
        ("top-10", |m| m.outputs[0].encoding = TopK(10)),
        ("[classes]", |m| {
            m.outputs[1].encoding = TopK(2);
            m.outputs[1].shape = vec![5, 3];
        }),
        ("shards of 0", |m| m.shard_records = 0),
        ("shards of", |m| m.shard_records = 1 << 32),
        ("32768", |m| m.sections[0].samples = 1 << 40),
        ("records of more than", |m| {
            m.outputs.iter_mut().skip(1).for_each(|o| {
                o.encoding = F16;
                o.shape = vec![1 << 28];
            });
        }),
        ("bytes", |m| {
            m.outputs[1].shape = vec![1 << 27];
            m.sections[0].samples = 1 << 20;
            m.shard_records = 1 << 20;
        }),
    ]
}

#[test]
fn impossible_manifests_are_refused_when_written_and_when_read() {
    for (word, change) in impossible() {
        let mut bad = manifest();
        change(&mut bad);
        let folder = tempfile::tempdir().unwrap();
        let error = Build::begin(folder.path(), &bad, Share::WHOLE).unwrap_err();
        assert!(error.to_string().contains(word), "{word}: {error}");
        fs::write(
            folder.path().join("manifest.json"),
            serde_json::to_vec(&bad).unwrap(),
        )
        .unwrap();
        let error = Cache::open(folder.path()).unwrap_err();
        assert!(matches!(error, CacheError::BadManifest { .. }), "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

/// The small cache, built once and copied to each folder: a build waits for the disk.
fn copied(folder: &Path) {
    static CONTENT: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        built(folder.path(), &manifest());
        content(folder.path())
    });
    fs::create_dir(folder.join("shards")).unwrap();
    for (name, bytes) in CONTENT.iter() {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_for_a_shard_are_found(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let folder = tempfile::tempdir().unwrap();
        copied(folder.path());
        fs::write(folder.path().join(SHARD), bytes).unwrap();
        prop_assert!(is_found(folder.path()));
    }

    #[test]
    fn a_changed_manifest_is_an_error_or_finds_its_shards_wrong(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        copied(folder.path());
        let path = folder.path().join("manifest.json");
        let mut bytes = fs::read(&path).unwrap();
        let place = place.index(bytes.len());
        let changed = cut || bytes[place] != byte;
        if cut {
            bytes.truncate(place);
        } else {
            bytes[place] = byte;
        }
        fs::write(&path, bytes).unwrap();
        if let Ok(cache) = Cache::open(folder.path()) {
            for position in 0..cache.records().min(29) {
                prop_assert_eq!(cache.record(position).is_err(), changed);
            }
        }
    }

    #[test]
    fn random_text_is_no_manifest(text in "\\PC{0,200}") {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("manifest.json"), text).unwrap();
        prop_assert!(Cache::open(folder.path()).is_err());
    }
}
