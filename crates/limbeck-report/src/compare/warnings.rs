//! Where runs differ in what should be equal before their numbers are compared.

use crate::numbers::{count, counted};
use crate::results::{Results, SeedResult};

/// What is said where runs differ in something, and that something of a run.
type Check = (&'static str, fn(&Results) -> String);

/// One sentence for each thing that differs.
pub fn warnings(runs: &[Results]) -> Vec<String> {
    let checks: [Check; 7] = [
        (
            "They were tested on different data, so their results cannot be compared",
            |run| {
                let data = &run.data;
                format!(
                    "{} with {} classes and {} test images",
                    data.name,
                    data.classes.len(),
                    count(data.test as u64)
                )
            },
        ),
        ("They were trained on different numbers of images", |run| {
            counted(run.data.train, "image")
        }),
        ("Their students see images of different shapes", |run| {
            let [channels, height, width] = run.data.shape;
            format!("{channels}×{height}×{width}")
        }),
        ("They had different budgets", |run| {
            format!("{} epochs", epochs(&run.students))
        }),
        ("They have different seeds", |run| seeds(&run.students)),
        (
            "Their students are different networks, which is part of any difference",
            |run| run.student.name.clone(),
        ),
        ("Times were measured on different processors", |run| {
            let processor = run.environment.get("processor");
            processor.cloned().unwrap_or_else(|| "unknown".into())
        }),
    ];
    let mut found: Vec<String> = checks
        .iter()
        .filter_map(|(what, of)| differing(runs, what, of))
        .collect();
    let lacks_baseline = |run: &Results| run.baselines.is_empty() && !run.is_baseline();
    if runs.iter().any(lacks_baseline) {
        found.push(format!(
            "Without a baseline there is no gain: {}.",
            places(runs, lacks_baseline)
        ));
    }
    found
}

/// `what: value (runs 1 and 3), other value (run 2).` if the runs do not all have the same value.
fn differing(runs: &[Results], what: &str, of: &fn(&Results) -> String) -> Option<String> {
    let mut values: Vec<String> = Vec::new();
    for value in runs.iter().map(of) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    if values.len() < 2 {
        return None;
    }
    let parts: Vec<String> = values
        .iter()
        .map(|value| format!("{value} ({})", places(runs, |run| of(run) == *value)))
        .collect();
    Some(format!("{what}: {}.", parts.join(", ")))
}

/// `run 2`, `runs 1 and 3`, `runs 1, 3 and 4`.
fn places(runs: &[Results], chosen: impl Fn(&Results) -> bool) -> String {
    let numbers: Vec<String> = runs
        .iter()
        .enumerate()
        .filter(|(_, run)| chosen(run))
        .map(|(place, _)| (place + 1).to_string())
        .collect();
    match numbers.split_last() {
        Some((last, [])) => format!("run {last}"),
        Some((last, others)) => format!("runs {} and {last}", others.join(", ")),
        None => "no run".into(),
    }
}

fn epochs(seeds: &[SeedResult]) -> String {
    let mut lengths: Vec<usize> = seeds.iter().map(|seed| seed.epochs.len()).collect();
    lengths.dedup();
    let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
    lengths.join(" and ")
}

fn seeds(seeds: &[SeedResult]) -> String {
    let seeds: Vec<String> = seeds.iter().map(|seed| seed.seed.to_string()).collect();
    match seeds.as_slice() {
        [] => "none".into(),
        seeds => seeds.join(" "),
    }
}
