//! `limbeck report`: a run's page, written again from its results.

use limbeck::report::{render, render_continual};
use limbeck::train::{continual, files, run_folder};

use crate::arguments::ReportArguments;

/// Writes `report.html` in the run's folder; of classes that are learnt in steps, what they found so far.
pub fn run(arguments: &ReportArguments) -> anyhow::Result<()> {
    let page = match continual::results_of(&arguments.run)? {
        Some(steps) => render_continual(&steps),
        None => render(&run_folder::results_of(&arguments.run)?),
    };
    let path = run_folder::report_of(&arguments.run);
    files::write_whole(&path, page.as_bytes())?;
    println!("{}", path.display());
    Ok(())
}
