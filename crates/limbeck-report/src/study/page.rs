//! The page of a study.

use maud::{Markup, html};

use super::{
    again::again,
    choices::Choices,
    classes::classes,
    curves::curves,
    draws::draws,
    found::StudyResults,
    gains::gains,
    others::others,
    row::study_rows,
    trade::trade,
    words::{caution_box, sentences, title},
};
use crate::{page::page_with, title::unbroken};

/// Digits behind the point of percentages.
pub(super) const DIGITS: usize = 1;
/// Height of a chart, in CSS pixels.
pub(super) const HEIGHT: u32 = 230;

const STYLE: &str = include_str!("style.css");

/// The page of what a study has found so far: one file that loads nothing and runs nothing.
pub fn study_page(results: &StudyResults) -> String {
    let rows = study_rows(results);
    let choices = Choices::of(results, &rows);
    let sections: Vec<(&str, &str, Markup)> = match &results.measure {
        None => vec![("again", "How it was made", again(results))],
        Some(measure) => vec![
            ("draws", "Draws", draws(results, measure)),
            ("gains", "Gains", gains(&rows, measure, &choices)),
            (
                "trade",
                "What it costs",
                trade(results, &rows, measure, &choices),
            ),
            (
                "classes",
                "Class by class",
                classes(results, &rows, measure, &choices),
            ),
            ("others", "Other measures", others(results, &rows, &choices)),
            ("curves", "Training", curves(&rows, measure, &choices)),
            ("again", "How it was made", again(results)),
        ],
    };
    let there: Vec<_> = (sections.iter())
        .filter(|(_, _, section)| !section.0.is_empty())
        .collect();
    let body = html! {
        header.top {
            p.overline { "Limbeck study " span.dot { "·" } " " (results.name) }
            h1 { (unbroken(&title(&rows, results))) }
            @for sentence in sentences(results, &rows) { p.lede { (sentence) } }
            (caution_box(results, &rows))
        }
        @if there.len() > 1 {
            nav aria-label="Sections" {
                ul { @for (id, name, _) in &there { li { a href={ "#" (id) } { (name) } } } }
            }
        }
        main {
            (choices.controls())
            @for (_, _, section) in &there { (section) }
        }
    };
    let rules = format!("{STYLE}{}", choices.sheet());
    page_with(&format!("{} · Limbeck study", results.name), &rules, &body)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::study::testing::study;

    #[test]
    fn the_page_says_what_is_better_and_what_speaks_against_it() {
        let page = study_page(&study()).replace('\u{a0}', " ");
        for word in [
            "Of 3 pairs of method and student, 1 is better than its baseline, none worse.",
            "The largest gain is that of kd-resnet8: +4.5 points of top-1 accuracy",
            "10 of 16 trainings are done",
            "rkd-resnet8 failed with seed 3: the loss is not finite, in &lt;step 7&gt;",
            "too few seeds",
            "not settled",
        ] {
            assert!(page.contains(word), "no `{word}` in\n{page}");
        }
        for outside in ["http:", "https:", "<script"] {
            assert!(
                !page.replace("http://www.w3.org", "").contains(outside),
                "{outside}"
            );
        }
    }

    #[test]
    fn a_study_that_has_not_begun_has_a_page_and_a_weak_teacher_is_told() {
        let mut results = study();
        results.teachers[0].value = 50.0;
        results.differing = BTreeMap::from([(
            "limbeck".to_owned(),
            vec!["0.1.0".to_owned(), "0.2.0".to_owned()],
        )]);
        let status = crate::study_status(&results);
        assert!(
            status.contains("warning: The teacher resnet20 is worse"),
            "{status}"
        );
        assert!(status.contains("limbeck: 0.1.0, 0.2.0"), "{status}");
        assert!(
            study_page(&results)
                .contains("The teacher resnet20 is worse than a student without it")
        );
        for cell in &mut results.cells {
            cell.runs.clear();
        }
        results.measure = None;
        let page = study_page(&results);
        assert!(page.contains("0 of 16 trainings are done; nothing can be compared yet."));
    }
}
