//! How many threads compute.

use anyhow::Context;

use crate::exit::Usage;

/// Sets the number of compute threads, for the whole process; all cores where nothing was asked
/// for.
pub fn set(threads: Option<usize>) -> anyhow::Result<usize> {
    if threads == Some(0) {
        return Err(Usage("--threads must be at least 1, found 0".to_owned()).into());
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
