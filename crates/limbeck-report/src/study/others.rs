//! All that was measured besides what networks are compared by.

use maud::{Markup, html};

use super::{
    choices::Choices,
    found::{StudyCell, StudyResults},
    page::DIGITS,
    row::StudyRow,
};
use crate::{
    measure::{AGREEMENT, Measure},
    numbers::{MISSING, count, short},
    statistics::mean,
};

/// A column: what it is, and whether its direction is known.
struct Column {
    measure: Measure,
    known: bool,
}

/// All other measures: agreement with the teacher, calibration, losses.
pub(super) fn others(results: &StudyResults, rows: &[StudyRow<'_>], choices: &Choices) -> Markup {
    let columns = columns(results);
    if columns.is_empty() {
        return html! {};
    }
    let begun = |cell: &&StudyCell| !cell.runs.is_empty();
    let baselines: Vec<&StudyCell> = (results.cells.iter().filter(begun))
        .filter(|cell| !rows.iter().any(|row| row.cell.name == cell.name))
        .collect();
    let values = |cell: &StudyCell| -> Vec<Option<f64>> {
        let of = |column: &Column| {
            let values = cell.runs.iter().map(|run| run.value(&column.measure.name));
            mean(&values.collect::<Vec<_>>())
        };
        columns.iter().map(of).collect()
    };
    let lines: Vec<(String, &StudyCell)> = baselines
        .into_iter()
        .map(|cell| (choices.baseline_classes(cell), cell))
        .chain(
            (rows.iter().enumerate())
                .filter(|(_, row)| begun(&row.cell))
                .map(|(place, row)| (choices.classes(row, place), row.cell)),
        )
        .collect();
    let values: Vec<Vec<Option<f64>>> = lines.iter().map(|(_, cell)| values(cell)).collect();
    let is_best = |line: usize, column: usize| {
        let Column { measure, known } = &columns[column];
        let beside = (lines.iter().zip(&values))
            .filter(|((_, cell), _)| compared(cell) == compared(lines[line].1))
            .filter_map(|(_, values)| values[column]);
        let best = beside.map(|value| measure.turned(value));
        *known
            && values[line][column].map(|value| measure.turned(value)) == best.reduce(f64::max)
            && lines.len() > 1
    };
    let several = lines
        .iter()
        .any(|(_, cell)| compared(cell) != compared(lines[0].1));
    html! {
        section #others aria-labelledby="others-title" {
            h2 #others-title { "Other measures" }
            p {
                "Means over the seeds of each cell, on the test part. "
                @if several { "The best of each column is bold for each student, data and shots." }
                @else if lines.len() > 1 { "The best of each column is bold." }
            }
            div.scroll tabindex="0" role="region" aria-label="Other measures" {
                table.study.sortable style={ "--columns:" (columns.len() + 5) } {
                    thead { tr {
                        th scope="col" { "Cell" }
                        @for Column { measure, known } in &columns {
                            th.number scope="col" title=[(!measure.meaning.is_empty()).then_some(&measure.meaning)] {
                                (measure.heading())
                                @if *known && !measure.unit.is_empty() { small { (measure.unit) } }
                            }
                        }
                        th.number scope="col" { "Parameters" }
                        th.number scope="col" { "MACs" }
                        th.number scope="col" { "Training images" }
                        th.number scope="col" { "Test images" }
                    } }
                    tbody {
                        @for (line, (classes, cell)) in lines.iter().enumerate() {
                            tr class=(classes) {
                                th scope="row" { (cell.name) }
                                @for (column, value) in values[line].iter().enumerate() {
                                    td.number {
                                        @let value = value.map(|value| columns[column].measure.bare(value, DIGITS));
                                        @let value = value.unwrap_or_else(|| MISSING.to_owned());
                                        @if is_best(line, column) { strong { (value) } } @else { (value) }
                                    }
                                }
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

/// What cells have in common whose other measures can be compared.
fn compared(cell: &StudyCell) -> (&str, &str, Option<usize>) {
    (&cell.student, &cell.data, cell.shots)
}

/// What was measured besides: in the order in which it is told, then what is known by its name alone.
fn columns(results: &StudyResults) -> Vec<Column> {
    let own = results.measure.as_ref().map(|own| own.name.as_str());
    let runs = || results.cells.iter().flat_map(|cell| &cell.runs);
    let mut names: Vec<&str> = Vec::new();
    for name in runs().flat_map(|run| run.measures.keys()) {
        if Some(name.as_str()) != own && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let told = results.measures.iter();
    let mut found: Vec<Column> = told
        .filter(|measure| names.contains(&measure.name.as_str()))
        .map(|measure| Column {
            measure: measure.clone(),
            known: true,
        })
        .collect();
    for name in names {
        if found.iter().any(|column| column.measure.name == name) {
            continue;
        }
        let known = name == AGREEMENT;
        let measure = match known {
            true => Measure::percent(name, "agreement with the teacher", "", 0.0),
            // Without a unit: two decimals.
            false => Measure {
                name: name.to_owned(),
                title: name.replace('_', " "),
                ..Measure::default()
            },
        };
        found.push(Column { measure, known });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{row::study_rows, testing::study};

    fn table(results: &StudyResults) -> String {
        let rows = study_rows(results);
        others(results, &rows, &Choices::of(results, &rows)).into_string()
    }

    #[test]
    fn measures_have_their_titles_units_and_the_best_is_marked() {
        let mut results = study();
        let losses = [0.9, 0.5, 0.7, 0.6];
        for (cell, loss) in results.cells.iter_mut().zip(losses) {
            for run in &mut cell.runs {
                run.measures.insert("mean_loss".to_owned(), loss);
            }
        }
        let unknown = table(&results);
        assert!(
            unknown.contains("Mean loss</th>") && unknown.contains("Agreement with the teacher")
        );
        assert!(!unknown.contains("<strong>0.5"), "{unknown}");
        results.measures = vec![Measure::cost("mean_loss", "cross entropy", "", "nats", 0.0)];
        let known = table(&results);
        assert!(known.contains("Cross entropy<small>nats</small>"));
        assert!(known.contains("<strong>0.50</strong>") && !known.contains("<strong>0.60"));
        // What is compared with stands first.
        assert!(known.find("none-resnet8") < known.find("kd-resnet8"));
    }
}
