//! Trainer, recipes, checkpoints, experiments and report of Limbeck.

pub mod average;
pub mod checkpoint;
pub mod clip;
pub mod files;
pub mod gain;
pub mod loss;
pub mod metric;
pub mod optimizer;
pub mod recipe;
pub mod report;
pub mod results;
pub mod schedule;
