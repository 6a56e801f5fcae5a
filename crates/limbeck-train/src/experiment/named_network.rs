//! Settings of methods that name a trained network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use limbeck_methods::find;
use serde_json::Value;

use crate::{TrainError, model_source, named_model::ModelSource, recipe::MethodRecipe};

/// The settings of the method called `name`, of all in `settings`, with the weights file in the place of
/// the run that a setting names.
///
/// # Errors
/// What is neither a finished run nor a file.
pub(super) fn with_files(
    name: &str,
    mut settings: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, TrainError> {
    for id in name.split('+').map(str::trim) {
        let Ok(entry) = find(id) else { continue };
        if let Some(setting) = entry.network
            && let Some(Value::Object(table)) = settings.get_mut(entry.id)
            && let Some(Value::String(named)) = table.get_mut(setting)
        {
            let file = file_of(&format!("method.{id}.{setting}"), named)?;
            *named = file.to_string_lossy().into_owned();
        }
    }
    Ok(settings)
}

/// Puts the hash of the weights in the place of each run or file that a setting names.
///
/// # Errors
/// As [`with_files`], and files that cannot be read.
pub(super) fn as_hashes(method: &mut MethodRecipe) -> Result<(), TrainError> {
    for value in method.networks_mut() {
        if let toml::Value::String(named) = value {
            *named = model_source::sha256(&file_of("method", named)?)?;
        }
    }
    Ok(())
}

/// The weights file that `named`, the value of `setting`, leads to.
fn file_of(setting: &str, named: &str) -> Result<PathBuf, TrainError> {
    let path = Path::new(named);
    if !path.exists() {
        return Err(TrainError::Setting(format!(
            "{setting}: `{named}` is neither a run folder nor a weights file; give one that is there"
        )));
    }
    match ModelSource::recognise(named)? {
        ModelSource::File(file) => Ok(file),
        ModelSource::Zoo(_) => Ok(path.to_owned()),
    }
}
