//! What a user names as a model: a run folder, a weights file, or a model of the zoo.

use std::path::{Path, PathBuf};

use limbeck_data::Fit;
use limbeck_nn::{NnError, model, weights};

use crate::{TrainError, model_source::fit_of, run_folder};

/// What a user named as a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// A weights file, of a run folder or by itself.
    File(PathBuf),
    /// A name of the zoo.
    Zoo(String),
}

impl ModelSource {
    /// Looks at what `text` names: a folder, a file, or a model of the zoo, in this order.
    ///
    /// # Errors
    /// None of the three, or a folder that is not a finished run's.
    pub fn recognise(text: &str) -> Result<Self, TrainError> {
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Self::File(run_folder::student_of(path)?));
        }
        if path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        match model::find(text) {
            Ok(entry) => Ok(Self::Zoo(entry.name)),
            Err(NnError::UnknownModel { nearest, .. }) => {
                let nearest = nearest.map_or_else(
                    || "see `limbeck models`".to_owned(),
                    |name| format!("did you mean the model `{name}`?"),
                );
                Err(TrainError::ModelSource(format!(
                    "`{text}` is neither a run folder, nor a weights file, nor a model of the zoo; {nearest}"
                )))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Name of the model that `source` names, where its file tells.
pub fn told_model(source: &str) -> Option<String> {
    match ModelSource::recognise(source).ok()? {
        ModelSource::File(file) => Some(weights::read_metadata(&file).ok()?.model),
        ModelSource::Zoo(name) => Some(name.to_owned()),
    }
}

/// How the images of the model that `source` names were fitted, where its file tells.
pub fn told_fit(source: &str) -> Option<(Fit, f64)> {
    let Ok(ModelSource::File(file)) = ModelSource::recognise(source) else {
        return None;
    };
    let fit = weights::read_metadata(&file).ok()?.fit?;
    Some((fit_of(&file, &fit).ok()?, fit.share))
}
