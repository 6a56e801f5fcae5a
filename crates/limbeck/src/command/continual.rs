//! `limbeck distill --tasks`: classes that are learnt one group after the other.

use std::io::{Write, stdout};

use limbeck::report::ContinualResults;
use limbeck::train::continual::{Continual, ContinualEnd};
use limbeck::train::observer::Observer;
use limbeck::train::recipe::Recipe;
use limbeck::train::run_folder::RunFolder;
use serde_json::json;

use super::runs::{STOPPING, print_json, refuse_existing};
use super::{interrupt, threads};
use crate::arguments::{ResumeArguments, RunArguments};
use crate::exit::Interrupted;
use crate::progress::Progress;

/// Checks a recipe whole and goes through its steps in a new folder.
pub fn start(recipe: Recipe, arguments: &RunArguments, quiet: bool) -> anyhow::Result<()> {
    threads::set(recipe.train.threads)?;
    let sequence = Continual::new(recipe)?;
    let out = arguments.out.as_deref();
    if arguments.dry_run {
        refuse_existing(out)?;
        return describe(&sequence, arguments.json, quiet);
    }
    let recipe = &sequence.recipe;
    let stem = format!("{}-{}-steps", recipe.method.name, recipe.student.model);
    let folder = RunFolder::create(out, &stem)?;
    folder.write_recipe(recipe)?;
    carry_out(&sequence, &folder, arguments.json, quiet)
}

/// Goes on with steps that were stopped. The compute threads have been set.
pub fn resume(
    mut recipe: Recipe,
    folder: &RunFolder,
    arguments: &ResumeArguments,
    quiet: bool,
) -> anyhow::Result<()> {
    arguments.apply(&mut recipe);
    let sequence = Continual::new(recipe)?;
    carry_out(&sequence, folder, arguments.json, quiet)
}

/// The recipe goes to standard output, so that it can be kept; the rest to standard error.
fn describe(sequence: &Continual, json: bool, quiet: bool) -> anyhow::Result<()> {
    let recipe = sequence.recipe.to_toml()?;
    let (notes, warnings) = (sequence.notes(), &sequence.joint.warnings);
    if json {
        return print_json(&json!({ "notes": notes, "warnings": warnings, "recipe": recipe }));
    }
    if !quiet {
        for note in &notes {
            eprintln!("{note}");
        }
    }
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    write!(stdout().lock(), "{recipe}")?;
    Ok(())
}

fn carry_out(
    sequence: &Continual,
    folder: &RunFolder,
    json: bool,
    quiet: bool,
) -> anyhow::Result<()> {
    let interrupt = interrupt::watch(STOPPING)?;
    let mut progress = Progress::new(quiet);
    progress.note(&format!("run: {}", folder.path().display()));
    let end = threads::compute(|| sequence.execute(folder, &mut progress, &interrupt))?;
    drop(progress);
    match end {
        ContinualEnd::Interrupted => Err(Interrupted(format!(
            "interrupted; go on with: limbeck resume {}",
            folder.path().display()
        ))
        .into()),
        ContinualEnd::Finished(results) => conclude(&results, folder, json, quiet),
    }
}

/// The table on standard output, or one object.
fn conclude(
    results: &ContinualResults,
    folder: &RunFolder,
    json: bool,
    quiet: bool,
) -> anyhow::Result<()> {
    match json {
        true => print_json(&json!({
            "run": folder.path().display().to_string(),
            "results": results,
        }))?,
        false => write!(stdout().lock(), "{}", results.table())?,
    }
    if !quiet {
        eprintln!("\nstudent: {}", folder.student().display());
        eprintln!("report:  {}", folder.report().display());
    }
    Ok(())
}
