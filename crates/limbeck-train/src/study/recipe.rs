//! `[study]`: which runs a study is made of.

use serde::{Deserialize, Serialize};

/// Cells are all combinations of what is listed, each trained with each seed. A list that is empty
/// leaves that setting to the rest of the recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StudyRecipe {
    /// Data sets, as `data.path` names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
    /// Teachers, as `teacher.source` names them; a model of the zoo is trained first, once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teachers: Vec<String>,
    /// Students, as `student.model` names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub students: Vec<String>,
    /// Methods, as `method.name` names them. Baselines are added to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Images of each class, as `data.shots`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shots: Vec<usize>,
    /// Budgets, as `train.epochs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<usize>,
    /// Trainings of each cell, from `train.seed` on; the least of them where there is a `precision`.
    pub seeds: usize,
    /// Half width, in the unit of what networks are compared by, that the 95 % interval of every gain over seeds
    /// is to have: seeds are added to all cells alike until it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// Seeds that are not gone beyond for that.
    #[serde(skip_serializing_if = "is_default_most")]
    pub most_seeds: usize,
    /// Makes the study the null experiment: pairs of trainings in each draw. As many draws are made as the
    /// seeds suffice for, two for each pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null: Option<usize>,
    /// Of all those cells these alone, by their names, and what they are compared with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
    /// Cells that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<Which>,
    /// Cells with other settings; later ones win.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Change>,
    /// What is different for teachers that are trained first, in sections of a recipe:
    /// `[study.teacher.train]` with `epochs = 60`.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub teacher: toml::Table,
}

impl Default for StudyRecipe {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            teachers: Vec::new(),
            students: Vec::new(),
            methods: Vec::new(),
            shots: Vec::new(),
            epochs: Vec::new(),
            seeds: DEFAULT_SEEDS,
            precision: None,
            most_seeds: DEFAULT_MOST_SEEDS,
            null: None,
            cells: Vec::new(),
            skip: Vec::new(),
            set: Vec::new(),
            teacher: toml::Table::new(),
        }
    }
}

/// With five seeds a gain of 1.7 standard deviations shows four times in five; with three it takes 3.3.
const DEFAULT_SEEDS: usize = 5;

/// With thirty seeds an interval is a third as wide as with five: more are seldom paid for.
const DEFAULT_MOST_SEEDS: usize = 30;

fn is_default_most(seeds: &usize) -> bool {
    *seeds == DEFAULT_MOST_SEEDS
}

impl StudyRecipe {
    /// What no study can be, in a sentence.
    pub(super) fn mistake(&self) -> Option<String> {
        if self.seeds == 0 {
            return Some("study.seeds is 0; give 3 or more, 1 proves nothing".to_owned());
        }
        let precision = self.precision?;
        if !precision.is_finite() || precision <= 0.0 {
            return Some(format!(
                "study.precision (--precision) is {precision}; give the half width that intervals are to have, such as \
                 0.5 points"
            ));
        }
        if self.seeds < 2 {
            return Some(
                "one seed has no interval; with study.precision give study.seeds 3 or more"
                    .to_owned(),
            );
        }
        if self.null.is_some() {
            return Some(
                "the null experiment has as many draws as it has; leave study.precision out"
                    .to_owned(),
            );
        }
        (self.most_seeds < self.seeds).then(|| {
            format!(
                "study.most_seeds (--most-seeds) is {}, less than the {} of study.seeds",
                self.most_seeds, self.seeds
            )
        })
    }
}

/// Some of the cells: those that agree in all that is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Which {
    /// As `data.path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// As `teacher.source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
    /// As `student.model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub student: Option<String>,
    /// As `method.name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// As `data.shots`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shots: Option<usize>,
    /// As `train.epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
}

/// Other settings for some cells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Of which cells.
    #[serde(default)]
    pub only: Which,
    /// Sections of a recipe, such as `with.method.kd.temperature = 2.0`.
    pub with: toml::Table,
}
