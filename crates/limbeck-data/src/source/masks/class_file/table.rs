//! Lists of classes as lines of text, and as columns.

use std::path::Path;

use super::{ClassFile, Stored, wrong};
use crate::DataError;

impl ClassFile {
    /// A name on each line; or an id and a name; or red, green, blue and a name.
    pub(super) fn of_lines(path: &Path, text: &str) -> Result<Self, DataError> {
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let mut file = Self::empty(path);
        let numbered = |line: &&str| {
            let (id, name) = line.split_once([' ', '\t', ':', ',', ';'])?;
            let name = name.trim_matches([' ', '\t', ':', ',', ';', '"', '\'']);
            (!name.is_empty()).then_some((id.trim().parse::<u16>().ok()?, name.to_owned()))
        };
        let coloured = |line: &&str| {
            let mut words = line.split_whitespace();
            let mut level = || words.next()?.parse::<u8>().ok();
            let colour = [level()?, level()?, level()?];
            let name: Vec<&str> = words.collect();
            (!name.is_empty()).then_some((colour, name.join(" ")))
        };
        if let Some(rows) = lines.iter().map(coloured).collect::<Option<Vec<_>>>() {
            rows.into_iter()
                .for_each(|(colour, name)| file.add(name, vec![Stored::Colour(colour)]));
        } else if let Some(mut rows) = lines.iter().map(numbered).collect::<Option<Vec<_>>>() {
            rows.sort_by_key(|(id, _)| *id);
            rows.into_iter()
                .for_each(|(id, name)| file.add(name, vec![Stored::Id(id)]));
        } else {
            // LabelMe's list begins with `__ignore__`, whose id is -1: the next name has id 0.
            let names = lines.iter().enumerate();
            for (_, name) in names.filter(|(at, name)| *at > 0 || **name != "__ignore__") {
                file.add((*name).to_owned(), Vec::new());
            }
        }
        Ok(file)
    }

    /// Comma-separated columns under a line of titles: a name, and r, g and b or an id.
    pub(super) fn of_table(path: &Path, text: &str) -> Result<Self, DataError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let cells = |line: &str| -> Vec<String> {
            let cells = line.split([',', ';', '\t']);
            cells
                .map(|cell| cell.trim_matches([' ', '"']).to_owned())
                .collect()
        };
        let titles: Vec<String> = lines
            .next()
            .map(|line| {
                cells(line)
                    .iter()
                    .map(|title| title.to_lowercase())
                    .collect()
            })
            .unwrap_or_default();
        let column = |names: &[&str]| {
            titles
                .iter()
                .position(|title| names.contains(&title.as_str()))
        };
        let Some(name) = column(&["name", "class", "class_name", "label"]) else {
            let reason = "its first line has no title `name` (name,r,g,b or name,id is expected)";
            return Err(wrong(path, reason));
        };
        let colour = [
            column(&["r", "red"]),
            column(&["g", "green"]),
            column(&["b", "blue"]),
        ];
        let id = column(&["id", "value", "index", "class_id", "label_id"]);
        let mut file = Self::empty(path);
        for line in lines {
            let cells = cells(line);
            let cell = |at: Option<usize>| cells.get(at?).map(String::as_str);
            let bad = || wrong(path, format!("a line cannot be read: {line}"));
            let class = cell(Some(name))
                .filter(|name| !name.is_empty())
                .ok_or_else(bad)?;
            let mut stored = Vec::new();
            if let [Some(_), Some(_), Some(_)] = colour {
                let level = |at| cell(at).and_then(|cell| cell.parse().ok()).ok_or_else(bad);
                let [red, green, blue] = colour;
                stored.push(Stored::Colour([level(red)?, level(green)?, level(blue)?]));
            }
            if id.is_some() {
                let id = cell(id)
                    .and_then(|cell| cell.parse().ok())
                    .ok_or_else(bad)?;
                stored.push(Stored::Id(id));
            }
            file.add(class.to_owned(), stored);
        }
        Ok(file)
    }
}
