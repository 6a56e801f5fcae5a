//! What methods gain and lose class by class.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::{choices::Choices, found::StudyResults, page::DIGITS, row::StudyRow};
use crate::{
    measure::Measure,
    numbers::{MISSING, count, signed},
    statistics::mean,
};

/// Classes that are shown at the most.
const SHOWN: usize = 20;
/// Shades of a colour.
const SHADES: f64 = 5.0;

/// The mean over seeds of what a row gains in each class, in points; `None` where no seed has both.
pub(super) fn class_gains(row: &StudyRow<'_>) -> Vec<Option<f64>> {
    let pairs: Vec<_> = (row.cell.runs.iter())
        .filter_map(|run| {
            let other = row
                .beside
                .runs
                .iter()
                .find(|other| other.seed == run.seed)?;
            Some((&run.per_class, &other.per_class))
        })
        .collect();
    let classes = pairs.iter().map(|(own, other)| own.len().min(other.len()));
    let gain = |class: usize| {
        let of = |values: &[Option<f64>]| values.get(class).copied().flatten();
        let differences: Vec<f64> = (pairs.iter())
            .filter_map(|(own, other)| Some(of(own)? - of(other)?))
            .collect();
        mean(&differences)
    };
    (0..classes.max().unwrap_or(0)).map(gain).collect()
}

/// A row of the table: its place among all rows, and its gains.
type Gained = (usize, Vec<Option<f64>>);

/// A table for each data set.
pub(super) fn classes(
    results: &StudyResults,
    rows: &[StudyRow<'_>],
    measure: &Measure,
    choices: &Choices,
) -> Markup {
    let mut data: Vec<(&str, Vec<Gained>)> = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let gains = class_gains(row);
        if gains.iter().all(Option::is_none) {
            continue;
        }
        let name = row.cell.data.as_str();
        match data.iter_mut().find(|(other, _)| *other == name) {
            Some((_, own)) => own.push((place, gains)),
            None => data.push((name, vec![(place, gains)])),
        }
    }
    if data.is_empty() {
        return html! {};
    }
    // Names are those of one data set.
    let names: &[String] = match data.len() {
        1 => &results.classes,
        _ => &[],
    };
    html! {
        section #classes aria-labelledby="classes-title" {
            h2 #classes-title { "Class by class" }
            p {
                "What is gained in " (of_class(measure)) ", in points: means of the differences between pairs of the same \
                 seed. These have no intervals, and of so many numbers some are far from zero by chance alone."
            }
            @for (name, own) in &data {
                @if data.len() > 1 { h3 { (name) } }
                (table(own, rows, names, choices))
            }
        }
    }
}

/// What percentages of classes are, by what networks are compared by.
fn of_class(measure: &Measure) -> &'static str {
    match measure.name.as_str() {
        "top1" => "the share of each class's test images that are right",
        "miou" => "the IoU of each class",
        "ap" => "the AP of each class",
        _ => "the value of each class that runs report, in percent",
    }
}

