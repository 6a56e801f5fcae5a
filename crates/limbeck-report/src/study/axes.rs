//! What the cells of a study differ in besides method and seed.

use super::found::{StudyCell, StudyResults};

/// One thing that cells differ in.
pub(super) struct CellAxis {
    /// What it is called.
    pub(super) title: &'static str,
    /// First letter of the classes that its values have in the page.
    pub(super) letter: char,
    /// What cells have of it, each once, in the order of the cells.
    pub(super) values: Vec<String>,
    of: fn(&StudyCell) -> Option<String>,
}

/// Title, letter, and what a cell has of it; what is compared with has no teacher.
type Known = (&'static str, char, fn(&StudyCell) -> Option<String>);

const KNOWN: [Known; 5] = [
    ("student", 's', |cell| Some(cell.student.clone())),
    ("teacher", 't', |cell| cell.teacher.clone()),
    ("shots", 'n', |cell| {
        let shots = cell.shots.map(|shots| shots.to_string());
        Some(shots.unwrap_or_else(|| "all".to_owned()))
    }),
    ("epochs", 'e', |cell| Some(cell.epochs.to_string())),
    // Known once a run of the cell is done.
    ("data", 'd', |cell| {
        (!cell.data.is_empty()).then(|| cell.data.clone())
    }),
];

/// Those of which there are at least two values.
pub(super) fn axes(results: &StudyResults) -> Vec<CellAxis> {
    let all = KNOWN.into_iter().map(|(title, letter, of)| {
        let mut values: Vec<String> = Vec::new();
        for value in results.cells.iter().filter_map(of) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        CellAxis {
            title,
            letter,
            values,
            of,
        }
    });
    all.filter(|axis| axis.values.len() > 1).collect()
}

impl CellAxis {
    /// What a cell has of it.
    pub(super) fn value(&self, cell: &StudyCell) -> Option<String> {
        (self.of)(cell)
    }

    /// The class of a value in the page.
    pub(super) fn class(&self, place: usize) -> String {
        format!("{}{place}", self.letter)
    }

    /// The classes of a cell in the page: that of its value, or all where it stands beside every one.
    pub(super) fn classes(&self, cell: &StudyCell) -> Vec<String> {
        let own = self.value(cell);
        let places = (0..self.values.len())
            .filter(|&place| own.as_ref().is_none_or(|own| *own == self.values[place]));
        places.map(|place| self.class(place)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::testing::study;

    #[test]
    fn only_what_cells_differ_in_is_an_axis() {
        let mut results = study();
        assert!(axes(&results).is_empty());
        results.cells[1].student = "resnet14".to_owned();
        results.cells[1].shots = Some(10);
        let found = axes(&results);
        let titles: Vec<&str> = found.iter().map(|axis| axis.title).collect();
        assert_eq!(titles, ["student", "shots"]);
        assert_eq!(found[1].values, ["all", "10"]);
        assert_eq!(found[0].classes(&results.cells[1]), ["s1"]);
    }

    #[test]
    fn what_has_no_teacher_stands_beside_each() {
        let mut results = study();
        results.cells[2].teacher = Some("resnet56".to_owned());
        let found = axes(&results);
        assert_eq!(found[0].title, "teacher");
        assert_eq!(found[0].classes(&results.cells[0]), ["t0", "t1"]);
        assert_eq!(found[0].classes(&results.cells[2]), ["t1"]);
    }
}
