//! The comparison as text for the terminal.

use std::fmt::Write;

use super::row::{Row, rows};
use super::verdict::sentences;
use super::warnings::warnings;
use crate::numbers::{self, MISSING, milliseconds, percent, short, signed};
use crate::results::{Gain, Results};
use crate::side::decimals;

const HEADER: [&str; 11] = [
    "#", "run", "method", "student", "seeds", "top-1", "baseline", "gain", "to run 1", "params",
    "time",
];
/// Columns before this one hold words, the others numbers.
const FIRST_NUMBER: usize = 4;

/// A table of several runs for the terminal, with what it shows and where the runs differ in what
/// should be equal; ends with a line break.
pub fn compare_text(runs: &[Results]) -> String {
    let rows = rows(runs);
    let mut lines = vec![HEADER.map(String::from)];
    lines.extend(rows.iter().map(line));
    // What no run has is no column.
    let shown: Vec<usize> = (0..HEADER.len())
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

fn line(row: &Row) -> [String; HEADER.len()] {
    let results = row.results;
    let digits = decimals(results);
    let missing = || String::from(MISSING);
    let positive = |value: u64| (value > 0).then_some(value);
    [
        row.number.to_string(),
        results.run.clone(),
        results.method.clone(),
        results.student.name.clone(),
        results.students.len().to_string(),
        row.top1.map_or_else(missing, |top1| {
            with_interval(percent(top1, digits), row.interval, digits)
        }),
        row.baseline
            .map_or_else(missing, |value| percent(value, digits)),
        gain(results.gain.as_ref(), digits),
        gain(row.to_first.as_ref(), digits),
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
