//! The page of a study.

use maud::{Markup, html};

use super::{
    forest::{Scale, forest},
    found::{StudyCell, StudyResults},
    null::NullExperiment,
    row::{StudyRow, StudyVerdict, study_rows},
    text::what_seeds_show,
};
use crate::{
    axis::Axis,
    chart::{Chart, Ink, Mark},
    measure::{AGREEMENT, Better, Measure},
    numbers::{self, MISSING, count, duration, fixed, percent, short, signed},
    page::page,
    provenance::command,
    statistics::mean,
    title::unbroken,
};

/// Digits behind the point of percentages.
const DIGITS: usize = 1;
/// Room for names at the right end, as a share of what the dots take.
const NAMES: f64 = 0.35;
/// Height of a chart, in CSS pixels.
const HEIGHT: u32 = 230;

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

fn title(rows: &[StudyRow<'_>], results: &StudyResults) -> String {
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

fn sentences(results: &StudyResults, rows: &[StudyRow<'_>]) -> Vec<String> {
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

fn cautions(results: &StudyResults, rows: &[StudyRow<'_>]) -> Vec<String> {
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

/// The draws of a null experiment, each with its interval, in the order of their gains.
fn draws(results: &StudyResults, measure: &Measure) -> Markup {
    let Some(null) = &results.null else {
        return html! {};
    };
    let mut draws: Vec<_> = null.draws.iter().collect();
    draws.sort_by(|a, b| a.gain.total_cmp(&b.gain));
    let ends = draws.iter().flat_map(|draw| draw.over_seeds);
    let Some(y) = Axis::covering(ends.chain([0.0]), 5) else {
        return html! {};
    };
    let mut marks = vec![Mark::Line {
        points: vec![(0.0, 0.0), (draws.len() as f64 + 1.0, 0.0)],
        ink: Ink::Quiet,
        width: 1.5,
        opacity: 1.0,
        dashed: false,
    }];
    for (place, draw) in draws.iter().enumerate() {
        let [low, high] = draw.over_seeds;
        let ink = match low <= 0.0 && 0.0 <= high {
            true => Ink::Student,
            false => Ink::Baseline,
        };
        let x = (place + 1) as f64;
        marks.push(Mark::Line {
            points: vec![(x, low), (x, high)],
            ink,
            width: 2.0,
            opacity: 0.7,
            dashed: false,
        });
        marks.push(Mark::Dot {
            at: (x, draw.gain),
            ink,
            radius: 2.5,
        });
    }
    let title = format!("Draws, {} of {}", measure.difference_unit(), measure.title);
    let chart = Chart {
        label: format!("{title}: {}", null.in_words().join(" ")),
        width: 2 * Chart::WIDTH,
        height: HEIGHT + 60,
        x: Axis::whole_numbers(1, draws.len(), 6),
        y,
        marks,
    };
    html! {
        section aria-labelledby="draws-title" {
            h2 #draws-title { "Draws" }
            p { "Each bar is the 95 % interval over the seeds of a draw, sorted by their means." }
            figure.wide { figcaption { strong { (title) } "intervals that do not hold zero are drawn in the other colour" } (chart.svg()) }
        }
    }
}

fn gains(rows: &[StudyRow<'_>], measure: &Measure) -> Markup {
    if rows.is_empty() {
        return html! {};
    }
    let scale = Scale::of(rows);
    html! {
        section aria-labelledby="gains-title" {
            h2 #gains-title { "Gains" }
            p {
                "In " (measure.difference_unit()) " of test " (measure.title)
                ", over the same student without the method. Thick bars are 95 % intervals over seeds, thin ones over \
                 seeds and test images, small dots seeds."
            }
            div.scroll tabindex="0" role="region" aria-label="Gains" {
                table.study {
                    thead { tr {
                        th scope="col" { "Method and student" }
                        th scope="col" { "Gain" }
                        th.number scope="col" { "Mean" small { "over seeds" } }
                        th.number scope="col" { "Seeds and images" }
                        th.number scope="col" { "p" small { "Holm" } }
                        th scope="col" { "" }
                        th.number scope="col" { (measure.heading()) }
                        th.number scope="col" { "Beside" }
                        th.number scope="col" { "Seeds" }
                        th.number scope="col" { "Time" small { "of a training" } }
                    } }
                    tbody { @for row in rows { (gain_row(row, scale)) } }
                }
            }
        }
    }
}

fn gain_row(row: &StudyRow<'_>, scale: Scale) -> Markup {
    let written = |interval: Option<[f64; 2]>| {
        interval.map(|ends| html! { small { "[" (numbers::interval(ends, DIGITS)) "]" } })
    };
    let number = |value: Option<f64>| value.map_or(MISSING.into(), |value| fixed(value, DIGITS));
    html! {
        tr {
            th scope="row" { (row.cell.name) small { "beside " (row.beside.name) } }
            td { (forest(row, scale, DIGITS)) }
            td.number {
                (row.gain.map_or(MISSING.into(), |gain| signed(gain, DIGITS)))
                (written(row.over_seeds).unwrap_or_default())
            }
            td.number {
                @match row.over_both {
                    Some(ends) => (numbers::interval(ends, DIGITS)),
                    None => (MISSING),
                }
            }
            td.number {
                @match row.corrected {
                    Some(p) if p < 0.001 => "< 0.001",
                    Some(p) => (fixed(p, 3)),
                    None => (MISSING),
                }
            }
            td { (row.verdict().in_words()) }
            td.number { (number(row.value)) (written(row.interval).unwrap_or_default()) }
            td.number { (number(row.baseline)) }
            td.number { (row.seeds.len()) }
            td.number {
                @match (row.seconds, row.cost) {
                    (Some(seconds), Some(cost)) => { (duration(seconds)) small { "×" (fixed(cost, 2)) } }
                    _ => (MISSING),
                }
            }
        }
    }
}

/// Gain against the time of a training, and the measure against multiply-accumulates.
fn trade(results: &StudyResults, rows: &[StudyRow<'_>], measure: &Measure) -> Markup {
    let costs: Vec<(f64, f64, &str)> = (rows.iter())
        .filter_map(|row| Some((row.cost?, row.gain?, row.cell.method.as_str())))
        .filter(|(cost, gain, _)| cost.is_finite() && gain.is_finite())
        .collect();
    let sizes: Vec<(f64, f64, &str)> = (results.cells.iter())
        .filter_map(|cell| {
            let values: Vec<f64> = cell
                .runs
                .iter()
                .map(|run| run.value(&measure.name))
                .collect();
            Some((cell.macs as f64 / 1e6, mean(&values)?, cell.name.as_str()))
        })
        .filter(|(macs, ..)| *macs > 0.0)
        .collect();
    let several = sizes.iter().any(|(macs, ..)| *macs != sizes[0].0);
    let gain_of = format!(
        "Gain, {}, against the time of a training",
        measure.difference_unit()
    );
    let chart = scatter(&costs, &gain_of, "times that of the baseline", true);
    let size_of = format!("{}, against multiply-accumulates", measure.heading());
    let sizes = several.then(|| scatter(&sizes, &size_of, "millions for one image", false));
    if chart.is_none() && sizes.is_none() {
        return html! {};
    }
    html! {
        section aria-labelledby="trade-title" {
            h2 #trade-title { "What it costs" }
            div.charts.wide {
                (chart.unwrap_or_default())
                (sizes.flatten().unwrap_or_default())
            }
        }
    }
}

fn scatter(
    points: &[(f64, f64, &str)],
    title: &str,
    unit: &str,
    with_zero: bool,
) -> Option<Markup> {
    // Names stand to the right of their dots.
    let ends = points.iter().map(|(x, ..)| *x);
    let (least, most) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), x| {
        (least.min(x), most.max(x))
    });
    let room = (most - least) * NAMES;
    let x = Axis::covering(points.iter().map(|(x, ..)| *x).chain([most + room]), 4)?;
    let beside = (x.range.1 - x.range.0) * 0.02;
    let zero = with_zero.then_some(0.0);
    let y = Axis::covering(points.iter().map(|(_, y, _)| *y).chain(zero), 4)?;
    let mut marks = Vec::new();
    if with_zero {
        marks.push(Mark::Line {
            points: vec![(x.range.0, 0.0), (x.range.1, 0.0)],
            ink: Ink::Quiet,
            width: 1.5,
            opacity: 1.0,
            dashed: false,
        });
    }
    for (x, y, name) in points {
        marks.push(Mark::Dot {
            at: (*x, *y),
            ink: Ink::Student,
            radius: 3.5,
        });
        marks.push(Mark::Word {
            at: (*x + beside, *y),
            text: (*name).to_owned(),
        });
    }
    let told: Vec<String> = points
        .iter()
        .map(|(x, y, name)| format!("{name}: {x:.2}, {y:.2}"))
        .collect();
    let chart = Chart {
        label: format!("{title}, {unit}. {}.", told.join("; ")),
        width: Chart::WIDTH,
        height: HEIGHT + 60,
        x,
        y,
        marks,
    };
    Some(html! {
        figure {
            figcaption { strong { (title) } (unit) }
            (chart.svg())
        }
    })
}

/// All other measures: agreement with the teacher, calibration, losses.
fn others(results: &StudyResults) -> Markup {
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

/// Small charts: the mean over seeds of what epochs were chosen by, next to the baseline's.
fn curves(rows: &[StudyRow<'_>], measure: &Measure) -> Markup {
    let of = |cell: &StudyCell| -> Vec<(f64, f64)> {
        let epochs = cell
            .runs
            .iter()
            .map(|run| run.curve.len())
            .min()
            .unwrap_or(0);
        let at = |epoch: usize| {
            let values: Vec<f64> = cell.runs.iter().map(|run| run.curve[epoch]).collect();
            mean(&values).map(|value| ((epoch + 1) as f64, value))
        };
        (0..epochs).filter_map(at).collect()
    };
    let drawn: Vec<Markup> = (rows.iter())
        .filter_map(|row| {
            let (own, other) = (of(row.cell), of(row.beside));
            let last = own.len().max(other.len());
            let values = own.iter().chain(&other).map(|(_, value)| *value);
            let y = Axis::covering(values, 3)?;
            let line = |points: Vec<(f64, f64)>, ink| Mark::Line {
                points,
                ink,
                width: 2.0,
                opacity: 1.0,
                dashed: false,
            };
            let chart = Chart {
                label: format!("{} by epoch: {} next to {}", measure.title, row.cell.name, row.beside.name),
                width: Chart::WIDTH,
                height: HEIGHT,
                x: Axis::whole_numbers(1, last, 4),
                y,
                marks: vec![line(other, Ink::Baseline), line(own, Ink::Student)],
            };
            Some(html! {
                figure {
                    figcaption { strong { (row.cell.name) } "validation, by epoch, next to " (row.beside.name) }
                    (chart.svg())
                }
            })
        })
        .collect();
    if drawn.is_empty() {
        return html! {};
    }
    let direction = match measure.better {
        Better::Higher => "More is better.",
        Better::Lower => "Less is better.",
    };
    html! {
        section aria-labelledby="curves-title" {
            h2 #curves-title { "Training" }
            p { "Means over seeds of validation " (measure.title) ". " (direction) }
            div.charts.curves.study { @for figure in &drawn { (figure) } }
        }
    }
}

fn again(results: &StudyResults) -> Markup {
    html! {
        section aria-labelledby="again-title" {
            h2 #again-title { "How it was made" }
            h3 { "All of it" }
            (command(&results.command))
            h3 { "One training" }
            p { "Each is a run of its own, with its recipe, its page and its weights." }
            details {
                summary { "Commands" }
                @for cell in &results.cells {
                    @for run in &cell.runs { (command(&run.command)) }
                }
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
