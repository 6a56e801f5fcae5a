//! `limbeck report`: a run's page, written again from its results; of classes learnt in steps, the
//! table.

use std::io::{Write, stdout};

use limbeck::report::render;
use limbeck::train::{continual, files, run_folder};

use crate::arguments::ReportArguments;

/// Writes `report.html` in the run's folder. Steps have no page: what they found so far is printed.
pub fn run(arguments: &ReportArguments) -> anyhow::Result<()> {
    if let Some(steps) = continual::results_of(&arguments.run)? {
        write!(stdout().lock(), "{}", steps.table())?;
        return Ok(());
    }
    let results = run_folder::results_of(&arguments.run)?;
    let path = run_folder::report_of(&arguments.run);
    files::write_whole(&path, render(&results).as_bytes())?;
    println!("{}", path.display());
    Ok(())
}
