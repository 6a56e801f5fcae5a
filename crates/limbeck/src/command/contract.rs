//! `limbeck contract`: the search for a smaller TinyViT.

use std::io::{Write, stdout};

use limbeck::methods::BASELINE;
use limbeck::nn::model::tinyvit::TinyVitFactors;
use limbeck::nn::weights;
use limbeck::train::contract::{ContractEnd, ContractLog, Request, execute};
use limbeck::train::experiment::Plan;
use limbeck::train::named_model::ModelSource;
use limbeck::train::observer::Observer;
use limbeck::train::recipe::{Recipe, TeacherRecipe};
use limbeck::train::run_folder::RunFolder;
use serde_json::json;

use super::runs::{Flags, STOPPING, describe, resolve};
use super::{interrupt, threads};
use crate::arguments::{ContractArguments, ResumeArguments};
use crate::exit::{Interrupted, Usage};
use crate::progress::Progress;

/// The flag that names the net to begin with.
const FROM: &str = "--from";

/// Searches in a new folder.
pub fn run(arguments: &ContractArguments, quiet: bool) -> anyhow::Result<()> {
    let request = Request {
        max_params: arguments.max_params,
        max_macs: arguments.max_macs,
        min_images_per_second: arguments.min_images_per_second,
        steps: arguments.steps,
    };
    request.check()?;
    let mut flags = Flags::default();
    flags.put("data", "path", arguments.data.as_deref());
    let from = arguments.from.as_deref().map(name_of).transpose()?;
    flags.put("student", "model", from);
    flags.put("method", "name", Some(BASELINE));
    flags.put("train", "baseline", Some(false));
    let mut recipe = resolve(flags, &arguments.run, FROM)?;
    prepare(&mut recipe)?;
    threads::set(recipe.train.threads)?;
    let plan = Plan::new(recipe)?;
    if arguments.run.dry_run {
        return describe(&plan, arguments.run.json, quiet);
    }
    let folder = RunFolder::create(arguments.run.out.as_deref(), "contract")?;
    // What was asked for comes first: with the recipe the folder is a run's.
    request.write(&folder)?;
    folder.write_recipe(&plan.recipe)?;
    carry_out(&plan, &request, &folder, arguments.run.json, quiet)
}

/// Goes on with a search that was stopped. The compute threads have been set.
pub fn resume(
    request: &Request,
    folder: &RunFolder,
    arguments: &ResumeArguments,
    quiet: bool,
) -> anyhow::Result<()> {
    let mut recipe = folder.recipe()?;
    arguments.apply(&mut recipe);
    let plan = Plan::new(recipe)?;
    carry_out(&plan, request, folder, arguments.json, quiet)
}

/// Name of the model that `source` is or holds.
fn name_of(source: &str) -> anyhow::Result<String> {
    Ok(match ModelSource::recognise(source)? {
        ModelSource::Zoo(name) => name,
        ModelSource::File(file) => weights::read_metadata(&file)?.model,
    })
}

/// The base is told by its factors, as its neighbours are, and nothing but labels is learnt from.
fn prepare(recipe: &mut Recipe) -> anyhow::Result<()> {
    if recipe.train.seeds > 1 {
        return Err(Usage(
            "a search trains each candidate with one seed; leave --seeds out".to_owned(),
        )
        .into());
    }
    recipe.student.model = TinyVitFactors::of(&recipe.student.model)?.to_string();
    recipe.student.weights = None;
    recipe.teacher = TeacherRecipe::default();
    Ok(())
}

fn carry_out(
    plan: &Plan,
    request: &Request,
    folder: &RunFolder,
    json: bool,
    quiet: bool,
) -> anyhow::Result<()> {
    let interrupt = interrupt::watch(STOPPING)?;
    let mut progress = Progress::new(quiet);
    progress.note(&format!("search: {}", folder.path().display()));
    let end = threads::compute(|| execute(plan, request, folder, &mut progress, &interrupt))?;
    drop(progress);
    match end {
        ContractEnd::Interrupted => Err(Interrupted(format!(
            "interrupted; go on with: limbeck resume {}",
            folder.path().display()
        ))
        .into()),
        ContractEnd::Finished(log) => conclude(&log, plan, folder, json, quiet),
    }
}

/// The table on standard output, or one object.
fn conclude(
    log: &ContractLog,
    plan: &Plan,
    folder: &RunFolder,
    json: bool,
    quiet: bool,
) -> anyhow::Result<()> {
    let found = log.found();
    let mut out = stdout().lock();
    if json {
        let report = json!({
            "run": folder.path().display().to_string(),
            "model": found.model,
            "params": found.params,
            "macs": found.macs,
            "score": found.score,
            "log": log,
        });
        writeln!(out, "{report:#}")?;
    } else {
        write!(out, "{}", log.table())?;
    }
    if !quiet {
        eprintln!("\nfound: {}", found.model);
        eprintln!(
            "train it: limbeck train {} --model {}",
            plan.recipe.data.path, found.model
        );
    }
    Ok(())
}
