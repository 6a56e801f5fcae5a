//! How it is told where the time goes.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    io::{Write, stdout},
    sync::OnceLock,
    time::Duration,
};

use limbeck::kernels::{Operation, Profile};
use limbeck::train::bench::Machine;
use serde_json::{Value, json};

use super::report::{Speed, settled_memory};

/// Rows with a smaller part of the time than this are told together.
const LEAST_SHARE: f64 = 0.005;
/// Places between operations that are named.
const PLACES: usize = 5;

/// Milliseconds of one of `runs`.
fn milliseconds(time: Duration, runs: usize) -> f64 {
    time.as_secs_f64() * 1e3 / runs as f64
}

fn share(time: Duration, profile: &Profile) -> f64 {
    time.as_secs_f64() / profile.time.as_secs_f64()
}

fn speed(operation: &Operation) -> Option<Speed> {
    (operation.multiply_adds > 0).then(|| Speed {
        ms: milliseconds(operation.time, 1),
        flops: 2.0 * operation.multiply_adds as f64,
    })
}

fn gigabytes_per_second(operation: &Operation) -> f64 {
    operation.bytes as f64 / operation.time.as_secs_f64() / 1e9
}

/// Billions of bytes that a copy reads and writes per second. It takes memory of its own.
fn copy_rate() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| {
        settled_memory();
        limbeck::kernels::copy_rate() / 1e9
    })
}

/// What the operations would take at the machine's limit: each its multiply-adds at the peak, or its
/// bytes at the rate of a copy, whichever takes longer, and no more than it takes now (convolutions
/// that save multiplications, tensors in a cache). What passes between them is left out.
fn limit(profile: &Profile, machine: &Machine) -> Duration {
    let operations = profile.operations.iter().map(|operation| {
        let products = 2.0 * operation.multiply_adds as f64 / machine.peak_gflops;
        let bytes = operation.bytes as f64 / copy_rate();
        Duration::from_secs_f64(products.max(bytes) / 1e9).min(operation.time)
    });
    operations.sum()
}

/// What `--json` has of the profile of so many runs.
pub fn json(profile: &Profile, runs: usize, machine: &Machine) -> Value {
    let per_run = |calls: usize| calls as f64 / runs as f64;
    let operations = profile.operations.iter().map(|operation| {
        let speed = speed(operation);
        json!({
            "name": operation.name,
            "shapes": operation.shapes,
            "calls": per_run(operation.calls),
            "ms": milliseconds(operation.time, runs),
            "share": share(operation.time, profile),
            "gflops": speed.map(Speed::gflops),
            "peak_share": speed.map(|speed| speed.peak_share(machine)),
            "gigabytes_per_second": gigabytes_per_second(operation),
        })
    });
    let between = profile.between.iter().map(|between| {
        json!({
            "after": between.after,
            "before": between.before,
            "calls": per_run(between.calls),
            "ms": milliseconds(between.time, runs),
            "share": share(between.time, profile),
        })
    });
    json!({
        "ms": milliseconds(profile.time, runs),
        "limit_ms": milliseconds(limit(profile, machine), runs),
        "operations": operations.collect::<Value>(),
        "between": between.collect::<Value>(),
    })
}

/// One line.
struct Row {
    what: String,
    /// In all runs.
    calls: usize,
    time: Duration,
    operation: Option<Operation>,
}

/// Prints where the time of `part` went in so many runs.
pub fn print(part: &str, profile: &Profile, runs: usize, machine: &Machine) -> anyhow::Result<()> {
    let rows = rows(profile);
    let width = rows.iter().map(|row| row.what.chars().count()).max();
    let width = width.unwrap_or(0);
    let mut out = stdout().lock();
    let ms = milliseconds(profile.time, runs);
    let title = format!("{part}, by operation and shape: {ms:.3} ms");
    writeln!(
        out,
        "\n{title:width$}   calls         ms   share   GFLOP/s   of peak   GB/s"
    )?;
    for row in rows {
        let calls = row.calls as f64 / runs as f64;
        let ms = milliseconds(row.time, runs);
        let share = 100.0 * share(row.time, profile);
        write!(
            out,
            "{:width$} {calls:>7.0} {ms:>10.3} {share:>6.1}%",
            row.what
        )?;
        if let Some(operation) = row.operation {
            match speed(&operation) {
                Some(speed) => {
                    let of_peak = 100.0 * speed.peak_share(machine);
                    write!(out, " {:>9.1} {of_peak:>8.0}%", speed.gflops())?;
                }
                None => write!(out, " {:>9} {:>9}", "", "")?,
            }
            write!(out, " {:>6.1}", gigabytes_per_second(&operation))?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "at the machine's limit ({:.0} GFLOP/s, {:.0} GB/s): {:.3} ms",
        machine.peak_gflops,
        copy_rate(),
        milliseconds(limit(profile, machine), runs)
    )?;
    Ok(())
}

/// Operations of one name together, the longest first.
fn by_name(profile: &Profile) -> Vec<Row> {
    let mut totals: BTreeMap<&str, Operation> = BTreeMap::new();
    for operation in &profile.operations {
        let total = totals.entry(operation.name).or_insert_with(|| Operation {
            calls: 0,
            time: Duration::ZERO,
            multiply_adds: 0,
            bytes: 0,
            ..operation.clone()
        });
        total.calls += operation.calls;
        total.time += operation.time;
        total.multiply_adds += operation.multiply_adds;
        total.bytes += operation.bytes;
    }
    let mut totals: Vec<Operation> = totals.into_values().collect();
    totals.sort_by_key(|total| Reverse(total.time));
    let row = |total: Operation| Row {
        what: format!("all {}", total.name),
        calls: total.calls,
        time: total.time,
        operation: Some(total),
    };
    totals.into_iter().map(row).collect()
}

/// The lines of a table.
fn rows(profile: &Profile) -> Vec<Row> {
    let is_long = |time| share(time, profile) >= LEAST_SHARE;
    let (long, short): (Vec<_>, Vec<_>) =
        (profile.operations.iter()).partition(|operation| is_long(operation.time));
    let mut rows = by_name(profile);
    rows.retain(|row| is_long(row.time));
    rows.extend(long.into_iter().map(|operation| Row {
        what: format!("{} {}", operation.name, shapes(&operation.shapes)),
        calls: operation.calls,
        time: operation.time,
        operation: Some(operation.clone()),
    }));
    rows.push(Row {
        what: format!("other operations: {}", short.len()),
        calls: short.iter().map(|operation| operation.calls).sum(),
        time: short.iter().map(|operation| operation.time).sum(),
        operation: None,
    });
    rows.push(Row {
        what: "between them: the engine's operations, its graph".to_owned(),
        calls: profile.between.iter().map(|between| between.calls).sum(),
        time: profile.between.iter().map(|between| between.time).sum(),
        operation: None,
    });
    let places = profile.between.iter().take(PLACES);
    rows.extend(
        places
            .filter(|between| is_long(between.time))
            .map(|between| {
                let named = |name: &str, end: &str| match name {
                    "" => end.to_owned(),
                    name => name.to_owned(),
                };
                let after = named(between.after, "the beginning");
                let before = named(between.before, "the end");
                Row {
                    what: format!("  of which from {after} to {before}"),
                    calls: between.calls,
                    time: between.time,
                    operation: None,
                }
            }),
    );
    rows
}

/// Such as `64×197×192 768×192`.
fn shapes(shapes: &[Vec<usize>]) -> String {
    let one = |shape: &Vec<usize>| {
        let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
        sizes.join("×")
    };
    let all: Vec<String> = shapes.iter().map(one).collect();
    all.join(" ")
}
