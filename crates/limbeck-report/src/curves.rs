//! Training curves: one small chart a measure, student against baseline, every seed.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::axis::Axis;
use super::chart::{Chart, Ink, Mark};
use super::numbers::{fixed, significant};
use super::side::{Role, is_plain, legend, sides};
use crate::measure::{Better, Measure};
use crate::results::{EpochRow, Results, SeedResult, TRAIN, VALIDATION};

/// Epochs that are drawn at most; of longer trainings, every n-th.
const DRAWN: usize = 400;
/// Height of a chart, in CSS pixels.
const HEIGHT: u32 = 230;

/// How a chart's vertical axis is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    /// All values.
    All,
    /// Without the low values of the first epochs, if those would take up most of it.
    Late,
    /// Logarithmic, if the range is wide.
    Magnitudes,
}

/// What one chart shows.
struct Panel<'a> {
    title: String,
    unit: &'a str,
    of: Box<dyn Fn(&EpochRow) -> f64 + 'a>,
    /// Whether the best epoch of each seed is marked.
    best: bool,
    range: Range,
}

/// The charts of all that was recorded while training.
pub fn curves(results: &Results) -> Markup {
    let panels: Vec<Markup> = panels(results)
        .iter()
        .filter_map(|panel| draw(panel, results))
        .collect();
    let several = results.students.len() > 1;
    let trained: Vec<_> = sides(results)
        .into_iter()
        .filter(|side| matches!(side.role, Role::Student | Role::Baseline))
        .collect();
    html! {
        section #training aria-labelledby="training-title" {
            h2 #training-title { "Training" }
            @if panels.is_empty() {
                p { "No epochs were recorded." }
            } @else {
                p {
                    @if several { "Thin lines are seeds, thick lines their mean. " }
                    "A dot marks the epoch whose weights were kept."
                }
                (legend(&trained))
                div.charts.curves { @for panel in &panels { (panel) } }
            }
        }
    }
}

fn panels(results: &Results) -> Vec<Panel<'_>> {
    let measures: &[Measure] = results
        .students
        .first()
        .map_or(&[], |seed| &seed.test.measures);
    let of_part = |measure: &'_ Measure, part: &'static str, title: String| {
        let key = format!("{part}{}", measure.name);
        let (unit, range) = match measure.unit.as_str() {
            "%" if measure.better == Better::Higher => ("percent, by epoch", Range::Late),
            "%" => ("percent, by epoch", Range::All),
            "nats" => ("nats, by epoch", Range::Magnitudes),
            _ => ("by epoch", Range::Magnitudes),
        };
        Panel {
            title,
            unit,
            of: Box::new(move |row| row.measures.get(&key).copied().unwrap_or(f64::NAN)),
            best: part == VALIDATION,
            range,
        }
    };
    let mut panels: Vec<Panel> = Vec::new();
    for measure in measures {
        let title = format!("Validation: {}", measure.title);
        panels.push(of_part(measure, VALIDATION, title));
        let title = format!("Training: {}", measure.title);
        panels.push(of_part(measure, TRAIN, title));
    }
    panels.push(Panel {
        title: "Training: loss".into(),
        unit: "all terms with their weights, by epoch",
        of: Box::new(|row| row.loss),
        best: false,
        range: Range::Magnitudes,
    });
    let names: BTreeSet<&str> = results
        .students
        .iter()
        .chain(&results.baselines)
        .flat_map(|run| &run.epochs)
        .flat_map(|row| row.terms.keys().map(String::as_str))
        .collect();
    // With nothing but the task's loss, the total says it all.
    if names.iter().any(|name| *name != "task") {
        for name in names {
            panels.push(Panel {
                title: format!("Loss term {name}"),
                unit: "before its weight, by epoch",
                of: Box::new(move |row| row.terms.get(name).copied().unwrap_or(f64::NAN)),
                best: false,
                range: Range::Magnitudes,
            });
        }
    }
    panels.push(Panel {
        title: "Learning rate".into(),
        unit: "at the last step of each epoch",
        of: Box::new(|row| row.learning_rate),
        best: false,
        range: Range::All,
    });
    panels
}

