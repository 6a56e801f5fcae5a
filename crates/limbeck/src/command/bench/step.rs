//! `limbeck bench step`.

use limbeck::nn::InputShape;
use limbeck::train::bench::{Machine, StepBench};
use serde_json::{Map, json};

use super::{
    MOST_IMAGES, MOST_RUNS, check,
    report::{Speed, print_json, print_table},
    threads,
};
use crate::arguments::StepArguments;
use crate::command::inspect::{MOST_CLASSES, parse_input};

/// Measures the step asked for.
pub fn run(arguments: &StepArguments) -> anyhow::Result<()> {
    let runs = arguments.measure.runs;
    check("--batch", arguments.batch, MOST_IMAGES)?;
    check("--classes", arguments.classes, MOST_CLASSES)?;
    check("--runs", runs, MOST_RUNS)?;
    let [channels, height, width] = parse_input(&arguments.input)?;
    threads::set(arguments.measure.threads)?;
    let machine = Machine::measured();
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
        runs,
        cached: arguments.cached,
        top: arguments.topk,
    };
    let times = threads::compute(|| bench.run())?;
    let mut parts = [
        ("teacher", times.teacher_ms, times.teacher_flops),
        ("student", times.student_ms, times.student_flops),
        ("step", times.step_ms, times.step_flops),
    ]
    .map(|(name, ms, flops)| (name, Speed { ms, flops }))
    .to_vec();
    parts.extend(times.cached_ms.map(|ms| {
        let flops = times.student_flops;
        ("cached", Speed { ms, flops })
    }));
    if arguments.measure.json {
        let mut keys = Map::from_iter(
            [
                ("teacher", json!(arguments.teacher)),
                ("student", json!(arguments.student)),
                ("method", json!(arguments.method)),
                ("batch", json!(arguments.batch)),
                ("input", json!([channels, height, width])),
                ("classes", json!(arguments.classes)),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        for (name, speed) in parts {
            speed.insert(&mut keys, name, &machine);
        }
        return print_json(keys, runs, &machine);
    }
    let title = format!(
        "{} → {}, {}, batch {}",
        arguments.teacher, arguments.student, arguments.method, arguments.batch
    );
    let names = [
        "teacher forward",
        "student step",
        "whole step",
        "step, cached teacher",
    ];
    let rows: Vec<(String, Speed)> = names
        .into_iter()
        .zip(parts)
        .map(|(name, (_, speed))| (name.to_owned(), speed))
        .collect();
    print_table(&title, runs, &machine, &rows)
}
