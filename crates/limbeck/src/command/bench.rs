//! `limbeck bench`: speed.

use std::io::{Write, stdout};

use limbeck::nn::InputShape;
use limbeck::train::bench::StepBench;
use serde_json::json;

use super::{
    inspect::{MOST_CLASSES, parse_input},
    threads,
};
use crate::arguments::{Bench, BenchArguments, BenchStepArguments};
use crate::exit::Usage;

/// Measures what was asked for.
pub fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    match &arguments.what {
        Bench::Step(arguments) => step(arguments),
    }
}

fn step(arguments: &BenchStepArguments) -> anyhow::Result<()> {
    for (name, value, most) in [
        ("--batch", arguments.batch, 65_536),
        ("--classes", arguments.classes, MOST_CLASSES),
        ("--runs", arguments.runs, 10_000),
    ] {
        if !(1..=most).contains(&value) {
            return Err(Usage(format!("{name} must be 1 to {most}, found {value}")).into());
        }
    }
    let [channels, height, width] = parse_input(&arguments.input)?;
    let threads = threads::set(arguments.threads)?;
    let bench = StepBench {
        teacher: &arguments.teacher,
        student: &arguments.student,
        method: &arguments.method,
        input: InputShape {
            channels,
            height,
            width,
            classes: arguments.classes,
        },
        batch: arguments.batch,
        runs: arguments.runs,
    };
    let times = threads::compute(|| bench.run())?;
    let mut out = stdout().lock();
    if arguments.json {
        let report = json!({
            "teacher": arguments.teacher,
            "student": arguments.student,
            "method": arguments.method,
            "batch": arguments.batch,
            "input": [channels, height, width],
            "classes": arguments.classes,
            "threads": threads,
            "runs": arguments.runs,
            "teacher_ms": times.teacher_ms,
            "student_ms": times.student_ms,
            "step_ms": times.step_ms,
        });
        writeln!(out, "{report:#}")?;
    } else {
        writeln!(
            out,
            "{} → {}, {}, batch {}, {threads} threads, median of {}",
            arguments.teacher, arguments.student, arguments.method, arguments.batch, arguments.runs
        )?;
        writeln!(out, "teacher forward  {:>9.1} ms", times.teacher_ms)?;
        writeln!(out, "student step     {:>9.1} ms", times.student_ms)?;
        writeln!(out, "whole step       {:>9.1} ms", times.step_ms)?;
    }
    Ok(())
}
