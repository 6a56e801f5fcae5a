//! TinyViT's files: the authors' records, and everything that can be wrong with them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{fs, path::Path};

use limbeck_cache::{
    CacheError, Minor,
    tinyvit::{Description, Reader, SeedStream, Writer},
};
use proptest::prelude::*;
use safetensors::SafeTensors;

fn description(topk: usize, classes: usize) -> Description {
    Description {
        topk,
        classes,
        epoch: 2,
        data: "cd".repeat(32),
        augment: serde_json::json!({"crop": 0.08}),
        teacher: "clip".to_owned(),
    }
}

fn logits(sample: usize, classes: usize) -> Vec<f32> {
    (0..classes)
        .map(|class| ((sample * 31 + class * 17) % 101) as f32 / 20.0)
        .collect()
}

/// Five samples by two ranks, one of them in both.
fn written(root: &Path) -> std::path::PathBuf {
    let description = description(3, 10);
    for (rank, samples) in [(0, &[4, 0, 2][..]), (1, &[3, 2, 1][..])] {
        let mut writer = Writer::create(root, &description, rank).unwrap();
        for &sample in samples {
            let seed = (10 * sample) as u32;
            let key = format!("n{sample}.jpg");
            assert!(writer.push(&key, seed, &logits(sample, 10)).unwrap());
            assert!(!writer.push(&key, 1, &logits(9, 10)).unwrap());
        }
        writer.finish().unwrap();
    }
    description.folder(root)
}

/// The golden records, where there are any: folder `LIMBECK_GOLDENS`, else `../shared/goldens`,
/// both seen from the workspace's root.
#[test]
fn the_authors_records_are_written_and_read_byte_by_byte() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("LIMBECK_GOLDENS").unwrap_or("../shared/goldens".into());
    let path = workspace
        .join(folder)
        .join("tinyvit__sparse_logits.safetensors");
    let Ok(bytes) = fs::read(path) else {
        println!("no golden file: set LIMBECK_GOLDENS to a folder that has it");
        return;
    };
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |name: &str| file.tensor(name).unwrap();
    let f32s = |name: &str| -> Vec<f32> {
        let chunks = tensor(name).data().as_chunks().0.to_vec();
        chunks.into_iter().map(f32::from_le_bytes).collect()
    };
    let f64s = |name: &str| -> Vec<f64> {
        let chunks = tensor(name).data().as_chunks().0.to_vec();
        chunks.into_iter().map(f64::from_le_bytes).collect()
    };
    let &[samples, classes] = tensor("in.teacher_logits").shape() else {
        panic!("logits have two axes");
    };
    let topk = tensor("out.index").shape()[1];
    let seeds: Vec<u32> = (tensor("in.seed").data().as_chunks().0.iter())
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect();
    let logits = f32s("in.teacher_logits");

    let root = tempfile::tempdir().unwrap();
    let description = description(topk, classes);
    let mut writer = Writer::create(root.path(), &description, 0).unwrap();
    for (sample, logits) in logits.chunks(classes).enumerate() {
        let key = sample.to_string();
        writer.push(&key, seeds[sample], logits).unwrap();
    }
    writer.finish().unwrap();
    let folder = description.folder(root.path());
    let values = fs::read(folder.join("rank0-values.bin")).unwrap();
    assert_eq!(values, tensor("out.record").data());

    let reader = Reader::open(&folder, classes).unwrap();
    let indices: Vec<usize> = (tensor("out.index").data().as_chunks().0.iter())
        .map(|bytes| usize::from(u16::from_le_bytes(*bytes)))
        .collect();
    let (values, minors) = (f32s("out.value"), f64s("out.minor"));
    let dense = f64s("out.teacher_dense");
    for sample in 0..samples {
        let record = reader.record(&sample.to_string()).unwrap();
        assert_eq!(record.seed(), seeds[sample]);
        let stored = sample * topk..(sample + 1) * topk;
        assert_eq!(
            record.classes().collect::<Vec<_>>(),
            indices[stored.clone()]
        );
        assert_eq!(record.probabilities().collect::<Vec<_>>(), values[stored]);
        assert!((record.minor() - minors[sample]).abs() <= 1e-9);
        let mut found = vec![0.0; classes];
        record.decode(Minor::Kept, &mut found).unwrap();
        for (found, expected) in found.iter().zip(&dense[sample * classes..]) {
            // The decoded target is kept in single precision.
            assert!((f64::from(*found) - expected).abs() <= 1e-9 + 6e-8 * expected.abs());
        }
    }
}

