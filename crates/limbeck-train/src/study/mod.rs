//! Studies: which method is worth it, and how sure that is. Many trainings that differ in data,
//! teacher, student, method, budget or seed, each a run of its own, those with a method paired by seed
//! with those without.
//!
//! ```text
//! studies/few-labels/
//!   study.toml                  what was asked for
//!   teachers/resnet20/          runs of the networks that are trained first
//!   runs/none-resnet8/seed-0/   a run's folder for each cell and seed
//!   runs/kd-resnet8/seed-0/
//!   results.json, results.csv, results.md, study.html
//! ```

mod cells;
mod collect;
mod folder;
mod recipe;
mod resampling;

use limbeck_methods::TaskKind;

use self::cells::Crossing;
pub use self::{
    cells::{Cell, CellKey, TrainedTeacher},
    collect::collect,
    folder::LOCK,
    recipe::{Change, StudyRecipe, Which},
};
use crate::{
    TrainError,
    experiment::{Plan, Stock},
};

/// All that a study trains.
#[derive(Clone, Debug)]
pub struct Study {
    /// What was asked for, `[study]` and all.
    table: toml::Table,
    recipe: StudyRecipe,
    /// Trainings of each cell: as many as were asked for, and those that were added for their precision.
    seeds: usize,
    /// Those that methods are compared with first.
    cells: Vec<Cell>,
    /// For each cell, the one that it is compared with; `None` of those that others are compared with.
    compared_with: Vec<Option<usize>>,
    /// What is trained before any cell.
    teachers: Vec<TrainedTeacher>,
    /// What is learnt.
    task: TaskKind,
}

/// One training of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Training {
    /// Number of the cell.
    pub cell: usize,
    /// Counted from 0; added to the recipe's seed.
    pub seed: u64,
}

/// A cell that cannot run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Name of the cell.
    pub cell: String,
    /// In a sentence.
    pub reason: String,
}

impl Study {
    /// Crosses the lists of `[study]` in `table`, which errors call `origin`, and checks every cell without
    /// training anything.
    ///
    /// # Errors
    /// A recipe that cannot be read; all cells that cannot run, at once, with the reason each.
    pub fn of(table: toml::Table, origin: &str, stock: &mut Stock) -> Result<Self, TrainError> {
        let mut base = table.clone();
        let study = base
            .remove("study")
            .unwrap_or_else(|| toml::Table::new().into());
        let study: StudyRecipe = study.try_into().map_err(|error: toml::de::Error| {
            TrainError::Setting(format!("{origin}: [study]: {}", error.message()))
        })?;
        if let Some(mistake) = study.mistake() {
            return Err(TrainError::Setting(mistake));
        }
        let crossing = Crossing {
            base: &base,
            study: &study,
            origin,
        };
        let mut asked = crossing.cells()?;
        cells::name(&mut asked)?;
        let mut refused = Vec::new();
        let mut task = None;
        let mut teachers: Vec<TrainedTeacher> = Vec::new();
        let mut beside: Vec<Cell> = Vec::new();
        let mut with = Vec::new();
        for cell in asked {
            let plan = match Plan::of(cell.recipe.clone(), stock) {
                Ok(plan) => plan,
                Err(error) => {
                    refused.push(Refused {
                        cell: cell.name,
                        reason: error.to_string(),
                    });
                    continue;
                }
            };
            let learnt = *task.get_or_insert(plan.task);
            if plan.task != learnt {
                return Err(TrainError::Setting(format!(
                    "`{}` is about {}, other cells are about {learnt}; make a study of each",
                    cell.name, plan.task
                )));
            }
            let baseline = plan.baseline_method()?;
            if baseline == cell.key.method {
                if !beside.iter().any(|other| other.key == cell.key) {
                    beside.push(cell);
                }
                continue;
            }
            if plan.needs_trained_teacher()
                && let Some(teacher) = crossing.teacher(&cell)?
                && !(teachers.iter())
                    .any(|other| other.source == teacher.source && other.data == teacher.data)
            {
                teachers.push(teacher);
            }
            let compared = crossing.beside(&cell, baseline)?;
            let place = beside.iter().position(|other| other.key == compared.key);
            let place = place.unwrap_or_else(|| {
                beside.push(compared);
                beside.len() - 1
            });
            with.push((cell, place));
        }
        if !refused.is_empty() {
            return Err(TrainError::Setting(in_words(&refused)));
        }
        let mut compared_with = vec![None; beside.len()];
        let mut cells = beside;
        for (cell, place) in with {
            cells.push(cell);
            compared_with.push(Some(place));
        }
        cells::name(&mut cells)?;
        name_teachers(&mut teachers);
        let Some(task) = task else {
            let text = "the study has no cells; name some with study.methods (--method) and \
                        study.students (--student)";
            return Err(TrainError::Setting(text.to_owned()));
        };
        let mut all = Self {
            seeds: study.seeds,
            table,
            recipe: study,
            cells,
            compared_with,
            teachers,
            task,
        };
        all.keep_asked_for()?;
        Ok(all)
    }

