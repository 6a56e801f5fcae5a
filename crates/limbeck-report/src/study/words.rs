//! What the page of a study says in sentences.

use maud::{Markup, html};

use super::{
    found::StudyResults,
    null::NullExperiment,
    page::DIGITS,
    row::{StudyRow, StudyVerdict},
    text::what_seeds_show,
};
use crate::{
    measure::Measure,
    numbers::{fixed, signed},
};

/// Cautions that are seen at once; of more, the rest is one click away.
const CAUTIONS: usize = 8;
/// Cells that a warning names.
const CELLS: usize = 4;

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
    // Pairs that are not begun say nothing.
    match rows.iter().filter(|row| row.gain.is_some()).count() {
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

/// What is to be known besides.
pub(super) fn sentences(results: &StudyResults, rows: &[StudyRow<'_>]) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(measure) = &results.measure {
        let known: Vec<&StudyRow<'_>> = rows.iter().filter(|row| row.gain.is_some()).collect();
        let worst = known.last();
        let is_worse = worst.is_some_and(|row| row.verdict() == StudyVerdict::Worse);
        if let Some(best) = known.first().filter(|_| known.len() > 1 || !is_worse) {
            let begin = match best.gain {
                Some(gain) if gain > 0.0 => "The largest gain is that",
                _ => "No mean is above zero; the highest is that",
            };
            said.extend(extreme(best, measure, begin));
        }
        if let Some(worst) = worst.filter(|_| is_worse) {
            said.extend(extreme(worst, measure, "The largest loss is that"));
        }
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

/// A row at one end.
fn extreme(row: &StudyRow<'_>, measure: &Measure, begin: &str) -> Option<String> {
    let digits = measure.digits(DIGITS);
    let (gain, [low, high]) = row.gain.zip(row.over_seeds)?;
    Some(format!(
        "{begin} of {}: {} {} of {} ({} to {} over {} seeds).",
        row.cell.name,
        signed(gain, digits),
        measure.difference_unit(),
        measure.title,
        signed(low, digits),
        signed(high, digits),
        row.seeds.len()
    ))
}

/// A box of [`cautions`].
pub(super) fn caution_box(results: &StudyResults, rows: &[StudyRow<'_>]) -> Markup {
    let said = cautions(results, rows);
    let (first, rest) = said.split_at(said.len().min(CAUTIONS));
    html! {
        @if !said.is_empty() {
            aside.cautions aria-labelledby="cautions" {
                h2 #cautions { "What speaks against it" }
                ul { @for caution in first { li { (caution) } } }
                @if !rest.is_empty() {
                    details {
                        summary { (rest.len()) " more" }
                        ul { @for caution in rest { li { (caution) } } }
                    }
                }
            }
        }
    }
}

/// What speaks against what was found.
pub(super) fn cautions(results: &StudyResults, rows: &[StudyRow<'_>]) -> Vec<String> {
    let mut said = Vec::new();
    if results.seeds < 2 {
        said.push("One seed proves nothing: no gain here can be told from chance.".to_owned());
    }
    for (name, values) in &results.differing {
        said.push(format!(
            "Trainings differ in what they ran on, {name}: {}. Their numbers can differ by rounding, which training makes \
             larger.",
            values.join(", ")
        ));
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
    }
    let mut warnings: Vec<(&str, Vec<&str>)> = Vec::new();
    for cell in &results.cells {
        for warning in &cell.warnings {
            match warnings.iter_mut().find(|(other, _)| other == warning) {
                Some((_, cells)) => cells.push(&cell.name),
                None => warnings.push((warning, vec![&cell.name])),
            }
        }
    }
    for (warning, cells) in warnings {
        let named = cells[..cells.len().min(CELLS)].join(", ");
        let more = match cells.len().saturating_sub(CELLS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        said.push(format!("{named}{more}: {warning}"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{row::study_rows, testing::study};

    #[test]
    fn a_warning_of_many_cells_is_said_once() {
        let mut results = study();
        for cell in &mut results.cells {
            cell.warnings = vec!["few images".to_owned()];
        }
        let mut sixth = results.cells[1].clone();
        for name in ["five", "six"] {
            sixth.name = name.to_owned();
            results.cells.push(sixth.clone());
        }
        let said = cautions(&results, &study_rows(&results));
        assert!(said.contains(
            &"none-resnet8, kd-resnet8, at-resnet8, rkd-resnet8 and 2 more: few images".to_owned()
        ));
    }

    #[test]
    fn pairs_that_are_not_begun_are_not_called_none_better() {
        let mut results = study();
        for cell in &mut results.cells[1..] {
            cell.runs.clear();
        }
        let title = title(&study_rows(&results), &results);
        assert_eq!(
            title,
            "3 of 16 trainings are done; nothing can be compared yet."
        );
    }

    #[test]
    fn the_largest_loss_is_told_where_it_is_settled() {
        let mut results = study();
        let told = |results: &StudyResults| sentences(results, &study_rows(results)).join(" ");
        assert!(!told(&results).contains("loss"));
        for (run, value) in results.cells[3].runs.iter_mut().zip([50.0, 51.1, 52.0]) {
            run.measures.insert("top1".to_owned(), value);
        }
        assert!(told(&results).contains("The largest loss is that of rkd-resnet8: −10.0 points"));
        // Where nothing gains, nothing is called a gain.
        results.cells.remove(1);
        results.cells.remove(1);
        assert!(!told(&results).contains("gain is"), "{}", told(&results));
    }
}
