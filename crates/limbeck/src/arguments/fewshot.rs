//! `limbeck embed` and `limbeck fewshot`.

use std::path::PathBuf;

use clap::Args;

use super::{ModelFileArguments, PartName};

/// `limbeck embed`.
#[derive(Debug, Args)]
pub struct EmbedArguments {
    /// A run folder or a weights file
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// Folder of images or `shapes`
    #[arg(value_name = "DATA")]
    pub data: String,
    /// File to write: `features` [N, D] before the classifier, `labels` [N], and in the metadata
    /// `classes` and `names` as JSON; an existing file is not overwritten
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Which images
    #[arg(long, value_enum, default_value_t = PartName::All)]
    pub part: PartName,
    /// Compute threads; features do not depend on them [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Threads that load images
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub workers: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// What a weights file does not tell
    #[command(flatten)]
    pub file: ModelFileArguments,
}

/// `limbeck fewshot`.
#[derive(Debug, Args)]
#[command(after_long_help = METHODS)]
pub struct FewshotArguments {
    /// Features of images with their classes: `features` [N, d] and `labels` [N] of a safetensors or
    /// .npz file, or a .npy file of features with --labels
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
    /// Labels [N] of the features, where another file has them
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Features to test on, in a file of the same kind [default: the images that are no shots]
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// Labels of the features to test on, where another file has them
    #[arg(long, value_name = "FILE", requires = "test")]
    pub test_labels: Option<PathBuf>,
    /// A vector for the text of each class, [C, d]: `texts` of a safetensors or .npz file, or a .npy file
    #[arg(long, value_name = "FILE")]
    pub texts: PathBuf,
    /// Name of another array of that file, such as the rows of a classifier (fc.weight)
    #[arg(long, value_name = "NAME")]
    pub texts_key: Option<String>,
    /// The image encoder's last projection: `proj` [D, d] of a ViT, or `weight` [d, D] and `bias` [d];
    /// the adapter then reads the D numbers before it [default: it reads the features themselves]
    #[arg(long, value_name = "FILE")]
    pub projection: Option<PathBuf>,
    /// Images of each class to learn from, each number an experiment
    #[arg(long, value_name = "K,…", value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16])]
    pub shots: Vec<usize>,
    /// How often the shots are drawn
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        conflicts_with = "episodes"
    )]
    pub draws: usize,
    /// Draw so many of the classes each time, instead of learning all
    #[arg(long, value_name = "N")]
    pub way: Option<usize>,
    /// How often these are drawn [default: 100]
    #[arg(long, value_name = "N", requires = "way")]
    pub episodes: Option<usize>,
    /// Most images of each class to test on in a draw [default: all; with --way 15]
    #[arg(long, value_name = "N")]
    pub queries: Option<usize>,
    /// What shots, classes and adapters are drawn from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Change one setting of sgva (see `limbeck methods sgva`), such as lambda=0.2 or choose_lambda=true
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// New folder for fewshot.json
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Compute threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// What is compared, below the flags of `limbeck fewshot`.
const METHODS: &str = "\
What is compared, on the same shots and the same images to test on:
  zero-shot     the nearest text vector; needs no shots
  prototypes    the nearest mean of the shots' features of length 1
  linear probe  ridge regression on features of length 1 and a constant. Its strength is the one of
                0.001, 0.01, 0.1, 1, 10, 100 under which most shots are right when each in turn is
                held out (among equals the smaller squared error); with 1 shot, where a class would be
                left without any, it is fixed at 1
  sgva          the adapter, trained on the shots, blended with the text vectors, which learn too
Which images are shots depends on --seed, the number of the draw and the class: those of 4 shots are
among those of 8. The images to test on are the same for every number of shots. Intervals are Student's
over the draws; differences are taken draw by draw. They say how far other shots would lead, not how
far other images to test on would.";
