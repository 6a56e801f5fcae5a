//! Putting together shards that were built on several machines.

use std::path::Path;

use limbeck_cache::{Cache, CacheError, Damage};

use super::{answers, classifier};
use crate::{TrainError, files};

/// What was put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Shards that were copied.
    pub copied: usize,
    /// Shards that are in none of the caches.
    pub missing: usize,
}

/// Copies the shards of `caches` that `out` does not have into it; `out` is made where it is
/// missing. Every record is checked on the way.
///
/// # Errors
/// Caches that were built from other things ([`CacheError::Differs`] names the field), a damaged
/// shard, a folder with something else in it, a file system that refuses. What was copied is kept.
pub fn merge(out: &Path, caches: &[&Path]) -> Result<Merged, TrainError> {
    std::fs::create_dir_all(out).map_err(TrainError::io(out))?;
    // Nobody else gives files their names meanwhile.
    let _lock = limbeck_cache::lock(out)?;
    let mut copied = 0;
    for folder in caches {
        let cache = Cache::open(folder)?;
        begin(out, folder, &cache)?;
        let target = Cache::open(out)?;
        let there = cache.missing_shards();
        for number in target.missing_shards() {
            if there.binary_search(&number).is_err() {
                copy(out, &cache, number)?;
                copied += 1;
            }
        }
        classifier::copy(folder, out)?;
        answers::copy(folder, out)?;
    }
    Ok(Merged {
        copied,
        missing: Cache::open(out)?.missing_shards().len(),
    })
}

/// Makes `out` a cache with the manifest of the one in `folder`, or compares the two.
fn begin(out: &Path, folder: &Path, cache: &Cache) -> Result<(), TrainError> {
    let manifest = |folder: &Path| {
        let path = folder.join(MANIFEST);
        std::fs::read(&path).map_err(TrainError::io(path))
    };
    let own = manifest(folder)?;
    if out.join(MANIFEST).is_file() {
        let target = Cache::open(out)?;
        if let Some(difference) = target.manifest().difference(cache.manifest()) {
            return Err(CacheError::Differs {
                path: out.to_owned(),
                difference,
            }
            .into());
        }
        // Every shard carries the hash of the manifest's very bytes.
        if manifest(out)? != own {
            return Err(TrainError::CacheFile {
                path: folder.to_owned(),
                reason: format!(
                    "its manifest says the same as that of `{}` in other words, so its shards do \
                     not belong to it; build both with the same version of Limbeck from data of \
                     the same name",
                    out.display()
                ),
            });
        }
        return Ok(());
    }
    for entry in std::fs::read_dir(out).map_err(TrainError::io(out))? {
        let name = entry.map_err(TrainError::io(out))?.file_name();
        if name != limbeck_cache::LOCK {
            return Err(CacheError::Foreign {
                path: out.to_owned(),
                found: name.to_string_lossy().into_owned(),
            }
            .into());
        }
    }
    let shards = out.join(SHARDS);
    std::fs::create_dir_all(&shards).map_err(TrainError::io(shards))?;
    Ok(files::write_whole(&out.join(MANIFEST), &own)?)
}

/// Copies one shard, whose records are checked first.
fn copy(out: &Path, cache: &Cache, number: u64) -> Result<(), TrainError> {
    let name = format!("{number:06}.cache");
    let from = cache.folder().join(SHARDS).join(&name);
    let damage: Vec<Damage> = cache.check_shard(number)?;
    if let Some(damage) = damage.into_iter().next() {
        return Err(CacheError::Damaged {
            number,
            path: from,
            damage,
        }
        .into());
    }
    let mut source = std::fs::File::open(&from).map_err(TrainError::io(&from))?;
    let to = out.join(SHARDS).join(name);
    files::write_whole_with(&to, |file| {
        std::io::copy(&mut source, file)?;
        Ok(())
    })?;
    Ok(())
}

/// The manifest's file.
const MANIFEST: &str = "manifest.json";
/// The folder of the shards.
const SHARDS: &str = "shards";
