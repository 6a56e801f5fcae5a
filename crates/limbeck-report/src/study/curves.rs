//! Training curves of all cells, small.

use maud::{Markup, html};

use super::{found::StudyCell, page::HEIGHT, row::StudyRow};
use crate::{
    axis::Axis,
    chart::{Chart, Ink, Mark},
    measure::{Better, Measure},
    statistics::mean,
};

/// The mean over seeds of what epochs were chosen by, next to the baseline's.
pub(super) fn curves(rows: &[StudyRow<'_>], measure: &Measure) -> Markup {
    let of = |cell: &StudyCell| -> Vec<(f64, f64)> {
        let epochs = cell
            .runs
            .iter()
            .map(|run| run.curve.len())
            .min()
            .unwrap_or(0);
        let at = |epoch: usize| {
            let values: Vec<f64> = cell.runs.iter().map(|run| run.curve[epoch]).collect();
            mean(&values).map(|value| ((epoch + 1) as f64, value))
        };
        (0..epochs).filter_map(at).collect()
    };
    let drawn: Vec<Markup> = (rows.iter())
        .filter_map(|row| {
            let (own, other) = (of(row.cell), of(row.beside));
            let last = own.len().max(other.len());
            let values = own.iter().chain(&other).map(|(_, value)| *value);
            let y = Axis::covering(values, 3)?;
            let line = |points: Vec<(f64, f64)>, ink| Mark::Line {
                points,
                ink,
                width: 2.0,
                opacity: 1.0,
                dashed: false,
            };
            let chart = Chart {
                label: format!("{} by epoch: {} next to {}", measure.title, row.cell.name, row.beside.name),
                width: Chart::WIDTH,
                height: HEIGHT,
                x: Axis::whole_numbers(1, last, 4),
                y,
                marks: vec![line(other, Ink::Baseline), line(own, Ink::Student)],
            };
            Some(html! {
                figure {
                    figcaption { strong { (row.cell.name) } "validation, by epoch, next to " (row.beside.name) }
                    (chart.svg())
                }
            })
        })
        .collect();
    if drawn.is_empty() {
        return html! {};
    }
    let direction = match measure.better {
        Better::Higher => "More is better.",
        Better::Lower => "Less is better.",
    };
    html! {
        section aria-labelledby="curves-title" {
            h2 #curves-title { "Training" }
            p { "Means over seeds of validation " (measure.title) ". " (direction) }
            div.charts.curves.study { @for figure in &drawn { (figure) } }
        }
    }
}
