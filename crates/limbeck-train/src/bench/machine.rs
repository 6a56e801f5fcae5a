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

/// Most bytes of memory that this process has held at once, where the system tells it (Linux).
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    high_water_mark(&status)
}

/// `VmHWM` of `/proc/self/status`, in bytes; the file has KiB (proc_pid_status(5)).
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read() {
        let status = "Name:\tlimbeck\nVmPeak:\t  900 kB\nVmHWM:\t   12 kB\nVmRSS:\t 8 kB\n";
        assert_eq!(high_water_mark(status), Some(12 * 1024));
        assert_eq!(high_water_mark("Name:\tlimbeck\n"), None);
        assert_eq!(high_water_mark("VmHWM:\tmuch\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_holds_memory() {
        assert!(peak_memory().unwrap() > 1 << 20);
    }
}
