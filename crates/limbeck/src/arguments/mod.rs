//! What can be typed.

mod bench;
mod cache;
mod check;
mod fewshot;
mod model;
mod probe;
mod study;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use limbeck::data::Labelling;
use limbeck::train::recipe::{Recipe, SideBySide};

pub use bench::{
    Bench, BenchArguments, CacheBenchArguments, ConvolutionArguments, DataBenchArguments,
    LossArguments, NeighboursArguments, NetworkArguments, NetworkOptimizer, NetworkPart,
    PrecisionArguments, SideArguments, StepArguments, SuppressionArguments,
};

pub use cache::{
    CacheArguments, CacheBuildArguments, CacheCommand, CacheInfoArguments, CacheMergeArguments,
    CacheVerifyArguments, StoredNumbers,
};

pub use check::CheckArguments;
pub use fewshot::{EmbedArguments, FewshotArguments};
pub use model::{ModelFileArguments, TeacherFileArguments};
pub use probe::{ProbeArguments, ProbeName};
pub use study::{
    AddArguments, CarryArguments, Scheduler, ScriptArguments, StudyArguments, StudyCommand,
    StudyFolder,
};

/// Vision knowledge distillation: train small image models from big ones, next to a fair baseline.
#[derive(Debug, Parser)]
#[command(name = "limbeck", version, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say less: no progress, no notes.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "a program is given one")]
pub enum Command {
    /// Write a recipe for a data set, each line with its reason
    New(NewArguments),
    /// Say what a data set holds and what is wrong with it; with --teacher, whether that knows it
    Check(CheckArguments),
    /// The whole job on generated images: teacher, student, baseline, report
    Demo(DemoArguments),
    /// Train a network on labels alone: a teacher, or a baseline
    Train(TrainArguments),
    /// Distil a teacher into a student; with --baseline next to the student without a teacher
    Distill(DistillArguments),
    /// Say which method is worth it, and how sure that is: many trainings, paired by seed
    Study(StudyArguments),
    /// Search for a smaller TinyViT within limits, step by step
    Contract(ContractArguments),
    /// Measure a model on a part of a data set
    Eval(EvalArguments),
    /// Judge what a network has learnt: a linear map, neighbours or a fine-tuning on labels
    Probe(ProbeArguments),
    /// Label images with a model, their pixels with one that segments, or find objects in them
    Predict(PredictArguments),
    /// Store the features of images that a model gives, for `limbeck fewshot`
    Embed(EmbedArguments),
    /// Learn classes from a few stored features of each: zero-shot, prototypes, linear probe and sgva
    Fewshot(FewshotArguments),
    /// Show a network's taps, shapes, parameters and MACs; of two, the layer pairs too
    Inspect(InspectArguments),
    /// List the methods, or print the page of one
    Methods(NamedArguments),
    /// List the models, or print the facts of one
    Models(NamedArguments),
    /// Set several runs side by side
    Compare(CompareArguments),
    /// Write a run's report again
    Report(ReportArguments),
    /// Go on with a run that was stopped, to the same bits
    Resume(ResumeArguments),
    /// Store a teacher's outputs once, for any number of students
    Cache(CacheArguments),
    /// Measure the speed of convolutions, networks and steps
    Bench(BenchArguments),
    /// Print the completion script of a shell
    Completions(CompletionsArguments),
}