    /// Leaves the cells that `study.cells` names, what they are compared with and the teachers that they need.
    fn keep_asked_for(&mut self) -> Result<(), TrainError> {
        let asked = &self.recipe.cells;
        if asked.is_empty() {
            return Ok(());
        }
        let is_asked = |cell: usize| asked.contains(&self.cells[cell].name);
        let is_cell = |name: &&String| self.cells.iter().any(|cell| cell.name == **name);
        if let Some(unknown) = asked.iter().find(|name| !is_cell(name)) {
            let names: Vec<&str> = self.cells.iter().map(|cell| cell.name.as_str()).collect();
            return Err(TrainError::Setting(format!(
                "study.cells (--cell): the study has no cell `{unknown}`; it has {}",
                names.join(", ")
            )));
        }
        let all = 0..self.cells.len();
        let kept: Vec<usize> = (all.clone())
            .filter(|&cell| {
                let with = all
                    .clone()
                    .filter(|&other| self.compared_with[other] == Some(cell));
                is_asked(cell) || with.into_iter().any(is_asked)
            })
            .collect();
        let place_of = |cell: usize| kept.iter().position(|&kept| kept == cell);
        let compared_with = kept.iter().map(|&cell| place_of(self.compared_with[cell]?));
        self.compared_with = compared_with.collect();
        let cells: Vec<Cell> = kept.iter().map(|&cell| self.cells[cell].clone()).collect();
        self.cells = cells;
        self.teachers.retain(|teacher| {
            let mut cells = self.cells.iter();
            cells.any(|cell| teacher.teaches(cell))
        });
        Ok(())
    }

    /// Adds a seed to every cell; false where there are as many as may be.
    pub fn add_seed(&mut self) -> bool {
        let adds = self.seeds < self.recipe.most_seeds;
        self.seeds += usize::from(adds);
        adds
    }

    /// What was asked for.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string_pretty(&self.table).map_err(|error| TrainError::Setting(error.to_string()))
    }

    /// Trainings of each cell.
    pub fn seeds(&self) -> usize {
        self.seeds
    }

    /// What is learnt, of all cells.
    pub fn task(&self) -> TaskKind {
        self.task
    }

    /// What is listed.
    pub fn recipe(&self) -> &StudyRecipe {
        &self.recipe
    }

    /// Those that methods are compared with first.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The cell that `cell` is compared with; `None` of one that others are compared with.
    pub fn compared_with(&self, cell: usize) -> Option<usize> {
        self.compared_with.get(cell).copied().flatten()
    }

    /// What is trained before any cell.
    pub fn teachers(&self) -> &[TrainedTeacher] {
        &self.teachers
    }

    /// All trainings, seed by seed, so that what is done is balanced at any moment.
    pub fn trainings(&self) -> impl Iterator<Item = Training> {
        let cells = self.cells.len();
        let seeds = self.seeds as u64;
        (0..seeds).flat_map(move |seed| (0..cells).map(move |cell| Training { cell, seed }))
    }

    /// The study with more methods, students or seeds, and whatever else `change` does to its lists.
    ///
    /// # Errors
    /// As [`Study::of`]; a study with fewer cells or seeds than this one.
    pub fn changed(
        &self,
        change: impl FnOnce(&mut StudyRecipe),
        stock: &mut Stock,
    ) -> Result<Self, TrainError> {
        let mut recipe = self.recipe.clone();
        change(&mut recipe);
        let mut table = self.table.clone();
        let written = toml::Table::try_from(&recipe)
            .map_err(|error| TrainError::Setting(error.to_string()))?;
        table.insert("study".to_owned(), written.into());
        let changed = Self::of(table, folder::RECIPE, stock)?;
        let names = |study: &Self| -> Vec<String> {
            study.cells.iter().map(|cell| cell.name.clone()).collect()
        };
        let kept = names(&changed);
        match names(self).into_iter().find(|name| !kept.contains(name)) {
            Some(lost) => Err(TrainError::Setting(format!(
                "the cell `{lost}` would have another name with what is added; make a study of its own of that"
            ))),
            None => Ok(changed),
        }
    }
}

/// Teachers of one network on several data sets get a number.
fn name_teachers(teachers: &mut [TrainedTeacher]) {
    let mut known: Vec<String> = Vec::new();
    for teacher in teachers {
        let mut name = teacher.source.clone();
        let mut number = 2;
        while known.contains(&name) {
            name = format!("{}-{number}", teacher.source);
            number += 1;
        }
        known.push(name.clone());
        teacher.name = name;
    }
}

fn in_words(refused: &[Refused]) -> String {
    let lines = refused
        .iter()
        .map(|Refused { cell, reason }| format!("  {cell}: {reason}"));
    let cells = match refused.len() {
        1 => "a cell of the study cannot run".to_owned(),
        count => format!("{count} cells of the study cannot run"),
    };
    format!(
        "{cells}; mend them or leave them out with study.skip:\n{}",
        lines.collect::<Vec<_>>().join("\n")
    )
}
