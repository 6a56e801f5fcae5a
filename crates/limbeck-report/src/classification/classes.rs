//! Accuracy class by class: where distillation helped and where it did harm.

use maud::{Markup, html};

use crate::numbers::{MISSING, count, fixed, signed};
use crate::results::Results;
use crate::side::{Role, Side, sides, swatch};
use crate::statistics::mean;

/// Classes up to which all are listed.
const ALL: usize = 20;
/// Of more classes, how many are listed at each end.
const ENDS: usize = 8;

/// One class.
struct Row {
    class: usize,
    /// Percent right, in the order of the sides.
    accuracies: Vec<Option<f64>>,
    /// Student minus rival, in points.
    difference: Option<f64>,
}

/// The table; nothing where there are no classes.
pub fn classes(results: &Results) -> Markup {
    let sides = sides(results);
    let Some(rival) = rival(&sides) else {
        return html! {};
    };
    let mut rows = rows(&sides, rival.role);
    if rows.iter().all(|row| row.difference.is_none()) {
        return html! {};
    }
    rows.sort_by(|a, b| {
        let key = |row: &Row| row.difference.unwrap_or(f64::NEG_INFINITY);
        key(b).total_cmp(&key(a))
    });
    let largest = rows
        .iter()
        .filter_map(|row| row.difference)
        .fold(1.0, |most: f64, difference| most.max(difference.abs()));
    let per_class = results.data.test / rows.len().max(1);
    let hidden = rows.len().saturating_sub(2 * ENDS);
    let cut = rows.len() > ALL;
    html! {
        section #classes aria-labelledby="classes-title" {
            h2 #classes-title { "Class by class" }
            p {
                "Share of the test images of each class that is right, in percent, and the student's difference to the "
                (rival.title.to_lowercase()) ", in points"
                @if cut { ": the " (ENDS) " classes at either end of " (rows.len()) }
                ". With about " (count(per_class as u64))
                " images a class, small differences are noise."
            }
            div.scroll tabindex="0" role="region" aria-label="Accuracy class by class" {
                table.classes {
                    thead { tr {
                        th scope="col" { "Class" }
                        @for side in &sides {
                            th.number scope="col" { (swatch(side.role)) (side.title) }
                        }
                        th.number scope="col" { "Differ\u{ad}ence" }
                        th.bars scope="col" { span.unseen { "Difference as a bar" } }
                    } }
                    @if cut {
                        tbody { @for row in &rows[..ENDS] { (line(results, row, largest)) } }
                        tbody { tr.gap { td colspan=(sides.len() + 3) { (count(hidden as u64)) " classes between" } } }
                        tbody { @for row in &rows[rows.len() - ENDS..] { (line(results, row, largest)) } }
                    } @else {
                        tbody { @for row in &rows { (line(results, row, largest)) } }
                    }
                }
            }
        }
    }
}

/// What the student is compared with: the baseline, else the teacher.
fn rival<'a>(sides: &'a [Side<'a>]) -> Option<&'a Side<'a>> {
    [Role::Baseline, Role::Teacher]
        .into_iter()
        .find_map(|role| sides.iter().find(|side| side.role == role))
}

fn rows(sides: &[Side], rival: Role) -> Vec<Row> {
    let tests = || sides.iter().flat_map(|side| &side.tests);
    let classes = tests().map(|test| test.per_class.len()).max().unwrap_or(0);
    (0..classes)
        .map(|class| {
            let accuracies: Vec<Option<f64>> =
                sides.iter().map(|side| accuracy(side, class)).collect();
            let of = |role: Role| {
                let place = sides.iter().position(|side| side.role == role)?;
                accuracies.get(place).copied().flatten()
            };
            let difference = of(Role::Student)
                .zip(of(rival))
                .map(|(student, rival)| student - rival);
            Row {
                class,
                accuracies,
                difference,
            }
        })
        .collect()
}

/// Mean over the seeds.
fn accuracy(side: &Side, class: usize) -> Option<f64> {
    let seeds = side.tests.iter();
    let values: Vec<f64> = seeds
        .filter_map(|test| *test.per_class.get(class)?)
        .collect();
    mean(&values)
}

fn line(results: &Results, row: &Row, largest: f64) -> Markup {
    html! {
        tr {
            th scope="row" { (results.data.class_name(row.class)) }
            @for accuracy in &row.accuracies {
                td.number { (accuracy.map_or(MISSING.into(), |value| fixed(value, 1))) }
            }
            td.number { (row.difference.map_or(MISSING.into(), |value| signed(value, 1))) }
            td.bars aria-hidden="true" {
                @if let Some(difference) = row.difference {
                    @let side = if difference < 0.0 { "less" } else { "more" };
                    div class={ "bar " (side) }
                        style={ "--length:" (format!("{:.1}%", difference.abs() / largest * 50.0)) } {}
                }
            }
        }
    }
}
