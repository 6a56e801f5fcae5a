//! What a weights file of another tool does not tell about its model.

use std::path::PathBuf;

use clap::Args;
use limbeck::train::model_facts::ModelFacts;

/// Of the model that is looked at.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What a weights file does not tell")]
pub struct ModelFileArguments {
    /// Name of the model
    #[arg(long, value_name = "NAME")]
    pub model_name: Option<String>,
    /// How its images were normalised: imagenet, cifar10, cifar100, half (0.5/0.5), none (0/1), or
    /// MEAN/STD such as 0.485,0.456,0.406/0.229,0.224,0.225
    #[arg(long, visible_alias = "normalization", value_name = "NAME|MEAN/STD")]
    pub normalisation: Option<String>,
    /// File with the names of its classes: one a line, or JSON
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
    /// Which weights of a file that holds several, such as state_dict or student [default: averaged
    /// ones where there are any]
    #[arg(long, value_name = "KEY")]
    pub weights_key: Option<String>,
    /// Height and width of its images [default: as its weights tell or its model is meant for]
    #[arg(long, value_name = "N", value_parser = size)]
    pub size: Option<usize>,
}

impl ModelFileArguments {
    /// What was said.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts {
            model: self.model_name.clone(),
            normalisation: self.normalisation.clone(),
            classes: self.classes.clone(),
            weights_key: self.weights_key.clone(),
            size: self.size,
        }
    }
}

/// Of a teacher.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What a teacher's weights file does not tell")]
pub struct TeacherFileArguments {
    /// Name of the model
    #[arg(long, value_name = "NAME")]
    pub teacher_model: Option<String>,
    /// How its images were normalised: imagenet, cifar10, cifar100, half (0.5/0.5), none (0/1), or
    /// MEAN/STD such as 0.485,0.456,0.406/0.229,0.224,0.225 [default: as the student's]
    #[arg(
        long,
        visible_alias = "teacher-normalization",
        value_name = "NAME|MEAN/STD"
    )]
    pub teacher_normalisation: Option<String>,
    /// File with the names of its classes: one a line, or JSON
    #[arg(long, value_name = "FILE")]
    pub teacher_classes: Option<PathBuf>,
    /// Which weights of a file that holds several, such as state_dict or teacher [default: averaged
    /// ones where there are any]
    #[arg(long, value_name = "KEY")]
    pub teacher_weights_key: Option<String>,
    /// Height and width of its images [default: as its weights tell or its model is meant for]
    #[arg(long, value_name = "N", value_parser = size)]
    pub teacher_size: Option<usize>,
}

impl TeacherFileArguments {
    /// What was said.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts {
            model: self.teacher_model.clone(),
            normalisation: self.teacher_normalisation.clone(),
            classes: self.teacher_classes.clone(),
            weights_key: self.teacher_weights_key.clone(),
            size: self.teacher_size,
        }
    }
}

/// Height and width of images, 1 to 8,192 as in weights files.
fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if (1..=1 << 13).contains(&size) => Ok(size),
        _ => Err("expected a number of pixels from 1 to 8192".to_owned()),
    }
}
