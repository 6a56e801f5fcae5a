//! YOLO's `data.yaml`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::parts_by_key;
use crate::DataError;
use crate::source::boxes::files::{read_text, tidy};
use crate::source::folder::Role;
use crate::source::masks::yaml;

/// Names of such files, in the order in which they are looked for.
const FILES: [&str; 4] = ["data.yaml", "data.yml", "dataset.yaml", "dataset.yml"];

/// Most bytes of such a file.
const MAX_BYTES: u64 = 1 << 20;

/// Most classes; the largest sets of boxes have 9,000 (YOLO9000).
const MAX_CLASSES: usize = 65_535;

/// What a description says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Description {
    /// The file, or the folder where there is none.
    pub path: PathBuf,
    /// What the paths in it are relative to.
    pub base: PathBuf,
    pub classes: Vec<String>,
    /// Folders of images and lists of images of each part.
    pub parts: Vec<(Option<Role>, Vec<PathBuf>)>,
    /// Whether points of a body follow each box.
    pub keypoints: bool,
    pub notes: Vec<String>,
}

impl Description {
    /// The description in a folder.
    ///
    /// # Errors
    /// One that cannot be read or contradicts itself.
    pub fn find(folder: &Path) -> Result<Option<Self>, DataError> {
        for name in FILES {
            let path = folder.join(name);
            if path.is_file()
                && let Some(description) = Self::read(&path)?
            {
                return Ok(Some(description));
            }
        }
        // Others are called as the data set is; what is none of them is for something else.
        let entries = std::fs::read_dir(folder).map_err(|e| DataError::io(folder, e))?;
        let mut others: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| {
                let end = path.extension().and_then(|end| end.to_str());
                path.is_file() && end.is_some_and(|end| ["yaml", "yml"].contains(&end))
            })
            .collect();
        others.sort();
        for path in others {
            if let Ok(text) = read_text(&path, MAX_BYTES)
                && let Ok(value) = yaml::parse(&text)
                && let Some(description) = Self::of(&path, &value)?
            {
                return Ok(Some(description));
            }
        }
        Ok(None)
    }

    /// Reads a file; `None` where it describes no images with classes.
    ///
    /// # Errors
    /// What is no YAML or contradicts itself.
    pub fn read(path: &Path) -> Result<Option<Self>, DataError> {
        let value = yaml::parse(&read_text(path, MAX_BYTES)?)
            .map_err(|e| DataError::corrupt(path, format!("it is no plain YAML: {e}")))?;
        Self::of(path, &value)
    }

    /// `images/` and `labels/` side by side, with parts in both or without.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn of_folder(folder: &Path, classes: Vec<String>) -> Result<Self, DataError> {
        let images = folder.join("images");
        let entries = std::fs::read_dir(&images).map_err(|e| DataError::io(&images, e))?;
        let mut parts: Vec<(Option<Role>, Vec<PathBuf>)> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .filter_map(|path| Some((Some(Role::named(path.file_name()?.to_str()?)?), vec![path])))
            .collect();
        parts.sort();
        if parts.is_empty() {
            parts.push((None, vec![images]));
        }
        Ok(Self {
            path: folder.to_owned(),
            base: folder.to_owned(),
            classes,
            parts,
            keypoints: false,
            notes: Vec::new(),
        })
    }

    fn of(path: &Path, value: &Value) -> Result<Option<Self>, DataError> {
        let given = |key: &str| value.get(key).filter(|value| !value.is_null());
        let any_part = parts_by_key().iter().any(|(key, _)| given(key).is_some());
        if !any_part || given("names").is_none() && given("nc").is_none() {
            return Ok(None);
        }
        let wrong = |reason: String| DataError::Layout {
            path: path.to_owned(),
            reason,
        };
        let classes = classes(given("names"), given("nc")).map_err(wrong)?;
        let mut notes = Vec::new();
        let folder = path.parent().unwrap_or(Path::new("."));
        let base = match given("path").and_then(Value::as_str) {
            None => folder.to_owned(),
            Some(text) => {
                let base = folder.join(text.trim().replace('\\', "/"));
                if base.is_dir() {
                    base
                } else {
                    notes.push(format!(
                        "there is no folder {}, which {} gives as `path`: the folder of the file is \
                         taken for it",
                        base.display(),
                        path.display()
                    ));
                    folder.to_owned()
                }
            }
        };
        let mut parts = Vec::new();
        for (key, role) in parts_by_key() {
            let texts = match given(key) {
                None => continue,
                Some(Value::String(text)) => vec![text.as_str()],
                Some(Value::Array(list)) => list
                    .iter()
                    .map(|entry| entry.as_str())
                    .collect::<Option<Vec<&str>>>()
                    .ok_or_else(|| {
                        wrong(format!("`{key}` is a list of something else than paths"))
                    })?,
                Some(_) => {
                    return Err(wrong(format!(
                        "`{key}` is neither a path nor a list of some"
                    )));
                }
            };
            let mut entries = Vec::new();
            for text in texts {
                match place(text, &base, folder) {
                    Some((entry, by_end)) => {
                        if by_end {
                            notes.push(format!(
                                "`{key}: {text}` of {} leads nowhere, and the end of it to {}, which is \
                                 taken",
                                path.display(),
                                entry.display()
                            ));
                        }
                        entries.push(entry);
                    }
                    // That of COCO's description is not to be had.
                    None if role == Role::Test => notes.push(format!(
                        "`test: {text}` of {} leads nowhere, so it is no test part",
                        path.display()
                    )),
                    None => {
                        return Err(wrong(format!(
                            "`{key}: {text}` leads nowhere: there is no {}; paths are relative to \
                             `path`, and this to the folder of the file",
                            base.join(text).display()
                        )));
                    }
                }
            }
            if !entries.is_empty() {
                parts.push((Some(role), entries));
            }
        }
        Ok(Some(Self {
            path: path.to_owned(),
            base,
            classes,
            parts,
            keypoints: given("kpt_shape").is_some(),
            notes,
        }))
    }

    /// The folder of the data set.
    pub fn folder(&self) -> &Path {
        match self.path.is_dir() {
            true => &self.path,
            false => self.path.parent().unwrap_or(Path::new(".")),
        }
    }
}

