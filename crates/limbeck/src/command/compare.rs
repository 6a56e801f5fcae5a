//! `limbeck compare`: several runs side by side.

use std::io::{Write, stdout};

use anyhow::{Context, bail};
use limbeck::report;
use limbeck::train::{files, run_folder};

use crate::arguments::CompareArguments;

/// Prints a table, and writes a page where one was asked for.
pub fn run(arguments: &CompareArguments) -> anyhow::Result<()> {
    let mut results = Vec::new();
    for path in &arguments.runs {
        results.push(run_folder::results_of(path)?);
    }
    if let Some(path) = &arguments.out {
        if path.exists() {
            bail!("`{}` exists; choose another name", path.display());
        }
        files::write_whole(path, report::compare(&results).as_bytes())
            .with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    let mut out = stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&results)?)?;
    } else {
        writeln!(out, "{}", report::compare_text(&results))?;
    }
    Ok(())
}
