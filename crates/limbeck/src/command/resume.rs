//! `limbeck resume`.

use limbeck::train::continual::Continual;
use limbeck::train::contract::Request;
use limbeck::train::experiment::{Plan, Series, find_data};
use limbeck::train::recipe::Recipe;
use limbeck::train::run_folder::{self, RunFolder};

use super::runs::{STOPPING, as_json, go_on, print_json};
use super::{continual, contract, interrupt, series, study, threads};
use crate::arguments::ResumeArguments;

/// Goes on with a run, a series or a search.
pub fn run(arguments: &ResumeArguments, quiet: bool) -> anyhow::Result<()> {
    threads::check(arguments.threads)?;
    if study::resume(&arguments.run, arguments, quiet)? {
        return Ok(());
    }
    let series = Series::open(&arguments.run)?;
    let runs = series.as_ref().map(Series::runs).unwrap_or_default();
    let begun = run_folder::recipe_of(runs.first().unwrap_or(&arguments.run))?;
    let begun = begun.and_then(|recipe| recipe.train.threads);
    threads::set(arguments.threads.or(begun))?;
    match &series {
        Some(_) => runs
            .iter()
            .try_for_each(|run| find_data(run, arguments.data.as_deref()))?,
        None => find_data(&arguments.run, arguments.data.as_deref())?,
    }
    if let Some(series) = series {
        let change = |recipe: &mut Recipe| arguments.apply(recipe);
        return series::go_on(series, change, arguments.json, quiet);
    }
    if let Some(request) = Request::read(&arguments.run)? {
        let folder = RunFolder::open(&arguments.run)?;
        return contract::resume(&request, &folder, arguments, quiet);
    }
    let recipe = run_folder::recipe_of(&arguments.run)?;
    if recipe.as_ref().is_some_and(Continual::is_asked_for) {
        let folder = RunFolder::open(&arguments.run)?;
        return continual::resume(folder.recipe()?, &folder, arguments, quiet);
    }
    let interrupt = interrupt::watch(STOPPING)?;
    let plan = |folder: &RunFolder| {
        let mut recipe = folder.recipe()?;
        arguments.apply(&mut recipe);
        Plan::new(recipe)
    };
    let results = go_on(&arguments.run, plan, quiet, &interrupt)?;
    if arguments.json {
        print_json(&as_json(&results, &arguments.run))?;
    }
    Ok(())
}
