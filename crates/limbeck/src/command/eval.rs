//! `limbeck eval`: a model on one part of a data set.

use std::io::{Write, stdout};
use std::path::Path;

use limbeck::data::{OpenOptions, open};
use limbeck::train::TrainError;
use limbeck::train::evaluate::EvaluationSet;
use limbeck::train::run_folder;
use serde_json::json;

use super::{predict::load_model, threads};
use crate::arguments::{EvalArguments, PartName};

/// How the run in the folder `model` split its data, so that nothing it was trained on is tested;
/// the usual split for a file.
pub fn split_of(model: &str) -> anyhow::Result<OpenOptions> {
    let recipe = run_folder::recipe_of(Path::new(model))?;
    Ok(
        recipe.map_or_else(OpenOptions::default, |recipe| OpenOptions {
            seed: recipe.data.split_seed,
            validation: recipe.data.validation,
            limit: None,
        }),
    )
}

/// Measures and prints.
pub fn run(arguments: &EvalArguments, quiet: bool) -> anyhow::Result<()> {
    threads::set(arguments.threads)?;
    let data =
        open(Path::new(&arguments.data), &split_of(&arguments.model)?).map_err(TrainError::from)?;
    let images = data.shape.map(|[_, height, width]| [height, width]);
    let model = load_model(&arguments.model, &arguments.file.facts(), images, quiet)?;
    let found = model.network.input().classes;
    if found != data.classes.len() {
        return Err(TrainError::ClassCount {
            teacher: arguments.model.clone(),
            teacher_classes: found,
            data_classes: data.classes.len(),
        }
        .into());
    }
    if let Some(names) = &model.class_names
        && *names != data.classes
    {
        eprintln!(
            "warning: the model's classes have other names ({}) than the data's ({}): are they the same, in the same order?",
            names.join(", "),
            data.classes.join(", ")
        );
    }
    let part = match arguments.part {
        PartName::Train => data.train,
        PartName::Validation => data.validation,
        PartName::Test => data.test,
    };
    let images = part.len();
    let set = EvaluationSet::new(part, &model.augment()?, 1)?;
    let (evaluation, _) = threads::compute(|| set.measure(&model.network, None))?;
    let mut out = stdout().lock();
    if arguments.json {
        let mut report = json!({
            "model": model.network.name(),
            "data": data.name,
            "images": images,
            "per_class": evaluation.per_class,
            "details": evaluation.details,
            "params": model.network.store.trained_count(),
            "macs": model.network.cost().macs,
        });
        for measure in &evaluation.measures {
            report[&measure.name] = json!(measure.value);
        }
        writeln!(out, "{report:#}")?;
        return Ok(());
    }
    writeln!(
        out,
        "{} on {} ({images} images)",
        model.network.name(),
        data.name
    )?;
    let titles = evaluation
        .measures
        .iter()
        .map(|measure| measure.title.chars().count());
    let width = titles.max().unwrap_or(0);
    for measure in &evaluation.measures {
        let number = measure.bare(measure.value, 2);
        writeln!(
            out,
            "  {:<width$}  {number:>8} {}",
            measure.title, measure.unit
        )?;
    }
    Ok(())
}
