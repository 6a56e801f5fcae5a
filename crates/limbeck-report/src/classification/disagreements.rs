//! Pictures on which student and teacher choose different classes.

use maud::{Markup, html};

use crate::measure::AGREEMENT;
use crate::numbers::{count, percent};
use crate::picture::{is_base64, is_sharp};
use crate::results::{Disagreement, Results};
use crate::side::{decimals, student};

/// The pictures; nothing without a teacher, or with one that chooses other classes.
pub fn disagreements(results: &Results) -> Markup {
    let compared = results.teacher.as_ref();
    if compared.is_none_or(|teacher| !teacher.other_classes.is_empty()) {
        return html! {};
    }
    let shown = &results.disagreements;
    html! {
        section #disagreements aria-labelledby="disagreements-title" {
            h2 #disagreements-title { "Where student and teacher disagree" }
            @if let Some(agreement) = student(results).mean(AGREEMENT) {
                p {
                    "Student and teacher choose the same class for "
                    (percent(agreement, decimals(results))) " of the test images. "
                    @if !shown.is_empty() { (who_is_right(shown)) }
                }
            }
            @if shown.is_empty() {
                p { "There is no picture to show." }
            } @else {
                ul.pictures {
                    @for case in shown { (card(results, case)) }
                }
            }
        }
    }
}

fn who_is_right(shown: &[Disagreement]) -> String {
    let number = count(shown.len() as u64);
    let whose = "those of the first seed with the most confident answers";
    if shown.iter().any(|case| case.label.is_none()) {
        return format!(
            "The {number} shown here are {whose}. Who is right, the data does not tell."
        );
    }
    let right = |of: fn(&Disagreement) -> usize| {
        let right = shown.iter().filter(|case| Some(of(case)) == case.label);
        right.count()
    };
    let (student, teacher) = (right(|case| case.student.0), right(|case| case.teacher.0));
    let neither = shown.len().saturating_sub(student + teacher);
    format!(
        "Of the {number} shown here, {whose}, the student is right in {student}, the teacher in \
         {teacher}, and neither in {neither}."
    )
}

fn card(results: &Results, case: &Disagreement) -> Markup {
    let label = case.label.map(|label| results.data.class_name(label));
    let small = is_sharp(results.data.shape);
    let of_class = label
        .as_ref()
        .map_or(String::new(), |label| format!(", of class {label}"));
    html! {
        li.picture {
            @if is_base64(&case.png) {
                img.sharp[small] src={ "data:image/png;base64," (case.png) }
                    alt={ "Test image " (case.index) (of_class) };
            } @else {
                div.blank { "no picture" }
            }
            p.label {
                @if let Some(label) = &label {
                    (label) small { "right class · image\u{a0}" (count(case.index as u64)) }
                } @else {
                    small { "image\u{a0}" (count(case.index as u64)) }
                }
            }
            dl {
                (choice(results, "Student", case.student, case.label))
                (choice(results, "Teacher", case.teacher, case.label))
            }
        }
    }
}

fn choice(
    results: &Results,
    who: &str,
    (class, probability): (usize, f64),
    label: Option<usize>,
) -> Markup {
    let right = label.map(|label| class == label);
    html! {
        div.right[right == Some(true)] {
            dt { (who) }
            dd {
                @if let Some(right) = right {
                    span.verdict aria-hidden="true" { @if right { "✓" } @else { "✗" } }
                    span.unseen { @if right { "right: " } @else { "wrong: " } }
                }
                span.name { (results.data.class_name(class)) }
                span.number { (percent(probability * 100.0, 0)) }
            }
        }
    }
}
