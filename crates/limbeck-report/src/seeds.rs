//! Every seed on its own: student and baseline as pairs, and their differences.

use maud::{Markup, html};

use super::axis::Axis;
use super::chart::{Chart, Ink, Mark};
use super::headline::{Verdict, verdict};
use super::numbers::{self, MISSING, counted, duration, signed};
use super::side::{Role, decimals, legend, sides, teacher_value};
use crate::measure::Measure;
use crate::results::{Results, SeedResult};

/// Height of one seed's row, in CSS pixels.
const ROW: u32 = 30;
/// Seeds that are drawn; the table has all.
const DRAWN: usize = 24;

/// What the differences are; more is better, of every measure.
const WHAT: &str = "Student minus baseline";

/// Plots and table of all seeds.
pub fn seeds(results: &Results) -> Markup {
    let Some(measure) = results
        .compared_by()
        .filter(|_| !results.students.is_empty())
    else {
        return html! {};
    };
    let digits = decimals(results);
    let paired = !results.baselines.is_empty();
    let mut drawn = sides(results);
    drawn.retain(|side| side.role != Role::UpperBound);
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
                (legend(&drawn))
                div.charts {
                    (values(results, measure))
                    (differences(results, measure))
                }
            }
            div.scroll tabindex="0" role="region" aria-label="Results of each seed" {
                table {
                    thead { tr {
                        th.number scope="col" { "Seed" }
                        th.number scope="col" { @if paired { "Student" } @else { (measure.heading()) } }
                        @if paired {
                            th.number scope="col" { "Baseline" }
                            th.number scope="col" { "Difference" }
                        }
                        th.number scope="col" { "Best epoch on validation" }
                        th.number scope="col" { "Last epoch on validation" }
                    } }
                    tbody {
                        @for (place, student) in results.students.iter().enumerate() {
                            @let baseline = results.baselines.get(place);
                            @let value = value_of(student, measure);
                            @let rival = baseline.map(|run| value_of(run, measure));
                            tr {
                                th.number scope="row" { (student.seed) small { (duration(student.seconds)) } }
                                td.number { (measure.write(value, digits)) }
                                @if paired {
                                    td.number { (rival.map_or(MISSING.into(), |rival| measure.write(rival, digits))) }
                                    td.number { (rival.map_or(MISSING.into(), |rival| signed(lead(measure, value, rival), measure.digits(digits)))) }
                                }
                                (epoch(student, student.best_epoch, measure, digits))
                                (epoch(student, student.epochs.len(), measure, digits))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What an epoch reached on the validation part, and its number.
fn epoch(seed: &SeedResult, epoch: usize, measure: &Measure, digits: usize) -> Markup {
    let row = seed.epochs.iter().find(|row| row.epoch == epoch);
    let value = row.and_then(|row| row.validation(&measure.name));
    html! {
        td.number {
            (value.map_or(MISSING.into(), |value| measure.write(value, digits)))
            small { (epoch) @if epoch == seed.chosen_epoch { ", kept" } }
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

/// What a seed reaches in `measure`; NaN where it was not measured.
fn value_of(seed: &SeedResult, measure: &Measure) -> f64 {
    seed.test.value(&measure.name).unwrap_or(f64::NAN)
}

/// What the student is better by than its rival.
fn lead(measure: &Measure, student: f64, rival: f64) -> f64 {
    measure.turned(student) - measure.turned(rival)
}

/// One row a seed: baseline and student joined by a line, the teacher as a dashed one.
fn values(results: &Results, measure: &Measure) -> Markup {
    let pairs = pairs(results);
    let digits = decimals(results);
    let teacher = teacher_value(results);
    let values = pairs
        .iter()
        .flat_map(|(student, baseline)| [value_of(student, measure), value_of(baseline, measure)])
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
        let (row, to, from) = (
            row as f64,
            value_of(student, measure),
            value_of(baseline, measure),
        );
        marks.push(line(vec![(from, row), (to, row)], Ink::Quiet, 2.0, false));
        marks.push(dot((from, row), Ink::Baseline));
        marks.push(dot((to, row), Ink::Student));
        told.push(format!(
            "seed {}: student {}, baseline {}",
            student.seed,
            measure.write(to, digits),
            measure.write(from, digits)
        ));
    }
    let chart = Chart {
        label: format!(
            "{} on the test part by seed. {}.",
            measure.heading(),
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
            figcaption { strong { (measure.heading()) " of each pair" } (unit(measure)) "on the test images" }
            (chart.svg())
        }
    }
}

/// One row a seed with its difference, and below all the mean with its interval.
fn differences(results: &Results, measure: &Measure) -> Markup {
    let pairs = pairs(results);
    let digits = measure.digits(decimals(results));
    let differences: Vec<f64> = pairs
        .iter()
        .map(|(student, baseline)| {
            lead(
                measure,
                value_of(student, measure),
                value_of(baseline, measure),
            )
        })
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
            "{WHAT}, in {}, by seed: {}; mean {}{}.",
            measure.difference_unit(),
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
                strong { (WHAT) }
                (measure.difference_unit()) " of " (measure.title)
                @if has_interval(results) { "; the bar is the 95 % interval of the mean" }
                @else { "; there is no interval" }
            }
            (chart.svg())
        }
    }
}

/// The measure's unit and a space, where it has one.
fn unit(measure: &Measure) -> String {
    match measure.unit.as_str() {
        "" => String::new(),
        "%" => "percent ".into(),
        unit => format!("{unit} "),
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
