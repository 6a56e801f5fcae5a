//! How many threads compute.

use std::sync::OnceLock;

use anyhow::Context;

use crate::exit::Usage;

/// More would only fail to start.
const MOST: usize = 1024;

/// Bytes of a compute thread's stack: as many as the system gives the main thread.
const STACK: usize = 8 << 20;

/// How many threads this process computes with, once that is settled.
static SETTLED: OnceLock<usize> = OnceLock::new();

/// Sets the number of compute threads, for the whole process; all cores where nothing was asked
/// for. To be asked for the same number again changes nothing. Kernels and matrix products share them; threads that load images come on top, and sleep
/// while nothing is asked of them.
pub fn set(threads: Option<usize>) -> anyhow::Result<usize> {
    check(threads)?;
    let threads = threads.unwrap_or_else(available);
    if SETTLED.get() == Some(&threads) {
        return Ok(threads);
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("compute-{number}"))
        .stack_size(STACK)
        .build_global()
        .context("the compute threads cannot be started")?;
    Ok(*SETTLED.get_or_init(|| threads))
}

/// Refuses numbers of threads that no process can have.
pub fn check(threads: Option<usize>) -> anyhow::Result<()> {
    match threads.filter(|threads| !(1..=MOST).contains(threads)) {
        Some(found) => Err(Usage(format!("--threads must be 1 to {MOST}, found {found}")).into()),
        None => Ok(()),
    }
}

/// Does `work` on one of the compute threads, so that what is computed need not be handed to them
/// from outside at every operation: another thread would take turns with them.
pub fn compute<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// Cores that this process may use.
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
