//! How much memory the process holds, and how much steps of training will need.
//!
//! Steps are predicted by making some: with few images, twice as many, and so on while that is quick. What
//! they hold at most rises with the number of images along a line, whatever network, method and optimiser
//! hold: what does not depend on the images (numbers, gradients, moments, a memory of what was seen) is
//! where the line begins.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use limbeck_kernels::{forget_most_held, most_held_memory};

use crate::TrainError;

/// Most bytes of memory that this process has held at once, where the system tells it (Linux).
pub fn peak_memory() -> Option<u64> {
    of_process("VmHWM:")
}

/// Bytes of memory that this process holds, where the system tells it (Linux).
pub fn resident_memory() -> Option<u64> {
    of_process("VmRSS:")
}

/// Bytes of memory that this process could have besides what it holds, where the system tells it (Linux):
/// what the machine has left, or the group of processes that it belongs to.
pub fn free_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let machine = kibibytes(&machine, "MemAvailable:")?;
    let group = Path::new("/sys/fs/cgroup");
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(group.join(name)).ok()?;
        text.trim().parse().ok()
    };
    let left = match (number("memory.max"), number("memory.current")) {
        (Some(most), Some(held)) => most.saturating_sub(held),
        _ => u64::MAX,
    };
    Some(machine.min(left))
}

/// A line of `/proc/self/status`, in bytes.
fn of_process(key: &str) -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, key)
}

/// The line that begins with `key`, in bytes; the file has KiB (proc_pid_status(5), proc_meminfo(5)).
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Bytes of this process that are in no large buffer: the program, stacks, small things, and what lies
/// between the buffers. `None` where nobody counts, or the system does not tell what the process holds.
pub fn besides_buffers() -> Option<u64> {
    static BESIDES: OnceLock<Option<u64>> = OnceLock::new();
    // The heap keeps what it had at most, so that both have been since the program began; what is counted
    // begins anew with the first steps.
    *BESIDES.get_or_init(|| Some(peak_memory()?.saturating_sub(most_held_memory()? as u64)))
}

/// Processor time that this process has used, of all its threads, where the system tells it (Linux). What
/// others do on the machine is not in it.
fn processor_time() -> Option<Duration> {
    /// Ticks in a second: those that the system tells processes of, whatever its own (proc_pid_stat(5)).
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in brackets, may hold anything; behind it `utime` and `stime` are fields 14 and 15 of all.
    let (_, fields) = text.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|field| field.parse().unwrap_or(0.0)).sum();
    Some(Duration::from_secs_f64(ticks / TICKS))
}

/// Processor time that steps are tried out in, unless two numbers of images take longer.
const TIME: Duration = Duration::from_secs(2);
/// Images of the first step.
const FIRST: usize = 2;
/// Bytes that steps add to what is in no large buffer, whatever they do: code that had not run before,
/// small things.
const TOUCHED: f64 = 10e6;
/// Share of the buffers that lies unused between them, where that could not be seen.
const BETWEEN: f64 = 0.05;
/// The most of it that is believed to grow with the buffers: the few of small steps have a great deal
/// between them that many do not.
const MOST_BETWEEN: f64 = 0.1;

/// The most memory that steps of training hold, by the number of their images.
#[derive(Clone, Debug, PartialEq)]
pub struct StepMemory {
    /// Bytes of the process before the first step that are in no large buffer.
    besides: u64,
    /// The numbers of images rise.
    points: Vec<Point>,
}

/// A step that was made.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    images: usize,
    /// Bytes of large buffers that were held at most.
    held: u64,
    /// Bytes of the process at most, where they have never been more.
    process: Option<u64>,
}

impl StepMemory {
    /// Has `step` make steps of `least` images or more, up to `most`, while that is quick. `None` where
    /// nobody counts, or the system does not tell what the process holds.
    ///
    /// # Errors
    /// Whatever `step` refuses.
    pub fn measured(
        [least, most]: [usize; 2],
        mut step: impl FnMut(usize) -> Result<(), TrainError>,
    ) -> Result<Option<Self>, TrainError> {
        let Some(besides) = besides_buffers() else {
            return Ok(None);
        };
        let mut images = least.max(FIRST).min(most);
        let clock = Instant::now();
        let time = || processor_time().unwrap_or_else(|| clock.elapsed());
        let started = time();
        // From the second step on optimisers and methods remember what they remember in training.
        step(images)?;
        let mut points = Vec::new();
        loop {
            forget_most_held();
            let before = peak_memory();
            let begun = time();
            // The heap finds its places in the first step, and grows a little in the second.
            for _ in 0..2 {
                step(images)?;
            }
            let Some(held) = most_held_memory() else {
                return Ok(None);
            };
            let held = held as u64;
            points.push(Point {
                images,
                held,
                process: peak_memory().filter(|_| peak_memory() > before),
            });
            let next = (2 * images).min(most);
            let now = time();
            let is_slow = points.len() > 1
                && now.saturating_sub(started) + 2 * now.saturating_sub(begun) > TIME;
            let fits = free_memory().is_none_or(|free| held <= free / 4);
            if next == images || is_slow || !fits {
                return Ok(Some(Self { besides, points }));
            }
            images = next;
        }
    }

