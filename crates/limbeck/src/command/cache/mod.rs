//! `limbeck cache`: the outputs of a teacher, stored.

mod build;
mod info;
mod merge;
mod verify;

use crate::arguments::{CacheArguments, CacheCommand};

/// Does what was asked for.
pub fn run(arguments: &CacheArguments, quiet: bool) -> anyhow::Result<()> {
    match &arguments.what {
        CacheCommand::Build(arguments) => build::run(arguments, quiet),
        CacheCommand::Info(arguments) => info::run(arguments),
        CacheCommand::Verify(arguments) => verify::run(arguments, quiet),
        CacheCommand::Merge(arguments) => merge::run(arguments, quiet),
    }
}

/// Bytes for people, such as `12.3 MB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} bytes"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}
