//! What a study's lists are crossed to.

use std::collections::BTreeMap;

use limbeck_methods::BASELINE;

use super::recipe::{Change, StudyRecipe, Which};
use crate::{
    TrainError,
    named_model::ModelSource,
    recipe::{Layers, Recipe, put},
};

/// What tells the cells of a study apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellKey {
    /// As `data.path`.
    pub data: String,
    /// As `teacher.source`; `None` of a method that is compared with, which learns from nobody.
    pub teacher: Option<String>,
    /// As `student.model`.
    pub student: String,
    /// As `method.name`.
    pub method: String,
    /// As `data.shots`.
    pub shots: Option<usize>,
    /// As `train.epochs`.
    pub epochs: usize,
}

/// Trainings that differ in their seed alone.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Of its folder: method, student, and whatever else tells it from other cells of the study.
    pub name: String,
    /// What tells it from other cells.
    pub key: CellKey,
    /// Of the first seed. A teacher that is trained first is named by its network.
    pub recipe: Recipe,
}

/// A network that is trained on labels alone before the cells that learn from it.
#[derive(Clone, Debug)]
pub struct TrainedTeacher {
    /// Of its folder.
    pub name: String,
    /// As the cells name it.
    pub source: String,
    /// What it is trained on.
    pub data: String,
    /// How it is trained.
    pub recipe: Recipe,
}

impl TrainedTeacher {
    /// Whether `cell` learns from it.
    pub fn teaches(&self, cell: &Cell) -> bool {
        Some(&self.source) == cell.key.teacher.as_ref() && self.data == cell.key.data
    }
}

/// What every cell begins with, and the lists.
pub(super) struct Crossing<'a> {
    /// The recipe but for `[study]`.
    pub base: &'a toml::Table,
    pub study: &'a StudyRecipe,
    /// What errors call the recipe.
    pub origin: &'a str,
}