/// What every run takes.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArguments {
    /// Epochs of each training
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Images per step
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Train on at most this many images, balanced over the classes; validation and test part stay
    /// whole
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Train on this many images of each class, drawn anew for each seed
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    pub shots: Option<usize>,
    /// What is learnt, where the data has labels for several tasks [default: what it has labels for]
    #[arg(long, value_enum)]
    pub task: Option<TaskName>,
    /// How many seeds to train with
    #[arg(long, value_name = "N")]
    pub seeds: Option<usize>,
    /// The first seed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 62))]
    pub seed: Option<u64>,
    /// Compute threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Trainings of the run (seeds, baselines) at the same time, the threads divided among them, or
    /// `auto`; results do not depend on it [default: auto, several where that is measured to be
    /// faster]
    #[arg(long, value_name = "N|auto", value_parser = SideBySide::parse)]
    pub side_by_side: Option<SideBySide>,
    /// Threads that load images [default: one; 0 loads between the steps]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Start from this recipe
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Change one setting of the recipe, such as optimizer.learning_rate=0.1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of the run, new or empty [default: a new one in runs/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print one JSON object at the end, on standard output
    #[arg(long)]
    pub json: bool,
    /// Check everything, say what would be done, and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// `limbeck new`.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// Folder of images (IDX, CIFAR, class folders, masks, boxes, images without labels), `shapes` or
    /// `scenes`
    #[arg(value_name = "DATA")]
    pub data: String,
    /// What is learnt, where a data set has several kinds of labels; detection for boxes of `scenes`
    #[arg(long, value_enum)]
    pub task: Option<TaskName>,
    /// A run folder, a weights file, or the name of a model, which is then trained first [default:
    /// a model for the size of the images]
    #[arg(long, value_name = "TEACHER")]
    pub teacher: Option<String>,
    /// Network to train (see `limbeck models`) [default: one for the size of the images]
    #[arg(long, value_name = "NAME")]
    pub student: Option<String>,
    /// File to write, `-` for standard output; an existing file is not overwritten
    #[arg(long, value_name = "FILE", default_value = "limbeck.toml")]
    pub out: PathBuf,
}

/// What networks are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TaskName {
    /// A class for each image
    #[default]
    Classification,
    /// A class for each pixel
    Segmentation,
    /// A box around each object
    Detection,
    /// No class: a start for other tasks, learnt from images alone
    Pretraining,
}

impl TaskName {
    /// The labels that are learnt from; `None` where any will do.
    pub fn labels(self) -> Option<Labelling> {
        match self {
            Self::Classification => Some(Labelling::Classes),
            Self::Segmentation => Some(Labelling::Masks),
            Self::Detection => Some(Labelling::Boxes),
            Self::Pretraining => None,
        }
    }

    /// What recipes call it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Segmentation => "segmentation",
            Self::Detection => "detection",
            Self::Pretraining => "pretraining",
        }
    }
}

/// `limbeck demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// What is shown
    #[arg(long, value_enum, default_value_t)]
    pub task: TaskName,
    /// Compute threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Folder of the run [default: a new one in runs/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print one JSON object at the end, on standard output
    #[arg(long)]
    pub json: bool,
}

/// `limbeck train`.
#[derive(Debug, Args)]
pub struct TrainArguments {
    /// Folder of images (IDX, CIFAR, class folders, masks), `shapes` or `scenes` [default: the recipe's]
    #[arg(value_name = "DATA")]
    pub data: Option<String>,
    /// Network to train (see `limbeck models`)
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Start from these weights
    #[arg(long, value_name = "FILE", group = "start")]
    pub weights: Option<PathBuf>,
    /// Start the backbone of a network that segments or detects from a classifier's weights
    #[arg(long, value_name = "RUN|FILE", group = "start")]
    pub backbone: Option<PathBuf>,
    /// Which weights of that file, where it holds several
    #[arg(long, value_name = "KEY", requires = "start")]
    pub weights_key: Option<String>,
    /// Train it in few bits: 1 to 8 for weights and activations, or hybrid for as many in each layer as
    /// its trained weights need; its file holds codes
    #[arg(long, value_name = "BITS|hybrid")]
    pub quantise: Option<String>,
    /// The rest
    #[command(flatten)]
    pub run: RunArguments,
}

