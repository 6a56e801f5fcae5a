//! How fast a candidate is.

use limbeck_nn::Network;

use crate::bench::NetworkBench;

/// Images in a run.
const BATCH: usize = 32;
/// Runs, of which the median counts.
const RUNS: usize = 5;

/// Images a second of the frozen network's forward pass on this machine.
///
/// # Errors
/// As [`NetworkBench::run`].
pub(super) fn images_per_second(network: &Network) -> Result<f64, crate::TrainError> {
    let bench = NetworkBench {
        recompute: false,
        network,
        batch: BATCH,
        runs: RUNS,
        inference: true,
        quantised: None,
        profile: false,
        training: None,
    };
    let milliseconds = bench.run()?.inference_ms.unwrap_or(f64::INFINITY);
    Ok(BATCH as f64 / milliseconds * 1e3)
}