impl Crossing<'_> {
    /// All cells that are not left out, without those that methods are compared with.
    ///
    /// # Errors
    /// A recipe that cannot be read; a change or an omission that no cell is meant by.
    pub fn cells(&self) -> Result<Vec<Cell>, TrainError> {
        let study = self.study;
        let mut cells = Vec::new();
        let mut left_out = vec![false; study.skip.len()];
        for asked in crossed(study) {
            let recipe = self.recipe(&asked)?;
            let key = key_of(&recipe);
            let skipping: Vec<bool> = study.skip.iter().map(|which| which.is(&key)).collect();
            for (used, skips) in left_out.iter_mut().zip(&skipping) {
                *used |= skips;
            }
            if !skipping.contains(&true) {
                let name = String::new();
                cells.push(Cell { name, key, recipe });
            }
        }
        if let Some(unused) = left_out.iter().position(|used| !used) {
            return Err(no_cell("skip", unused));
        }
        for (place, change) in study.set.iter().enumerate() {
            if !cells.iter().any(|cell| change.only.is(&cell.key)) {
                return Err(no_cell("set", place));
            }
        }
        Ok(cells)
    }

    /// The recipe of the cells that are asked for, of the first seed.
    fn recipe(&self, asked: &Asked<'_>) -> Result<Recipe, TrainError> {
        let key = key_of(&self.layers(asked, &[])?.resolve()?);
        let changes = self.study.set.iter();
        let changes: Vec<&Change> = changes.filter(|change| change.only.is(&key)).collect();
        Ok(self.layers(asked, &changes)?.resolve()?)
    }

    /// The cell that methods of `cell` are compared with: `method` on the same data, with the same
    /// student, budget and seeds.
    pub fn beside(&self, cell: &Cell, method: &str) -> Result<Cell, TrainError> {
        let asked = Asked {
            data: Some(&cell.key.data),
            teacher: None,
            student: Some(&cell.key.student),
            method: Some(method),
            shots: cell.key.shots,
            epochs: Some(cell.key.epochs),
        };
        let mut recipe = self.recipe(&asked)?;
        if method == BASELINE {
            recipe.teacher = crate::recipe::TeacherRecipe::default();
        }
        let key = key_of(&recipe);
        let name = String::new();
        Ok(Cell { name, key, recipe })
    }

    fn layers(&self, asked: &Asked<'_>, changes: &[&Change]) -> Result<Layers, TrainError> {
        let mut layers = Layers::new();
        let method = asked.method.map(str::to_owned).or_else(|| {
            let own = self.base.get("method")?.get("name")?.as_str()?;
            Some(own.to_owned())
        });
        layers.merge(&of_method(self.base, method.as_deref()), self.origin);
        for change in changes {
            layers.merge(&of_method(&change.with, method.as_deref()), "[[study.set]]");
        }
        let number = |number: usize| toml::Value::from(number as i64);
        let own = [
            (["data", "path"], asked.data.map(Into::into)),
            (["teacher", "source"], asked.teacher.map(Into::into)),
            (["student", "model"], asked.student.map(Into::into)),
            (["method", "name"], asked.method.map(Into::into)),
            (["data", "shots"], asked.shots.map(number)),
            (["train", "epochs"], asked.epochs.map(number)),
            // Seeds and baselines are cells of the study.
            (["train", "seeds"], Some(1.into())),
            (["train", "baseline"], Some(false.into())),
        ];
        layers.merge(&table_of(own)?, "[study]");
        Ok(layers)
    }

    /// How `source` is trained first on the data of `cell`; `None` of one that is trained already.
    pub fn teacher(&self, cell: &Cell) -> Result<Option<TrainedTeacher>, TrainError> {
        let Some(source) = &cell.key.teacher else {
            return Ok(None);
        };
        if !matches!(ModelSource::recognise(source)?, ModelSource::Zoo(_)) {
            return Ok(None);
        }
        let mut layers = Layers::new();
        layers.merge(&of_method(self.base, Some(BASELINE)), self.origin);
        let own = [
            (["data", "path"], Some(cell.key.data.as_str().into())),
            (["student", "model"], Some(source.as_str().into())),
            (["method", "name"], Some(BASELINE.into())),
            (["train", "seeds"], Some(1.into())),
            (["train", "baseline"], Some(false.into())),
        ];
        layers.merge(&table_of(own)?, "[study]");
        layers.merge(&self.study.teacher, "[study.teacher]");
        let mut recipe = layers.resolve()?;
        recipe.teacher = crate::recipe::TeacherRecipe::default();
        Ok(Some(TrainedTeacher {
            name: source.clone(),
            source: source.clone(),
            data: cell.key.data.clone(),
            recipe,
        }))
    }
}

/// All combinations of what is listed.
fn crossed(study: &StudyRecipe) -> Vec<Asked<'_>> {
    let mut all = vec![Asked::default()];
    all = with_each(all, &study.data, |asked, data| asked.data = Some(data));
    all = with_each(all, &study.shots, |asked, shots| asked.shots = Some(*shots));
    all = with_each(all, &study.epochs, |asked, epochs| {
        asked.epochs = Some(*epochs)
    });
    all = with_each(all, &study.students, |asked, student| {
        asked.student = Some(student)
    });
    all = with_each(all, &study.teachers, |asked, teacher| {
        asked.teacher = Some(teacher)
    });
    with_each(all, &study.methods, |asked, method| {
        asked.method = Some(method)
    })
}

/// Each combination with each value of a list, those of one combination side by side; as they are where
/// nothing is listed.
fn with_each<'a, T>(
    all: Vec<Asked<'a>>,
    list: &'a [T],
    put: impl Fn(&mut Asked<'a>, &'a T),
) -> Vec<Asked<'a>> {
    if list.is_empty() {
        return all;
    }
    let mut more = Vec::with_capacity(all.len() * list.len());
    for asked in all {
        for value in list {
            let mut with = asked.clone();
            put(&mut with, value);
            more.push(with);
        }
    }
    more
}

/// One combination of what is listed.
#[derive(Clone, Debug, Default)]
struct Asked<'a> {
    data: Option<&'a str>,
    teacher: Option<&'a str>,
    student: Option<&'a str>,
    method: Option<&'a str>,
    shots: Option<usize>,
    epochs: Option<usize>,
}

