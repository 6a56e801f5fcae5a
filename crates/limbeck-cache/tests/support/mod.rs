//! Small caches with made-up outputs.
#![allow(dead_code, reason = "tests choose what they need")]

use std::{collections::BTreeMap, path::Path};

use limbeck_cache::{
    Build, Cache, CacheError, DataFacts, Encoding, FORMAT, Manifest, Output, Section, ShardPlan,
    Share, TeacherFacts,
};

/// Classes of [`manifest`].
pub const CLASSES: usize = 10;

/// A cache of 29 records in shards of 4, with an output in each encoding.
pub fn manifest() -> Manifest {
    let names = |letter: &str, count: usize| (0..count).map(|i| format!("{letter}{i}")).collect();
    let output = |name: &str, kind: &str, shape: &[usize], encoding| Output {
        name: name.to_owned(),
        kind: kind.to_owned(),
        shape: shape.to_vec(),
        encoding,
        stride: None,
    };
    let section = |name: &str, samples, views| Section {
        name: name.to_owned(),
        samples,
        views,
    };
    Manifest {
        format: FORMAT,
        limbeck: "0.1.0".to_owned(),
        teacher: TeacherFacts {
            name: "resnet32x4".to_owned(),
            weights_sha256: "ab".repeat(32),
            mean: vec![0.1, 0.2, 0.3],
            std: vec![0.5, 0.6, 0.7],
            input: [3, 32, 32],
            params: 7_433_860,
            macs: 1_083_000_000,
            anchors: None,
            classes: names("c", CLASSES),
        },
        data: DataFacts {
            name: "images".to_owned(),
            fingerprint: "cd".repeat(32),
            split: serde_json::json!({ "validation": 0.1, "limit": null }),
            classes: names("c", CLASSES),
        },
        augment: serde_json::json!({"crop": {"padding": 4, "scale": 0.1}, "flip": true}),
        evaluate: None,
        view_seed: 7,
        sections: vec![
            section("train", 7, 3),
            section("validation", 3, 1),
            section("test", 5, 1),
        ],
        outputs: vec![
            output("logits", "vector", &[CLASSES], Encoding::TopK(3)),
            output("stage1", "map", &[2, 3, 1], Encoding::F32),
            output("tokens", "tokens", &[5, 1], Encoding::F16),
            output("pooled", "vector", &[3], Encoding::I8),
        ],
        shard_records: 4,
    }
}

/// The same with logits alone, as they are.
pub fn plain_manifest() -> Manifest {
    let mut manifest = manifest();
    manifest.outputs.truncate(1);
    manifest.outputs[0].encoding = Encoding::F32;
    manifest
}

/// Made-up numbers of an output at a position.
pub fn numbers(manifest: &Manifest, position: u64, output: usize) -> Vec<f32> {
    let number = |i: usize| {
        let mixed = (position * 977 + output as u64 * 131 + i as u64 * 37) % 1009;
        mixed as f32 / 1009.0 * 8.0 - 4.0
    };
    (0..manifest.outputs[output].len()).map(number).collect()
}

/// Writes one shard, unless it is finished or in other hands; whether it was written.
pub fn write_shard(build: &Build, plan: &ShardPlan) -> Result<bool, CacheError> {
    let Some(mut writer) = build.shard(plan.number)? else {
        return Ok(false);
    };
    for position in plan.positions.clone() {
        let outputs: Vec<Vec<f32>> = (0..build.manifest().outputs.len())
            .map(|output| numbers(build.manifest(), position, output))
            .collect();
        let outputs: Vec<&[f32]> = outputs.iter().map(Vec::as_slice).collect();
        writer.push(&outputs)?;
    }
    writer.finish()?;
    Ok(true)
}

/// Writes all that is missing of a share.
pub fn build(folder: &Path, manifest: &Manifest, share: Share) -> Result<(), CacheError> {
    let build = Build::begin(folder, manifest, share)?;
    for plan in build.missing() {
        write_shard(&build, &plan)?;
    }
    Ok(())
}

/// A finished cache.
pub fn built(folder: &Path, manifest: &Manifest) -> Cache {
    build(folder, manifest, Share::WHOLE).unwrap();
    Cache::open(folder).unwrap()
}

/// An output of a record, decoded.
pub fn decoded(cache: &Cache, position: u64, output: usize) -> Result<Vec<f32>, CacheError> {
    let mut numbers = vec![0.0; cache.manifest().outputs[output].len()];
    cache.record(position)?.decode(output, &mut numbers)?;
    Ok(numbers)
}

/// The content of every file of a cache but the lock's, by path within its folder.
pub fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut content = BTreeMap::new();
    for within in ["", "shards/"] {
        for entry in std::fs::read_dir(folder.join(within)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_file() && name != ".lock" {
                content.insert(format!("{within}{name}"), std::fs::read(&path).unwrap());
            }
        }
    }
    content
}
