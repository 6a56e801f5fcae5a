//! What gains cost.

use maud::{Markup, html};

use super::{found::StudyResults, page::HEIGHT, row::StudyRow};
use crate::{
    axis::Axis,
    chart::{Chart, Ink, Mark},
    measure::Measure,
    statistics::mean,
};

/// Room for names at the right end, as a share of what the dots take.
const NAMES: f64 = 0.35;

/// Gain against the time of a training, and the measure against multiply-accumulates.
pub(super) fn trade(results: &StudyResults, rows: &[StudyRow<'_>], measure: &Measure) -> Markup {
    let costs: Vec<(f64, f64, &str)> = (rows.iter())
        .filter_map(|row| Some((row.cost?, row.gain?, row.cell.method.as_str())))
        .filter(|(cost, gain, _)| cost.is_finite() && gain.is_finite())
        .collect();
    let sizes: Vec<(f64, f64, &str)> = (results.cells.iter())
        .filter_map(|cell| {
            let values: Vec<f64> = cell
                .runs
                .iter()
                .map(|run| run.value(&measure.name))
                .collect();
            Some((cell.macs as f64 / 1e6, mean(&values)?, cell.name.as_str()))
        })
        .filter(|(macs, ..)| *macs > 0.0)
        .collect();
    let several = sizes.iter().any(|(macs, ..)| *macs != sizes[0].0);
    let gain_of = format!(
        "Gain, {}, against the time of a training",
        measure.difference_unit()
    );
    let chart = scatter(&costs, &gain_of, "times that of the baseline", true);
    let size_of = format!("{}, against multiply-accumulates", measure.heading());
    let sizes = several.then(|| scatter(&sizes, &size_of, "millions for one image", false));
    if chart.is_none() && sizes.is_none() {
        return html! {};
    }
    html! {
        section aria-labelledby="trade-title" {
            h2 #trade-title { "What it costs" }
            div.charts.wide {
                (chart.unwrap_or_default())
                (sizes.flatten().unwrap_or_default())
            }
        }
    }
}

fn scatter(
    points: &[(f64, f64, &str)],
    title: &str,
    unit: &str,
    with_zero: bool,
) -> Option<Markup> {
    // Names stand to the right of their dots.
    let ends = points.iter().map(|(x, ..)| *x);
    let (least, most) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), x| {
        (least.min(x), most.max(x))
    });
    let room = (most - least) * NAMES;
    let x = Axis::covering(points.iter().map(|(x, ..)| *x).chain([most + room]), 4)?;
    let beside = (x.range.1 - x.range.0) * 0.02;
    let zero = with_zero.then_some(0.0);
    let y = Axis::covering(points.iter().map(|(_, y, _)| *y).chain(zero), 4)?;
    let mut marks = Vec::new();
    if with_zero {
        marks.push(Mark::Line {
            points: vec![(x.range.0, 0.0), (x.range.1, 0.0)],
            ink: Ink::Quiet,
            width: 1.5,
            opacity: 1.0,
            dashed: false,
        });
    }
    for (x, y, name) in points {
        marks.push(Mark::Dot {
            at: (*x, *y),
            ink: Ink::Student,
            radius: 3.5,
        });
        marks.push(Mark::Word {
            at: (*x + beside, *y),
            text: (*name).to_owned(),
        });
    }
    let told: Vec<String> = points
        .iter()
        .map(|(x, y, name)| format!("{name}: {x:.2}, {y:.2}"))
        .collect();
    let chart = Chart {
        label: format!("{title}, {unit}. {}.", told.join("; ")),
        width: Chart::WIDTH,
        height: HEIGHT + 60,
        x,
        y,
        marks,
    };
    Some(html! {
        figure {
            figcaption { strong { (title) } (unit) }
            (chart.svg())
        }
    })
}
