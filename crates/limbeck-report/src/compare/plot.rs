//! Measure and gain of several runs, with their intervals.

use maud::{Markup, html};

use super::row::{Row, common_measure};
use crate::axis::Axis;
use crate::chart::{Chart, Ink, Mark};
use crate::numbers::{self, MISSING, signed};
use crate::side::decimals;

/// Height of one run's row with its name above, in CSS pixels.
const ROW: u32 = 50;
/// Letters of a run's name that fit above its row.
const LETTERS: usize = 48;

/// What networks are compared by, of student, baseline and teacher for each run; nothing where that
/// is not one measure.
pub fn values(rows: &[Row]) -> Markup {
    let Some(measure) = common_measure(rows) else {
        return html! {};
    };
    let values = rows.iter().flat_map(|row| {
        let means = [row.value, row.baseline, row.teacher].into_iter().flatten();
        let interval = row.interval.into_iter().flatten();
        row.values.iter().copied().chain(means).chain(interval)
    });
    let Some(x) = Axis::covering(values, 5) else {
        return html! {};
    };
    let mut told = Vec::new();
    let mut marks = names(rows, x.range.0);
    for (place, row) in rows.iter().enumerate() {
        let at = place as f64;
        marks.extend(interval(row.interval, at, Ink::Student));
        for (value, ink) in [(row.teacher, Ink::Teacher), (row.baseline, Ink::Baseline)] {
            marks.extend(value.map(|value| dot(value, at, ink, 5.0)));
        }
        for value in &row.values {
            marks.push(dot(*value, at, Ink::Student, 2.2));
        }
        marks.extend(row.value.map(|value| dot(value, at, Ink::Student, 5.0)));
        let digits = decimals(row.results);
        let value = row
            .value
            .map_or(MISSING.into(), |value| measure.write(value, digits));
        told.push(format!("run {}: {value}", row.number));
    }
    figure(
        &format!("Test {}", measure.title),
        &format!(
            "{}; the bar is the 95 % interval of the student's mean, small dots are seeds",
            if measure.unit == "%" {
                "percent"
            } else {
                &measure.unit
            }
        ),
        rows,
        x,
        marks,
        &told,
    )
}

/// Gain over the own baseline for each run.
pub fn gains(rows: &[Row]) -> Markup {
    let gains: Vec<_> = rows.iter().map(|row| row.results.gain.as_ref()).collect();
    if gains.iter().all(Option::is_none) {
        return html! {};
    }
    let values = gains.iter().flatten().flat_map(|gain| {
        let interval = gain.ci95.into_iter().flatten();
        std::iter::once(gain.mean).chain(interval)
    });
    let Some(x) = Axis::covering(values.chain([0.0]), 5) else {
        return html! {};
    };
    let mut told = Vec::new();
    let mut marks = vec![Mark::Line {
        points: vec![(0.0, -0.6), (0.0, rows.len() as f64 - 0.4)],
        ink: Ink::Quiet,
        width: 1.5,
        opacity: 1.0,
        dashed: false,
    }];
    marks.extend(names(rows, x.range.0));
    for (place, gain) in gains.iter().enumerate() {
        let Some(gain) = gain else { continue };
        let at = place as f64;
        marks.extend(interval(gain.ci95, at, Ink::Student));
        marks.push(dot(gain.mean, at, Ink::Student, 5.0));
        told.push(format!(
            "run {}: {}{}",
            place + 1,
            signed(gain.mean, 2),
            gain.ci95.map_or(String::new(), |ci| format!(
                " ({})",
                numbers::interval(ci, 2)
            ))
        ));
    }
    figure(
        "Gain over the own baseline",
        &match common_measure(rows) {
            Some(measure) => format!(
                "{} of {}; the bar is the 95 % interval of the mean",
                measure.difference_unit(),
                measure.title
            ),
            None => "the bar is the 95 % interval of the mean".into(),
        },
        rows,
        x,
        marks,
        &told,
    )
}

fn figure(
    title: &str,
    unit: &str,
    rows: &[Row],
    x: Axis,
    marks: Vec<Mark>,
    told: &[String],
) -> Markup {
    let mut y = Axis::rows(vec![String::new(); rows.len()]);
    y.ticks.clear();
    let chart = Chart {
        label: format!("{title}, {unit}. {}.", told.join("; ")),
        width: Chart::WIDTH,
        height: rows.len() as u32 * ROW + 40,
        x,
        y,
        marks,
    };
    html! {
        figure {
            figcaption { strong { (title) } (unit) }
            (chart.svg())
        }
    }
}

fn names(rows: &[Row], left: f64) -> Vec<Mark> {
    let name = |row: &Row| {
        let name = format!("{}  {}", row.number, row.results.run);
        if name.chars().count() <= LETTERS {
            return name;
        }
        let kept: String = name.chars().take(LETTERS - 1).collect();
        format!("{kept}…")
    };
    rows.iter()
        .enumerate()
        .map(|(place, row)| Mark::Word {
            at: (left, place as f64 - 0.38),
            text: name(row),
        })
        .collect()
}

fn interval(interval: Option<[f64; 2]>, at: f64, ink: Ink) -> Option<Mark> {
    interval.map(|[low, high]| Mark::Line {
        points: vec![(low, at), (high, at)],
        ink,
        width: 3.0,
        opacity: 0.55,
        dashed: false,
    })
}

fn dot(value: f64, at: f64, ink: Ink, radius: f64) -> Mark {
    Mark::Dot {
        at: (value, at),
        ink,
        radius,
    }
}
