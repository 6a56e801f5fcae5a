//! `limbeck bench step`.

use limbeck::nn::InputShape;
use limbeck::train::{
    bench::{Machine, StepBench, TeacherTimes},
    recipe::Layers,
};
use serde_json::{Map, json};

use super::{
    MOST_IMAGES, MOST_RUNS, check, profile,
    report::{Speed, StepBytes, insert, print_json, print_table},
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
    let mut layers = Layers::new();
    layers.set(&format!("method.name={:?}", arguments.method))?;
    for assignment in &arguments.set {
        layers.set(assignment)?;
    }
    let recipe = layers.resolve()?;
    let settings = recipe.method.values();
    threads::set(arguments.measure.threads)?;
    let machine = Machine::measured();
    let bench = StepBench {
        teacher: &arguments.teacher,
        student: &arguments.student,
        method: &arguments.method,
        settings: &settings,
        optimizer: &recipe.optimizer,
        recompute: recipe.train.recompute,
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
        profile: arguments.profile,
    };
    let times = threads::compute(|| bench.run())?;
    let memory = StepBytes {
        predicted: times.predicted_memory,
        measured: times.step_memory,
    };
    let of_teacher = times
        .teacher
        .map(|TeacherTimes { ms, flops }| Speed { ms, flops });
    let speed = |ms, flops| Some(Speed { ms, flops });
    let parts = [
        ("teacher", of_teacher),
        ("student", speed(times.student_ms, times.student_flops)),
        ("step", speed(times.step_ms, times.step_flops)),
        (
            "cached",
            times
                .cached_ms
                .and_then(|ms| speed(ms, times.student_flops)),
        ),
    ];
    if arguments.measure.json {
        let mut keys = Map::from_iter(
            [
                ("teacher", json!(arguments.teacher)),
                ("student", json!(arguments.student)),
                ("method", json!(arguments.method)),
                ("set", json!(arguments.set)),
                ("batch", json!(arguments.batch)),
                ("input", json!([channels, height, width])),
                ("classes", json!(arguments.classes)),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        let asked = |name: &str| name != "cached" || arguments.cached;
        for (name, speed) in parts.into_iter().filter(|(name, _)| asked(name)) {
            insert(speed, &mut keys, name, &machine);
        }
        memory.insert(&mut keys);
        if let Some(found) = &times.profile {
            let told = profile::json(found, runs, &machine);
            keys.insert("profile".to_owned(), told);
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
        .filter_map(|(name, (_, speed))| Some((name.to_owned(), speed?)))
        .collect();
    print_table(&title, runs, &machine, &rows, memory)?;
    match &times.profile {
        Some(found) => profile::print("whole step", found, runs, &machine),
        None => Ok(()),
    }
}