/// `None` if nothing can be drawn.
fn draw(panel: &Panel, results: &Results) -> Option<Markup> {
    let student = if is_plain(results) {
        "network"
    } else {
        "student"
    };
    let groups = [
        (Ink::Baseline, "baseline", &results.baselines),
        (Ink::Student, student, &results.students),
    ];
    let rows = || {
        groups
            .iter()
            .flat_map(|(_, _, runs)| runs.iter())
            .flat_map(|run| &run.epochs)
    };
    let values: Vec<f64> = rows().map(&panel.of).collect();
    let (y, cut) = match panel.range {
        Range::All => (Axis::covering(values.iter().copied(), 5)?, false),
        Range::Late => Axis::covering_most(&values, 5)?,
        Range::Magnitudes => (Axis::covering_magnitudes(&values, 5)?, false),
    };
    let lowest = y.range.0;
    let first = rows().map(|row| row.epoch).min()?;
    let last = rows().map(|row| row.epoch).max()?;
    let mut marks = Vec::new();
    let mut told = Vec::new();
    for (ink, name, runs) in groups {
        let lines: Vec<_> = runs.iter().map(|run| points(panel, run)).collect();
        if lines.len() > 1 {
            for points in &lines {
                marks.extend(line(points, ink, 1.2, 0.45));
            }
        }
        let mean = mean(&lines);
        marks.extend(line(&mean, ink, 2.4, 1.0));
        if panel.best {
            for run in runs.iter() {
                let kept = run.epochs.iter().find(|row| row.epoch == run.chosen_epoch);
                marks.extend(kept.map(|row| Mark::Dot {
                    at: (row.epoch as f64, (panel.of)(row)),
                    ink,
                    radius: 3.5,
                }));
            }
        }
        if let Some((_, end)) = mean.iter().rev().find(|(_, value)| value.is_finite()) {
            told.push(format!("{name} ends at {}", significant(*end)));
        }
    }
    let chart = Chart {
        label: format!(
            "{}, {}, epochs {first} to {last}: {}.",
            panel.title,
            panel.unit,
            told.join(", ")
        ),
        width: Chart::WIDTH,
        height: HEIGHT,
        x: Axis::whole_numbers(first, last, 6),
        y,
        marks,
    };
    let lost = values.iter().filter(|value| value.is_infinite()).count();
    Some(html! {
        figure {
            figcaption {
                strong { (panel.title) } (panel.unit)
                @if cut { "; the first epochs, below " (fixed(lowest, 0)) ", are cut off" }
                @if lost > 0 { "; " (fixed(lost as f64, 0)) " infinite values are left out" }
            }
            (chart.svg())
        }
    })
}

/// `(epoch, value)` of each epoch that is drawn; the last one always is.
fn points(panel: &Panel, run: &SeedResult) -> Vec<(f64, f64)> {
    let every = run.epochs.len().div_ceil(DRAWN).max(1);
    let last = run.epochs.len().saturating_sub(1);
    let rows = run.epochs.iter().enumerate();
    rows.filter(|(place, _)| place % every == 0 || *place == last)
        .map(|(_, row)| (row.epoch as f64, (panel.of)(row)))
        .collect()
}

/// Mean over the seeds, where all of them have a value.
fn mean(lines: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let length = lines.iter().map(Vec::len).min().unwrap_or(0);
    (0..length)
        .filter_map(|place| {
            let points: Vec<_> = lines.iter().filter_map(|line| line.get(place)).collect();
            let (epoch, _) = points.first()?;
            let sum: f64 = points.iter().map(|(_, value)| value).sum();
            Some((*epoch, sum / points.len() as f64))
        })
        .collect()
}

/// A line; where it has a single point, a dot.
fn line(points: &[(f64, f64)], ink: Ink, width: f64, opacity: f64) -> Option<Mark> {
    match points {
        [] => None,
        [at] => Some(Mark::Dot {
            at: *at,
            ink,
            radius: 3.5,
        }),
        _ => Some(Mark::Line {
            points: points.to_vec(),
            ink,
            width,
            opacity,
            dashed: false,
        }),
    }
}
