//! Recipes: everything that decides what a run does, typed, in one TOML file.
//!
//! A recipe is put together from [`Layers`], later ones winning: the defaults, a file, the
//! command line's flags, `--set` assignments. Every value remembers where it was written, so that
//! an error can name file, line and column.

mod check;
mod defaults;
mod error;
mod evaluate;
mod layers;
mod method_tables;
mod nearest;
mod node;
mod paths;
mod probe;
mod quantise;
mod sections;
mod side_by_side;
mod table;
mod task;
mod typed;

#[cfg(test)]
mod tests;

pub(crate) use defaults::{DETECTOR_MINIMUM, DETECTOR_WARMUP};
pub use error::{Mistake, Place, RecipeError};
pub use evaluate::{EvaluateMode, EvaluateRecipe};
pub use layers::Layers;
pub use probe::ProbeRecipe;
pub use quantise::{QuantiseRecipe, QuantiserName};
pub use sections::{
    Choose, ChooseBy, DataRecipe, MethodRecipe, OptimizerName, OptimizerRecipe, Recipe,
    ScheduleName, ScheduleRecipe, StudentRecipe, TargetRecipe, TeacherRecipe, TrainRecipe,
};
pub use side_by_side::SideBySide;
pub use table::{put, table};
pub use task::{ClassWeights, DetectionRecipe, OhemRecipe, TaskName, TaskRecipe};
