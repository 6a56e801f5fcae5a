//! Trainer, recipes, checkpoints, experiments and report of Limbeck.

pub mod results;
