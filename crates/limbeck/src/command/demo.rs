//! `limbeck demo`: the whole job on generated images.

use limbeck::train::recipe::Layers;

use super::runs;
use crate::arguments::{DemoArguments, RunArguments};

/// The demo's recipe; also an example of one.
const RECIPE: &str = include_str!("demo.toml");

/// Trains a teacher, distils it with five seeds next to the baseline, and writes the report.
pub fn run(arguments: &DemoArguments, quiet: bool) -> anyhow::Result<()> {
    let mut layers = Layers::new();
    layers.parse(RECIPE, "the demo's recipe")?;
    if let Some(threads) = arguments.threads {
        layers.set(&format!("train.threads={threads}"))?;
    }
    let run = RunArguments {
        out: arguments.out.clone(),
        json: arguments.json,
        ..RunArguments::default()
    };
    runs::start(layers.resolve()?, &run, quiet)
}