    /// Bytes of the process in a step of so many images, `ahead` being those of batches that wait.
    pub fn of(&self, images: usize, ahead: u64) -> u64 {
        let Some(&last) = self.points.last() else {
            return self.besides + ahead;
        };
        let held = match self.points.as_slice() {
            [.., few, many] => {
                let more = (many.held as f64 - few.held as f64).max(0.0);
                let each = more / (many.images - few.images) as f64;
                last.held as f64 + each * (images as f64 - last.images as f64)
            }
            _ => last.held as f64,
        };
        let besides = self.besides as f64;
        // Buffers leave the more between them, the larger they are; what the first steps touch stays the same.
        let more = match last.process {
            Some(process) => {
                let seen = process as f64 - besides - last.held as f64;
                let share = (seen - TOUCHED) / last.held.max(1) as f64;
                seen + share.clamp(0.0, MOST_BETWEEN) * (held - last.held as f64)
            }
            None => TOUCHED + BETWEEN * held,
        };
        (besides + held + more).max(0.0) as u64 + ahead
    }
}

/// `1.3 GB`, `480 MB`: two digits, as predictions are no better.
pub fn in_words(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    match megabytes {
        m if m >= 9_950.0 => format!("{:.0} GB", m / 1e3),
        m if m >= 995.0 => format!("{:.1} GB", m / 1e3),
        m if m >= 100.0 => format!("{:.0} MB", (m / 10.0).round() * 10.0),
        m => format!("{m:.0} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_system_are_read() {
        let status = "Name:\tlimbeck\nVmPeak:\t  900 kB\nVmHWM:\t   12 kB\nVmRSS:\t 8 kB\n";
        assert_eq!(kibibytes(status, "VmHWM:"), Some(12 * 1024));
        assert_eq!(kibibytes(status, "VmRSS:"), Some(8 * 1024));
        assert_eq!(kibibytes("Name:\tlimbeck\n", "VmHWM:"), None);
        assert_eq!(kibibytes("VmHWM:\tmuch\n", "VmHWM:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_holds_memory() {
        let resident = resident_memory().unwrap();
        assert!(resident > 1 << 20);
        assert!(peak_memory().unwrap() >= resident);
        assert!(free_memory().unwrap() > 0);
        let before = processor_time().unwrap();
        while processor_time().unwrap() == before {}
    }

    #[test]
    fn steps_lie_on_the_line_through_the_last_two_that_were_made() {
        const MB: u64 = 1_000_000;
        let memory = |points: &[(usize, u64)], process: Option<u64>| StepMemory {
            besides: 50 * MB,
            points: points
                .iter()
                .map(|&(images, held)| Point {
                    images,
                    held: held * MB,
                    process: process.map(|process| process * MB),
                })
                .collect(),
        };
        // Where gradients are more than maps in the first steps, the line is steeper later.
        let points = [(2, 110), (4, 120), (8, 160)];
        let of = memory(&points, Some(220));
        assert_eq!(of.of(8, 0), 220 * MB);
        assert_eq!(of.of(16, 7 * MB), (220 + 80 + 7) * MB);
        assert_eq!(of.of(6, 0), (220 - 20) * MB);
        // What lies between buffers grows with them.
        assert_eq!(
            memory(&points, Some(236)).of(16, 0),
            (50 + 240 + 10 + 24) * MB
        );
        let much = memory(&points, Some(260)).of(16, 0);
        assert_eq!(much, (50 + 240 + 50 + 8) * MB);
        // Of a process that has held more before it is not seen.
        assert_eq!(memory(&points, None).of(16, 0), (50 + 240 + 10 + 12) * MB);
        assert_eq!(memory(&[(3, 50)], Some(105)).of(3, 0), 105 * MB);
    }

    #[test]
    fn without_the_counting_allocator_nothing_is_predicted() {
        let mut steps = 0;
        let measured = StepMemory::measured([1, 8], |_| {
            steps += 1;
            Ok(())
        });
        assert_eq!((measured.unwrap(), steps), (None, 0));
    }

    #[test]
    fn sizes_are_told_in_two_digits() {
        let told = [12_300_000, 123_000_000, 1_234_000_000, 23_400_000_000].map(in_words);
        assert_eq!(told, ["12 MB", "120 MB", "1.2 GB", "23 GB"]);
    }
}
