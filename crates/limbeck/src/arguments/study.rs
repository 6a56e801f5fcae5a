//! What `limbeck study` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::TaskName;

/// `limbeck study`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct StudyArguments {
    /// What is done with a study that is there
    #[command(subcommand)]
    pub command: Option<StudyCommand>,
    /// A recipe with [study] (a .toml file), or a data set
    #[arg(value_name = "FILE|DATA", required = true)]
    pub what: Option<String>,
    /// Teachers: run folders, weights files, or models that are trained first, once
    #[arg(long, value_name = "T", value_delimiter = ',')]
    pub teacher: Vec<String>,
    /// Students (see `limbeck models`)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub student: Vec<String>,
    /// Methods (see `limbeck methods`); baselines are added
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub method: Vec<String>,
    /// Images of each class, drawn anew for each seed
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub shots: Vec<usize>,
    /// The null experiment: draws of N pairs of trainings that differ in nothing but their seed, to see
    /// whether intervals hold what they promise; without --method
    #[arg(long, value_name = "N", conflicts_with = "method")]
    pub null: Option<usize>,
    /// Draws of the null experiment
    #[arg(long, value_name = "N", requires = "null", default_value_t = 60)]
    pub draws: usize,
    /// Budgets: epochs of each training
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub epochs: Vec<usize>,
    /// Trainings of each cell [default: 5]
    #[arg(long, value_name = "N")]
    pub seeds: Option<usize>,
    /// Add seeds to all cells until the 95 % interval of every gain reaches no farther than P points to
    /// either side
    #[arg(long, value_name = "P", conflicts_with = "null")]
    pub precision: Option<f64>,
    /// Seeds that --precision does not go beyond [default: 30]
    #[arg(long, value_name = "N", requires = "precision")]
    pub most_seeds: Option<usize>,
    /// Of all cells these alone, and what they are compared with (names as --dry-run says them)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub cell: Vec<String>,
    /// Images per step
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Train on at most this many images, balanced over the classes
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// What is learnt, where the data has labels for several tasks
    #[arg(long, value_enum)]
    pub task: Option<TaskName>,
    /// Change one setting of all cells, such as optimizer.learning_rate=0.1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Change one setting of the teachers that are trained first, such as train.epochs=60
    #[arg(long = "teacher-set", value_name = "KEY=VALUE")]
    pub teacher_set: Vec<String>,
    /// Folder of the study; one that was begun with the same recipe is gone on with [default: a new
    /// one in studies/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Check all cells, say what would be trained and how long it takes, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// How it is carried out
    #[command(flatten)]
    pub carry: CarryArguments,
}

/// How a study is carried out.
#[derive(Debug, Clone, Default, Args)]
pub struct CarryArguments {
    /// Do the I-th of N shares, such as 1/3, while other processes or machines do the others in the same
    /// folder
    #[arg(long, value_name = "I/N", value_parser = parse_share)]
    pub shard: Option<[usize; 2]>,
    /// Compute threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print the results as JSON at the end, on standard output
    #[arg(long)]
    pub json: bool,
}

/// Such as `1/3`.
pub fn parse_share(text: &str) -> Result<[usize; 2], String> {
    let parts = text.split_once('/').and_then(|(share, of)| {
        let (share, of) = (share.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&share).then_some([share, of])
    });
    parts.ok_or_else(|| "expected a share such as 1/3: the first of three".to_owned())
}

/// What is done with a study that is there.
#[derive(Debug, Subcommand)]
pub enum StudyCommand {
    /// Say how far a study is and what it has found
    Status(StudyFolder),
    /// Write a study's page and tables from its runs, or from its results.json where the runs are not there
    Page(StudyFolder),
    /// Add methods, students or seeds to a study and go on; nothing is trained twice
    Add(AddArguments),
    /// Print a job script that carries out a study in shares
    Script(ScriptArguments),
}

/// The folder of a study.
#[derive(Debug, Args)]
pub struct StudyFolder {
    /// Folder of the study
    #[arg(value_name = "DIR")]
    pub study: PathBuf,
    /// Print the results as JSON, on standard output
    #[arg(long)]
    pub json: bool,
}

/// `limbeck study add`.
#[derive(Debug, Args)]
pub struct AddArguments {
    /// Folder of the study
    #[arg(value_name = "DIR")]
    pub study: PathBuf,
    /// More methods
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub method: Vec<String>,
    /// More students
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub student: Vec<String>,
    /// Seeds of each cell from now on, at least as many as before
    #[arg(long, value_name = "N")]
    pub seeds: Option<usize>,
    /// How it is carried out
    #[command(flatten)]
    pub carry: CarryArguments,
}

/// `limbeck study script`.
#[derive(Debug, Args)]
pub struct ScriptArguments {
    /// What runs the jobs
    #[arg(value_enum)]
    pub scheduler: Scheduler,
    /// Folder of the study
    #[arg(value_name = "DIR")]
    pub study: PathBuf,
    /// Shares
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub shards: usize,
}

/// What runs jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheduler {
    /// An array of jobs for Slurm's sbatch
    Slurm,
    /// A line for GNU parallel
    Parallel,
}
