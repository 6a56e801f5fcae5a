//! The comparison as a page.

use maud::{Markup, html};

use super::plot::{gains, values};
use super::recipes::differences;
use super::row::{Row, common_measure, rows};
use super::verdict::sentences;
use super::warnings::warnings;
use crate::measure::Measure;
use crate::numbers::{self, MISSING, bytes, milliseconds, percent, short, signed};
use crate::page::page;
use crate::provenance::command;
use crate::results::{Gain, Results};
use crate::side::{Role, decimals, swatch};
use crate::title::unbroken;

/// One page that compares several runs, the first being what the others are compared with.
pub fn compare(runs: &[Results]) -> String {
    let rows = rows(runs);
    let (title, sentences) = sentences(&rows);
    let warnings = warnings(runs);
    let body = html! {
        header.top {
            p.overline { "Limbeck comparison" }
            h1 { (unbroken(&title)) }
            @for sentence in &sentences { p.lede { (sentence) } }
            @if !warnings.is_empty() {
                aside.cautions aria-labelledby="cautions" {
                    h2 #cautions { "The runs differ" }
                    ul { @for warning in &warnings { li { (warning) } } }
                }
            }
        }
        main {
            @if !rows.is_empty() {
                (plots(&rows))
                (table(&rows))
                (settings(runs))
                (commands(runs))
            }
        }
    };
    page("Limbeck comparison", &body)
}

fn plots(rows: &[Row]) -> Markup {
    let has = |role: Role| {
        rows.iter().any(|row| match role {
            Role::Teacher => row.teacher.is_some(),
            Role::Student => true,
            Role::Baseline => row.baseline.is_some(),
            Role::UpperBound => false,
        })
    };
    let roles = [
        (Role::Teacher, "Teacher"),
        (Role::Student, "Student"),
        (Role::Baseline, "Baseline"),
    ];
    html! {
        section aria-labelledby="plots-title" {
            h2 #plots-title { "At a glance" }
            ul.legend {
                @for (role, name) in roles.into_iter().filter(|(role, _)| has(*role)) {
                    li { (swatch(role)) (name) }
                }
            }
            div.charts.wide { (values(rows)) (gains(rows)) }
        }
    }
}

fn table(rows: &[Row]) -> Markup {
    let paired = rows.iter().any(|row| row.to_first.is_some());
    let value = common_measure(rows).map_or("Value".into(), Measure::heading);
    html! {
        section aria-labelledby="table-title" {
            h2 #table-title { "Numbers" }
            p {
                "Means over seeds; in brackets 95 % intervals. Gains are over the run's own baseline"
                @if paired { ", differences to run 1 are paired by the seeds that both have" }
                "."
            }
            div.scroll tabindex="0" role="region" aria-label="Numbers of all runs" {
                table.runs {
                    thead { tr {
                        th.number scope="col" { "#" }
                        th scope="col" { "Run" }
                        th scope="col" { "Method" }
                        th.number scope="col" { "Seeds" }
                        th.number scope="col" { (value) }
                        th.number scope="col" { "Baseline" }
                        th.number scope="col" { "Gain" }
                        @if paired { th.number scope="col" { "To run 1" } }
                        th.number scope="col" { "Agreement" }
                        th.number scope="col" { "Parameters" }
                        th.number scope="col" { "MACs" }
                        th.number scope="col" { "File" }
                        th.number scope="col" { "Time" }
                    } }
                    tbody { @for row in rows { (line(row, paired)) } }
                }
            }
        }
    }
}

fn line(row: &Row, paired: bool) -> Markup {
    let results = row.results;
    let student = &results.student;
    let plain = Measure::default();
    let measure = row.measure.unwrap_or(&plain);
    let digits = decimals(results);
    let of_gain = measure.digits(digits);
    let missing = || String::from(MISSING);
    let write =
        |value: Option<f64>| value.map_or_else(missing, |value| measure.write(value, digits));
    let size = |value: u64, write: fn(u64) -> String| {
        if value == 0 { missing() } else { write(value) }
    };
    html! {
        tr {
            td.number { (row.number) }
            th scope="row" {
                (results.run)
                small {
                    (student.name)
                    @if let Some(teacher) = &results.teacher { " from " (teacher.name) }
                    ", " (results.data.name)
                }
            }
            td { (results.method) }
            td.number { (results.students.len()) }
            td.number { (write(row.value)) (interval(row.interval, of_gain)) }
            td.number { (write(row.baseline)) }
            (gain(results.gain.as_ref(), of_gain))
            @if paired { (gain(row.to_first.as_ref(), of_gain)) }
            td.number { (row.agreement.map_or_else(missing, |value| percent(value, digits))) }
            td.number { (size(student.params, short)) }
            td.number { (size(student.macs, short)) }
            td.number { (size(student.bytes, bytes)) }
            td.number {
                @if student.latency_ms.is_finite() && student.latency_ms > 0.0 { (milliseconds(student.latency_ms)) }
                @else { (MISSING) }
            }
        }
    }
}

fn gain(gain: Option<&Gain>, digits: usize) -> Markup {
    html! {
        td.number {
            @if let Some(gain) = gain {
                (signed(gain.mean, digits))
                (interval(gain.ci95, digits))
            } @else { (MISSING) }
        }
    }
}

fn interval(interval: Option<[f64; 2]>, digits: usize) -> Markup {
    html! {
        @if let Some(ends) = interval { small { "[" (numbers::interval(ends, digits)) "]" } }
    }
}

fn settings(runs: &[Results]) -> Markup {
    let differences = differences(runs);
    if differences.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="settings-title" {
            h2 #settings-title { "Settings that differ" }
            div.scroll tabindex="0" role="region" aria-label="Settings that differ" {
                table {
                    thead { tr {
                        th scope="col" { "Setting" }
                        @for number in 1..=runs.len() { th scope="col" { "Run " (number) } }
                    } }
                    tbody {
                        @for (name, values) in &differences {
                            tr {
                                th scope="row" { code { (name) } }
                                @for value in values { td { (value) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn commands(runs: &[Results]) -> Markup {
    html! {
        section aria-labelledby="commands-title" {
            h2 #commands-title { "Run them again" }
            @for (place, run) in runs.iter().enumerate().filter(|(_, run)| !run.command.is_empty()) {
                h3 { (place + 1) " · " (run.run) }
                (command(&run.command))
            }
        }
    }
}
