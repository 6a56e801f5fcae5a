//! The page of a study.

use maud::{Markup, html};

use super::{
    curves::curves,
    draws::draws,
    found::StudyResults,
    gains::gains,
    null::NullExperiment,
    others::others,
    row::{StudyRow, StudyVerdict, study_rows},
    text::what_seeds_show,
    trade::trade,
};
use crate::{
    numbers::{fixed, signed},
    page::page,
    provenance::command,
    title::unbroken,
};

/// Digits behind the point of percentages.
pub(super) const DIGITS: usize = 1;
/// Height of a chart, in CSS pixels.
pub(super) const HEIGHT: u32 = 230;

/// The page of what a study has found so far: one file that loads nothing.
pub fn study_page(results: &StudyResults) -> String {
    let rows = study_rows(results);
    let cautions = cautions(results, &rows);
    let body = html! {
        header.top {
            p.overline { "Limbeck study " span.dot { "·" } " " (results.name) }
            h1 { (unbroken(&title(&rows, results))) }
            @for sentence in sentences(results, &rows) { p.lede { (sentence) } }
            @if !cautions.is_empty() {
                aside.cautions aria-labelledby="cautions" {
                    h2 #cautions { "What speaks against it" }
                    ul { @for caution in &cautions { li { (caution) } } }
                }
            }
        }
        main {
            @if let Some(measure) = &results.measure {
                (draws(results, measure))
                (gains(&rows, measure))
                (trade(results, &rows, measure))
                (others(results))
                (curves(&rows, measure))
            }
            (again(results))
        }
    };
    page(&format!("{} · Limbeck study", results.name), &body)
}

/// What was found, in a sentence.
pub(super) fn title(rows: &[StudyRow<'_>], results: &StudyResults) -> String {
    let of = |verdict| rows.iter().filter(|row| row.verdict() == verdict).count();
    let [better, worse] = [StudyVerdict::Better, StudyVerdict::Worse].map(of);
    let [done, all] = results.progress();
    if let Some(coverage) = results.null.as_ref().and_then(NullExperiment::over_seeds) {
        return format!(
            "Where nothing is to be found, {} of {} intervals hold zero.",
            coverage.held, coverage.all
        );
    }
    match rows.len() {
        0 => format!("{done} of {all} trainings are done; nothing can be compared yet."),
        rows if better + worse == 0 => format!(
            "Of {}, none is better or worse than its baseline by more than chance.",
            pairs(rows)
        ),
        rows => {
            let worse = match worse {
                0 => "none worse".to_owned(),
                worse => format!("{worse} worse"),
            };
            let better = match better {
                0 => "none is better than its baseline".to_owned(),
                1 => "1 is better than its baseline".to_owned(),
                better => format!("{better} are better than their baselines"),
            };
            format!("Of {}, {better}, {worse}.", pairs(rows))
        }
    }
}

fn pairs(count: usize) -> String {
    match count {
        1 => "1 pair of method and student".to_owned(),
        count => format!("{count} pairs of method and student"),
    }
}

/// What it rests on.
pub(super) fn sentences(results: &StudyResults, rows: &[StudyRow<'_>]) -> Vec<String> {
    let mut said = Vec::new();
    if let (Some(best), Some(measure)) = (rows.first(), &results.measure)
        && let (Some(gain), Some([low, high])) = (best.gain, best.over_seeds)
    {
        said.push(format!(
            "The largest gain is that of {}: {} {} of {} ({} to {} over {} seeds).",
            best.cell.name,
            signed(gain, DIGITS),
            measure.difference_unit(),
            measure.title,
            signed(low, DIGITS),
            signed(high, DIGITS),
            best.seeds.len()
        ));
    }
    let [done, all] = results.progress();
    if let Some(null) = &results.null {
        said.push(format!(
            "The null experiment: {} draws, each of {} pairs of trainings that differ in their seed alone, compared as a \
             method is with its baseline. {done} of {all} trainings are done.",
            null.draws.len(),
            null.seeds
        ));
        said.extend(null.in_words());
        return said;
    }
    said.push(format!(
        "{done} of {all} trainings are done. Each is compared with the same student of the same seed without \
         the method; {}. A method is called better or worse where that is so at 5 % with Holm's correction for all \
         rows together.",
        what_seeds_show(results.seeds)
    ));
    said
}

/// What speaks against it.
pub(super) fn cautions(results: &StudyResults, rows: &[StudyRow<'_>]) -> Vec<String> {
    let mut said = Vec::new();
    if results.seeds < 2 {
        said.push("One seed proves nothing: no gain here can be told from chance.".to_owned());
    }
    if let Some(measure) = &results.measure {
        for teacher in &results.teachers {
            let baselines = rows.iter().filter(|row| {
                row.cell.teacher.as_ref() == Some(&teacher.source) && row.cell.data == teacher.data
            });
            let best = baselines
                .filter_map(|row| row.baseline)
                .map(|value| measure.turned(value));
            if let Some(best) = best.reduce(f64::max)
                && measure.turned(teacher.value) < best
            {
                said.push(format!(
                    "The teacher {} is worse than a student without it: {} beside {}. What is learnt from it says \
                     little about methods.",
                    teacher.source,
                    fixed(teacher.value, DIGITS),
                    fixed(measure.turned(best), DIGITS)
                ));
            }
        }
    }
    for cell in &results.cells {
        for (seed, reason) in &cell.failures {
            said.push(format!("{} failed with seed {seed}: {reason}", cell.name));
        }
        said.extend(
            cell.warnings
                .iter()
                .map(|warning| format!("{}: {warning}", cell.name)),
        );
    }
    said
}

fn again(results: &StudyResults) -> Markup {
    html! {
        section aria-labelledby="again-title" {
            h2 #again-title { "How it was made" }
            h3 { "All of it" }
            (command(&results.command))
            h3 { "One cell" }
            p { "With its teacher and what it is compared with; the same kind of processor gives the same numbers." }
            details {
                summary { "Commands" }
                @for cell in &results.cells { (command(&results.command_of(cell))) }
            }
            @if !results.environment.is_empty() {
                h3 { "Machine" }
                table {
                    tbody {
                        @for (name, value) in &results.environment {
                            tr { th scope="row" { (name) } td { (value) } }
                        }
                    }
                }
            }
            h3 { "Recipe" }
            pre.recipe tabindex="0" { code { (results.recipe.trim()) } }
        }
    }
}

#[cfg(test)]
mod tests {
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
