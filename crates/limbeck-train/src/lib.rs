//! Trainer, recipes, checkpoints and experiments of Limbeck.

mod augmentation;
pub mod average;
pub mod bench;
pub mod blueprint;
pub mod cache;
pub mod checkpoint;
pub mod clip;
pub mod contract;
mod data;
pub mod environment;
mod error;
pub mod evaluate;
pub mod experiment;
pub mod files;
mod finite;
mod held_out;
pub mod hint_pairs;
pub mod job;
pub mod latency;
pub mod metric;
pub mod model_facts;
pub mod model_source;
pub mod named_model;
pub mod observer;
pub mod optimizer;
mod product;
pub mod recipe;
pub mod run_folder;
pub mod run_teacher;
pub mod schedule;
mod snapshot;
pub mod step;
mod sweep;
pub mod teacher;
mod teacher_file;

pub use error::TrainError;
