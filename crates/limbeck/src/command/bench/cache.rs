//! `limbeck bench cache`.

use std::io::{Write, stdout};

use anyhow::Context;
use limbeck::train::bench::{CacheBench, Machine};
use serde_json::{Map, json};

use super::{MOST_RUNS, check, report::print_json, threads};
use crate::arguments::CacheBenchArguments;
use crate::command::inspect::MOST_CLASSES;

/// Records that fit a disk: 26 GB where K is 100.
const MOST_RECORDS: usize = 1 << 26;

/// Measures the store in a folder of its own among the temporary ones.
pub fn run(arguments: &CacheBenchArguments) -> anyhow::Result<()> {
    let runs = arguments.measure.runs;
    check("--runs", runs, MOST_RUNS)?;
    check("--classes", arguments.classes, MOST_CLASSES)?;
    check(
        "--topk",
        arguments.topk,
        arguments.classes.saturating_sub(1).max(1),
    )?;
    check("--records", arguments.records, MOST_RECORDS)?;
    threads::set(arguments.measure.threads)?;
    let machine = Machine::measured();
    let bench = CacheBench {
        topk: arguments.topk,
        classes: arguments.classes,
        records: arguments.records as u64,
        runs,
        threads: machine.threads,
    };
    let place = tempfile::tempdir().context("cannot make a temporary folder")?;
    let times = bench.run(place.path())?;
    if arguments.measure.json {
        let keys = Map::from_iter(
            [
                ("topk", json!(bench.topk)),
                ("classes", json!(bench.classes)),
                ("records", json!(bench.records)),
                ("written_per_second", json!(times.written_per_second)),
                ("read_per_second", json!(times.read_per_second)),
                ("bytes_per_view", json!(times.bytes_per_view)),
                ("open_ms", json!(times.open_ms)),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        return print_json(keys, runs, &machine);
    }
    let mut out = stdout().lock();
    writeln!(
        out,
        "top-{} of {} classes, {} records, {} threads; median of {runs}\n",
        bench.topk, bench.classes, bench.records, bench.threads
    )?;
    writeln!(
        out,
        "written, synced  {:>12.0} records/s",
        times.written_per_second
    )?;
    writeln!(
        out,
        "read at random   {:>12.0} records/s",
        times.read_per_second
    )?;
    writeln!(out, "a view           {:>12.2} bytes", times.bytes_per_view)?;
    writeln!(out, "10 million views {:>12.3} ms to open", times.open_ms)?;
    Ok(())
}
