//! How measurements are told.

use std::{
    io::{Write, stdout},
    sync::OnceLock,
};

use limbeck::train::{bench::Machine, memory::peak_memory};
use serde_json::{Map, Value, json};

/// Milliseconds, and how much work was done in them.
#[derive(Clone, Copy)]
pub struct Speed {
    pub ms: f64,
    /// Floating point operations.
    pub flops: f64,
}

impl Speed {
    pub fn gflops(self) -> f64 {
        self.flops / self.ms / 1e6
    }

    pub fn peak_share(self, machine: &Machine) -> f64 {
        self.gflops() / machine.peak_gflops
    }
}

/// Adds `NAME_ms`, `NAME_gflops` and `NAME_peak_share` to `keys`; null where `speed` was not
/// measured.
pub fn insert(speed: Option<Speed>, keys: &mut Map<String, Value>, name: &str, machine: &Machine) {
    let values = [
        ("ms", speed.map(|speed| speed.ms)),
        ("gflops", speed.map(Speed::gflops)),
        ("peak_share", speed.map(|speed| speed.peak_share(machine))),
    ];
    for (part, value) in values {
        keys.insert(format!("{name}_{part}"), json!(value));
    }
}

/// The most memory that the process has held by the first time that this is asked for.
pub fn settled_memory() -> Option<u64> {
    static MOST: OnceLock<Option<u64>> = OnceLock::new();
    *MOST.get_or_init(peak_memory)
}

/// Ends `keys` with those of every measurement, and prints them.
pub fn print_json(
    mut keys: Map<String, Value>,
    runs: usize,
    machine: &Machine,
) -> anyhow::Result<()> {
    keys.insert("runs".to_owned(), json!(runs));
    keys.insert("peak_memory_bytes".to_owned(), json!(settled_memory()));
    keys.insert("machine".to_owned(), serde_json::to_value(machine)?);
    writeln!(stdout().lock(), "{:#}", Value::Object(keys))?;
    Ok(())
}

/// Most bytes that the process held in training steps: what steps with few images foretold, and what it
/// was.
#[derive(Clone, Copy, Default)]
pub struct StepBytes {
    pub predicted: Option<u64>,
    pub measured: Option<u64>,
}

impl StepBytes {
    /// Adds both to `keys`.
    pub fn insert(self, keys: &mut Map<String, Value>) {
        keys.insert("step_memory_bytes".to_owned(), json!(self.measured));
        keys.insert("predicted_memory_bytes".to_owned(), json!(self.predicted));
    }

    fn write(self, out: &mut impl Write) -> anyhow::Result<()> {
        let Some(measured) = self.measured else {
            return Ok(());
        };
        write!(out, "\nmemory of steps {:.0} MB", measured as f64 / 1e6)?;
        if let Some(predicted) = self.predicted {
            let megabytes = predicted as f64 / 1e6;
            write!(
                out,
                ", {megabytes:.0} MB predicted from steps with few images"
            )?;
        }
        Ok(())
    }
}

/// Prints what was measured on what, one line for each of `rows`, and the memory: that of training
/// `steps` where there are some.
pub fn print_table(
    title: &str,
    runs: usize,
    machine: &Machine,
    rows: &[(String, Speed)],
    steps: StepBytes,
) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    write_heading(&mut out, title, runs, machine)?;
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    writeln!(out, "{:width$}          ms   GFLOP/s   of peak", "")?;
    for (name, speed) in rows {
        writeln!(
            out,
            "{name:width$}  {:>10.3} {:>9.1} {:>8.0}%",
            speed.ms,
            speed.gflops(),
            100.0 * speed.peak_share(machine)
        )?;
    }
    steps.write(&mut out)?;
    write_memory(&mut out)
}

/// Says what was measured on what.
pub fn write_heading(
    out: &mut impl Write,
    title: &str,
    runs: usize,
    machine: &Machine,
) -> anyhow::Result<()> {
    writeln!(
        out,
        "{}, {}, cores: {}, threads: {}, peak {:.0} GFLOP/s, limbeck {}",
        machine.processor.as_deref().unwrap_or("unknown processor"),
        machine.instruction_set,
        machine.cores,
        machine.threads,
        machine.peak_gflops,
        machine.limbeck
    )?;
    writeln!(out, "{title}; median of {runs}\n")?;
    Ok(())
}

/// Says how much memory was held.
pub fn write_memory(out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(bytes) = settled_memory() {
        writeln!(out, "\npeak memory {:.0} MB", bytes as f64 / 1e6)?;
    }
    Ok(())
}
