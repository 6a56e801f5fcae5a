//! What a study will train, and how long that takes, before anything is trained.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use limbeck::nn::InputShape;
use limbeck::report::{detectable, what_seeds_show};
use limbeck::train::{bench::LossBench, recipe::Recipe, study::Study};
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
        study.recipe().seeds,
        match teachers {
            0 => String::new(),
            1 => ", after a teacher".to_owned(),
            more => format!(", after {more} teachers"),
        }
    );
    eprintln!("{}", what_seeds_show(study.recipe().seeds));
}

/// Says it cell by cell, with the time that each takes.
pub fn describe(study: &Study, json: bool) -> anyhow::Result<()> {
    let costs = Costs::read()?;
    let mut steps = BTreeMap::new();
    let mut hours = Vec::new();
    for cell in study.cells() {
        let factor = cell.key.method.split('+').filter_map(|id| costs.of(id));
        let factor = factor.map(|cost| cost.step).fold(1.0, f64::max);
        let seconds = training_seconds(&cell.recipe, &mut steps).map(|seconds| seconds * factor);
        hours.push(seconds.map(|seconds| seconds * study.recipe().seeds as f64 / 3600.0));
    }
    let teachers: Vec<Option<f64>> = (study.teachers().iter())
        .map(|teacher| Some(training_seconds(&teacher.recipe, &mut steps)? / 3600.0))
        .collect();
    let all: Option<f64> = hours.iter().chain(&teachers).copied().sum();
    if json {
        let cells = study.cells().iter().zip(&hours).map(|(cell, hours)| {
            json!({ "cell": cell.name, "trainings": study.recipe().seeds, "hours": hours })
        });
        let teachers = study.teachers().iter().zip(&teachers);
        let teachers =
            teachers.map(|(teacher, hours)| json!({ "teacher": teacher.name, "hours": hours }));
        return crate::command::runs::print_json(&json!({
            "cells": cells.collect::<Vec<_>>(),
            "teachers": teachers.collect::<Vec<_>>(),
            "trainings": study.trainings().count(),
            "hours": all,
            "detectable": detectable(study.recipe().seeds),
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
        "about {} on this machine, by the steps' times measured just now",
        told(all)
    );
    Ok(write!(stdout().lock(), "{}", study.to_toml()?)?)
}

/// Seconds of one training on labels alone; `None` where its step cannot be measured apart.
fn training_seconds(recipe: &Recipe, steps: &mut BTreeMap<String, Option<f64>>) -> Option<f64> {
    let plan = limbeck::train::experiment::Plan::new(recipe.clone()).ok()?;
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
    Some(ms? / 1e3 * (images as f64 / batch as f64).ceil() * plan.epochs as f64)
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
