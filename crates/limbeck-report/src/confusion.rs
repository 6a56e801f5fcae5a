//! Which classes are taken for which: the whole matrix for a few classes, the worst pairs for many.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::evaluation::Confusion;
use crate::numbers::{MISSING, count, fixed};
use crate::results::Results;
use crate::side::{Role, Side, sides};

/// Classes up to which the whole matrix can be read.
const MATRIX: usize = 20;
/// Classes up to which there is room for the pairs beside the matrix.
const SMALL_MATRIX: usize = 12;
/// What images of one class were given.
type Row = BTreeMap<usize, u64>;

/// Pairs that are listed.
const PAIRS: usize = 12;

/// What is given classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Images.
    Images,
    /// Pixels of images.
    Pixels,
    /// Objects by the boxes found on them; the last class is background: objects that were not found,
    /// and boxes where nothing is.
    Boxes,
}

impl Given {
    fn one(self) -> &'static str {
        match self {
            Self::Images => "image",
            Self::Pixels => "pixel",
            Self::Boxes => "object",
        }
    }

    fn several(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Pixels => "pixels",
            Self::Boxes => "objects",
        }
    }

    /// Name of one of so many classes.
    fn name(self, results: &Results, class: usize, classes: usize) -> String {
        match self.background(classes) == Some(class) {
            true => "background".into(),
            false => results.data.class_name(class),
        }
    }

    /// Which of so many classes is background.
    fn background(self, classes: usize) -> Option<usize> {
        match self {
            Self::Boxes => classes.checked_sub(1),
            Self::Images | Self::Pixels => None,
        }
    }
}

/// Confusion of all seeds of a side, added; empty where it was not counted.
pub fn confused(side: &Side) -> Confusion {
    let mut sum = Confusion::new();
    let counted = side
        .tests
        .iter()
        .filter_map(|test| test.details.confusion());
    for confusion in counted {
        if sum.len() < confusion.len() {
            sum.resize(confusion.len(), Default::default());
        }
        for (total, row) in sum.iter_mut().zip(confusion) {
            for (&chosen, number) in row {
                let cell: &mut u64 = total.entry(chosen).or_default();
                *cell = cell.saturating_add(*number);
            }
        }
    }
    sum
}

/// The class that all of what was given any was given, where it has several.
pub fn constant_choice(confusion: &Confusion) -> Option<usize> {
    let mut chosen = confusion.iter().flat_map(|row| row.keys());
    let first = *chosen.next()?;
    let several_classes = confusion.iter().filter(|row| !row.is_empty());
    (several_classes.count() > 1 && chosen.all(|&class| class == first)).then_some(first)
}

/// Confusion of the student, and the pairs of classes that are confused most, of what was `given`
/// classes.
pub fn confusion(results: &Results, given: Given) -> Markup {
    let sides = sides(results);
    let matrices: Vec<(&Side, Confusion)> = sides
        .iter()
        .map(|side| (side, confused(side)))
        .filter(|(_, matrix)| matrix.iter().any(|row| !row.is_empty()))
        .collect();
    let Some((student, matrix)) = matrices.iter().find(|(side, _)| side.role == Role::Student)
    else {
        return html! {};
    };
    let readable = matrix.len() <= MATRIX;
    let small = matrix.len() <= SMALL_MATRIX;
    html! {
        section #confusion aria-labelledby="confusion-title" {
            h2 #confusion-title { "Confusion" }
            div.pair[small] {
                @if readable {
                    div {
                        (meaning(student, given))
                        (table(results, matrix, given))
                    }
                }
                div { (pairs(results, &matrices, matrix, given)) }
            }
        }
    }
}

/// What the matrix says.
fn meaning(student: &Side, given: Given) -> Markup {
    let who = student.title.to_lowercase();
    let seeds = match student.tests.len() > 1 {
        true => ", over all seeds",
        false => "",
    };
    html! {
        @if given == Given::Boxes {
            p {
                "Of the objects of each class in the test images, the share in percent on which the " (who) " finds each class\
                 , background where it finds nothing" (seeds) ": boxes with a score of 0.25 or more that overlap an object by \
                 more than 0.45. The last row is boxes on no object, by their class. Right answers are framed; the stronger the \
                 colour of another field, the more often it is chosen wrongly."
            }
        } @else {
            p {
                "Of the test " (given.several()) " of each class, the share in percent that the " (who)
                " gives to each class" (seeds)
                ". Right answers are framed; the stronger the colour of another field, the more often it is \
                 chosen wrongly."
            }
        }
    }
}

