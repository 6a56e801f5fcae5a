//! How many threads compute.

use anyhow::Context;

use crate::exit::Usage;

/// More would only fail to start.
const MOST: usize = 1024;

/// Sets the number of compute threads, for the whole process; all cores where nothing was asked
/// for.
pub fn set(threads: Option<usize>) -> anyhow::Result<usize> {
    if let Some(found) = threads.filter(|threads| !(1..=MOST).contains(threads)) {
        return Err(Usage(format!("--threads must be 1 to {MOST}, found {found}")).into());
    }
    let threads = threads.unwrap_or_else(available);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .context("the compute threads cannot be started")?;
    Ok(threads)
}

/// Cores that this process may use.
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
