//! The comparison as text for the terminal.

use std::fmt::Write;

use super::row::{Row, common_measure, rows};
use super::verdict::sentences;
use super::warnings::warnings;
use crate::measure::Measure;
use crate::numbers::{self, MISSING, milliseconds, short, signed};
use crate::results::{Gain, Results};
use crate::side::decimals;

/// How many columns there are.
const COLUMNS: usize = 11;
/// Columns before this one hold words, the others numbers.
const FIRST_NUMBER: usize = 4;

/// A table of several runs for the terminal, with what it shows and where the runs differ in what
/// should be equal; ends with a line break.
pub fn compare_text(runs: &[Results]) -> String {
    let rows = rows(runs);
    let value = match common_measure(&rows) {
        Some(measure) => measure.title.as_str(),
        None => "value",
    };
    let header: [&str; COLUMNS] = [
        "#", "run", "method", "student", "seeds", value, "baseline", "gain", "to run 1", "params",
        "time",
    ];
    let mut lines = vec![header.map(String::from)];
    lines.extend(rows.iter().map(line));
    // What no run has is no column.
    let shown: Vec<usize> = (0..COLUMNS)
        .filter(|column| lines.iter().skip(1).any(|line| line[*column] != MISSING))
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = shown
            .iter()
            .map(|&column| {
                let (cell, width) = (&line[column], width(column));
                if column < FIRST_NUMBER {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    let (title, sentences) = sentences(&rows);
    let _ = writeln!(text, "\n{title}");
    for sentence in sentences {
        let _ = writeln!(text, "{sentence}");
    }
    for warning in warnings(runs) {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

fn line(row: &Row) -> [String; COLUMNS] {
    let results = row.results;
    let plain = Measure::default();
    let measure = row.measure.unwrap_or(&plain);
    let digits = decimals(results);
    let of_gain = measure.digits(digits);
    let missing = || String::from(MISSING);
    let positive = |value: u64| (value > 0).then_some(value);
    [
        row.number.to_string(),
        results.run.clone(),
        results.method.clone(),
        results.student.name.clone(),
        results.students.len().to_string(),
        row.value.map_or_else(missing, |value| {
            with_interval(measure.write(value, digits), row.interval, of_gain)
        }),
        row.baseline
            .map_or_else(missing, |value| measure.write(value, digits)),
        gain(results.gain.as_ref(), of_gain),
        gain(row.to_first.as_ref(), of_gain),
        positive(results.student.params).map_or_else(missing, short),
        Some(results.student.latency_ms)
            .filter(|time| time.is_finite() && *time > 0.0)
            .map_or_else(missing, milliseconds),
    ]
}

fn gain(gain: Option<&Gain>, digits: usize) -> String {
    gain.map_or(MISSING.into(), |gain| {
        with_interval(signed(gain.mean, digits), gain.ci95, digits)
    })
}

fn with_interval(text: String, interval: Option<[f64; 2]>, digits: usize) -> String {
    match interval {
        Some(ci) => format!("{text} [{}]", numbers::interval(ci, digits)),
        None => text,
    }
}
