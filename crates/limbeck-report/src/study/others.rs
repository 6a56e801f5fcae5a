//! All that was measured besides what networks are compared by.

use maud::{Markup, html};

use super::{
    found::{StudyCell, StudyResults},
    page::DIGITS,
};
use crate::{
    measure::AGREEMENT,
    numbers::{MISSING, count, fixed, percent, short},
    statistics::mean,
};

/// All other measures: agreement with the teacher, calibration, losses.
pub(super) fn others(results: &StudyResults) -> Markup {
    let own = results
        .measure
        .as_ref()
        .map(|measure| measure.name.as_str());
    let mut names: Vec<&str> = Vec::new();
    for run in results.cells.iter().flat_map(|cell| &cell.runs) {
        for name in run.measures.keys() {
            if Some(name.as_str()) != own && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        return html! {};
    }
    let value = |cell: &StudyCell, name: &str| {
        let values: Vec<f64> = cell.runs.iter().map(|run| run.value(name)).collect();
        match mean(&values) {
            Some(value) if name == AGREEMENT => percent(value, DIGITS),
            Some(value) => fixed(value, 2),
            None => MISSING.into(),
        }
    };
    html! {
        section aria-labelledby="others-title" {
            h2 #others-title { "Other measures" }
            p { "Means over the seeds of each cell, on the test part." }
            div.scroll tabindex="0" role="region" aria-label="Other measures" {
                table.study {
                    thead { tr {
                        th scope="col" { "Cell" }
                        @for name in &names { th.number scope="col" { (name) } }
                        th.number scope="col" { "Parameters" }
                        th.number scope="col" { "MACs" }
                        th.number scope="col" { "Training images" }
                        th.number scope="col" { "Test images" }
                    } }
                    tbody {
                        @for cell in results.cells.iter().filter(|cell| !cell.runs.is_empty()) {
                            tr {
                                th scope="row" { (cell.name) }
                                @for name in &names { td.number { (value(cell, name)) } }
                                td.number { (short(cell.params)) }
                                td.number { (short(cell.macs)) }
                                td.number { (count(cell.train as u64)) }
                                td.number { (count(cell.test as u64)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
