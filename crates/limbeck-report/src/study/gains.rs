//! The table of gains.

use maud::{Markup, html};

use super::{
    forest::{Scale, forest},
    page::DIGITS,
    row::StudyRow,
};
use crate::{
    measure::Measure,
    numbers::{self, MISSING, duration, fixed, signed},
};

/// A row for each cell that is compared with another, the largest gain first.
pub(super) fn gains(rows: &[StudyRow<'_>], measure: &Measure) -> Markup {
    if rows.is_empty() {
        return html! {};
    }
    let scale = Scale::of(rows);
    html! {
        section aria-labelledby="gains-title" {
            h2 #gains-title { "Gains" }
            p {
                "In " (measure.difference_unit()) " of test " (measure.title)
                ", over the same student without the method. Thick bars are 95 % intervals over seeds, thin ones over \
                 seeds and test images, small dots seeds."
            }
            div.scroll tabindex="0" role="region" aria-label="Gains" {
                table.study {
                    thead { tr {
                        th scope="col" { "Method and student" }
                        th scope="col" { "Gain" }
                        th.number scope="col" { "Mean" small { "over seeds" } }
                        th.number scope="col" { "Seeds and images" }
                        th.number scope="col" { "p" small { "Holm" } }
                        th scope="col" { "" }
                        th.number scope="col" { (measure.heading()) }
                        th.number scope="col" { "Beside" }
                        th.number scope="col" { "Seeds" }
                        th.number scope="col" { "Time" small { "of a training" } }
                    } }
                    tbody { @for row in rows { (gain_row(row, scale)) } }
                }
            }
        }
    }
}

fn gain_row(row: &StudyRow<'_>, scale: Scale) -> Markup {
    let written = |interval: Option<[f64; 2]>| {
        interval.map(|ends| html! { small { "[" (numbers::interval(ends, DIGITS)) "]" } })
    };
    let number = |value: Option<f64>| value.map_or(MISSING.into(), |value| fixed(value, DIGITS));
    html! {
        tr {
            th scope="row" { (row.cell.name) small { "beside " (row.beside.name) } }
            td { (forest(row, scale, DIGITS)) }
            td.number {
                (row.gain.map_or(MISSING.into(), |gain| signed(gain, DIGITS)))
                (written(row.over_seeds).unwrap_or_default())
            }
            td.number {
                @match row.over_both {
                    Some(ends) => (numbers::interval(ends, DIGITS)),
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
            td { (row.verdict().in_words()) }
            td.number { (number(row.value)) (written(row.interval).unwrap_or_default()) }
            td.number { (number(row.baseline)) }
            td.number { (row.seeds.len()) }
            td.number {
                @match (row.seconds, row.cost) {
                    (Some(seconds), Some(cost)) => { (duration(seconds)) small { "×" (fixed(cost, 2)) } }
                    _ => (MISSING),
                }
            }
        }
    }
}
