//! Training curves of all cells, small.

use maud::{Markup, html};

use super::{choices::Choices, found::StudyCell, row::StudyRow};
use crate::{
    axis::Axis,
    chart::{Chart, Ink, Mark},
    measure::{Better, Measure},
    side::{Role, swatch},
    statistics::mean,
};

/// Size of a chart, in CSS pixels.
const WIDTH: u32 = 290;
const HEIGHT: u32 = 165;
/// Points of a curve at the most: of more epochs, every second, third, … is drawn, and the last.
const POINTS: usize = 60;

/// The mean over seeds of what epochs were chosen by, next to the baseline's.
pub(super) fn curves(rows: &[StudyRow<'_>], measure: &Measure, choices: &Choices) -> Markup {
    let mut cut = false;
    let drawn: Vec<Markup> = (rows.iter().enumerate())
        .filter_map(|(place, row)| {
            let (own, other) = (curve(row.cell), curve(row.beside));
            let last = own.iter().chain(&other).map(|(epoch, _)| *epoch);
            let last = last.fold(1.0, f64::max) as usize;
            let values = own.iter().chain(&other).map(|(_, value)| *value);
            let (y, without_lowest) = Axis::covering_most(&values.collect::<Vec<_>>(), 3)?;
            cut |= without_lowest;
            let line = |points: Vec<(f64, f64)>, ink| Mark::Line {
                points,
                ink,
                width: 2.0,
                opacity: 1.0,
                dashed: false,
            };
            let chart = Chart {
                label: format!(
                    "{} by epoch: {} next to {}",
                    measure.title, row.cell.name, row.beside.name
                ),
                width: WIDTH,
                height: HEIGHT,
                x: Axis::whole_numbers(1, last, 4),
                y,
                marks: vec![line(other, Ink::Baseline), line(own, Ink::Student)],
            };
            Some(html! {
                figure class=(choices.classes(row, place)) {
                    figcaption { strong { (row.cell.name) } "beside " (row.beside.name) }
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
        section #curves aria-labelledby="curves-title" {
            h2 #curves-title { "Training" }
            p {
                "Validation " (measure.title) " by epoch, means over seeds, each on a scale of its own"
                @if cut { ", without the lowest values where few of them would take up the chart" }
                ". " (direction)
            }
            ul.legend {
                li { (swatch(Role::Student)) "With the method" }
                li { (swatch(Role::Baseline)) "What it is compared with" }
            }
            div.charts.curves.study { @for figure in &drawn { (figure) } }
        }
    }
}

/// Epoch, from 1, and the mean over the runs that went so far as all do.
fn curve(cell: &StudyCell) -> Vec<(f64, f64)> {
    let lengths = cell.runs.iter().map(|run| run.curve.len());
    let epochs = lengths.min().unwrap_or(0);
    let every = epochs.div_ceil(POINTS).max(1);
    let at = |epoch: usize| {
        let values: Vec<f64> = cell.runs.iter().map(|run| run.curve[epoch]).collect();
        mean(&values).map(|value| ((epoch + 1) as f64, value))
    };
    let chosen = (0..epochs).filter(|epoch| epoch % every == 0 || epoch + 1 == epochs);
    chosen.filter_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::testing::study;

    #[test]
    fn long_curves_are_thinned_and_keep_their_ends() {
        let mut cell = study().cells[1].clone();
        assert_eq!(curve(&cell).len(), 3);
        for run in &mut cell.runs {
            run.curve = (1..=200).map(f64::from).collect();
        }
        let points = curve(&cell);
        assert_eq!(points.len(), 51);
        assert_eq!((points[0], points[50]), ((1.0, 1.0), (200.0, 200.0)));
    }
}
