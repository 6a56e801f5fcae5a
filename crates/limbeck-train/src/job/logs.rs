//! What a job logs of its epochs, for people's tools: `metrics.jsonl`, the same as a table
//! `metrics.csv`, and an event file of TensorBoard.
//!
//! All three hold each epoch once, whatever was killed in between: the tables are written whole, and
//! the event file is cut to the epochs of the checkpoint that a run goes on from. An epoch's numbers
//! have the same names in all of them, those of a group after the group's: `terms.kd`, `terms/kd`
//! in TensorBoard.

use std::path::{Path, PathBuf};

use limbeck_report::EpochRow;
use serde_json::Value;

use super::event_file::EventFile;
use crate::{TrainError, files};

/// One line an epoch.
const LINES: &str = "metrics.jsonl";
/// One row an epoch.
const TABLE: &str = "metrics.csv";
/// TensorBoard looks for `tfevents` in a name.
const EVENTS: &str = "events.out.tfevents.limbeck";
/// The group whose names say enough without it.
const MEASURES: &str = "measures";
/// What a table begins with.
const FIRST: [&str; 2] = ["epoch", "stage"];

/// The logs of a job.
pub(super) struct Logs {
    folder: PathBuf,
    events: EventFile,
}

impl Logs {
    /// Opens the logs in `folder`, which are to hold the epochs of `rows` and no others.
    pub fn open(folder: &Path, rows: &[EpochRow]) -> Result<Self, TrainError> {
        let path = folder.join(EVENTS);
        let (events, found) = EventFile::open(&path, rows.len()).map_err(TrainError::io(&path))?;
        let mut logs = Self {
            folder: folder.to_owned(),
            events,
        };
        for row in &rows[found..] {
            logs.event(row)?;
        }
        if !rows.is_empty() {
            logs.tables(rows)?;
        }
        Ok(logs)
    }

    /// Adds the last one of `rows`.
    pub fn epoch(&mut self, rows: &[EpochRow]) -> Result<(), TrainError> {
        self.tables(rows)?;
        match rows.last() {
            Some(row) => self.event(row),
            None => Ok(()),
        }
    }

    fn event(&mut self, row: &EpochRow) -> Result<(), TrainError> {
        let numbers: Vec<(String, f64)> = cells(row)
            .into_iter()
            .filter(|(name, _)| !FIRST.contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.replace('.', "/"), value.as_f64()?)))
            .collect();
        let path = self.folder.join(EVENTS);
        let written = self.events.epoch(row.epoch, &numbers);
        written.map_err(TrainError::io(path))
    }

    fn tables(&self, rows: &[EpochRow]) -> Result<(), TrainError> {
        let mut lines = String::new();
        for row in rows {
            lines += &serde_json::to_string(row).unwrap_or_default();
            lines.push('\n');
        }
        files::write_whole(&self.folder.join(LINES), lines.as_bytes())?;
        files::write_whole(&self.folder.join(TABLE), table(rows).as_bytes())?;
        Ok(())
    }
}

/// Comma-separated values (RFC 4180): epoch and stage first, then what the first epoch has, by name,
/// then what later ones have besides. A column never moves.
fn table(rows: &[EpochRow]) -> String {
    let rows: Vec<Vec<(String, Value)>> = rows.iter().map(cells).collect();
    let mut columns: Vec<&str> = FIRST.to_vec();
    for (name, _) in rows.iter().flatten() {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let mut text = String::new();
    let mut line = |cells: Vec<String>| {
        text += &cells.join(",");
        text += "\r\n";
    };
    line(columns.iter().map(|name| quoted(name)).collect());
    for row in &rows {
        let cell = |column: &&str| {
            let found = row.iter().find(|(name, _)| name == column);
            found.map_or_else(String::new, |(_, value)| match value {
                Value::String(text) => quoted(text),
                other => other.to_string(),
            })
        };
        line(columns.iter().map(cell).collect());
    }
    text
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// The numbers and words of an epoch with their names; what is not known is left out.
fn cells(row: &EpochRow) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    flatten(
        "",
        &serde_json::to_value(row).unwrap_or_default(),
        &mut found,
    );
    found
}

fn flatten(name: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = match name {
                    "" | MEASURES => field.clone(),
                    group => format!("{group}.{field}"),
                };
                flatten(&name, value, found);
            }
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                flatten(&format!("{name}.{place}"), value, found);
            }
        }
        value => found.push((name.to_owned(), value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: usize, stage: &str, terms: &[&str]) -> EpochRow {
        EpochRow {
            epoch,
            stage: stage.to_owned(),
            loss: 0.5,
            terms: terms.iter().map(|&term| (term.to_owned(), 0.25)).collect(),
            ..EpochRow::default()
        }
    }

    #[test]
    fn columns_stay_where_they_are_when_a_later_stage_brings_new_terms() {
        let rows = [row(1, "hint", &["zeta"]), row(2, "a, \"b\"", &["alpha"])];
        let first = table(&rows[..1]);
        let both = table(&rows);
        let header = |text: &str| text.lines().next().unwrap().to_owned();
        assert!(header(&first).starts_with("epoch,stage,"));
        assert!(header(&both).starts_with(&header(&first)));
        assert!(header(&both).ends_with(",terms.alpha"));
        assert!(
            both.lines()
                .nth(2)
                .unwrap()
                .starts_with("2,\"a, \"\"b\"\"\",")
        );
        let cells = |line: &str| line.split(',').count();
        assert_eq!(cells(&header(&first)), cells(first.lines().nth(1).unwrap()));
    }
}
