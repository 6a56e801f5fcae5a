//! What a study will train, and how long that takes, before anything is trained.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use limbeck::nn::InputShape;
use limbeck::report::{detectable, what_seeds_show};
use limbeck::train::{
    bench::LossBench,
    experiment::{Plan, Stock},
    recipe::{OptimizerName, Recipe},
    study::Study,
};
use serde_json::json;

use super::super::costs::Costs;
use crate::command::threads;

/// Says it in a few lines.
pub fn tell(study: &Study) {
    let cells = study.cells().len();
    let trainings = study.trainings().count();
    let teachers = study.teachers().len();
    eprintln!(
        "{cells} cells of {} seeds: {trainings} trainings{}",
        study.seeds(),
        match teachers {
            0 => String::new(),
            1 => ", after a teacher".to_owned(),
            more => format!(", after {more} teachers"),
        }
    );
    eprintln!("{}", what_seeds_show(study.seeds()));
}

/// Says it cell by cell, with the time that each takes.
pub fn describe(study: &Study, stock: &mut Stock, json: bool) -> anyhow::Result<()> {
    let costs = Costs::read()?;
    let mut steps = BTreeMap::new();
    let (mut hours, mut bytes) = (Vec::new(), Some(0));
    for cell in study.cells() {
        let factor = cell.key.method.split('+').filter_map(|id| costs.of(id));
        let factor = factor.map(|cost| cost.step).fold(1.0, f64::max);
        let needs = needs(&cell.recipe, stock, &mut steps);
        let all = study.seeds() as f64 * factor / 3600.0;
        hours.push(needs.seconds.map(|seconds| seconds * all));
        bytes = bytes
            .zip(needs.bytes)
            .map(|(all, own)| all + own * study.seeds() as u64);
    }
    let teachers: Vec<Needs> = (study.teachers().iter())
        .map(|teacher| needs(&teacher.recipe, stock, &mut steps))
        .collect();
    for teacher in &teachers {
        bytes = bytes.zip(teacher.bytes).map(|(all, own)| all + own);
    }
    let teachers: Vec<Option<f64>> = (teachers.iter())
        .map(|needs| Some(needs.seconds? / 3600.0))
        .collect();
    let all: Option<f64> = hours.iter().chain(&teachers).copied().sum();
    if json {
        let cells = study.cells().iter().zip(&hours).map(|(cell, hours)| {
            json!({ "cell": cell.name, "trainings": study.seeds(), "hours": hours })
        });
        let teachers = study.teachers().iter().zip(&teachers);
        let teachers =
            teachers.map(|(teacher, hours)| json!({ "teacher": teacher.name, "hours": hours }));
        return crate::command::runs::print_json(&json!({
            "cells": cells.collect::<Vec<_>>(),
            "teachers": teachers.collect::<Vec<_>>(),
            "trainings": study.trainings().count(),
            "hours": all,
            "bytes": bytes,
            "detectable": detectable(study.seeds()),
            "recipe": study.to_toml()?,
        }));
    }
    tell(study);
    let told =
        |hours: Option<f64>| hours.map_or("not known".to_owned(), |hours| format!("{hours:.2} h"));
    for (teacher, hours) in study.teachers().iter().zip(&teachers) {
        eprintln!(
            "  {:<40} {:>10}",
            format!("teacher {}", teacher.name),
            told(*hours)
        );
    }
    for (cell, hours) in study.cells().iter().zip(&hours) {
        eprintln!("  {:<40} {:>10}", cell.name, told(*hours));
    }
    eprintln!(
        "about {} on this machine, by the steps' times measured just now, and about {} on its disk, besides modules \
         that methods train along",
        told(all),
        bytes.map_or("an unknown number of bytes".to_owned(), in_words)
    );
    Ok(write!(stdout().lock(), "{}", study.to_toml()?)?)
}

/// What one training takes.
struct Needs {
    /// On labels alone; `None` where its step cannot be measured apart.
    seconds: Option<f64>,
    /// Of what it leaves on the disk; `None` where the network cannot be made.
    bytes: Option<u64>,
}

/// Page, numbers and logs of a run.
const BYTES_BESIDES: u64 = 130_000;

fn needs(recipe: &Recipe, stock: &mut Stock, steps: &mut BTreeMap<String, Option<f64>>) -> Needs {
    let Ok(plan) = Plan::of(recipe.clone(), stock) else {
        return Needs {
            seconds: None,
            bytes: None,
        };
    };
    let input = plan.input;
    let batch = recipe.data.batch;
    let key = format!("{} {batch} {input:?}", recipe.student.model);
    let ms = *steps
        .entry(key)
        .or_insert_with(|| step_ms(&recipe.student.model, input, batch));
    let images = match recipe.data.shots {
        Some(shots) => shots * plan.classes.len(),
        None => plan.dataset.train.len(),
    };
    let count = (images as f64 / batch as f64).ceil() * plan.epochs as f64;
    // The student that is deployed, the best and the last one, and a checkpoint with one number or two of the
    // optimiser beside each of the network.
    let copies = match recipe.optimizer.name {
        OptimizerName::AdamW => 6,
        _ => 5,
    };
    let student = plan.student(recipe.train.seed).ok();
    let numbers = student.map(|student| student.store.trained_count() as u64);
    Needs {
        seconds: ms.map(|ms| ms / 1e3 * count),
        bytes: numbers.map(|numbers| copies * 4 * numbers + BYTES_BESIDES),
    }
}

/// Such as `1.3 GB`.
fn in_words(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        megabytes if megabytes < 1000.0 => format!("{megabytes:.0} MB"),
        megabytes => format!("{:.1} GB", megabytes / 1e3),
    }
}

fn step_ms(student: &str, input: InputShape, batch: usize) -> Option<f64> {
    let bench = LossBench {
        teacher: student,
        student,
        input,
        batch,
        runs: 3,
        profile: false,
    };
    threads::compute(|| bench.student_step()).ok()
}