fn key_of(recipe: &Recipe) -> CellKey {
    CellKey {
        data: recipe.data.path.clone(),
        teacher: recipe.teacher.source.clone(),
        student: recipe.student.model.clone(),
        method: recipe.method.name.clone(),
        shots: recipe.data.shots,
        epochs: recipe.train.epochs,
    }
}

fn no_cell(list: &str, place: usize) -> TrainError {
    TrainError::Setting(format!(
        "study.{list}: no cell is meant by entry {} of the list; its names are those of the lists of [study]",
        place + 1
    ))
}

/// The table without the settings of other methods than `method`, which a recipe of one method refuses.
fn of_method(table: &toml::Table, method: Option<&str>) -> toml::Table {
    let mut table = table.clone();
    if let (Some(toml::Value::Table(settings)), Some(method)) = (table.get_mut("method"), method) {
        let is_own = |key: &str| method.split('+').any(|own| own == key);
        settings.retain(|key, value| !value.is_table() || is_own(key));
    }
    table
}

/// The values that are there, each in its section.
fn table_of<const COUNT: usize>(
    values: [([&str; 2], Option<toml::Value>); COUNT],
) -> Result<toml::Table, TrainError> {
    let mut table = toml::Table::new();
    for (path, value) in values {
        if let Some(value) = value {
            put(&mut table, &path, value)?;
        }
    }
    Ok(table)
}

impl Which {
    /// Whether a cell is meant.
    pub fn is(&self, key: &CellKey) -> bool {
        let same =
            |asked: &Option<String>, found: &str| asked.as_ref().is_none_or(|asked| asked == found);
        same(&self.data, &key.data)
            && (self.teacher.is_none() || self.teacher == key.teacher)
            && same(&self.student, &key.student)
            && same(&self.method, &key.method)
            && (self.shots.is_none() || self.shots == key.shots)
            && self.epochs.is_none_or(|epochs| epochs == key.epochs)
    }
}

/// Names cells `<method>-<student>`, with whatever else differs within the study behind.
///
/// # Errors
/// Two cells of the same name.
pub(super) fn name(cells: &mut [Cell]) -> Result<(), TrainError> {
    let differs = |of: fn(&CellKey) -> Option<String>| {
        let mut values: Vec<Option<String>> = cells
            .iter()
            .map(|cell| of(&cell.key))
            .filter(Option::is_some)
            .collect();
        values.sort();
        values.dedup();
        values
    };
    let data = differs(|key| Some(key.data.clone()));
    let teachers = differs(|key| key.teacher.clone());
    let shots = differs(|key| key.shots.map(|shots| shots.to_string()));
    let epochs = differs(|key| Some(key.epochs.to_string()));
    let mut known = BTreeMap::new();
    for (place, cell) in cells.iter_mut().enumerate() {
        let key = &cell.key;
        let mut name = format!("{}-{}", key.method, key.student);
        if let (Some(teacher), true) = (&key.teacher, teachers.len() > 1) {
            let number = teachers
                .iter()
                .position(|one| one.as_ref() == Some(teacher));
            match is_plain(teacher) {
                true => name.push_str(&format!("-from-{teacher}")),
                false => name.push_str(&format!("-from-teacher{}", number.unwrap_or(0) + 1)),
            }
        }
        if let (Some(shots), true) = (key.shots, shots.len() > 1) {
            name.push_str(&format!("-{shots}shots"));
        }
        if epochs.len() > 1 {
            name.push_str(&format!("-{}epochs", key.epochs));
        }
        if data.len() > 1 {
            let number = data.iter().position(|one| one.as_ref() == Some(&key.data));
            match is_plain(&key.data) {
                true => name.push_str(&format!("-on-{}", key.data)),
                false => name.push_str(&format!("-on-data{}", number.unwrap_or(0) + 1)),
            }
        }
        if known.insert(name.clone(), place).is_some() {
            return Err(TrainError::Setting(format!(
                "`{name}` is in the study twice; list each data set, teacher, student, method and budget once"
            )));
        }
        cell.name = name;
    }
    Ok(())
}

/// Whether text can stand in a folder's name.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
}
