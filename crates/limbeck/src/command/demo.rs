//! `limbeck demo`: the whole job on generated images.

use limbeck::train::{experiment::Stock, recipe::Layers};

use super::runs;
use crate::arguments::{DemoArguments, RunArguments, TaskName};

/// The demo's recipes; also examples of such.
const CLASSIFICATION: &str = include_str!("demo.toml");
const SEGMENTATION: &str = include_str!("demo-segmentation.toml");
const DETECTION: &str = include_str!("demo-detection.toml");
const PRETRAINING: &str = include_str!("demo-pretraining.toml");

/// Trains a teacher, distils it with several seeds next to the baseline, and writes the report.
pub fn run(arguments: &DemoArguments, quiet: bool) -> anyhow::Result<()> {
    let mut layers = Layers::new();
    let recipe = match arguments.task {
        TaskName::Classification => CLASSIFICATION,
        TaskName::Segmentation => SEGMENTATION,
        TaskName::Detection => DETECTION,
        TaskName::Pretraining => PRETRAINING,
    };
    layers.parse(recipe, "the demo's recipe")?;
    if let Some(threads) = arguments.threads {
        layers.set(&format!("train.threads={threads}"))?;
    }
    let run = RunArguments {
        out: arguments.out.clone(),
        json: arguments.json,
        ..RunArguments::default()
    };
    runs::start(layers.resolve()?, &mut Stock::new(), &run, quiet)
}
