//! What measuring both ways takes, and what it decides by.

/// Bounds of time and gain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// First steps, which find nothing in place: buffers, batches ahead, decoded images.
    pub warm_up: usize,
    /// Fewer steps say nothing.
    pub least_steps: usize,
    /// Steps that are enough however short they are.
    pub most_steps: usize,
    /// Seconds that are enough.
    pub seconds: f64,
    /// Seconds that what is left of a run must take for two measurements to be worth their stops.
    pub worth: f64,
    /// Seconds that the training at hand must take, so that it is still there when it is measured again.
    pub long_enough: f64,
    /// Seconds from which on what is left of a training gets the threads of those that are done.
    pub rearranged: f64,
    /// Times as fast, from which on trainings go on side by side: below it is what measurements differ by.
    pub least_gain: f64,
    /// Share of the available memory that may be taken: something must be left for everybody else.
    pub memory_share: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            warm_up: 3,
            least_steps: 3,
            most_steps: 200,
            seconds: 2.0,
            worth: 20.0,
            long_enough: 5.0,
            rearranged: 10.0,
            least_gain: 1.05,
            memory_share: 0.8,
        }
    }
}
