//! A whole experiment in one call, for users of the library.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use limbeck_report::Results;

use super::{Plan, RunEnd, Stock, arrange, execute};
use crate::{
    TrainError,
    observer::Observer,
    recipe::Recipe,
    run_folder::{self, RunFolder},
};

/// Carries out `recipe` with what is in `stock`: teacher, students, baselines, the test at the end,
/// the report. `out` is the run's folder: a new one, or that of an earlier call, which goes on where
/// that was stopped; where that has finished, its results are given back. Everything that decides
/// what comes out has to be as it was then.
///
/// # Errors
/// Whatever is wrong with recipe, data, networks or method; checkpoints written so far are whole.
pub fn run(
    recipe: Recipe,
    stock: &mut Stock,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Results, TrainError> {
    let mut plan = Plan::of(recipe, stock)?;
    arrange(std::slice::from_mut(&mut plan))?;
    let folder = RunFolder::create_or_open(out, &plan.recipe)?;
    if let Some(results) = run_folder::finished(out)? {
        return Ok(results);
    }
    let command: Vec<String> = std::env::args().collect();
    let never = AtomicBool::new(false);
    match execute(&plan, &folder, &command.join(" "), observer, &never)? {
        RunEnd::Finished(results) => Ok(*results),
        RunEnd::Interrupted => Err(TrainError::RunFolder {
            path: out.to_owned(),
            reason: "the run was interrupted; the same call goes on with it".to_owned(),
        }),
    }
}
