//! The folder of a study: what is where, and who makes it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Study, TrainedTeacher, Training};
use crate::{
    TrainError,
    experiment::Stock,
    files,
    recipe::{Recipe, table},
    run_folder,
};

/// What was asked for.
pub(super) const RECIPE: &str = "study.toml";

/// Held by the share that writes the study's files.
pub const LOCK: &str = ".lock";

/// Another share that begins the study leaves its folder without [`RECIPE`] for a moment: it is taken to be
/// something else after so many looks, so far apart.
const LOOKS: usize = 40;
const LOOK: Duration = Duration::from_millis(5);

impl Study {
    /// The study in the folder `path`; `None` where it is none.
    ///
    /// # Errors
    /// As [`Study::of`].
    pub fn open(path: &Path, stock: &mut Stock) -> Result<Option<Self>, TrainError> {
        let file = path.join(RECIPE);
        if !file.is_file() {
            return Ok(None);
        }
        let table = read(&file)?;
        let mut study = Self::of(table, &file.display().to_string(), stock)?;
        study.take_in_seeds(path);
        Ok(Some(study))
    }

    /// Takes in the seeds that the study in the folder `path` has been given for its precision.
    pub fn take_in_seeds(&mut self, path: &Path) {
        if self.recipe.precision.is_none() {
            return;
        }
        while self.seeds < self.recipe.most_seeds && self.has_begun(path, self.seeds as u64) {
            self.seeds += 1;
        }
    }

    /// Whether a training with that seed, counted from 0, has begun.
    fn has_begun(&self, path: &Path, seed: u64) -> bool {
        let mut cells = 0..self.cells.len();
        cells.any(|cell| self.folder_of(path, Training { cell, seed }).exists())
    }

    /// Makes the folder `path` with the study's recipe in it; one that has the same recipe is gone on with.
    ///
    /// # Errors
    /// A folder with something else in it, or with another study.
    pub fn create(&self, path: &Path) -> Result<(), TrainError> {
        let file = path.join(RECIPE);
        for look in 0.. {
            if file.is_file() {
                return self.check_same(path, &file);
            }
            if !run_folder::is_taken(path) {
                break;
            }
            if look == LOOKS {
                return Err(TrainError::Setting(format!(
                    "the output `{}` exists; choose another with --out",
                    path.display()
                )));
            }
            std::thread::sleep(LOOK);
        }
        std::fs::create_dir_all(path).map_err(TrainError::io(path))?;
        let lock = path.join(LOCK);
        let held = std::fs::File::create(&lock).map_err(TrainError::io(&lock))?;
        held.lock().map_err(TrainError::io(&lock))?;
        match file.is_file() {
            true => self.check_same(path, &file),
            false => self.write(path),
        }
    }

    fn check_same(&self, path: &Path, file: &Path) -> Result<(), TrainError> {
        match read(file)? == self.table {
            true => Ok(()),
            false => Err(TrainError::Setting(format!(
                "`{}` has another study: its study.toml differs from what is asked for; go on with it \
                 (limbeck resume {0}), add methods or seeds to it (limbeck study add {0}), or choose \
                 another folder with --out",
                path.display()
            ))),
        }
    }

    /// Writes what is asked for into the folder of a study.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        let text = self.to_toml()?;
        Ok(files::write_whole(&path.join(RECIPE), text.as_bytes())?)
    }

    /// The folder of a training in that of the study.
    pub fn folder_of(&self, path: &Path, training: Training) -> PathBuf {
        let first = self.cells[training.cell].recipe.train.seed;
        path.join("runs")
            .join(&self.cells[training.cell].name)
            .join(format!("seed-{}", first + training.seed))
    }

    /// The folder of a teacher's run in that of the study.
    pub fn folder_of_teacher(&self, path: &Path, teacher: &TrainedTeacher) -> PathBuf {
        path.join("teachers").join(&teacher.name)
    }

    /// The recipe of a training: a teacher that is trained first is named by its run's folder.
    pub fn recipe_of(&self, path: &Path, training: Training) -> Recipe {
        let cell = &self.cells[training.cell];
        let mut recipe = cell.recipe.clone();
        recipe.train.seed += training.seed;
        let teacher = self.teachers.iter().find(|teacher| teacher.teaches(cell));
        if let Some(teacher) = teacher {
            let folder = self.folder_of_teacher(path, teacher);
            recipe.teacher.source = Some(folder.to_string_lossy().into_owned());
        }
        recipe
    }
}

fn read(file: &Path) -> Result<toml::Table, TrainError> {
    let text = std::fs::read_to_string(file).map_err(TrainError::io(file))?;
    Ok(table(&text, &file.display().to_string())?)
}
