//! Lanes: threads that are divided among trainings that run at the same time.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::TrainError;

/// Bytes of a compute thread's stack: as many as the system gives the main thread.
const STACK: usize = 8 << 20;

/// One pool for each of `lanes`, which have `threads` in common as evenly as they go, the first ones one
/// more where something is left, and each one at least. What runs in a pool computes on its threads alone.
///
/// # Errors
/// Threads that the system refuses.
pub(crate) fn pools(lanes: usize, threads: usize) -> Result<Vec<ThreadPool>, TrainError> {
    let of_lane = |lane: usize| threads / lanes + usize::from(lane < threads % lanes);
    (0..lanes)
        .map(|lane| {
            ThreadPoolBuilder::new()
                .num_threads(of_lane(lane).max(1))
                .thread_name(move |thread| format!("lane-{lane}-{thread}"))
                .stack_size(STACK)
                .build()
                .map_err(|error| {
                    TrainError::Setting(format!(
                        "the threads of {lanes} trainings side by side cannot be started: {error}"
                    ))
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::pools;

    #[test]
    fn threads_are_divided_and_every_lane_has_one() {
        let divided = |lanes, threads| {
            let pools = pools(lanes, threads).unwrap();
            let count = |pool: &rayon::ThreadPool| pool.install(rayon::current_num_threads);
            pools.iter().map(count).collect::<Vec<_>>()
        };
        assert_eq!(divided(2, 2), [1, 1]);
        assert_eq!(divided(3, 8), [3, 3, 2]);
        assert_eq!(divided(3, 2), [1, 1, 1]);
    }
}
