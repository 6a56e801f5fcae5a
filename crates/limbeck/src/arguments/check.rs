//! `limbeck check`.

use std::path::PathBuf;

use clap::Args;

use super::{TaskName, TeacherFileArguments};

/// `limbeck check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Folder of images (IDX, CIFAR, class folders, images with masks or boxes, images without labels),
    /// `shapes` or `scenes`
    #[arg(value_name = "DATA")]
    pub data: String,
    /// What is learnt, where a data set has several kinds of labels; detection for boxes of `scenes`
    #[arg(long, value_enum)]
    pub task: Option<TaskName>,
    /// A run folder or a weights file: what it makes of 200 of the images is told too
    #[arg(long, value_name = "TEACHER")]
    pub teacher: Option<String>,
    /// Write a page with twelve of the images here, their masks or boxes over them; an existing file is not
    /// overwritten
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Show beside each image of the page what `dilo` would paste: its foreground by an estimate, or by
    /// the files in folders called `saliency`
    #[arg(
        long,
        value_name = "FROM",
        requires = "out",
        value_parser = ["estimated", "files"]
    )]
    pub saliency: Option<String>,
    /// Threads that read images and compute; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// What a teacher's weights file does not tell
    #[command(flatten)]
    pub teacher_file: TeacherFileArguments,
}
