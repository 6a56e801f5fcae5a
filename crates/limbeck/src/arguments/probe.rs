//! What `limbeck probe` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ModelFileArguments;

/// How embeddings are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProbeName {
    /// A linear map on the frozen network: ridge regression, its strength chosen by leaving each image
    /// out
    Linear,
    /// The nearest training images vote
    Knn,
    /// The whole network goes on learning, from labels
    Finetune,
}

/// `limbeck probe`.
#[derive(Debug, Args)]
pub struct ProbeArguments {
    /// A run folder, whose students, baselines and teacher are judged, or a weights file
    #[arg(value_name = "RUN")]
    pub model: String,
    /// Images with labels to judge by: a folder, or `shapes`
    #[arg(value_name = "DATA")]
    pub data: String,
    /// How
    #[arg(long, value_enum, default_value = "linear")]
    pub how: ProbeName,
    /// Learn from this many images of each class; from all where missing
    #[arg(long, value_name = "N")]
    pub shots: Option<usize>,
    /// How many times shots are drawn
    #[arg(long, value_name = "N", default_value_t = 1, requires = "shots",
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub draws: u64,
    /// The first draw
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1 << 62))]
    pub seed: u64,
    /// Images that vote, with `--how knn`
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub neighbours: u64,
    /// Epochs, with `--how finetune`
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Start from this recipe, with `--how finetune`
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Change one setting of the recipe, with `--how finetune`, such as optimizer.layer_decay=0.75
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of the fine-tuning runs, new, empty or one to go on with [default: one beside RUN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Compute threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// What a weights file does not tell
    #[command(flatten)]
    pub file: ModelFileArguments,
}
