//! Files that say which classes masks have: names, ids, colours, what is merged and what is void.

mod table;
pub(in crate::source) mod yaml;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::DataError;

/// Names of such files, in the order in which they are looked for, in lower case.
const FILES: [&str; 22] = [
    "classes.yaml",
    "classes.yml",
    "classes.json",
    "classes.csv",
    "classes.txt",
    "class_dict.csv",
    "class_names.txt",
    "class_names.json",
    "class_names.yaml",
    "labels.yaml",
    "labels.yml",
    "labels.json",
    "labels.csv",
    "labels.txt",
    "label_colors.txt",
    "id2label.json",
    "names.txt",
    "data.yaml",
    "data.yml",
    "dataset.yaml",
    "dataset.yml",
    "dataset.json",
];

/// Most bytes of such a file.
const MAX_BYTES: u64 = 1 << 20;

/// Names of classes that stand for pixels that do not count, in lower case.
const VOID_NAMES: [&str; 10] = [
    "void",
    "ignore",
    "ignored",
    "__ignore__",
    "_ignore_",
    "unlabelled",
    "unlabeled",
    "unlabel",
    "dontcare",
    "don't care",
];

/// What a mask has for a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stored {
    /// A number.
    Id(u16),
    /// Red, green and blue.
    Colour([u8; 3]),
}

/// A class of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    /// What masks have for it; empty where only its place in the list says that.
    pub stored: Vec<Stored>,
}

/// What a file says of classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassFile {
    pub path: PathBuf,
    /// In the order of the file, or of the ids where it gives some.
    pub entries: Vec<Entry>,
    /// What does not count.
    pub ignored: Vec<Stored>,
}

impl ClassFile {
    /// The first file of a usual name in one of the folders.
    ///
    /// # Errors
    /// A file that cannot be read, or does not say what the classes are.
    pub fn find(folders: &[&Path]) -> Result<Option<Self>, DataError> {
        for folder in folders {
            let Ok(entries) = std::fs::read_dir(folder) else {
                continue;
            };
            let mut there: Vec<(usize, PathBuf)> = entries
                .filter_map(Result::ok)
                .filter_map(|entry| {
                    let name = entry.file_name().to_string_lossy().to_lowercase();
                    let rank = FILES.iter().position(|file| *file == name)?;
                    entry.path().is_file().then(|| (rank, entry.path()))
                })
                .collect();
            there.sort();
            for (_, path) in there {
                if let Some(file) = Self::read(&path)? {
                    return Ok(Some(file));
                }
            }
        }
        Ok(None)
    }

    /// Reads a file; `None` where a description of a data set says nothing of classes.
    pub fn read(path: &Path) -> Result<Option<Self>, DataError> {
        let text = read_text(path)?;
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or("");
        let file = match end.to_lowercase().as_str() {
            "json" => {
                let value = serde_json::from_str(&text)
                    .map_err(|e| DataError::corrupt(path, format!("it is no JSON: {e}")))?;
                Self::of_value(path, &value)?
            }
            "yaml" | "yml" => {
                let value = yaml::parse(&text)
                    .map_err(|e| DataError::corrupt(path, format!("it is no plain YAML: {e}")))?;
                Self::of_value(path, &value)?
            }
            "csv" => Some(Self::of_table(path, &text)?),
            _ => Some(Self::of_lines(path, &text)?),
        };
        match &file {
            Some(file) if file.entries.is_empty() => Err(wrong(path, "it names no class")),
            _ => Ok(file),
        }
    }

    /// JSON, or YAML read as such: a list of names or of objects, ids with names, ids with objects,
    /// or names with ids, as they are or below `classes`, `names` or the like.
    fn of_value(path: &Path, value: &Value) -> Result<Option<Self>, DataError> {
        let mut file = Self::empty(path);
        let mut classes = value;
        if let Value::Object(map) = value {
            let below = ["classes", "names", "id2label", "labels", "categories"];
            match below.iter().find_map(|key| map.get(*key)) {
                Some(inner) if inner.is_array() || inner.is_object() => classes = inner,
                _ if map
                    .keys()
                    .any(|key| ["path", "train", "val"].contains(&key.as_str())) =>
                {
                    return Ok(None);
                }
                _ => {}
            }
            for key in [
                "ignore",
                "ignore_classes",
                "ignore_label",
                "ignore_index",
                "ignored",
                "void",
            ] {
                if let Some(ignored) = map.get(key).filter(|value| !value.is_null()) {
                    file.ignored.extend(ids_or_colours(path, ignored)?);
                }
            }
        }
        match classes {
            Value::Array(list) => {
                for item in list {
                    file.add_value(item, Vec::new())?;
                }
            }
            Value::Object(map) => file.add_map(map)?,
            _ => return Err(wrong(path, "it holds neither a list nor names by id")),
        }
        Ok(Some(file))
    }

