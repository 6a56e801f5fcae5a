//! What networks of different sizes reach.

use maud::Markup;

use super::{
    choices::Choices,
    found::{StudyCell, StudyResults},
    front::{front, steps},
    page::DIGITS,
    row::StudyRow,
    scatter::{Dot, Look, Scatter},
    trade::once,
};
use crate::{
    axis::Axis,
    chart::{Ink, Mark},
    measure::Measure,
    numbers::short,
    statistics::mean,
};

/// Names that are wanted at either end, besides those of the front.
const BEST: usize = 3;
const WORST: usize = 3;

/// A cell that has begun: its place among the rows where it is compared, and its mean.
type Reached<'a> = (&'a StudyCell, Option<usize>, f64);

/// The measure against multiply-accumulates, a chart for each choice of data in which networks differ in them.
pub(super) fn sizes(
    results: &StudyResults,
    rows: &[StudyRow<'_>],
    measure: &Measure,
    choices: &Choices,
) -> Vec<Markup> {
    let reached: Vec<Reached<'_>> = (results.cells.iter())
        .filter_map(|cell| {
            let values = cell.runs.iter().map(|run| run.value(&measure.name));
            let value = mean(&values.collect::<Vec<_>>())?;
            let place = rows.iter().position(|row| row.cell.name == cell.name);
            Some((cell, place, value))
        })
        .filter(|(cell, ..)| cell.macs > 0)
        .collect();
    let mut data: Vec<(&str, Option<usize>)> = Vec::new();
    for (cell, ..) in &reached {
        let of = (cell.data.as_str(), cell.shots);
        if !data.contains(&of) {
            data.push(of);
        }
    }
    let several = data.len() > 1;
    let charts = data.iter().filter_map(|&(name, shots)| {
        let own = reached
            .iter()
            .filter(|(cell, ..)| cell.data == name && cell.shots == shots);
        let mut own: Vec<&Reached<'_>> = own.collect();
        // What methods are compared with is drawn over them.
        own.sort_by_key(|(_, place, _)| place.is_none());
        if own.iter().all(|(cell, ..)| cell.macs == own[0].0.macs) {
            return None;
        }
        let of = match shots {
            _ if !several => String::new(),
            None => format!("{name}, "),
            Some(shots) => format!("{name}, {shots} images of a class, "),
        };
        chart(&own, rows, measure, choices, &of)
    });
    charts.collect()
}

fn chart(
    cells: &[&Reached<'_>],
    rows: &[StudyRow<'_>],
    measure: &Measure,
    choices: &Choices,
    of: &str,
) -> Option<Markup> {
    let millions = |cell: &StudyCell| cell.macs as f64 / 1e6;
    let places: Vec<(f64, f64)> = (cells.iter())
        .map(|(cell, _, value)| (millions(cell), *value))
        .collect();
    let turned: Vec<(f64, f64)> = (places.iter())
        .map(|(macs, value)| (*macs, measure.turned(*value)))
        .collect();
    let best = front(&turned);
    let macs: Vec<f64> = places.iter().map(|(macs, _)| *macs).collect();
    let x = Axis::covering_multiples(&macs, 5)?;
    let y = Axis::covering(places.iter().map(|(_, value)| *value), 5)?;
    let corners: Vec<(f64, f64)> = best.iter().map(|&place| places[place]).collect();
    let lines = vec![Mark::Line {
        points: steps(&corners, x.ends().1),
        ink: Ink::Student,
        width: 1.5,
        opacity: 0.6,
        dashed: false,
    }];
    let dots = cells
        .iter()
        .enumerate()
        .map(|(number, (cell, place, value))| Dot {
            at: (millions(cell), *value),
            name: choices.name(cell),
            told: format!(
                "{}: {}, {} multiply-accumulates",
                cell.name,
                measure.write(*value, DIGITS),
                short(cell.macs)
            ),
            classes: match place {
                Some(place) => choices.classes(&rows[*place], *place),
                None => choices.baseline_classes(cell),
            },
            look: match place {
                None => Look::Ring,
                Some(_) if best.contains(&number) => Look::Full,
                Some(_) => Look::Part,
            },
        });
    let mut order: Vec<usize> = (0..cells.len()).collect();
    order.sort_by(|&a, &b| turned[b].1.total_cmp(&turned[a].1));
    let mut named = best.clone();
    named.extend(order.iter().take(BEST));
    named.extend(order.iter().rev().take(WORST));
    Some(
        Scatter {
            title: format!("{} against multiply-accumulates", measure.heading()),
            caption: format!("{of}millions for one image"),
            x,
            y,
            lines,
            dots: dots.collect(),
            named: once(named),
        }
        .figure(),
    )
}
