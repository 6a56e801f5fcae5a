//! `limbeck cache info`: what a cache holds.

use std::io::{Write, stdout};

use limbeck::cache::Cache;
use limbeck::train::TrainError;
use limbeck::train::cache::StoredAnswers;
use serde_json::json;

use super::build::{describe, facts};
use crate::arguments::CacheInfoArguments;

/// Prints what the manifest says, and which shards are there.
pub fn run(arguments: &CacheInfoArguments) -> anyhow::Result<()> {
    let cache = Cache::open(&arguments.cache).map_err(TrainError::from)?;
    let missing = cache.missing_shards();
    let segments = cache.manifest().evaluate.is_some();
    let answers = segments.then(|| StoredAnswers::are_in(&arguments.cache));
    let mut out = stdout().lock();
    if arguments.json {
        let mut report = facts(cache.manifest())?;
        report["cache"] = json!(arguments.cache.display().to_string());
        report["missing_shards"] = json!(missing);
        report["augment"] = cache.manifest().augment.clone();
        report["answers"] = json!(answers);
        report["split"] = cache.manifest().data.split.clone();
        writeln!(out, "{report:#}")?;
        return Ok(());
    }
    writeln!(out, "{}", describe(cache.manifest())?)?;
    writeln!(out, "augment: {}", cache.manifest().augment)?;
    match missing.len() {
        0 if answers == Some(false) => writeln!(
            out,
            "all shards are there; what the teacher chooses for the images to measure on is not yet"
        )?,
        0 => writeln!(out, "whole")?,
        count => writeln!(
            out,
            "{count} of {} shards are not there yet",
            cache.shards()
        )?,
    }
    Ok(())
}
