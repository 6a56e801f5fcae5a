//! Classes of objects that are called by names: those of a list, or all that are met.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::read_text;
use crate::DataError;

/// Files with a class a line, in the order in which they are looked for.
const LISTS: [&str; 7] = [
    "classes.txt",
    "labels.txt",
    "class_names.txt",
    "names.txt",
    "obj.names",
    "predefined_classes.txt",
    "label.txt",
];

/// Most bytes of such a file.
const MAX_BYTES: u64 = 1 << 20;

/// Names of what is no object, in lower case.
const BACKGROUND: [&str; 4] = ["background", "__background__", "_background_", "__ignore__"];

/// Class names, and which labels stand for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub classes: Vec<String>,
    /// By name in lower case; `None` where several classes differ in nothing else.
    folded: BTreeMap<String, Option<usize>>,
    exact: BTreeMap<String, usize>,
}

fn fold(label: &str) -> String {
    label.trim().to_lowercase()
}

impl Names {
    fn of(classes: Vec<String>) -> Self {
        let mut folded: BTreeMap<String, Option<usize>> = BTreeMap::new();
        for (class, name) in classes.iter().enumerate() {
            folded
                .entry(fold(name))
                .and_modify(|other| *other = None)
                .or_insert(Some(class));
        }
        let exact = classes.iter().cloned().zip(0..).collect();
        Self {
            classes,
            folded,
            exact,
        }
    }

    /// The classes of a list, or, where there is none, of the labels that are met: those that differ in
    /// case or in spaces at their ends alone are one class, spelled as most are. `met` is how often each
    /// label is there.
    ///
    /// # Errors
    /// A list that names a class twice, or lacks one that is met.
    pub fn settle(
        list: Option<(PathBuf, Vec<String>)>,
        met: &BTreeMap<String, usize>,
        notes: &mut Vec<String>,
    ) -> Result<Self, DataError> {
        let Some((path, mut classes)) = list else {
            let names = Self::met(met);
            notes.push(format!(
                "the classes are the labels that are met, in the order of their names ({}); a file \
                 classes.txt would settle them",
                names.classes.join(", ")
            ));
            return Ok(names);
        };
        let is_met = |name: &str| met.keys().any(|label| fold(label) == fold(name));
        classes.retain(|name| {
            let kept = !BACKGROUND.contains(&fold(name).as_str()) || is_met(name);
            if !kept {
                let list = path.display();
                notes.push(format!(
                    "`{name}` of {list} is no class: nothing has a box of it"
                ));
            }
            kept
        });
        let names = Self::of(classes);
        if names.exact.len() < names.classes.len() {
            return Err(DataError::Layout {
                path,
                reason: "it names a class twice".to_owned(),
            });
        }
        if let Some(unknown) = met.keys().find(|label| names.class(label).is_none()) {
            return Err(DataError::Layout {
                reason: format!(
                    "it does not name the class `{unknown}`, of which {} boxes are there; add it, or \
                     change them",
                    met[unknown]
                ),
                path,
            });
        }
        Ok(names)
    }

    fn met(met: &BTreeMap<String, usize>) -> Self {
        // Of each class, how often it is there in its most frequent spelling.
        let mut spelled: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (label, &count) in met {
            let best = spelled.entry(fold(label)).or_default();
            if count > best.0 {
                *best = (count, label.trim().to_owned());
            }
        }
        let mut classes: Vec<String> = spelled.into_values().map(|(_, name)| name).collect();
        classes.sort();
        Self::of(classes)
    }

    /// The class that a label stands for, and whether it is spelled in another way.
    pub fn class(&self, label: &str) -> Option<(usize, bool)> {
        if let Some(&class) = self.exact.get(label) {
            return Some((class, false));
        }
        if let Some(&class) = self.exact.get(label.trim()) {
            return Some((class, true));
        }
        Some(((*self.folded.get(&fold(label))?)?, true))
    }
}

/// The first list of classes in one of the folders.
///
/// # Errors
/// A list that cannot be read.
pub(super) fn list_in(folders: &[&Path]) -> Result<Option<(PathBuf, Vec<String>)>, DataError> {
    let candidates = folders
        .iter()
        .flat_map(|folder| LISTS.iter().map(move |list| folder.join(list)));
    let Some(path) = candidates.into_iter().find(|path| path.is_file()) else {
        return Ok(None);
    };
    let text = read_text(&path, MAX_BYTES)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let classes = lines.map(str::to_owned).collect();
    Ok(Some((path, classes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(labels: &[(&str, usize)]) -> BTreeMap<String, usize> {
        labels
            .iter()
            .map(|(label, count)| ((*label).to_owned(), *count))
            .collect()
    }

    fn list(classes: &[&str]) -> Option<(PathBuf, Vec<String>)> {
        let classes = classes.iter().map(|class| (*class).to_owned());
        Some(("classes.txt".into(), classes.collect()))
    }

    #[test]
    fn labels_that_differ_in_case_or_spaces_are_one_class_as_most_spell_it() {
        let mut notes = Vec::new();
        let labels = met(&[("Person ", 2), ("person", 5), ("PERSON", 1), ("Dog", 1)]);
        let names = Names::settle(None, &labels, &mut notes).unwrap();
        assert_eq!(names.classes, ["Dog", "person"]);
        assert_eq!(names.class("person"), Some((1, false)));
        assert_eq!(names.class("Person "), Some((1, true)));
        assert_eq!(names.class("cat"), None);
        assert!(notes[0].contains("Dog, person"), "{notes:?}");
    }

    #[test]
    fn a_list_keeps_apart_what_it_names_apart() {
        let mut notes = Vec::new();
        let labels = met(&[("a", 2), ("A", 5)]);
        let names = Names::settle(list(&["a", "A", "b"]), &labels, &mut notes).unwrap();
        assert_eq!(names.class("A"), Some((1, false)));
        assert_eq!(names.class("B"), Some((2, true)));
        assert!(notes.is_empty());
    }

    #[test]
    fn a_list_that_lacks_a_class_or_repeats_one_is_refused_and_background_is_none() {
        let mut notes = Vec::new();
        let mut settle =
            |classes: &[&str], labels| Names::settle(list(classes), &met(labels), &mut notes);
        let error = settle(&["dog"], &[("cat", 3)]).unwrap_err().to_string();
        assert!(error.contains("`cat`, of which 3 boxes"), "{error}");
        let error = settle(&["dog", "dog"], &[]).unwrap_err().to_string();
        assert!(error.contains("twice"), "{error}");
        let names = settle(&["background", "dog"], &[("dog", 1)]).unwrap();
        assert_eq!(names.classes, ["dog"]);
        let names = settle(&["background", "dog"], &[("background", 1)]).unwrap();
        assert_eq!(names.classes.len(), 2);
    }
}
