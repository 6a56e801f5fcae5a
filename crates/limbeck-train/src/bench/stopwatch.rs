//! Taking the time.

use std::time::Instant;

use limbeck_kernels::{Profile, profile};

use crate::{TrainError, latency::median};

/// From this time of a run on nothing that the caches hold matters, and runs are not repeated.
const LONG_MS: f64 = 1000.0;

/// The times of one work. Several works that are measured in turn, run by run, share what
/// disturbs the machine.
#[derive(Debug)]
pub(super) struct Stopwatch {
    /// Milliseconds.
    times: Vec<f64>,
}

impl Stopwatch {
    /// Without any run so far.
    pub const fn new() -> Self {
        Self { times: Vec::new() }
    }

    /// Times one run of `work`, directly after one that is not timed, so that it finds caches and
    /// buffers as the second run of a loop does. What `prepare` makes for each run is not timed.
    pub fn measure<I>(
        &mut self,
        mut prepare: impl FnMut() -> I,
        mut work: impl FnMut(I) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        if self.times.last().is_none_or(|&last| last < LONG_MS) {
            work(prepare())?;
        }
        let prepared = prepare();
        let start = Instant::now();
        work(prepared)?;
        self.times.push(start.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    /// Median milliseconds.
    pub fn median(self) -> f64 {
        median(self.times)
    }
}

/// Does `work` so often, and tells where the time went.
pub(super) fn watched(
    runs: usize,
    mut work: impl FnMut() -> Result<(), TrainError>,
) -> Result<Profile, TrainError> {
    let (done, found) = profile(|| (0..runs).try_for_each(|_| work()));
    done.map(|()| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timed_run_follows_one_that_is_not() {
        let mut stopwatch = Stopwatch::new();
        let (mut prepared, mut runs) = (0, 0);
        for _ in 0..3 {
            let prepare = || prepared += 1;
            let work = |()| {
                runs += 1;
                Ok(())
            };
            stopwatch.measure(prepare, work).unwrap();
        }
        assert_eq!([prepared, runs, stopwatch.times.len()], [6, 6, 3]);
    }

    #[test]
    fn a_failure_ends_the_measurement() {
        let mut stopwatch = Stopwatch::new();
        let fail = |()| Err(TrainError::Setting("no".to_owned()));
        assert!(stopwatch.measure(|| (), fail).is_err());
    }
}