/// `limbeck distill`.
#[derive(Debug, Args)]
pub struct DistillArguments {
    /// Folder of images (IDX, CIFAR, class folders, masks), `shapes` or `scenes` [default: the recipe's]
    #[arg(value_name = "DATA")]
    pub data: Option<String>,
    /// A run folder, a weights file, the name of a model, which is then trained first, or cache:DIR
    /// with what `limbeck cache build` stored
    #[arg(long, value_name = "TEACHER")]
    pub teacher: Option<String>,
    /// Network to train (see `limbeck models`); several, with commas, give a run each
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub student: Vec<String>,
    /// Start the student from these weights
    #[arg(long, value_name = "FILE", group = "start")]
    pub weights: Option<PathBuf>,
    /// Start the backbone of a student that segments or detects from a classifier's weights
    #[arg(long, value_name = "RUN|FILE", group = "start")]
    pub backbone: Option<PathBuf>,
    /// Which weights of that file, where it holds several
    #[arg(long, value_name = "KEY", requires = "start")]
    pub weights_key: Option<String>,
    /// Train it in few bits: 1 to 8 for weights and activations, or hybrid for as many in each layer as
    /// its trained weights need; its file holds codes
    #[arg(long, value_name = "BITS|hybrid")]
    pub quantise: Option<String>,
    /// The same for the backbone of a teacher that is trained first
    #[arg(long, value_name = "RUN|FILE")]
    pub teacher_backbone: Option<PathBuf>,
    /// Method (see `limbeck methods`); joined by + where one run adds the terms of several, with
    /// commas where each gets a run of its own; auto: the one that the studies in docs/study speak for, with
    /// such data and networks [default: auto, unless the recipe has a [method]]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub method: Vec<String>,
    /// Also train the same student on labels alone: same seeds, data order, weights and budget
    #[arg(long)]
    pub baseline: bool,
    /// Learn the classes of masks in steps, the network of each teaching the next: classes besides
    /// background of the first and of each further step, such as 15-1; with --baseline next to
    /// fine-tuning and to learning all at once
    #[arg(long, value_name = "SPLIT")]
    pub tasks: Option<String>,
    /// Images of another domain, on which the student is to work and is tested: for methods that adapt to
    /// it, such as ssdayolo; with --baseline next to the student trained on its labels, where it has some
    #[arg(long, value_name = "DATA")]
    pub target: Option<String>,
    /// The rest
    #[command(flatten)]
    pub run: RunArguments,
    /// What a teacher's weights file does not tell
    #[command(flatten)]
    pub teacher_file: TeacherFileArguments,
}

/// `limbeck contract`.
#[derive(Debug, Args)]
pub struct ContractArguments {
    /// Folder of images (IDX, CIFAR, class folders, masks), `shapes` or `scenes` [default: the recipe's]
    #[arg(value_name = "DATA")]
    pub data: Option<String>,
    /// TinyViT to begin with: its name, a run folder or a weights file
    #[arg(long, value_name = "MODEL")]
    pub from: Option<String>,
    /// Most parameters of the net that is searched for
    #[arg(long, value_name = "P")]
    pub max_params: Option<u64>,
    /// Most multiply-accumulates for one image
    #[arg(long, value_name = "M")]
    pub max_macs: Option<u64>,
    /// Least images a second in inference, measured on this machine
    #[arg(long, value_name = "T")]
    pub min_images_per_second: Option<f64>,
    /// Steps from the base to the limits
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub steps: usize,
    /// The rest; --epochs is the length of each candidate's training
    #[command(flatten)]
    pub run: RunArguments,
}

/// `limbeck eval`.
#[derive(Debug, Args)]
pub struct EvalArguments {
    /// Folder of images, `shapes` or `scenes`
    #[arg(value_name = "DATA")]
    pub data: String,
    /// A run folder or a weights file
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// Which part to measure on [default: the test part; all images where the data has no parts,
    /// unless the run was trained on some of them]
    #[arg(long, value_enum)]
    pub part: Option<PartName>,
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

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartName {
    /// What networks are trained on, without augmentation
    Train,
    /// What epochs are chosen by
    Validation,
    /// What is held back until the end
    Test,
    /// All images of all parts
    All,
}

/// `limbeck predict`.
#[derive(Debug, Args)]
pub struct PredictArguments {
    /// Images, or folders of images
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// A run folder or a weights file
    #[arg(long, value_name = "MODEL")]
    pub model: String,
    /// How many classes to tell for each image, or `all` [default: 1; of a model that segments, all
    /// that occur]
    #[arg(long, value_name = "K", value_parser = Top::parse)]
    pub top: Option<Top>,
    /// Print the logit of each class too
    #[arg(long)]
    pub logits: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = PredictFormat::Csv)]
    pub format: PredictFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Of a detector: least score of a box, 0 to 1 [default: 0.25]
    #[arg(long, value_name = "SCORE")]
    pub confidence: Option<f64>,
    /// Of a detector: overlap above which two boxes of a class are one, 0 to 1 [default: 0.45]
    #[arg(long, value_name = "IOU")]
    pub overlap: Option<f64>,
    /// Of a detector, with --format coco: the file of annotations whose numbers of images and categories
    /// are used
    #[arg(long, value_name = "FILE")]
    pub coco: Option<PathBuf>,
    /// Write here instead of standard output: a file, or of a model that segments a new folder, with
    /// a mask of class ids and an overlay for each image, and shares.json; of a detector one with a
    /// picture for each image and boxes.json; nothing is overwritten
    #[arg(long, value_name = "FILE|DIR")]
    pub out: Option<PathBuf>,
    /// Compute threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// What a weights file does not tell
    #[command(flatten)]
    pub file: ModelFileArguments,
}

