//! A study as a table for a terminal, in Markdown, and as CSV.

use std::fmt::Write as _;

use super::{
    axes::axes, found::StudyResults, row::study_rows, significance::detectable, words::cautions,
};
use crate::numbers::{MISSING, duration, fixed, signed};

/// Digits behind the point of percentages and their differences.
const DIGITS: usize = 1;

/// Rows as a table in Markdown, the largest gain first.
pub fn study_markdown(results: &StudyResults) -> String {
    let rows = study_rows(results);
    let Some(measure) = &results.measure else {
        return "Nothing is done yet.\n".to_owned();
    };
    let mut text = String::new();
    if let Some(null) = &results.null {
        let _ = writeln!(text, "{}", null.in_words().join("\n"));
        return text;
    }
    let several = axes(results);
    let mut head = vec!["method"];
    head.extend(several.iter().map(|axis| axis.title));
    let title = measure.heading();
    let gain = format!("gain, {}", measure.difference_unit());
    head.extend([
        "seeds",
        &title,
        "beside",
        &gain,
        "95 % over seeds",
        "over seeds and images",
        "p (Holm)",
        "",
        "time",
    ]);
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let rules = head
        .iter()
        .enumerate()
        .map(|(place, _)| match place <= several.len() {
            true => "---",
            false => "---:",
        });
    let _ = writeln!(text, "| {} |", rules.collect::<Vec<_>>().join(" | "));
    for row in &rows {
        let mut cells = vec![row.cell.method.clone()];
        let values = several.iter().map(|axis| axis.value(row.cell));
        cells.extend(values.map(Option::unwrap_or_default));
        cells.extend([
            row.seeds.len().to_string(),
            number(row.value),
            number(row.baseline),
            row.gain.map_or(MISSING.into(), |gain| signed(gain, DIGITS)),
            ends(row.over_seeds),
            ends(row.over_both),
            row.corrected.map_or(MISSING.into(), p_in_words),
            row.verdict().in_words().to_owned(),
            row.cost
                .map_or(MISSING.into(), |cost| format!("×{cost:.2}")),
        ]);
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// What so many seeds can show, in a sentence.
pub fn what_seeds_show(seeds: usize) -> String {
    match detectable(seeds) {
        None => "one seed has no interval: nothing can be told from chance; give --seeds 3 or more"
            .to_owned(),
        Some(size) => format!(
            "{seeds} seeds show a gain of {size:.1} standard deviations of the differences between \
             seeds four times in five"
        ),
    }
}

/// Every row, and every number of it, as comma-separated values.
pub fn study_csv(results: &StudyResults) -> String {
    let mut text = String::from(
        "cell,method,student,teacher,data,shots,epochs,beside,seeds,value,baseline,gain,low,high,\
         low_images,high_images,p,p_holm,verdict,seconds,seconds_ratio,memory,memory_ratio,params,macs\n",
    );
    for row in study_rows(results) {
        let cell = row.cell;
        let optional = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let [low, high] = split(row.over_seeds);
        let [low_images, high_images] = split(row.over_both);
        let fields = [
            quoted(&cell.name),
            quoted(&cell.method),
            quoted(&cell.student),
            quoted(cell.teacher.as_deref().unwrap_or_default()),
            quoted(&cell.data),
            cell.shots.map_or(String::new(), |shots| shots.to_string()),
            cell.epochs.to_string(),
            quoted(&row.beside.name),
            row.seeds.len().to_string(),
            optional(row.value),
            optional(row.baseline),
            optional(row.gain),
            optional(low),
            optional(high),
            optional(low_images),
            optional(high_images),
            optional(row.p_value),
            optional(row.corrected),
            quoted(row.verdict().in_words()),
            optional(row.seconds),
            optional(row.cost),
            optional(row.memory),
            optional(row.memory_cost),
            cell.params.to_string(),
            cell.macs.to_string(),
        ];
        let _ = writeln!(text, "{}", fields.join(","));
    }
    text
}

/// How far a study is and what it has found, for a terminal.
pub fn study_status(results: &StudyResults) -> String {
    let [done, all] = results.progress();
    let spent: f64 = (results.cells.iter())
        .flat_map(|cell| &cell.runs)
        .map(|run| run.seconds)
        .sum();
    let mut text = format!(
        "{done} of {all} trainings are done, in {}\n",
        duration(spent)
    );
    for sentence in results.null.iter().flat_map(|null| null.in_words()) {
        let _ = writeln!(text, "{sentence}");
    }
    let rows = study_rows(results);
    for caution in cautions(results, &rows) {
        let _ = writeln!(text, "warning: {caution}");
    }
    for row in rows {
        let interval = row
            .over_seeds
            .map_or(String::new(), |_| format!(" ({})", ends(row.over_seeds)));
        let gain = row.gain.map_or(MISSING.into(), |gain| signed(gain, DIGITS));
        let _ = writeln!(
            text,
            "{:<32} {gain:>6}{interval}  {} seeds  {}",
            row.cell.name,
            row.seeds.len(),
            row.verdict().in_words()
        );
    }
    text
}

fn number(value: Option<f64>) -> String {
    value.map_or(MISSING.into(), |value| fixed(value, DIGITS))
}

fn ends(interval: Option<[f64; 2]>) -> String {
    interval.map_or(MISSING.into(), |[low, high]| {
        format!("{} to {}", signed(low, DIGITS), signed(high, DIGITS))
    })
}

fn p_in_words(p: f64) -> String {
    match p < 0.001 {
        true => "< 0.001".to_owned(),
        false => format!("{p:.3}"),
    }
}

fn split(interval: Option<[f64; 2]>) -> [Option<f64>; 2] {
    interval.map_or([None, None], |[low, high]| [Some(low), Some(high)])
}

/// A field of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