fn table(own: &[Gained], rows: &[StudyRow<'_>], names: &[String], choices: &Choices) -> Markup {
    let all = own.iter().map(|(_, gains)| gains.len()).max().unwrap_or(0);
    let (shown, known) = shown(own, all);
    let name = |class: usize| match names.get(class) {
        Some(name) if names.len() == all => name.clone(),
        _ => class.to_string(),
    };
    let largest = (own.iter())
        .flat_map(|(_, gains)| shown.iter().map(move |&class| of(gains, class)))
        .flatten()
        .fold(0.0_f64, |largest, gain| largest.max(gain.abs()));
    html! {
        @if shown.len() < known {
            p.quiet {
                "The " (shown.len()) " of " (count(known as u64)) " classes with the largest gains or losses, by their mean \
                 over all rows without the sign."
            }
        }
        @if names.len() != all {
            p.quiet { "Classes are told by their numbers, from 0." }
        }
        div.scroll tabindex="0" role="region" aria-label="Gains class by class" {
            table.matrix.gained.sortable style={ "--columns:" (shown.len() + 1) } {
                thead { tr {
                    th.corner scope="col" { "Method and student" }
                    @for &class in &shown { th scope="col" { span { (name(class)) } } }
                } }
                tbody {
                    @for (place, gains) in own {
                        tr class=(choices.classes(&rows[*place], *place)) {
                            th scope="row" title=(rows[*place].cell.name) { (choices.name(rows[*place].cell)) }
                            @for &class in &shown { (cell(of(gains, class), largest)) }
                        }
                    }
                }
            }
        }
    }
}

fn of(gains: &[Option<f64>], class: usize) -> Option<f64> {
    gains.get(class).copied().flatten()
}

/// The classes that are shown, in their order, and how many there are to choose from.
fn shown(own: &[Gained], all: usize) -> (Vec<usize>, usize) {
    let size = |class: usize| {
        let sizes = own.iter().filter_map(|(_, gains)| of(gains, class));
        mean(&sizes.map(f64::abs).collect::<Vec<_>>())
    };
    let mut classes: Vec<(usize, f64)> = (0..all)
        .filter_map(|class| Some((class, size(class)?)))
        .collect();
    let known = classes.len();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    classes.truncate(SHOWN);
    let mut classes: Vec<usize> = classes.into_iter().map(|(class, _)| class).collect();
    classes.sort_unstable();
    (classes, known)
}

/// A gain on a ground of the shade that it has of the largest.
fn cell(gain: Option<f64>, largest: f64) -> Markup {
    let Some(gain) = gain else {
        return html! { td { (MISSING) } };
    };
    let share = if largest > 0.0 {
        gain.abs() / largest
    } else {
        0.0
    };
    let shade = (share * SHADES).round();
    let mut class = String::new();
    if shade > 0.0 {
        let _ = write!(class, "{}{shade}", if gain > 0.0 { 'g' } else { 'l' });
    }
    html! { td class=[(!class.is_empty()).then_some(class)] { (signed(gain, DIGITS)) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{row::study_rows, testing::study};

    /// Gives the runs of two cells values of classes, by seed.
    fn with_classes(
        own: &[(u64, Vec<Option<f64>>)],
        other: &[(u64, Vec<Option<f64>>)],
    ) -> StudyResults {
        let mut results = study();
        for (cell, values) in [(1, own), (0, other)] {
            for (seed, values) in values {
                let runs = &mut results.cells[cell].runs;
                let run = runs.iter_mut().find(|run| run.seed == *seed).unwrap();
                run.per_class.clone_from(values);
            }
        }
        results
    }

    #[test]
    fn classes_are_paired_by_seed() {
        let results = with_classes(
            &[
                (2, vec![Some(50.0), None, Some(9.0)]),
                (0, vec![Some(40.0), Some(70.0), Some(9.0)]),
            ],
            &[
                (0, vec![Some(39.0), Some(72.0), None]),
                (1, vec![Some(0.0), Some(0.0), Some(0.0)]),
                (2, vec![Some(45.0), Some(10.0), None]),
            ],
        );
        let rows = study_rows(&results);
        assert_eq!(class_gains(&rows[0]), [Some(3.0), Some(-2.0), None]);
        assert!(class_gains(&rows[1]).is_empty());
    }

    #[test]
    fn of_many_classes_those_with_the_largest_gains_are_shown_by_name() {
        let zero = vec![Some(50.0); 30];
        let mut values = zero.clone();
        for (class, value) in values.iter_mut().enumerate().skip(10) {
            *value = Some(50.0 - class as f64);
        }
        let mut results = with_classes(&[(0, values)], &[(0, zero)]);
        results.classes = (0..30).map(|class| format!("thing {class}")).collect();
        let rows = study_rows(&results);
        let measure = results.measure.as_ref().unwrap();
        let choices = Choices::of(&results, &rows);
        let page = classes(&results, &rows, measure, &choices).into_string();
        assert!(page.contains("The 20 of 30 classes"));
        assert!(page.contains("thing 10<") && !page.contains("thing 9<"));
        assert!(page.contains("<td class=\"l5\">−29.0</td>"), "{page}");
    }
}
