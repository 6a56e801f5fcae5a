//! Several runs on the same data with the same teacher, each with its plan.

use std::path::{Path, PathBuf};

use super::{Plan, Stock, series_folder::SeriesFolder, sharing};
use crate::{TrainError, recipe::Recipe, run_folder::RunFolder};

/// Several runs: their folders, and the plans of those that are not done.
pub struct Series {
    folder: SeriesFolder,
    /// By the name of the run's folder; a plan leaves when it is asked for.
    plans: Vec<(String, Plan)>,
    /// What the plans of a series that is gone on with have in common.
    stock: Stock,
}

impl Series {
    /// Makes a new folder with one for each run, named `<method>-<student>`, and its recipe in it.
    /// With `out` exactly that one, which must not exist; without, one in `runs/`. `students` of all
    /// runs together read the stored outputs of the teacher, as [`super::arrange`] has settled.
    ///
    /// # Errors
    /// Two runs of the same name, a folder that exists, or a file system that refuses.
    pub fn create(
        out: Option<&Path>,
        plans: Vec<Plan>,
        students: usize,
    ) -> Result<Self, TrainError> {
        let recipes: Vec<&Recipe> = plans.iter().map(|plan| &plan.recipe).collect();
        let folder = SeriesFolder::create(out, &recipes, students)?;
        let plans = folder.names().map(str::to_owned).zip(plans).collect();
        Ok(Self {
            folder,
            plans,
            stock: Stock::new(),
        })
    }

    /// The series in `path`; `None` where it is none. Its plans are made when they are asked for.
    ///
    /// # Errors
    /// A list that cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>, TrainError> {
        let folder = SeriesFolder::open(path)?;
        Ok(folder.map(|folder| Self {
            folder,
            plans: Vec::new(),
            stock: Stock::new(),
        }))
    }

    /// The plan of `run`: the one that the series was made with, or, where it is gone on with, one
    /// from the recipe in the run's folder, which `change` may give other threads.
    ///
    /// # Errors
    /// Whatever is wrong with the recipe, the data or the teacher.
    pub fn plan(
        &mut self,
        run: &RunFolder,
        change: impl FnOnce(&mut Recipe),
    ) -> Result<Plan, TrainError> {
        let name = run.name();
        if let Some(place) = self.plans.iter().position(|(own, _)| *own == name) {
            return Ok(self.plans.swap_remove(place).1);
        }
        let mut recipe = run.recipe()?;
        change(&mut recipe);
        Plan::of(recipe, &mut self.stock)
    }

    /// Removes what its runs had in common and no longer need.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn finish(&self) -> Result<(), TrainError> {
        sharing::clear(self.folder.path())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folders of the runs, in order.
    pub fn runs(&self) -> Vec<PathBuf> {
        self.folder.runs().collect()
    }

    /// Where the page that compares them is written.
    pub fn comparison(&self) -> PathBuf {
        self.folder.path().join("comparison.html")
    }
}
