//! `limbeck cache merge`: shards of several machines in one folder.

use std::io::{Write, stdout};
use std::path::Path;

use limbeck::train::cache::merge;
use serde_json::json;

use crate::arguments::CacheMergeArguments;

/// Copies, and says what is still missing.
pub fn run(arguments: &CacheMergeArguments, quiet: bool) -> anyhow::Result<()> {
    let caches: Vec<&Path> = arguments.caches.iter().map(|path| path.as_path()).collect();
    let merged = merge(&arguments.out, &caches)?;
    if !quiet {
        eprintln!(
            "{} shards copied to {}; {}",
            merged.copied,
            arguments.out.display(),
            match merged.missing {
                0 => "it is whole".to_owned(),
                count => format!("{count} are still missing"),
            }
        );
    }
    if arguments.json {
        let report = json!({
            "cache": arguments.out.display().to_string(),
            "copied": merged.copied,
            "missing": merged.missing,
        });
        writeln!(stdout().lock(), "{report:#}")?;
    }
    Ok(())
}
