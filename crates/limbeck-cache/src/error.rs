//! What can be wrong with a cache or with the use of one.

use std::{io, path::PathBuf};

use crate::{Damage, Difference};

/// Errors of stored outputs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// Such as `write`.
        action: &'static str,
        /// What on.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A new cache is asked for where something else is.
    #[error(
        "{} holds {found} but no cache; choose a folder that is new or empty",
        path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// A name in it.
        found: String,
    },
    /// There is no manifest.
    #[error(
        "{} is no cache: it has no {}; `limbeck cache build` makes one",
        path.display(),
        crate::files::MANIFEST
    )]
    NoManifest {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    BadManifest {
        /// The manifest's file.
        path: PathBuf,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// What is to be stored cannot be stored.
    #[error("such a cache cannot be built: {0}")]
    Plan(String),
    /// The cache was built from something else.
    #[error("the cache {} does not fit: {difference}", path.display())]
    Differs {
        /// The folder.
        path: PathBuf,
        /// Where it differs first.
        difference: Difference,
    },
    /// A share that is none.
    #[error("there is no share {index} of {of}; shares are counted from 0")]
    Share {
        /// Asked for.
        index: u64,
        /// How many there are.
        of: u64,
    },
    /// A shard beyond the last.
    #[error("there is no shard {number}; the cache has {count}")]
    NoShard {
        /// Asked for.
        number: u64,
        /// How many there are.
        count: u64,
    },
    /// A record is given other outputs than the manifest lists.
    #[error("the record at position {position} is given {found} outputs; the cache has {expected}")]
    Outputs {
        /// The record.
        position: u64,
        /// By the manifest.
        expected: usize,
        /// Given.
        found: usize,
    },
    /// An output, or the room for it, has another length.
    #[error("`{output}` has {expected} numbers, not {found}")]
    Length {
        /// Its name.
        output: String,
        /// By the manifest.
        expected: usize,
        /// Given.
        found: usize,
    },
    /// A number that the encoding cannot hold.
    #[error(
        "`{output}` of position {position} is {value} somewhere, which {encoding} cannot hold{}",
        if value.is_finite() { "; store it as f32" } else { "; the teacher is broken" }
    )]
    Value {
        /// The output's name.
        output: String,
        /// The record.
        position: u64,
        /// The number.
        value: f32,
        /// Such as `f16`.
        encoding: String,
    },
    /// More records than a shard has.
    #[error("shard {number} has {records} records and is given one more")]
    Full {
        /// The shard.
        number: u64,
        /// How many it has.
        records: u64,
    },
    /// A shard is to be finished too early.
    #[error("shard {number} has {records} records but was given only {given}")]
    Unfinished {
        /// The shard.
        number: u64,
        /// How many it has.
        records: u64,
        /// Pushed so far.
        given: u64,
    },
    /// No such section, output, view or sample.
    #[error("the cache has no {what}; it has {known}")]
    Unknown {
        /// What was asked for.
        what: String,
        /// What there is.
        known: String,
    },
    /// A record's shard was never built.
    #[error(
        "shard {number} of the cache is missing ({}); `limbeck cache build` with the same arguments \
         goes on where it was left",
        path.display()
    )]
    MissingShard {
        /// Its number.
        number: u64,
        /// Its file.
        path: PathBuf,
    },
    /// A shard is not what was written.
    #[error(
        "shard {number} of the cache is damaged ({}): {damage}; `limbeck cache verify --repair` \
         builds it again",
        path.display()
    )]
    Damaged {
        /// Its number.
        number: u64,
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        damage: Damage,
    },
    /// TinyViT's files cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    BadTinyVit {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, what was expected, and what to do.
        reason: String,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            "; free some space and start the same command again: it goes on where it was left"
        }
        io::ErrorKind::PermissionDenied => "; choose a folder that you may write to",
        io::ErrorKind::Unsupported => {
            "; the file system cannot lock files, choose a folder on another one"
        }
        _ => "",
    }
}
