//! A teacher whose outputs are read from a cache.

use std::path::Path;

use limbeck_cache::{
    Build, Cache, DataFacts, Encoding, FORMAT, Manifest, Section, Share, TeacherFacts,
    record_bytes, shard_records,
};
use limbeck_data::Batch;
use limbeck_methods::Teacher;
use limbeck_nn::{Network, Outputs, Taps};
use serde_json::Value;

use super::noise;
use crate::{
    TrainError,
    cache::{CacheContents, StoredTeacher, taps_for},
    teacher::FrozenTeacher,
};

/// A cache with what `teacher`, the frozen `network`, gives out for the images of `batch`: so many
/// views of them, all alike, for every step to read records that it has not read. `contents` says
/// what is stored.
///
/// # Errors
/// Contents that cannot be stored, and a file system that refuses.
pub(super) fn cached(
    folder: &Path,
    network: &Network,
    teacher: &FrozenTeacher,
    batch: &Batch,
    contents: &CacheContents,
) -> Result<StoredTeacher, TrainError> {
    let size = [batch.shape[2], batch.shape[3]];
    let outputs = contents.outputs(&taps_for(network, size), size)?;
    let (samples, views) = (batch.samples.len() as u64, contents.views as u64);
    let manifest = Manifest {
        format: FORMAT,
        limbeck: env!("CARGO_PKG_VERSION").to_owned(),
        teacher: TeacherFacts {
            name: network.name().to_owned(),
            weights_sha256: String::new(),
            mean: Vec::new(),
            std: Vec::new(),
            input: [batch.shape[1], batch.shape[2], batch.shape[3]],
            params: network.store.trained_count() as u64,
            macs: network.cost().macs,
            anchors: None,
            classes: Vec::new(),
        },
        data: DataFacts {
            name: "noise".to_owned(),
            fingerprint: String::new(),
            split: Value::Null,
            classes: Vec::new(),
        },
        augment: Value::Null,
        evaluate: None,
        view_seed: 0,
        sections: vec![Section {
            name: "train".to_owned(),
            samples,
            views,
        }],
        shard_records: shard_records(record_bytes(&outputs), samples * views),
        outputs,
    };
    let taps = Taps::from_iter(&contents.taps);
    let images = noise::images(batch);
    let answer: Outputs = teacher.outputs(images, &taps)?;
    let numbers = CacheContents::numbers(&manifest.outputs, &answer)?;
    let build = Build::begin(folder, &manifest, Share::WHOLE)?;
    for shard in build.missing() {
        let Some(mut writer) = build.shard(shard.number)? else {
            continue;
        };
        for position in shard.positions {
            let row = (position % samples) as usize;
            let record: Vec<&[f32]> = numbers
                .iter()
                .zip(&manifest.outputs)
                .map(|(values, output)| &values[row * output.len()..][..output.len()])
                .collect();
            writer.push(&record)?;
        }
        writer.finish()?;
    }
    let samples = [batch.samples.clone(), Vec::new(), Vec::new()];
    StoredTeacher::of(Cache::open(folder)?, network, size, samples)
}

/// How the outputs of a measured step are stored: logits in half precision, or the most probable
/// classes alone; features in half precision.
pub(super) fn contents(top: Option<usize>, taps: Vec<String>, views: usize) -> CacheContents {
    CacheContents {
        views,
        logits: top.map_or(Encoding::F16, Encoding::TopK),
        taps,
        features: Encoding::F16,
        stride: None,
    }
}