#[test]
fn ranks_are_merged_and_the_order_of_keys_does_not_matter() {
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path());
    let reader = Reader::open_described(root.path(), &description(3, 10)).unwrap();
    assert_eq!((reader.len(), reader.topk(), reader.epoch()), (5, 3, 2));
    for sample in 0..5 {
        let record = reader.record(&format!("n{sample}.jpg")).unwrap();
        assert_eq!(record.seed(), 10 * sample as u32);
        let logits = logits(sample, 10);
        let best = record.classes().next().unwrap();
        assert!(logits.iter().all(|&logit| logit <= logits[best]));
    }
    let error = reader.record("n5.jpg").unwrap_err().to_string();
    assert!(error.contains("n5.jpg"), "{error}");
    assert_eq!(
        fs::read(folder.join("rank1-values.bin")).unwrap().len(),
        3 * 16
    );
    assert_eq!(
        fs::read_to_string(folder.join("rank0-keys.txt")).unwrap(),
        "n4.jpg\nn0.jpg\nn2.jpg\n"
    );
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing_and_a_finished_rank_is_not_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(root.path(), &description(3, 10), 0).unwrap();
    writer.push("a", 1, &logits(0, 10)).unwrap();
    drop(writer);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    written(root.path());
    let error = Writer::create(root.path(), &description(3, 10), 1).unwrap_err();
    assert!(error.to_string().contains("rank1-keys.txt"), "{error}");
}

#[test]
fn what_cannot_be_a_record_is_not_written() {
    let root = tempfile::tempdir().unwrap();
    for topk in [0, 10] {
        assert!(Writer::create(root.path(), &description(topk, 10), 0).is_err());
    }
    let mut writer = Writer::create(root.path(), &description(3, 10), 0).unwrap();
    let good = logits(0, 10);
    for key in ["", "a\nb"] {
        assert!(writer.push(key, 0, &good).is_err());
    }
    assert!(writer.push("a", 1 << 31, &good).is_err());
    assert!(writer.push("a", 0, &good[1..]).is_err());
    assert!(writer.push("a", 0, &[f32::NAN; 10]).is_err());
    assert!(writer.push("a", i32::MAX as u32, &good).unwrap());
}

