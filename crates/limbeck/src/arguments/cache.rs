//! What can be typed after `limbeck cache`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::TeacherFileArguments;

/// `limbeck cache`.
#[derive(Debug, Args)]
pub struct CacheArguments {
    /// What to do
    #[command(subcommand)]
    pub what: CacheCommand,
}

/// What can be done with stored outputs.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Run a teacher once over every view that training will see, and store what it gives out
    Build(Box<CacheBuildArguments>),
    /// Say what a cache holds
    Info(CacheInfoArguments),
    /// Check every record, and ask the teacher again about some
    Verify(CacheVerifyArguments),
    /// Put shards that were built on several machines together
    Merge(CacheMergeArguments),
}

/// `limbeck cache build`.
#[derive(Debug, Args)]
#[command(after_long_help = BUILD_NOTES)]
pub struct CacheBuildArguments {
    /// Folder of images (IDX, CIFAR, class folders, images and masks), `shapes` or `scenes` [default:
    /// the recipe's]
    #[arg(value_name = "DATA")]
    pub data: Option<String>,
    /// A run folder or a weights file
    #[arg(long, value_name = "TEACHER")]
    pub teacher: Option<String>,
    /// Views of each training image; longer runs see them again [default: the recipe's epochs]
    #[arg(long, value_name = "N", conflicts_with = "epochs")]
    pub views: Option<usize>,
    /// The same: one view for each epoch
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Of the logits, store the K most probable classes alone, of a teacher that segments those of each
    /// position
    #[arg(long, value_name = "K")]
    pub topk: Option<usize>,
    /// Of a teacher that segments, store a map of logits with 1/N of the rows and columns of its images,
    /// averaged over what it gives out [default: its own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub at: Option<u16>,
    /// Store these taps too (see `limbeck inspect`), joined by commas
    #[arg(long, value_name = "TAP,…", value_delimiter = ',')]
    pub taps: Vec<String>,
    /// How numbers are stored
    #[arg(long, value_enum, default_value_t = StoredNumbers::F16)]
    pub dtype: StoredNumbers,
    /// Seed of the views [default: the recipe's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 62))]
    pub seed: Option<u64>,
    /// Train on at most this many images, balanced over the classes; validation and test part stay
    /// whole
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Compute threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Threads that load images [default: one; 0 loads between the passes]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Take data and augmentation from this recipe
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Change one setting of the recipe, such as augment.flip=0.5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Build a share of the shards, such as 2/3: the second of three
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Folder of the cache; one that was begun is gone on with
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Print one JSON object at the end, on standard output
    #[arg(long)]
    pub json: bool,
    /// Check everything, say how large the cache will be, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// What a teacher's weights file does not tell
    #[command(flatten)]
    pub teacher_file: TeacherFileArguments,
}

/// Beside the options of `limbeck cache build`.
const BUILD_NOTES: &str = "\
A build can be stopped at any moment: the same command goes on with it, and several at once share \
the work. Students learn from the cache with `limbeck distill --teacher cache:DIR`; they see the \
views that are stored. With --dtype f32 they get the same bits as with the teacher itself, unless \
augment.mixup_alpha or augment.cutmix_alpha are set: stored outputs of mixed images are mixtures of \
those of the two images, where the teacher itself looks at the mixed one.\n\nOf a teacher that segments, what \
it chooses for the images to choose epochs by and to test on is stored too, as evaluate.* says; \
students are measured alike.";

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoredNumbers {
    /// As they are, 4 bytes each
    F32,
    /// Rounded to 11 binary digits, 2 bytes each
    F16,
    /// 1 byte each, with a common scale for each output of an image
    I8,
}

/// `limbeck cache info`.
#[derive(Debug, Args)]
pub struct CacheInfoArguments {
    /// Folder of the cache
    #[arg(value_name = "DIR")]
    pub cache: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `limbeck cache verify`.
#[derive(Debug, Args)]
pub struct CacheVerifyArguments {
    /// Folder of the cache
    #[arg(value_name = "DIR")]
    pub cache: PathBuf,
    /// The teacher whose outputs it holds: a run folder or a weights file
    #[arg(long, value_name = "TEACHER")]
    pub teacher: String,
    /// The images that it was built from [default: where they were then]
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// Records that the teacher is asked about again
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub samples: usize,
    /// Build damaged and missing shards again
    #[arg(long)]
    pub repair: bool,
    /// Compute threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON object at the end, on standard output
    #[arg(long)]
    pub json: bool,
    /// What the teacher's weights file does not tell
    #[command(flatten)]
    pub teacher_file: TeacherFileArguments,
}

/// `limbeck cache merge`.
#[derive(Debug, Args)]
pub struct CacheMergeArguments {
    /// Folder of the cache that is made, or added to
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Caches with some of the shards
    #[arg(value_name = "DIR", required = true)]
    pub caches: Vec<PathBuf>,
    /// Print one JSON object at the end, on standard output
    #[arg(long)]
    pub json: bool,
}
