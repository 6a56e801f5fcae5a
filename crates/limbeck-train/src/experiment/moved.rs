//! Data that has moved since a run began.

use std::path::Path;

use crate::{
    TrainError,
    data::{data_fingerprint, open_data},
    run_folder::{self, RunFolder},
};

/// Sees to it that the run in `path` finds its data: at `moved_to`, which then is in its recipe, or
/// where it was.
///
/// # Errors
/// Data that is not there any more, or is not what the run began with.
pub fn find_data(path: &Path, moved_to: Option<&str>) -> Result<(), TrainError> {
    let Some(mut recipe) = run_folder::recipe_of(path)? else {
        return Ok(());
    };
    let Some(moved_to) = moved_to else {
        let data = Path::new(&recipe.data.path);
        let gone = data.is_absolute() && !data.exists();
        if gone && run_folder::finished(path)?.is_none() {
            return Err(TrainError::RunFolder {
                path: path.to_owned(),
                reason: format!(
                    "its data is not at {} any more; say where it is now: limbeck resume {} \
                     --data DIR",
                    data.display(),
                    path.display()
                ),
            });
        }
        return Ok(());
    };
    let folder = RunFolder::open(path)?;
    recipe.data.path = moved_to.to_owned();
    let dataset = open_data(&recipe)?;
    folder.recognise_data(&dataset, &data_fingerprint(&dataset))?;
    folder.write_recipe(&recipe)
}
