//! `limbeck bench loss`.

use std::io::{Write, stdout};

use limbeck::methods::{METHODS, entries};
use limbeck::nn::{InputShape, model};
use limbeck::train::{
    TrainError,
    bench::{LossBench, LossTime, Machine},
};
use serde_json::{Map, Value, json};

use super::{
    MOST_IMAGES, MOST_RUNS, check, profile,
    report::{print_json, write_heading, write_memory},
    threads,
};
use crate::arguments::LossArguments;
use crate::command::inspect::{MOST_CLASSES, parse_input};

/// Losses of all methods at one batch and number of classes.
struct Measured {
    batch: usize,
    classes: usize,
    student_ms: f64,
    /// Of each method's criterion; `None` of a procedure.
    losses: Vec<Option<LossTime>>,
}

/// Measures the losses asked for.
pub fn run(arguments: &LossArguments) -> anyhow::Result<()> {
    let runs = arguments.measure.runs;
    check("--runs", runs, MOST_RUNS)?;
    for &batch in &arguments.batch {
        check("--batch", batch, MOST_IMAGES)?;
    }
    for &classes in &arguments.classes {
        check("--classes", classes, MOST_CLASSES)?;
    }
    let [channels, height, width] = parse_input(&arguments.input)?;
    let task = model::find(&arguments.student)?.task;
    let methods: Vec<&str> = match arguments.methods.as_slice() {
        [] => METHODS
            .iter()
            .filter(|entry| entry.tasks.contains(&task))
            .map(|entry| entry.id)
            .collect(),
        named => named.iter().map(String::as_str).collect(),
    };
    for method in &methods {
        entries(method)?;
    }
    threads::set(arguments.measure.threads)?;
    let machine = Machine::measured();
    let mut all = Vec::new();
    for &batch in &arguments.batch {
        for &classes in &arguments.classes {
            let bench = LossBench {
                teacher: &arguments.teacher,
                student: &arguments.student,
                input: InputShape {
                    channels,
                    height,
                    width,
                    classes,
                },
                batch,
                runs,
                profile: arguments.profile,
            };
            let measured = threads::compute(|| {
                let losses = methods.iter().map(|method| bench.run(method));
                Ok::<_, TrainError>(Measured {
                    batch,
                    classes,
                    student_ms: bench.student_step()?,
                    losses: losses.collect::<Result<_, _>>()?,
                })
            });
            all.push(measured?);
        }
    }
    if arguments.measure.json {
        let mut keys = Map::new();
        keys.insert("teacher".to_owned(), json!(arguments.teacher));
        keys.insert("student".to_owned(), json!(arguments.student));
        keys.insert("input".to_owned(), json!([channels, height, width]));
        keys.insert(
            "losses".to_owned(),
            losses(
                &methods,
                &all,
                arguments.profile.then_some((runs, &machine)),
            ),
        );
        keys.insert("student_steps".to_owned(), student_steps(&all));
        return print_json(keys, runs, &machine);
    }
    let title = format!(
        "losses of {} → {}, {channels}×{height}×{width}, forward and backward",
        arguments.teacher, arguments.student
    );
    print(&title, runs, &machine, &methods, &all)
}

/// With profiles of so many runs where those were asked for.
fn losses(methods: &[&str], all: &[Measured], profiled: Option<(usize, &Machine)>) -> Value {
    let rows = all.iter().flat_map(|measured| {
        let losses = methods.iter().zip(&measured.losses);
        losses.map(|(method, time)| {
            let ms = time.as_ref().map(|time| time.ms);
            let mut keys = json!({
                "method": method,
                "batch": measured.batch,
                "classes": measured.classes,
                "ms": ms,
                "student_share": ms.map(|ms| ms / measured.student_ms),
            });
            if let Some((runs, machine)) = profiled {
                let found = time.as_ref().and_then(|time| time.profile.as_ref());
                keys["profile"] = json!(found.map(|found| profile::json(found, runs, machine)));
            }
            keys
        })
    });
    rows.collect()
}

fn student_steps(all: &[Measured]) -> Value {
    let rows = all.iter().map(|measured| {
        json!({
            "batch": measured.batch,
            "classes": measured.classes,
            "student_ms": measured.student_ms,
        })
    });
    rows.collect()
}

/// A row for each method, a column for each batch and number of classes.
fn print(
    title: &str,
    runs: usize,
    machine: &Machine,
    methods: &[&str],
    all: &[Measured],
) -> anyhow::Result<()> {
    const STEP: &str = "student's step";
    let mut out = stdout().lock();
    write_heading(&mut out, title, runs, machine)?;
    let names = methods.iter().copied().chain([STEP]);
    let width = names.map(str::len).max().unwrap_or(0);
    write!(out, "{:width$}", "ms (share)")?;
    for Measured { batch, classes, .. } in all {
        let column = format!("{batch} × {classes} classes");
        write!(out, "  {column:>18}")?;
    }
    writeln!(out)?;
    for (index, method) in methods.iter().enumerate() {
        write!(out, "{method:width$}")?;
        for measured in all {
            match &measured.losses[index] {
                Some(LossTime { ms, .. }) => {
                    let share = 100.0 * ms / measured.student_ms;
                    write!(out, "  {ms:>11.3} {:>6}", format!("({share:.0}%)"))?;
                }
                None => {
                    write!(out, "  no criterion of its own: see bench step")?;
                    break;
                }
            }
        }
        writeln!(out)?;
    }
    write!(out, "{STEP:width$}")?;
    for measured in all {
        write!(out, "  {:>11.3} {:6}", measured.student_ms, "")?;
    }
    writeln!(out)?;
    write_memory(&mut out)?;
    // What follows is written to standard output in its own turn.
    drop(out);
    for measured in all {
        for (method, time) in methods.iter().zip(&measured.losses) {
            let found = time.as_ref().and_then(|time| time.profile.as_ref());
            if let Some(found) = found {
                let part = format!(
                    "{method}, {} × {} classes",
                    measured.batch, measured.classes
                );
                profile::print(&part, found, runs, machine)?;
            }
        }
    }
    Ok(())
}