/// How many of the most probable classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Top {
    /// So many.
    Some(usize),
    /// All of them.
    All,
}

impl Top {
    fn parse(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            (_, Ok(count)) if count > 0 => Ok(Self::Some(count)),
            _ => Err("expected a number of classes of at least 1, or `all`".to_owned()),
        }
    }
}

/// Form of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PredictFormat {
    /// One row an image and class: image, rank, label, probability (and logit); of a detector a row a box
    Csv,
    /// One array
    Json,
    /// Of a detector: the results that COCO's evaluation reads
    Coco,
    /// Of a detector: a file of rows for each image, in the folder `labels` of --out
    Yolo,
}

/// `limbeck inspect`.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// Model name, run folder or weights file
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// A second one: the first is then the teacher, this the student
    #[arg(value_name = "STUDENT")]
    pub student: Option<String>,
    /// Channels, height and width of the input, such as 3x32x32 [default: the model's own]; of a
    /// weights file that does not tell it, a square such as 3x64x64
    #[arg(long, value_name = "CxHxW")]
    pub input: Option<String>,
    /// Number of classes [default: the model's own]
    #[arg(long, value_name = "N")]
    pub classes: Option<usize>,
    /// Compute threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Images over which the teacher's blocks are compared: the pairs are then those of the
    /// method `hints`
    #[arg(long, value_name = "DATA", requires = "student")]
    pub data: Option<String>,
    /// Number of hints [default: the student's number of stages]
    #[arg(long, value_name = "N", requires = "data")]
    pub hints: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Name of the model in a weights file that does not tell it
    #[arg(long, value_name = "NAME")]
    pub model_name: Option<String>,
    /// How the images of a weights file that does not tell it were normalised: imagenet, cifar10,
    /// cifar100, half (0.5/0.5), none (0/1), or MEAN/STD; read with --data
    #[arg(long, visible_alias = "normalization", value_name = "NAME|MEAN/STD")]
    pub normalisation: Option<String>,
    /// Which weights of a file that holds several [default: averaged ones where there are any]
    #[arg(long, value_name = "KEY")]
    pub weights_key: Option<String>,
}

/// `limbeck methods`, `limbeck models`.
#[derive(Debug, Args)]
pub struct NamedArguments {
    /// Print everything about this one
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `limbeck compare`.
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// Run folders
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Write a page here; an existing file is not overwritten
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `limbeck report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Run folder
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
}

/// `limbeck resume`.
#[derive(Debug, Args)]
pub struct ResumeArguments {
    /// Run folder, a folder of several, or that of a study
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Where the data of the run is now, if it has moved; its content must be the same
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Compute threads; results do not depend on them [default: as the run began]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Trainings of the run at the same time, or `auto`; results do not depend on it [default: as the
    /// run began]
    #[arg(long, value_name = "N|auto", value_parser = SideBySide::parse)]
    pub side_by_side: Option<SideBySide>,
    /// Of a study: do the I-th of N shares, such as 1/3
    #[arg(long, value_name = "I/N", value_parser = study::parse_share)]
    pub shard: Option<[usize; 2]>,
    /// Print one JSON object at the end, on standard output
    #[arg(long)]
    pub json: bool,
}

impl ResumeArguments {
    /// Lets `recipe` go on as these arguments say.
    pub fn apply(&self, recipe: &mut Recipe) {
        let train = &mut recipe.train;
        train.threads = self.threads.or(train.threads);
        train.side_by_side = self.side_by_side.unwrap_or(train.side_by_side);
    }
}

/// `limbeck completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// Shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
