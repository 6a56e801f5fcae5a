//! The table of gains.

use maud::{Markup, html};

use super::{
    choices::Choices,
    forest::{Scale, forest},
    page::DIGITS,
    row::{StudyRow, StudyVerdict},
};
use crate::{
    measure::Measure,
    numbers::{self, MISSING, bytes, duration, fixed, signed},
};

/// A row for each cell that is compared with another, the largest gain first.
pub(super) fn gains(rows: &[StudyRow<'_>], measure: &Measure, choices: &Choices) -> Markup {
    if rows.is_empty() {
        return html! {};
    }
    let scale = Scale::of(rows);
    let memory = rows.iter().any(|row| row.memory.is_some());
    let columns = 10 + usize::from(memory);
    html! {
        section.gains #gains aria-labelledby="gains-title" {
            h2 #gains-title { "Gains" }
            p {
                "In " (measure.difference_unit()) " of test " (measure.title)
                ", over the same student without the method. Thick bars are 95 % intervals over seeds, thin ones over \
                 seeds and test images, small dots seeds."
            }
            div.scroll tabindex="0" role="region" aria-label="Gains" {
                table.study.sortable style={ "--columns:" (columns) } {
                    thead { tr {
                        th scope="col" { "Method and student" }
                        th scope="col" { "Gain" }
                        th.number scope="col" { "Mean" small { "over seeds" } }
                        th scope="col" { "Verdict" }
                        th.number scope="col" { "Interval" small { "seeds and images" } }
                        th.number scope="col" { "p" small { "Holm" } }
                        th.number scope="col" { (measure.heading()) }
                        th.number scope="col" { "Beside" }
                        th.number scope="col" { "Seeds" }
                        th.number scope="col" { "Time" small { "of a training" } }
                        @if memory { th.number scope="col" { "Memory" small { "most held" } } }
                    } }
                    tbody {
                        @for (place, row) in rows.iter().enumerate() {
                            tr class=(choices.classes(row, place)) { (gain_cells(row, scale, measure, memory)) }
                        }
                    }
                }
            }
            (choices.shown())
        }
    }
}

fn gain_cells(row: &StudyRow<'_>, scale: Scale, measure: &Measure, memory: bool) -> Markup {
    let digits = measure.digits(DIGITS);
    let written = |interval: Option<[f64; 2]>| {
        interval.map(|ends| html! { small { "[" (numbers::interval(ends, digits)) "]" } })
    };
    let number = |value: Option<f64>| value.map_or(MISSING.into(), |value| fixed(value, digits));
    let times = |cost: Option<f64>| {
        cost.map(|cost| html! { small { "×" (fixed(cost, 2)) } })
            .unwrap_or_default()
    };
    html! {
        th scope="row" { (row.cell.name) small { "beside " (row.beside.name) } }
        td { (forest(row, scale, digits)) }
        td.number {
            strong { (row.gain.map_or(MISSING.into(), |gain| signed(gain, digits))) }
            (written(row.over_seeds).unwrap_or_default())
        }
        td.verdict { (verdict(row)) }
        td.number {
            @match row.over_both {
                Some(ends) => (numbers::interval(ends, digits)),
                None => (MISSING),
            }
        }
        td.number {
            @match row.corrected {
                Some(p) if p < 0.001 => "< 0.001",
                Some(p) => (fixed(p, 3)),
                None => (MISSING),
            }
        }
        td.number { (number(row.value)) (written(row.interval).unwrap_or_default()) }
        td.number { (number(row.baseline)) }
        td.number { (row.seeds.len()) }
        td.number { (row.seconds.map_or(MISSING.into(), duration)) (times(row.cost)) }
        @if memory {
            td.number {
                (row.memory.map_or(MISSING.into(), |held| bytes(held.round() as u64)))
                (times(row.memory_cost))
            }
        }
    }
}

/// A sign that needs no colour, and the word.
fn verdict(row: &StudyRow<'_>) -> Markup {
    let (sign, word) = match row.verdict() {
        StudyVerdict::Better => ("▲", "better"),
        StudyVerdict::Worse => ("▼", "worse"),
        StudyVerdict::Open => ("○", StudyVerdict::Open.in_words()),
        StudyVerdict::Unknown if row.cell.runs.is_empty() => ("", "no seed is done"),
        StudyVerdict::Unknown => ("", StudyVerdict::Unknown.in_words()),
    };
    html! {
        @if !sign.is_empty() { span aria-hidden="true" { (sign) " " } }
        (word)
    }
}
