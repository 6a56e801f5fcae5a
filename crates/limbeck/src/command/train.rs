//! `limbeck train`.

use limbeck::methods::BASELINE;
use limbeck::train::{experiment::Stock, recipe::TeacherRecipe};

use super::runs::{Flags, resolve, start};
use crate::arguments::TrainArguments;

/// One run on labels alone.
pub fn run(arguments: &TrainArguments, quiet: bool) -> anyhow::Result<()> {
    let mut flags = Flags::default();
    flags.put("data", "path", arguments.data.as_deref());
    flags.put("student", "model", arguments.model.as_deref());
    flags.path("student", "weights", arguments.weights.as_deref());
    flags.path("student", "backbone", arguments.backbone.as_deref());
    flags.put("student", "weights_key", arguments.weights_key.as_deref());
    flags.put("student", "quantise", arguments.quantise.as_deref());
    flags.put("method", "name", Some(BASELINE));
    flags.put("train", "baseline", Some(false));
    let mut recipe = resolve(flags, &arguments.run, "--model")?;
    // `train` is training on labels alone, whatever teacher a recipe names.
    recipe.teacher = TeacherRecipe::default();
    start(recipe, &mut Stock::new(), &arguments.run, quiet)
}
