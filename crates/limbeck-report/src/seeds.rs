//! Every seed on its own: student and baseline as pairs, and their differences.

use maud::{Markup, html};

use super::axis::Axis;
use super::chart::{Chart, Ink, Mark};
use super::headline::{Verdict, verdict};
use super::numbers::{self, MISSING, counted, duration, percent, signed};
use super::side::{Role, decimals, legend, sides};
use crate::results::{Results, SeedResult};

/// Height of one seed's row, in CSS pixels.
const ROW: u32 = 30;
/// Seeds that are drawn; the table has all.
const DRAWN: usize = 24;

/// Plots and table of all seeds.
pub fn seeds(results: &Results) -> Markup {
    if results.students.is_empty() {
        return html! {};
    }
    let digits = decimals(results);
    let paired = !results.baselines.is_empty();
    html! {
        section #seeds aria-labelledby="seeds-title" {
            h2 #seeds-title { "Seed by seed" }
            @if paired {
                p {
                    "Each seed gives one student and one baseline, with the same initial weights, the same "
                    "order of images and the same number of epochs. The difference is taken inside each pair. "
                    @if has_interval(results) {
                        "The interval is Student's t: it takes the differences for normally distributed, which "
                        (counted(results.students.len(), "pair")) " cannot show."
                    }
                }
                (legend(&sides(results)))
                div.charts {
                    (accuracies(results))
                    (differences(results))
                }
            }
            div.scroll tabindex="0" role="region" aria-label="Results of each seed" {
                table {
                    thead { tr {
                        th.number scope="col" { "Seed" }
                        th.number scope="col" { @if paired { "Student" } @else { (results.score_name()) } }
                        @if paired {
                            th.number scope="col" { "Baseline" }
                            th.number scope="col" { "Difference" }
                        }
                        th.number scope="col" { "Best epoch" }
                        th.number scope="col" { "Training time" }
                    } }
                    tbody {
                        @for (place, student) in results.students.iter().enumerate() {
                            @let baseline = results.baselines.get(place);
                            tr {
                                th.number scope="row" { (student.seed) }
                                td.number { (percent(student.test.score(), digits)) }
                                @if paired {
                                    td.number { (baseline.map_or(MISSING.into(), |run| percent(run.test.score(), digits))) }
                                    td.number { (baseline.map_or(MISSING.into(), |run| signed(student.test.score() - run.test.score(), digits))) }
                                }
                                td.number { (student.best_epoch) " of " (student.epochs.len()) }
                                td.number { (duration(student.seconds)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn has_interval(results: &Results) -> bool {
    let gain = results.gain.as_ref();
    gain.is_some_and(|gain| gain.ci95.is_some() && verdict(gain) != Verdict::Broken)
}

fn pairs(results: &Results) -> Vec<(&SeedResult, &SeedResult)> {
    let pairs = results.students.iter().zip(&results.baselines);
    pairs.take(DRAWN).collect()
}

fn names(pairs: &[(&SeedResult, &SeedResult)]) -> Vec<String> {
    pairs
        .iter()
        .map(|(student, _)| {
            let seed = student.seed.to_string();
            // A seed may have twenty digits; the table shows all of them.
            match seed.get(..6).filter(|_| seed.len() > 7) {
                Some(start) => format!("seed {start}…"),
                None => format!("seed {seed}"),
            }
        })
        .collect()
}

/// One row a seed: baseline and student joined by a line, the teacher as a dashed one.
fn accuracies(results: &Results) -> Markup {
    let pairs = pairs(results);
    let digits = decimals(results);
    let teacher = sides(results)
        .into_iter()
        .find(|side| side.role == Role::Teacher)
        .and_then(|side| side.mean(|test| test.score()));
    let values = pairs
        .iter()
        .flat_map(|(student, baseline)| [student.test.score(), baseline.test.score()])
        .chain(teacher);
    let Some(x) = Axis::covering(values, 5) else {
        return html! {};
    };
    let y = Axis::rows(names(&pairs));
    let mut marks = Vec::new();
    if let Some(teacher) = teacher {
        marks.push(line(
            vec![(teacher, y.range.0), (teacher, y.range.1)],
            Ink::Teacher,
            2.0,
            true,
        ));
    }
    let mut told = Vec::new();
    for (row, (student, baseline)) in pairs.iter().enumerate() {
        let (row, to, from) = (row as f64, student.test.score(), baseline.test.score());
        marks.push(line(vec![(from, row), (to, row)], Ink::Quiet, 2.0, false));
        marks.push(dot((from, row), Ink::Baseline));
        marks.push(dot((to, row), Ink::Student));
        told.push(format!(
            "seed {}: student {}, baseline {}",
            student.seed,
            percent(to, digits),
            percent(from, digits)
        ));
    }
    let chart = Chart {
        label: format!(
            "{} on the test part by seed. {}.",
            results.score_name(),
            told.join("; ")
        ),
        width: Chart::WIDTH,
        height: height(pairs.len()),
        x,
        y,
        marks,
    };
    html! {
        figure {
            figcaption { strong { (results.score_name()) " of each pair" } "percent of the test images" }
            (chart.svg())
        }
    }
}

/// One row a seed with its difference, and below all the mean with its interval.
fn differences(results: &Results) -> Markup {
    let pairs = pairs(results);
    let digits = decimals(results);
    let differences: Vec<f64> = pairs
        .iter()
        .map(|(student, baseline)| student.test.score() - baseline.test.score())
        .collect();
    let interval = results.gain.as_ref().and_then(|gain| gain.ci95);
    let mean = results.gain.as_ref().map(|gain| gain.mean);
    let values = differences
        .iter()
        .copied()
        .chain(interval.into_iter().flatten())
        .chain(mean)
        .chain([0.0]);
    let Some(x) = Axis::covering(values, 5) else {
        return html! {};
    };
    let mut names = names(&pairs);
    names.push("mean".into());
    let y = Axis::rows(names);
    let mean_row = pairs.len() as f64;
    let mut marks = vec![line(
        vec![(0.0, y.range.0), (0.0, y.range.1)],
        Ink::Quiet,
        1.5,
        false,
    )];
    for (row, difference) in differences.iter().enumerate() {
        marks.push(dot((*difference, row as f64), Ink::Student));
    }
    if let Some([low, high]) = interval {
        marks.push(line(
            vec![(low, mean_row), (high, mean_row)],
            Ink::Text,
            3.0,
            false,
        ));
        for end in [low, high] {
            let tip = vec![(end, mean_row - 0.18), (end, mean_row + 0.18)];
            marks.push(line(tip, Ink::Text, 3.0, false));
        }
    }
    if let Some(mean) = mean {
        marks.push(dot((mean, mean_row), Ink::Text));
    }
    let told: Vec<String> = differences
        .iter()
        .map(|difference| signed(*difference, digits))
        .collect();
    let chart = Chart {
        label: format!(
            "Student minus baseline, in points, by seed: {}; mean {}{}.",
            told.join(", "),
            mean.map_or(MISSING.into(), |mean| signed(mean, digits)),
            interval.map_or(String::new(), |ci| format!(
                ", 95 % interval {}",
                numbers::interval(ci, digits)
            ))
        ),
        width: Chart::WIDTH,
        height: height(pairs.len() + 1),
        x,
        y,
        marks,
    };
    html! {
        figure {
            figcaption {
                strong { "Student minus baseline" }
                @if has_interval(results) { "points of " (results.score_name()) "; the bar is the 95 % interval of the mean" }
                @else { "points of " (results.score_name()) "; there is no interval" }
            }
            (chart.svg())
        }
    }
}

fn height(rows: usize) -> u32 {
    rows as u32 * ROW + 44
}

fn line(points: Vec<(f64, f64)>, ink: Ink, width: f64, dashed: bool) -> Mark {
    Mark::Line {
        points,
        ink,
        width,
        opacity: 1.0,
        dashed,
    }
}

fn dot(at: (f64, f64), ink: Ink) -> Mark {
    Mark::Dot {
        at,
        ink,
        radius: 5.0,
    }
}
