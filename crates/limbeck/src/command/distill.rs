//! `limbeck distill`.

use limbeck::train::{continual::Continual, experiment::Stock, recipe::Recipe};

use super::runs::{Flags, resolve, start};
use super::{continual, evidence, evidence::AUTO, series};
use crate::arguments::DistillArguments;
use crate::exit::Usage;

/// One run, or one for each method and student.
pub fn run(arguments: &DistillArguments, quiet: bool) -> anyhow::Result<()> {
    let mut recipes = Vec::new();
    let mut stock = Stock::new();
    for student in each(&arguments.student) {
        for method in each(&arguments.method) {
            let mut flags = Flags::default();
            flags.put("data", "path", arguments.data.as_deref());
            flags.put("teacher", "source", arguments.teacher.as_deref());
            flags.teacher_file(&arguments.teacher_file);
            flags.put("student", "model", student);
            flags.path("student", "weights", arguments.weights.as_deref());
            flags.path("student", "backbone", arguments.backbone.as_deref());
            let teacher_backbone = arguments.teacher_backbone.as_deref();
            flags.path("teacher", "backbone", teacher_backbone);
            flags.put("student", "weights_key", arguments.weights_key.as_deref());
            flags.put("student", "quantise", arguments.quantise.as_deref());
            flags.put("method", "name", method);
            flags.put("train", "baseline", arguments.baseline.then_some(true));
            flags.put("task", "continual", arguments.tasks.as_deref());
            if let Some(target) = &arguments.target {
                let path = toml::Value::from(target.as_str());
                let table = toml::Table::from_iter([("path".to_owned(), path)]);
                flags.put("data", "target", Some(table));
            }
            recipes.push(settled(flags, arguments, &mut stock, quiet)?);
        }
    }
    let steps = recipes.iter().any(Continual::is_asked_for);
    match recipes.len() {
        1 if steps => continual::start(recipes.remove(0), &arguments.run, quiet),
        _ if steps => Err(Usage(
            "classes are learnt in steps by one method and one student at a time".to_owned(),
        )
        .into()),
        1 => start(recipes.remove(0), &mut stock, &arguments.run, quiet),
        _ => series::start(recipes, stock, &arguments.run, quiet),
    }
}

/// The recipe, with the method that the evidence supports where none is named.
fn settled(
    flags: Flags,
    arguments: &DistillArguments,
    stock: &mut Stock,
    quiet: bool,
) -> anyhow::Result<Recipe> {
    let run = &arguments.run;
    let asked = flags.over(run.recipe.as_deref(), &run.set)?;
    // Settings of a method are settings of one that is known.
    let named = asked.asks_for("method") && asked.text("method.name") != Some(AUTO);
    // Steps of classes are no single training that could be tried.
    if named || asked.asks_for("task.continual") {
        return resolve(flags, run, "--student");
    }
    let named = |method: &str| {
        let mut named = run.clone();
        named.set.push(format!("method.name={method}"));
        resolve(flags.clone(), &named, "--student")
    };
    let (recipe, why) = evidence::choose(named, stock)?;
    if !quiet {
        eprintln!("method {why}; --method NAME takes another");
    }
    Ok(recipe)
}

/// The names of a list, or nothing once where there are none.
fn each(names: &[String]) -> Vec<Option<&str>> {
    match names {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    }
}
