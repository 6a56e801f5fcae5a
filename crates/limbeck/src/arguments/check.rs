//! `limbeck check`.

use clap::Args;

use super::TeacherFileArguments;

/// `limbeck check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Folder of images (IDX, CIFAR, class folders, images without labels) or `shapes`
    #[arg(value_name = "DATA")]
    pub data: String,
    /// A run folder or a weights file: what it makes of 200 of the images is told too
    #[arg(long, value_name = "TEACHER")]
    pub teacher: Option<String>,
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
