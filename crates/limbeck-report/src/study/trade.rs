//! What gains cost.

use maud::{Markup, html};

use super::{
    choices::Choices,
    found::StudyResults,
    front::front,
    page::DIGITS,
    row::{StudyRow, StudyVerdict},
    scatter::{Dot, Look, Scatter},
    sizes::sizes,
};
use crate::{
    axis::Axis,
    chart::{Ink, Mark},
    measure::Measure,
    numbers::{fixed, signed},
};

/// Names that are wanted at either end of the gains, besides those that are best for their cost.
const BEST: usize = 6;
const WORST: usize = 4;

/// Gain against time and memory of a training, and the measure against multiply-accumulates.
pub(super) fn trade(
    results: &StudyResults,
    rows: &[StudyRow<'_>],
    measure: &Measure,
    choices: &Choices,
) -> Markup {
    let time = against(rows, measure, choices, "time", |row| row.cost);
    let memory = against(rows, measure, choices, "memory", |row| row.memory_cost);
    let sizes = sizes(results, rows, measure, choices);
    let gains = [time, memory].into_iter().flatten().collect::<Vec<_>>();
    if gains.is_empty() && sizes.is_empty() {
        return html! {};
    }
    html! {
        section #trade aria-labelledby="trade-title" {
            h2 #trade-title { "What it costs" }
            @if !gains.is_empty() {
                p {
                    "Gains next to what a training takes, as a multiple of what it is compared with. Full dots are better, \
                     rings worse, small dots not settled. Names are in the tables and where a dot is pointed at."
                }
                div.charts.wide.trade { @for chart in &gains { (chart) } }
            }
            @if !sizes.is_empty() {
                h3 { (measure.heading()) " against size" }
                p {
                    "Dots are methods, rings what they are compared with. The line is the Pareto front: what nothing beats \
                     with as many multiply-accumulates or fewer (the larger dots), among all cells of a chart, whatever is chosen above."
                }
                div.charts.wide.trade { @for chart in &sizes { (chart) } }
            }
        }
    }
}

/// Gains against a multiple of the baseline's.
fn against(
    rows: &[StudyRow<'_>],
    measure: &Measure,
    choices: &Choices,
    what: &str,
    of: fn(&StudyRow<'_>) -> Option<f64>,
) -> Option<Markup> {
    let known = rows.iter().enumerate().filter_map(|(place, row)| {
        let at = (of(row)?, row.gain?);
        (at.0.is_finite() && at.1.is_finite()).then_some((place, row, at))
    });
    let (places, dots): (Vec<_>, Vec<_>) = known
        .map(|(place, row, (cost, gain))| {
            let dot = Dot {
                at: (cost, gain),
                name: choices.name(row.cell),
                told: format!(
                    "{}: {} {}, ×{} {what}, {}",
                    row.cell.name,
                    signed(gain, measure.digits(DIGITS)),
                    measure.difference_unit(),
                    fixed(cost, 2),
                    row.verdict().in_words()
                ),
                classes: choices.classes(row, place),
                look: match row.verdict() {
                    StudyVerdict::Better => Look::Full,
                    StudyVerdict::Worse => Look::Ring,
                    StudyVerdict::Open | StudyVerdict::Unknown => Look::Small,
                },
            };
            ((cost, gain), dot)
        })
        .unzip();
    let costs: Vec<f64> = places.iter().map(|(cost, _)| *cost).collect();
    let gains = places.iter().map(|(_, gain)| *gain);
    let x = Axis::covering_multiples(&[&costs[..], &[1.0]].concat(), 5)
        .filter(|_| !costs.is_empty())?;
    let y = Axis::covering(gains.chain([0.0]), 5)?;
    let dashed = |points, dashed| Mark::Line {
        points,
        ink: Ink::Quiet,
        width: 1.5,
        opacity: if dashed { 0.6 } else { 1.0 },
        dashed,
    };
    let ((left, right), (bottom, top)) = (x.ends(), y.ends());
    let lines = vec![
        dashed(vec![(1.0, bottom), (1.0, top)], true),
        dashed(vec![(left, 0.0), (right, 0.0)], false),
    ];
    // Rows stand by their gains.
    let mut named = front(&places);
    named.extend(0..dots.len().min(BEST));
    named.extend((dots.len().saturating_sub(WORST)..dots.len()).rev());
    Some(
        Scatter {
            title: format!("Gain, {}, against {what}", measure.difference_unit()),
            caption: format!("{what} of a training, times that of the baseline"),
            x,
            y,
            lines,
            dots,
            named: once(named),
        }
        .figure(),
    )
}

/// Each number once, the first time.
pub(super) fn once(numbers: Vec<usize>) -> Vec<usize> {
    let mut kept = Vec::new();
    for number in numbers {
        if !kept.contains(&number) {
            kept.push(number);
        }
    }
    kept
}