fn table(results: &Results, matrix: &[Row], given: Given) -> Markup {
    let background = given.background(matrix.len());
    let name = |class: usize| given.name(results, class, matrix.len());
    let most = shares(matrix)
        .filter(|(label, chosen, _)| label != chosen && Some(*label) != background)
        .map(|(_, _, share)| share)
        .fold(0.0, f64::max);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Confusion matrix" {
            table.matrix {
                thead {
                    tr {
                        th.corner scope="col" { "right class" span aria-hidden="true" { " ↓ chosen →" } }
                        @for class in 0..matrix.len() {
                            th scope="col" { span { (name(class)) } }
                        }
                    }
                }
                tbody {
                    @for (label, row) in matrix.iter().enumerate() {
                        tr {
                            th scope="row" { (name(label)) }
                            @for chosen in 0..matrix.len() {
                                // All boxes on no object are wrong: no colour tells more of them.
                                (field(label, chosen, row, (Some(label) != background).then_some(most)))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A field of the matrix, coloured beside `most`, the largest wrong share; plain where that is `None`.
fn field(label: usize, chosen: usize, row: &Row, most: Option<f64>) -> Markup {
    let total: u64 = row.values().sum();
    let images = row.get(&chosen).copied().unwrap_or(0);
    if total == 0 {
        return html! { td { (MISSING) } };
    }
    let share = images as f64 / total as f64 * 100.0;
    let text = match fixed(share, 0) {
        _ if images == 0 => String::new(),
        zero if zero == "0" => "<1".into(),
        text => text,
    };
    let Some(most) = most else {
        return html! { td { (text) } };
    };
    if label == chosen {
        return html! { td.right { (text) } };
    }
    // Square root: a confusion of 1 % is to be seen beside one of 20 %.
    let heat = (share / most.max(1.0)).sqrt();
    html! { td style={ "--heat:" (format!("{heat:.2}")) } { (text) } }
}

fn pairs(
    results: &Results,
    matrices: &[(&Side, Confusion)],
    student: &[Row],
    given: Given,
) -> Markup {
    let background = given.background(student.len());
    let name = |class: usize| given.name(results, class, student.len());
    let mut pairs: Vec<_> = shares(student)
        .filter(|(label, chosen, share)| label != chosen && *share > 0.0)
        .filter(|(label, _, _)| Some(*label) != background)
        .collect();
    pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
    pairs.truncate(PAIRS);
    html! {
        h3 { @if given == Given::Boxes { "Missed and confused most" } @else { "Confused most" } }
        @if pairs.is_empty() {
            p { "No test " (given.one()) " was given a wrong class" @if given == Given::Boxes { " or missed" } "." }
        } @else {
            p { "Share of the " (given.several()) " of the right class that were given the other one, in percent." }
            div.scroll tabindex="0" role="region" aria-label="Pairs of classes confused most" {
                table {
                    thead { tr {
                        th scope="col" { "Right" }
                        th scope="col" { "Chosen" }
                        @for (side, _) in matrices { th.number scope="col" { (side.title) } }
                    } }
                    tbody {
                        @for (label, chosen, _) in &pairs {
                            tr {
                                th scope="row" { (name(*label)) }
                                td { (name(*chosen)) }
                                @for (_, matrix) in matrices {
                                    td.number { (share_of(matrix, *label, *chosen)) }
                                }
                            }
                        }
                    }
                }
            }
            @if given == Given::Images {
                p.quiet {
                    "Each class has about "
                    (count(results.data.test as u64 / student.len().max(1) as u64))
                    " test images."
                }
            }
        }
    }
}

/// `(true class, chosen class, percent of the true class)` of every field with images.
fn shares(matrix: &[Row]) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
    matrix.iter().enumerate().flat_map(|(label, row)| {
        let total = row.values().sum::<u64>().max(1) as f64;
        row.iter()
            .map(move |(chosen, images)| (label, *chosen, *images as f64 / total * 100.0))
    })
}

fn share_of(matrix: &[Row], label: usize, chosen: usize) -> String {
    let Some(row) = matrix.get(label) else {
        return MISSING.into();
    };
    let total: u64 = row.values().sum();
    if total == 0 {
        return MISSING.into();
    }
    let images = row.get(&chosen).copied().unwrap_or(0);
    fixed(images as f64 / total as f64 * 100.0, 1)
}