#[test]
fn logits_of_something_else_are_refused_with_the_field() {
    let root = tempfile::tempdir().unwrap();
    written(root.path());
    let other = |change: fn(&mut Description)| {
        let mut description = description(3, 10);
        change(&mut description);
        description
    };
    for (field, description) in [
        ("classes", other(|d| d.classes = 11)),
        ("data", other(|d| d.data.clear())),
        ("augment.crop", other(|d| d.augment["crop"] = 0.1.into())),
        ("teacher", other(|d| d.teacher.clear())),
    ] {
        for error in [
            Reader::open_described(root.path(), &description).unwrap_err(),
            Writer::create(root.path(), &description, 7).unwrap_err(),
        ] {
            let CacheError::Differs { difference, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(difference.field, field);
        }
    }
}

#[test]
fn more_than_32_768_classes_take_four_bytes_and_a_mark() {
    let root = tempfile::tempdir().unwrap();
    let classes = 40_000;
    let mut writer = Writer::create(root.path(), &description(2, classes), 0).unwrap();
    let mut logits = vec![0.0; classes];
    logits[39_999] = 12.0;
    logits[32_768] = 11.0;
    writer.push("a", 5, &logits).unwrap();
    writer.finish().unwrap();
    let folder = description(2, classes).folder(root.path());
    assert_eq!(fs::read(folder.join("rank0-values.bin")).unwrap().len(), 16);
    let reader = Reader::open(&folder, classes).unwrap();
    let found: Vec<usize> = reader.record("a").unwrap().classes().collect();
    assert_eq!(found, [39_999, 32_768]);
    fs::write(folder.join("indices-u32"), b"other").unwrap();
    assert!(Reader::open(&folder, classes).is_err());
    fs::remove_file(folder.join("indices-u32")).unwrap();
    let error = Reader::open(&folder, classes).unwrap_err().to_string();
    assert!(error.contains("32768"), "{error}");
}

/// A change of a folder with what the error says.
type Change = (&'static str, fn(&Path));

#[test]
fn damaged_folders_are_refused_with_the_reason() {
    let changes: [Change; 8] = [
        ("as many as there are keys", |folder| {
            fs::write(folder.join("rank0-values.bin"), [0; 47]).unwrap();
        }),
        ("as many as there are keys", |folder| {
            fs::write(folder.join("rank0-keys.txt"), "a\nb\n").unwrap();
        }),
        ("is there twice", |folder| {
            fs::write(folder.join("rank0-keys.txt"), "a\nb\na\n").unwrap();
        }),
        ("is empty", |folder| {
            fs::write(folder.join("rank0-keys.txt"), "a\n\nb\n").unwrap();
        }),
        ("UTF-8", |folder| {
            fs::write(folder.join("rank0-keys.txt"), b"a\n\xff\nb\n").unwrap();
        }),
        ("too large", |folder| {
            fs::write(folder.join("rank0-keys.txt"), vec![b'a'; 20_000]).unwrap();
        }),
        ("rank0-values.bin", |folder| {
            fs::remove_file(folder.join("rank0-values.bin")).unwrap();
        }),
        ("rank0-keys.txt", |folder| {
            fs::remove_file(folder.join("rank0-keys.txt")).unwrap();
            fs::remove_file(folder.join("rank1-keys.txt")).unwrap();
        }),
    ];
    for (word, change) in changes {
        let root = tempfile::tempdir().unwrap();
        let folder = written(root.path());
        change(&folder);
        let error = Reader::open(&folder, 10).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
    let root = tempfile::tempdir().unwrap();
    let folder = written(root.path());
    for classes in [0, 3] {
        assert!(Reader::open(&folder, classes).is_err());
    }
    let renamed = root.path().join("logits");
    fs::rename(folder, &renamed).unwrap();
    let error = Reader::open(&renamed, 10).unwrap_err().to_string();
    assert!(error.contains("logits_top10_epoch0"), "{error}");
}

#[test]
fn damaged_records_are_refused_with_the_reason() {
    let one = 0x3c00_u16.to_le_bytes();
    for (word, at, bytes) in [
        ("negative", 0, &(-1_i32).to_le_bytes()[..]),
        ("class 10", 4, &10_u16.to_le_bytes()[..]),
        ("class 65535", 4, &(-1_i16).to_le_bytes()[..]),
        ("NaN", 10, &0x7e00_u16.to_le_bytes()[..]),
        ("inf", 12, &0x7c00_u16.to_le_bytes()[..]),
        ("1.0009766", 12, &(0x3c01_u16).to_le_bytes()[..]),
        ("-1", 14, &(0xbc00_u16).to_le_bytes()[..]),
        ("twice", 4, &[1, 0, 1, 0, 2, 0, one[0], one[1]][..]),
    ] {
        let root = tempfile::tempdir().unwrap();
        let folder = written(root.path());
        let path = folder.join("rank0-values.bin");
        let mut content = fs::read(&path).unwrap();
        content[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(&path, content).unwrap();
        let reader = Reader::open(&folder, 10).unwrap();
        let error = reader.record("n4.jpg").unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
        assert!(reader.record("n0.jpg").is_ok());
    }
}

#[test]
fn a_seed_of_two_words_differs_from_its_lower_word() {
    let first = |seed| SeedStream::new(seed).random();
    assert_ne!(first(5), first(5 | 1 << 32));
    assert_eq!(first(5), first(5));
}

proptest! {
    #[test]
    fn a_target_sums_to_one_and_its_classes_keep_their_probabilities(
        logits in prop::collection::vec(-30.0_f32..30.0, 3..200),
        share in 0.0_f64..1.0,
    ) {
        let classes = logits.len();
        let topk = 1 + ((classes - 2) as f64 * share) as usize;
        let root = tempfile::tempdir().unwrap();
        let description = description(topk, classes);
        let mut writer = Writer::create(root.path(), &description, 0).unwrap();
        writer.push("a", 5, &logits).unwrap();
        writer.finish().unwrap();
        let reader = Reader::open(&description.folder(root.path()), classes).unwrap();
        let record = reader.record("a").unwrap();
        let mut target = vec![0.0; classes];
        record.decode(Minor::Kept, &mut target).unwrap();
        let sum: f64 = target.iter().map(|&p| f64::from(p)).sum();
        prop_assert!((sum - 1.0).abs() < 1e-5);
        let values: Vec<f32> = record.probabilities().collect();
        prop_assert!(values.is_sorted_by(|a, b| a >= b));
        for (class, value) in record.classes().zip(values) {
            prop_assert_eq!(target[class], value);
        }
    }

    #[test]
    fn random_bytes_for_values_are_an_error_or_a_target(bytes in prop::array::uniform16(any::<u8>())) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("logits_top3_epoch0");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("rank0-keys.txt"), "a").unwrap();
        fs::write(folder.join("rank0-values.bin"), bytes).unwrap();
        let reader = Reader::open(&folder, 10).unwrap();
        if let Ok(record) = reader.record("a") {
            let mut target = [0.0; 10];
            prop_assert!(record.decode(Minor::Kept, &mut target).is_some());
        }
    }
}
