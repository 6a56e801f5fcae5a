//! `limbeck bench net`.

use limbeck::nn::{InputShape, model, quantise::Bits};
use limbeck::train::{
    bench::{Machine, NetworkBench},
    blueprint::build,
    recipe::OptimizerName,
};
use serde_json::{Map, json};

use super::{
    MOST_IMAGES, MOST_RUNS, check, profile,
    report::{Speed, StepBytes, insert, print_json, print_table},
    threads,
};
use crate::arguments::{NetworkArguments, NetworkOptimizer, NetworkPart};
use crate::command::inspect::{MOST_CLASSES, parse_input};
use crate::exit::Usage;

/// Measures the network asked for.
pub fn run(arguments: &NetworkArguments) -> anyhow::Result<()> {
    let runs = arguments.measure.runs;
    let entry = model::find(&arguments.model)?;
    let classes = arguments.classes.unwrap_or(entry.classes);
    check("--batch", arguments.batch, MOST_IMAGES)?;
    check("--classes", classes, MOST_CLASSES)?;
    check("--runs", runs, MOST_RUNS)?;
    let [channels, height, width] = match &arguments.input {
        Some(text) => parse_input(text)?,
        None => [3, entry.size, entry.size],
    };
    let input = InputShape {
        channels,
        height,
        width,
        classes,
    };
    let network = build(&entry.name, input, 0)?;
    threads::set(arguments.measure.threads)?;
    if arguments.recompute && network.units() == 0 {
        let text = format!(
            "--recompute computes blocks again, and `{}` has none that could be told apart",
            entry.name
        );
        return Err(Usage(text).into());
    }
    let machine = Machine::measured();
    let (optimizer, optimizer_name) = match arguments.optimizer {
        NetworkOptimizer::Sgd => (OptimizerName::Sgd, "sgd"),
        NetworkOptimizer::Adamw => (OptimizerName::AdamW, "adamw"),
    };
    let bench = NetworkBench {
        network: &network,
        batch: arguments.batch,
        runs,
        inference: arguments.only != Some(NetworkPart::Training),
        quantised: arguments.quantise.map(Bits::new).transpose()?,
        profile: arguments.profile,
        recompute: arguments.recompute,
        training: (arguments.only != Some(NetworkPart::Inference)).then_some(optimizer),
    };
    let times = threads::compute(|| bench.run())?;
    let parts = [
        ("inference", times.inference_ms, times.inference_flops),
        (
            "whole_numbers",
            times.whole_numbers_ms,
            times.inference_flops,
        ),
        ("training", times.training_ms, times.training_flops),
    ]
    .map(|(name, ms, flops)| (name, ms.map(|ms| Speed { ms, flops })));
    let memory = StepBytes {
        predicted: times.predicted_memory,
        measured: times.step_memory,
    };
    let images_per_second = |speed: Speed| arguments.batch as f64 / speed.ms * 1e3;
    if arguments.measure.json {
        let mut keys = Map::from_iter(
            [
                ("model", json!(entry.name)),
                ("batch", json!(arguments.batch)),
                ("input", json!([channels, height, width])),
                ("classes", json!(classes)),
                ("optimizer", json!(optimizer_name)),
                ("recompute", json!(arguments.recompute)),
                ("params", json!(network.store.trained_count())),
                ("macs", json!(network.cost().macs)),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        for (name, speed) in parts {
            let per_second = speed.map(images_per_second);
            keys.insert(format!("{name}_images_per_second"), json!(per_second));
            insert(speed, &mut keys, name, &machine);
        }
        if arguments.profile {
            let told = times.profiles.iter().map(|(part, profile)| {
                (
                    part.replace(' ', "_"),
                    profile::json(profile, runs, &machine),
                )
            });
            keys.insert("profile".to_owned(), told.collect());
        }
        memory.insert(&mut keys);
        return print_json(keys, runs, &machine);
    }
    let rows: Vec<(String, Speed)> = parts
        .into_iter()
        .filter_map(|(name, speed)| {
            let speed = speed?;
            let per_second = images_per_second(speed);
            let name = name.replace('_', " ");
            Some((format!("{name:13}  {per_second:>9.1} images/s"), speed))
        })
        .collect();
    let title = format!(
        "{}, {channels}×{height}×{width}, {classes} classes, {optimizer_name}, batch {}",
        entry.name, arguments.batch
    );
    print_table(&title, runs, &machine, &rows, memory)?;
    for (part, found) in &times.profiles {
        profile::print(part, found, runs, &machine)?;
    }
    Ok(())
}