    fn empty(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            entries: Vec::new(),
            ignored: Vec::new(),
        }
    }

    fn add(&mut self, name: String, stored: Vec<Stored>) {
        self.entries.push(Entry { name, stored });
    }

    /// Adds ids with names or objects, or names with what is stored for each.
    fn add_map(&mut self, map: &Map<String, Value>) -> Result<(), DataError> {
        let settings = |key: &str| key.starts_with("ignore") || key == "void";
        let rows: Vec<(&String, &Value)> = map.iter().filter(|(key, _)| !settings(key)).collect();
        let ids = rows
            .iter()
            .map(|(key, value)| Some((key.parse().ok()?, *value)));
        if let Some(mut ids) = ids.collect::<Option<Vec<(u16, &Value)>>>() {
            ids.sort_by_key(|(id, _)| *id);
            for (id, value) in ids {
                self.add_value(value, vec![Stored::Id(id)])?;
            }
            return Ok(());
        }
        let three = |value: &Value| value.as_array().is_some_and(|list| list.len() == 3);
        let colours = rows.iter().all(|(_, value)| three(value));
        let mut named = Vec::new();
        for (name, value) in rows {
            let stored = match value {
                Value::Object(object) => stored_in(&self.path, object)?,
                value if colours => vec![colour(&self.path, value)?],
                value => ids_or_colours(&self.path, value)?,
            };
            named.push((stored, name.clone()));
        }
        named.sort();
        named
            .into_iter()
            .for_each(|(stored, name)| self.add(name, stored));
        Ok(())
    }

    /// Adds a name, or an object with a name; `stored` holds unless the object says more.
    fn add_value(&mut self, value: &Value, stored: Vec<Stored>) -> Result<(), DataError> {
        match value {
            Value::String(name) => self.add(name.clone(), stored),
            Value::Number(name) => self.add(name.to_string(), stored),
            Value::Object(object) => {
                let name = object.get("name").or_else(|| object.get("label"));
                let Some(Value::String(name)) = name else {
                    let reason = format!("a class has no `name`: {value}");
                    return Err(wrong(&self.path, reason));
                };
                let mut inner = stored_in(&self.path, object)?;
                if !inner.iter().any(|stored| matches!(stored, Stored::Id(_))) {
                    inner.extend(stored);
                }
                self.add(name.clone(), inner);
            }
            _ => {
                let reason = format!("a class is neither a name nor has one: {value}");
                return Err(wrong(&self.path, reason));
            }
        }
        Ok(())
    }
}

/// Whether a class of that name stands for pixels that do not count.
pub(super) fn is_void_name(name: &str) -> bool {
    VOID_NAMES.contains(&name.to_lowercase().as_str())
}

/// The text of a small file; a mark of its byte order is dropped.
pub(super) fn read_text(path: &Path) -> Result<String, DataError> {
    let size = std::fs::metadata(path)
        .map_err(|e| DataError::io(path, e))?
        .len();
    if size > MAX_BYTES {
        let reason = format!("it has {size} bytes; a list of classes has {MAX_BYTES} at the most");
        return Err(wrong(path, reason));
    }
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, e))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(path, "it is not UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

fn wrong(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::Layout {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

/// What an object says that masks have for a class: ids and colours, which may both be there where
/// the colours are for showing masks.
fn stored_in(path: &Path, object: &Map<String, Value>) -> Result<Vec<Stored>, DataError> {
    let first = |keys: &[&str]| keys.iter().find_map(|key| object.get(*key));
    let mut stored = Vec::new();
    if let Some(ids) = first(&["labels", "values", "ids", "value", "id"]) {
        stored.extend(ids_or_colours(path, ids)?);
    }
    if let Some(value) = first(&["color", "colour", "rgb"]) {
        stored.push(colour(path, value)?);
    }
    Ok(stored)
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    }
}

/// A list of red, green and blue.
fn colour(path: &Path, value: &Value) -> Result<Stored, DataError> {
    let level = |value: &Value| u8::try_from(number(value)?).ok();
    let read = || {
        let [red, green, blue] = value.as_array()?.as_slice() else {
            return None;
        };
        Some(Stored::Colour([level(red)?, level(green)?, level(blue)?]))
    };
    read().ok_or_else(|| wrong(path, format!("{value} is no colour [red, green, blue]")))
}

/// An id, a list of ids, or a list of colours.
fn ids_or_colours(path: &Path, value: &Value) -> Result<Vec<Stored>, DataError> {
    let id = |value: &Value| {
        let id = number(value).and_then(|id| u16::try_from(id).ok());
        let bad = || wrong(path, format!("{value} is no id from 0 to {}", u16::MAX));
        id.map(Stored::Id).ok_or_else(bad)
    };
    match value {
        Value::Array(list) if list.iter().any(Value::is_array) => {
            list.iter().map(|item| colour(path, item)).collect()
        }
        Value::Array(list) => list.iter().map(id).collect(),
        // Some tools write -1 for what no mask has.
        Value::Number(number) if number.as_i64() == Some(-1) => Ok(Vec::new()),
        single => Ok(vec![id(single)?]),
    }
}

#[cfg(test)]
mod tests;
