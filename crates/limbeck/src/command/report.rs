//! `limbeck report`: a run's page, written again from its results.

use limbeck::report::render;
use limbeck::train::{files, run_folder};

use crate::arguments::ReportArguments;

/// Writes `report.html` in the run's folder.
pub fn run(arguments: &ReportArguments) -> anyhow::Result<()> {
    let results = run_folder::results_of(&arguments.run)?;
    let path = run_folder::report_of(&arguments.run);
    files::write_whole(&path, render(&results).as_bytes())?;
    println!("{}", path.display());
    Ok(())
}
