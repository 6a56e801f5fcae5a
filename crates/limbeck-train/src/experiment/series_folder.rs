//! The folder of several runs on the same data with the same teacher: what is where.
//!
//! ```text
//! runs/distill-20261122-101500/
//!   series.json          the names of the runs, in order
//!   kd-resnet8/          a run's folder
//!   at-resnet8/
//!   comparison.html      all of them side by side
//! ```
//!
//! A network that learns from labels alone (a teacher that is trained first, a baseline) is trained
//! by the first run that needs it; the others take it over.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    TrainError, checkpoint, files,
    job::{CHECKPOINT, LAST},
    recipe::Recipe,
    run_folder::RunFolder,
};

const SERIES: &str = "series.json";

/// A folder of runs.
#[derive(Clone, Debug)]
pub(super) struct SeriesFolder {
    path: PathBuf,
    names: Vec<String>,
    students: usize,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    runs: Vec<String>,
    /// Students that learn from the stored outputs of one teacher.
    students: usize,
}

impl SeriesFolder {
    /// Makes a new folder with one for each run, named `<method>-<student>`, and its recipe in it.
    /// With `out` exactly that one, which must not exist; without, one in `runs/`. `students` of all
    /// runs together read the stored outputs of the teacher.
    ///
    /// # Errors
    /// Two runs of the same name, a folder that exists, or a file system that refuses.
    pub fn create(
        out: Option<&Path>,
        recipes: &[&Recipe],
        students: usize,
    ) -> Result<Self, TrainError> {
        let names: Vec<String> = recipes.iter().map(|recipe| name_of(recipe)).collect();
        for (place, name) in names.iter().enumerate() {
            if names[..place].contains(name) {
                return Err(TrainError::Setting(format!(
                    "`{name}` is asked for twice; name each method and each student once"
                )));
            }
        }
        let path = RunFolder::create(out, "distill")?.path().to_owned();
        for (name, recipe) in names.iter().zip(recipes) {
            RunFolder::create(Some(&path.join(name)), name)?.write_recipe(recipe)?;
        }
        let series = Self {
            path,
            names,
            students,
        };
        let listed = Listed {
            runs: series.names.clone(),
            students,
        };
        let text = serde_json::to_string_pretty(&listed).unwrap_or_default();
        files::write_whole(&series.path.join(SERIES), text.as_bytes())?;
        Ok(series)
    }

    /// The series in `path`; `None` where it is none.
    ///
    /// # Errors
    /// A list that cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>, TrainError> {
        let file = path.join(SERIES);
        if !file.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&file).map_err(TrainError::io(&file))?;
        let unfit = |reason: String| TrainError::RunFolder {
            path: file.clone(),
            reason: format!(
                "the list of runs cannot be read ({reason}); resume or compare its runs one by one"
            ),
        };
        let listed: Listed =
            serde_json::from_str(&text).map_err(|error| unfit(error.to_string()))?;
        if let Some(name) = listed.runs.iter().find(|name| !is_plain(name)) {
            return Err(unfit(format!("`{name}` is not the name of a folder")));
        }
        Ok(Some(Self {
            path: path.to_owned(),
            names: listed.runs,
            students: listed.students,
        }))
    }

    /// The series that the run in `path` belongs to.
    ///
    /// # Errors
    /// A list that cannot be read.
    pub fn of_run(path: &Path) -> Result<Option<Self>, TrainError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        let name = name.to_string_lossy();
        let series = Self::open(parent)?;
        Ok(series.filter(|series| series.names.iter().any(|run| *run == name)))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the runs, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The folders of the runs, in order.
    pub fn runs(&self) -> impl Iterator<Item = PathBuf> {
        self.names.iter().map(|name| self.path.join(name))
    }

    /// How many students of all runs read the stored outputs of the teacher.
    pub fn students(&self) -> usize {
        self.students
    }
}

/// Takes the job called `name` over from another run of the series, where that has finished it
/// under the same `fingerprint` and `folder` has not begun it. Gives the other run's folder.
///
/// # Errors
/// A file system that refuses, or a damaged checkpoint.
pub(super) fn take_over(
    folder: &RunFolder,
    name: &str,
    fingerprint: &str,
) -> Result<Option<PathBuf>, TrainError> {
    let own = folder.job(name);
    let Some(series) = SeriesFolder::of_run(folder.path())? else {
        return Ok(None);
    };
    if own.exists() {
        return Ok(None);
    }
    for run in series.runs().filter(|run| run != folder.path()) {
        let job = run.join("jobs").join(name);
        if !job.join(LAST).is_file() {
            continue;
        }
        if checkpoint::read(&job.join(CHECKPOINT))?.recipe == fingerprint {
            copy_whole(&job, &own)?;
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// Copies the files of a folder; the copy is there whole or not at all.
fn copy_whole(from: &Path, to: &Path) -> Result<(), TrainError> {
    let parent = to.parent().unwrap_or(to);
    std::fs::create_dir_all(parent).map_err(TrainError::io(parent))?;
    let made = tempfile::tempdir_in(parent).map_err(TrainError::io(parent))?;
    for entry in std::fs::read_dir(from).map_err(TrainError::io(from))? {
        let entry = entry.map_err(TrainError::io(from))?.path();
        if let Some(name) = entry.file_name().filter(|_| entry.is_file()) {
            let bytes = std::fs::read(&entry).map_err(TrainError::io(&entry))?;
            files::write_whole(&made.path().join(name), &bytes)?;
        }
    }
    let made = made.keep();
    std::fs::rename(&made, to).map_err(TrainError::io(to))
}

fn name_of(recipe: &Recipe) -> String {
    format!("{}-{}", recipe.method.name, recipe.student.model)
}

/// Whether a name leads to a folder right here.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(parts.next(), Some(std::path::Component::Normal(_))) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(method: &str, student: &str) -> Recipe {
        let mut recipe = Recipe::default();
        recipe.method.name = method.to_owned();
        recipe.student.model = student.to_owned();
        recipe
    }

    #[test]
    fn a_series_is_found_again_with_its_runs_in_order() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("series");
        let [kd, at] = ["kd", "at"].map(|method| recipe(method, "resnet8"));
        let recipes = [&kd, &at];
        let made = SeriesFolder::create(Some(&out), &recipes, 0).unwrap();
        let found = SeriesFolder::open(&out).unwrap().unwrap();
        let runs: Vec<PathBuf> = found.runs().collect();
        assert_eq!(runs, made.runs().collect::<Vec<_>>());
        assert_eq!(runs, [out.join("kd-resnet8"), out.join("at-resnet8")]);
        for run in &runs {
            assert!(SeriesFolder::of_run(run).unwrap().is_some());
        }
        assert!(SeriesFolder::of_run(&out).unwrap().is_none());
    }

    #[test]
    fn a_run_is_not_in_a_series_twice() {
        let place = tempfile::tempdir().unwrap();
        let twice = recipe("kd", "resnet8");
        let recipes = [&twice, &twice];
        let out = place.path().join("series");
        let error = SeriesFolder::create(Some(&out), &recipes, 0).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`kd-resnet8` is asked for twice")
        );
        assert!(!out.exists());
    }

    #[test]
    fn lists_that_lead_elsewhere_are_refused() {
        let place = tempfile::tempdir().unwrap();
        for list in ["{", r#"{"runs": ["../other"]}"#, r#"{"runs": ["/etc"]}"#] {
            std::fs::write(place.path().join(SERIES), list).unwrap();
            assert!(SeriesFolder::open(place.path()).is_err(), "{list}");
        }
    }
}
