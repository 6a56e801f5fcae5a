//! `limbeck bench side`.

use std::collections::BTreeMap;

use limbeck::nn::InputShape;
use limbeck::train::{
    bench::{Machine, SideBench, StepBench},
    recipe::OptimizerRecipe,
};
use serde_json::{Map, json};

use super::{
    MOST_IMAGES, MOST_RUNS, check,
    report::{Speed, StepBytes, insert, print_json, print_table},
    threads,
};
use crate::arguments::SideArguments;
use crate::command::inspect::{MOST_CLASSES, parse_input};

/// More trainings at the same time have no machine.
const MOST_TRAININGS: usize = 256;

/// Measures the trainings asked for.
pub fn run(arguments: &SideArguments) -> anyhow::Result<()> {
    let runs = arguments.measure.runs;
    check("--batch", arguments.batch, MOST_IMAGES)?;
    check("--classes", arguments.classes, MOST_CLASSES)?;
    check("--runs", runs, MOST_RUNS)?;
    check("--seeds", arguments.seeds, MOST_TRAININGS)?;
    let [channels, height, width] = parse_input(&arguments.input)?;
    let teacher = limbeck::methods::needs_teacher(&arguments.method)?;
    threads::set(arguments.measure.threads)?;
    let machine = Machine::measured();
    let bench = SideBench {
        step: StepBench {
            teacher: &arguments.teacher,
            student: &arguments.student,
            method: &arguments.method,
            settings: &BTreeMap::new(),
            optimizer: &OptimizerRecipe::default(),
            recompute: false,
            input: InputShape {
                channels,
                height,
                width,
                classes: arguments.classes,
            },
            batch: arguments.batch,
            runs,
            cached: false,
            top: None,
            profile: false,
        },
        trainings: arguments.seeds,
    };
    let times = threads::compute(|| bench.run())?;
    let speed = |ms| Speed {
        ms,
        flops: times.flops,
    };
    let parts = [
        ("alone", speed(times.alone_ms)),
        ("side", speed(times.side_ms)),
    ];
    if arguments.measure.json {
        let mut keys = Map::from_iter(
            [
                ("student", json!(arguments.student)),
                ("teacher", json!(teacher.then_some(&arguments.teacher))),
                ("method", json!(arguments.method)),
                ("seeds", json!(arguments.seeds)),
                ("batch", json!(arguments.batch)),
                ("input", json!([channels, height, width])),
                ("classes", json!(arguments.classes)),
                ("gain", json!(times.alone_ms / times.side_ms)),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        for (name, speed) in parts {
            insert(Some(speed), &mut keys, name, &machine);
        }
        return print_json(keys, runs, &machine);
    }
    let title = format!(
        "{} trainings of {} by {}, batch {}; a step of each",
        arguments.seeds, arguments.student, arguments.method, arguments.batch
    );
    let names = ["one after the other", "side by side"];
    let rows: Vec<(String, Speed)> = names
        .into_iter()
        .zip(parts)
        .map(|(name, (_, speed))| (name.to_owned(), speed))
        .collect();
    print_table(&title, runs, &machine, &rows, StepBytes::default())
}