/// Where a path of the description leads: from its `path`, or from the folder of the file; one of
/// another machine by its end, with `true`.
fn place(text: &str, base: &Path, folder: &Path) -> Option<(PathBuf, bool)> {
    let text = text.trim().replace('\\', "/");
    let whole = Path::new(&text);
    if whole.is_absolute() && whole.exists() {
        return Some((whole.to_owned(), false));
    }
    let steps: Vec<&str> = text
        .split('/')
        .filter(|step| !step.is_empty() && *step != ".")
        .collect();
    // A path without steps is the folder itself; what is left of a longer one is not.
    (0..steps.len().max(1)).find_map(|skipped| {
        let end = steps.get(skipped..).unwrap_or_default().join("/");
        let places = [base.join(&end), folder.join(&end)];
        let found = places.into_iter().find(|path| path.exists())?;
        Some((tidy(&found), skipped > 0))
    })
}

/// The names of the classes, by `names` or else by how many there are.
fn classes(names: Option<&Value>, count: Option<&Value>) -> Result<Vec<String>, String> {
    let count = match count {
        None => None,
        Some(count) => Some(
            count
                .as_u64()
                .filter(|count| (1..=MAX_CLASSES as u64).contains(count))
                .ok_or_else(|| format!("`nc` is {count}; it must be 1 to {MAX_CLASSES}"))?
                as usize,
        ),
    };
    let name = |value: &Value| match value {
        Value::String(name) => Ok(name.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        other => Err(format!("`names` has {other}, which is no name")),
    };
    let names: Vec<String> = match names {
        None => (0..count.unwrap_or(0))
            .map(|class| class.to_string())
            .collect(),
        Some(Value::Array(list)) => list.iter().map(name).collect::<Result<_, _>>()?,
        Some(Value::Object(map)) => {
            let mut by_number = Vec::new();
            for (key, value) in map {
                let number: usize = key.trim().parse().map_err(|_| {
                    format!("`names` has the key `{key}`; keys are the numbers of the classes")
                })?;
                by_number.push((number, name(value)?));
            }
            by_number.sort();
            if let Some((place, (number, _))) = by_number
                .iter()
                .enumerate()
                .find(|(place, (number, _))| place != number)
            {
                return Err(format!(
                    "`names` has the class {number} and not {place}; classes are numbered from 0 \
                     without gaps"
                ));
            }
            by_number.into_iter().map(|(_, name)| name).collect()
        }
        Some(_) => return Err("`names` is neither a list nor names by number".to_owned()),
    };
    if names.is_empty() || names.len() > MAX_CLASSES {
        return Err(format!("`names` has {} classes", names.len()));
    }
    match count.filter(|count| *count != names.len()) {
        Some(count) => Err(format!(
            "`nc` is {count}, and `names` has {} names",
            names.len()
        )),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Description>, String> {
        let folder = tempfile::tempdir().unwrap();
        for part in ["images/train", "images/val", "valid/images"] {
            std::fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        let path = folder.path().join("data.yaml");
        std::fs::write(&path, text).unwrap();
        Description::read(&path).map_err(|e| e.to_string())
    }

    fn error(text: &str) -> String {
        read(text).unwrap_err()
    }

    #[test]
    fn names_are_a_list_or_a_map_and_paths_one_or_several() {
        let list = read("train: images/train\nnames: [a, 7]\nnc: 2\n")
            .unwrap()
            .unwrap();
        assert_eq!(list.classes, ["a", "7"]);
        assert_eq!(list.parts.len(), 1);
        let text =
            "train: [images/train, images/val]\nval: ../valid/images\nnames:\n  1: b\n  0: a\n";
        let map = read(text).unwrap().unwrap();
        assert_eq!(map.classes, ["a", "b"]);
        assert_eq!(map.parts[0].1.len(), 2);
        assert!(
            map.notes[0].contains("`val: ../valid/images`"),
            "{:?}",
            map.notes
        );
        assert!(map.parts[1].1[0].ends_with("valid/images"));
        let unnamed = read("train: images\\train\nnc: 2\n").unwrap().unwrap();
        assert_eq!(unnamed.classes, ["0", "1"]);
        assert_eq!(read("names: [a]\n").unwrap(), None);
    }

    #[test]
    fn a_path_of_another_machine_is_told_and_a_test_part_may_be_missing() {
        let text = "path: /home/x/coco8\ntrain: images/train\ntest: nowhere\nnames: [a]\n";
        let read = read(text).unwrap().unwrap();
        assert!(read.notes[0].contains("/home/x/coco8"), "{:?}", read.notes);
        assert!(read.notes[1].contains("no test part"));
        assert_eq!(read.parts.len(), 1);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let part = "train: images/train\n";
        assert!(
            error(&format!("{part}names: [a]\nnc: 2\n")).contains("`nc` is 2, and `names` has 1")
        );
        assert!(error(&format!("{part}names: {{0: a, 2: b}}\n")).contains("class 2 and not 1"));
        assert!(error(&format!("{part}names: {{x: a}}\n")).contains("key `x`"));
        assert!(error(&format!("{part}nc: 1000000000\n")).contains("1 to 65535"));
        assert!(error("train: images/nowhere\nnames: [a]\n").contains("leads nowhere"));
        assert!(error("train: {a: b}\nnames: [a]\n").contains("neither a path"));
        assert!(error("train: [").contains("no plain YAML"));
    }
}
