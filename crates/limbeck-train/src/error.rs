//! What can go wrong in a run.

use std::path::PathBuf;

use limbeck_cache::{CacheError, Difference};
use limbeck_data::DataError;
use limbeck_methods::MethodError;
use limbeck_nn::{NnError, quantise::QuantiseError, weights::WeightsError};

use crate::{
    checkpoint::CheckpointError, fewshot::FewshotError, files::FileError, metric::MetricError,
    recipe::RecipeError,
};

/// Errors of runs.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Images cannot be read, found before the first epoch.
    #[error("{first}{}", and_others(*others))]
    Images {
        /// The first of them.
        first: DataError,
        /// How many others.
        others: usize,
    },
    /// The network cannot be built.
    #[error(transparent)]
    Network(#[from] NnError),
    /// The network cannot be brought to few bits.
    #[error(transparent)]
    Quantise(#[from] QuantiseError),
    /// Weights cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The method cannot be used.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The recipe cannot be used.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Outputs and labels do not fit each other.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// Stored features cannot be learned from.
    #[error(transparent)]
    Fewshot(#[from] FewshotError),
    /// Stored outputs of a teacher cannot be read or written.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Stored outputs are those of other images than a run's.
    #[error("the cache `{}` does not fit this run: {difference}; {mend}", path.display())]
    CacheFit {
        /// The cache's folder.
        path: PathBuf,
        /// The first field that differs.
        difference: Difference,
        /// What to do.
        mend: String,
    },
    /// Something in a cache's folder cannot be used.
    #[error("the cache `{}` cannot be used: {reason}", path.display())]
    CacheFile {
        /// The cache's folder, or a file in it.
        path: PathBuf,
        /// What was found, and what to do.
        reason: String,
    },
    /// A loss term became infinite or not a number.
    #[error(
        "loss term `{term}` of method `{method}` became {value} in epoch {epoch}, step {step}; the run stopped. Start it anew from its recipe (--recipe RUN/recipe.toml) with a lower learning rate (--set optimizer.learning_rate=…), more warm-up (--set schedule.warmup_epochs=…) or clipping (--set train.clip_norm=1)"
    )]
    NotFinite {
        /// Method.
        method: String,
        /// Name of the term.
        term: String,
        /// What it became.
        value: f64,
        /// Counted from 1.
        epoch: usize,
        /// Counted from 1.
        step: usize,
    },
    /// A network's numbers are no numbers any more.
    #[error(
        "`{layer}` of `{member}` holds {value} after epoch {epoch}, step {step}; these weights were not kept and the run stopped. Start it anew from its recipe (--recipe RUN/recipe.toml) with a lower learning rate (--set optimizer.learning_rate=…), more warm-up (--set schedule.warmup_epochs=…) or clipping (--set train.clip_norm=1)"
    )]
    WeightsNotFinite {
        /// Who holds it: `student`, another network or module, or `moving average`.
        member: String,
        /// State-dict name of the tensor.
        layer: String,
        /// The first such number.
        value: f64,
        /// Counted from 1.
        epoch: usize,
        /// Step of that epoch, counted from 1.
        step: usize,
    },
    /// What a network gives out for an image is no number.
    #[error(
        "`{network}` gives out {value} for the image `{image}`: its weights, or the numbers that they lead to, have grown beyond what single precision holds; train it anew with a lower learning rate, more warm-up or clipping"
    )]
    OutputsNotFinite {
        /// Name of the network.
        network: String,
        /// Name of the image.
        image: String,
        /// The first such number.
        value: f32,
    },
    /// A network whose embedding is asked for and that has none.
    #[error("`{network}` has no embedding that can be read (tap `pooled`)")]
    NoEmbedding {
        /// Name of the network.
        network: String,
    },
    /// Model and data disagree on the number of classes.
    #[error(
        "`{teacher}` knows {teacher_classes} classes, the data has {data_classes}; give a model that was trained on these classes (the method `prockd` learns from one of other classes)"
    )]
    ClassCount {
        /// What was given as teacher or model.
        teacher: String,
        /// Its number of classes.
        teacher_classes: usize,
        /// The data's.
        data_classes: usize,
    },
    /// The student is to be trained on an empty or otherwise unusable setting.
    #[error("{0}")]
    Setting(String),
    /// Neither a run folder, nor a weights file, nor a name of the zoo.
    #[error("{0}")]
    ModelSource(String),
    /// A run folder lacks something or was made otherwise.
    #[error("`{}`: {reason}", path.display())]
    RunFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong, what to do.
        reason: String,
    },
    /// The file system refused.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => "; another image cannot be read either".to_owned(),
        others => format!("; {others} other images cannot be read either"),
    }
}

impl TrainError {
    /// Wraps what the file system said about `path`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| TrainError::Io { path, source }
    }
}
