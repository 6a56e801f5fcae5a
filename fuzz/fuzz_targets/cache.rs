//! Any manifest and shard as a cache, and any keys and values as TinyViT's files: an error, or
//! records that can be decoded.
#![no_main]

use std::{fs, path::Path};

use libfuzzer_sys::fuzz_target;
use limbeck_cache::{Cache, tinyvit::Reader};

/// Numbers that are decoded at the most, so that a run stays fast.
const MOST_NUMBERS: usize = 1 << 16;

fuzz_target!(|input: (&[u8], &[u8], &str, &[u8])| {
    let (manifest, shard, keys, values) = input;
    let Ok(place) = tempfile::tempdir() else {
        return;
    };
    read_cache(&place.path().join("cache"), manifest, shard);
    read_tinyvit(&place.path().join("logits_top3_epoch0"), keys, values);
});

fn read_cache(folder: &Path, manifest: &[u8], shard: &[u8]) {
    let shards = folder.join("shards");
    fs::create_dir_all(&shards).expect("a temporary folder");
    fs::write(folder.join("manifest.json"), manifest).expect("a temporary file");
    fs::write(shards.join("000000.cache"), shard).expect("a temporary file");
    let Ok(cache) = Cache::open(folder) else {
        return;
    };
    let _ = cache.check_shard(0);
    for position in 0..cache.records().min(16) {
        let Ok(record) = cache.record(position) else {
            continue;
        };
        for (number, output) in cache.manifest().outputs.iter().enumerate() {
            if output.len() <= MOST_NUMBERS {
                let _ = record.decode(number, &mut vec![0.0; output.len()]);
            }
        }
    }
}

fn read_tinyvit(folder: &Path, keys: &str, values: &[u8]) {
    fs::create_dir_all(folder).expect("a temporary folder");
    fs::write(folder.join("rank0-keys.txt"), keys).expect("a temporary file");
    fs::write(folder.join("rank0-values.bin"), values).expect("a temporary file");
    let Ok(reader) = Reader::open(folder, 10) else {
        return;
    };
    for key in reader.keys() {
        if let Ok(record) = reader.record(key) {
            assert_eq!(record.classes().count(), 3);
        }
    }
}
