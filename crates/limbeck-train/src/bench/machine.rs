//! What is measured on.

use serde::Serialize;

use crate::environment;

/// The machine and the program.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Name of the processor where the system tells it.
    pub processor: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// Instruction set of the kernels.
    pub instruction_set: &'static str,
    /// Operating system and architecture.
    pub system: String,
    /// Compute threads.
    pub threads: usize,
    /// Billions of floating point operations per second that multiply-adds on registers reach on
    /// these threads.
    pub peak_gflops: f64,
    /// Version of Limbeck.
    pub limbeck: &'static str,
}

impl Machine {
    /// Describes this machine and measures its peak, which takes 0.2 seconds.
    pub fn measured() -> Self {
        Self {
            processor: environment::processor(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            instruction_set: limbeck_kernels::instruction_set(),
            system: environment::system(),
            threads: rayon::current_num_threads(),
            peak_gflops: limbeck_kernels::multiply_add_peak() / 1e9,
            limbeck: env!("CARGO_PKG_VERSION"),
        }
    }
}
