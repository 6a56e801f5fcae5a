//! `limbeck distill` with several methods or students: runs that have data and teacher in common.

use anyhow::Context;
use limbeck::train::experiment::{Plan, Series, Stock, arrange};
use limbeck::train::recipe::Recipe;
use limbeck::{report, train::files};
use serde_json::Value;

use super::{interrupt, runs, threads};
use crate::arguments::RunArguments;
use crate::exit::Interrupted;

/// Checks all recipes, with what is in `stock` already, and runs them one after the other in a new folder.
pub fn start(
    recipes: Vec<Recipe>,
    mut stock: Stock,
    arguments: &RunArguments,
    quiet: bool,
) -> anyhow::Result<()> {
    threads::set(recipes[0].train.threads)?;
    let out = arguments.out.as_deref();
    let mut plans = Vec::new();
    for recipe in recipes {
        plans.push(Plan::of(recipe, &mut stock)?);
    }
    let students = arrange(&mut plans)?;
    if arguments.dry_run {
        runs::refuse_existing(out)?;
        return plans
            .iter()
            .try_for_each(|plan| runs::describe(plan, arguments.json, quiet));
    }
    let series = Series::create(out, plans, students)?;
    go_on(series, |_: &mut Recipe| {}, arguments.json, quiet)
}

/// Goes on with whatever is left of a series, its recipes changed by `change`, and compares the runs.
pub fn go_on(
    mut series: Series,
    change: impl Fn(&mut Recipe),
    json: bool,
    quiet: bool,
) -> anyhow::Result<()> {
    let interrupt = interrupt::watch(runs::STOPPING)?;
    let mut results = Vec::new();
    let mut objects = Vec::new();
    for run in series.runs() {
        let found = match runs::go_on(
            &run,
            |folder| series.plan(folder, &change),
            quiet,
            &interrupt,
        ) {
            Err(error) if error.is::<Interrupted>() => {
                return Err(Interrupted(format!(
                    "interrupted; go on with: limbeck resume {}",
                    series.path().display()
                ))
                .into());
            }
            found => found?,
        };
        objects.push(runs::as_json(&found, &run));
        results.push(found);
    }
    series.finish()?;
    let page = series.comparison();
    files::write_whole(&page, report::compare(&results).as_bytes())
        .with_context(|| format!("`{}` cannot be written", page.display()))?;
    if !quiet {
        eprintln!("\n{}", report::compare_text(&results));
        eprintln!("comparison: {}", page.display());
    }
    if json {
        runs::print_json(&Value::Array(objects))?;
    }
    Ok(())
}
