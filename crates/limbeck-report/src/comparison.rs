//! Teacher, student, baseline and upper bound side by side: measures and cost.

use maud::{Markup, html};

use super::numbers::{MISSING, bytes, count, milliseconds, short, significant};
use super::side::{Role, Side, choice, decimals, sides, swatch};
use crate::measure::Measure;
use crate::results::{NetworkSummary, Results};

/// A cell: its number, and a remark below it.
struct Cell {
    value: String,
    remark: String,
}

/// A cost of the networks.
struct Cost {
    name: &'static str,
    unit: &'static str,
    of: fn(&NetworkSummary) -> f64,
    write: fn(f64) -> String,
    less: &'static str,
    more: &'static str,
}

const COSTS: [Cost; 6] = [
    Cost {
        name: "Parameters",
        unit: "trained numbers",
        of: |network| network.params as f64,
        write: |value| short(value as u64),
        less: "fewer",
        more: "more",
    },
    Cost {
        name: "Multiply-accu\u{ad}mulates",
        unit: "of one image",
        of: |network| network.macs as f64,
        write: |value| short(value as u64),
        less: "fewer",
        more: "more",
    },
    Cost {
        name: "Bit operations",
        unit: "of one image",
        of: |network| network.bit_operations() as f64,
        write: |value| short(value as u64),
        less: "fewer",
        more: "more",
    },
    Cost {
        name: "Activations",
        unit: "numbers written for one image",
        of: |network| network.activations as f64,
        write: |value| short(value as u64),
        less: "fewer",
        more: "more",
    },
    Cost {
        name: "Weights file",
        unit: "as saved",
        of: |network| network.bytes as f64,
        write: |value| bytes(value as u64),
        less: "smaller",
        more: "larger",
    },
    Cost {
        name: "Time",
        unit: "one image, median",
        of: |network| network.latency_ms,
        write: milliseconds,
        less: "faster",
        more: "slower",
    },
];

/// The table.
pub fn comparison(results: &Results) -> Markup {
    let sides = sides(results);
    let data = &results.data;
    let seeds = results.students.len();
    html! {
        section #comparison aria-labelledby="comparison-title" {
            h2 #comparison-title { @if sides.len() > 1 { "Side by side" } @else { "Test results" } }
            p {
                "Measured once, on the " (count(data.test as u64)) " test images of "
                strong { (data.name) } ". "
                @if let Some(choice) = choice(results) { "Weights that were kept: " (choice) ". " }
                @if seeds > 1 {
                    "Numbers of trained networks are means over " (seeds)
                    " seeds; in brackets the 95 % interval of the mean."
                }
            }
            div.scroll tabindex="0" role="region" aria-label="Side by side" {
                table.comparison {
                    thead { tr {
                        th scope="col" { "Measure" }
                        @for side in &sides {
                            th.number scope="col" {
                                (swatch(side.role)) (side.title)
                                small { (side.network.name) }
                            }
                        }
                    } }
                    tbody {
                        @for measure in measures(&sides) {
                            (row((&measure.heading(), &measure.meaning), sides.iter().map(|side| answer(measure, side, results)).collect()))
                        }
                    }
                    tbody {
                        @for cost in costs(results) {
                            (row((cost.name, cost.unit), sides.iter().map(|side| price(cost, side, results)).collect()))
                        }
                    }
                }
            }
        }
    }
}

/// Bit operations say nothing besides multiply-accumulates where all networks have full precision.
fn costs(results: &Results) -> impl Iterator<Item = &'static Cost> {
    let few = results.student.few_bits.is_some();
    COSTS
        .iter()
        .filter(move |cost| few || cost.name != "Bit operations")
}

fn row((name, unit): (&str, &str), cells: Vec<Cell>) -> Markup {
    html! {
        tr {
            th scope="row" { (name) small { (unit) } }
            @for cell in cells {
                td.number {
                    (cell.value)
                    @if !cell.remark.is_empty() { small { (cell.remark) } }
                }
            }
        }
    }
}

/// All that was measured of any of the networks, those of the students first.
fn measures<'a>(sides: &'a [Side]) -> Vec<&'a Measure> {
    let mut found: Vec<&Measure> = Vec::new();
    let (students, teachers): (Vec<_>, Vec<_>) =
        sides.iter().partition(|side| side.role != Role::Teacher);
    for measure in students
        .iter()
        .chain(&teachers)
        .flat_map(|side| side.measures())
    {
        if !found.iter().any(|other| other.name == measure.name) {
            found.push(measure);
        }
    }
    found
}

fn answer(measure: &Measure, side: &Side, results: &Results) -> Cell {
    let digits = decimals(results);
    if !side
        .tests
        .iter()
        .any(|test| test.measure(&measure.name).is_some())
    {
        return missing();
    }
    let Some(mean) = side.mean(&measure.name) else {
        return Cell {
            value: "not finite".into(),
            remark: String::new(),
        };
    };
    let remark = side.interval(&measure.name).map(|[low, high]| {
        // The unit stands in the line above.
        format!(
            "[{} to {}]",
            measure.bare(low, digits),
            measure.bare(high, digits)
        )
    });
    Cell {
        value: measure.write(mean, digits),
        remark: remark.unwrap_or_default(),
    }
}

fn price(cost: &Cost, side: &Side, results: &Results) -> Cell {
    let value = (cost.of)(side.network);
    if !(value.is_finite() && value > 0.0) {
        return missing();
    }
    let teacher = results.teacher.as_ref().map(cost.of);
    let remark = match (side.role, teacher) {
        (Role::Student, Some(teacher)) if teacher > 0.0 => times(teacher / value, cost),
        (Role::Baseline | Role::UpperBound, _) => "as the student".into(),
        _ => String::new(),
    };
    Cell {
        value: (cost.write)(value),
        remark,
    }
}

fn times(ratio: f64, cost: &Cost) -> String {
    if (0.995..1.005).contains(&ratio) {
        "the same".into()
    } else if ratio > 1.0 {
        format!("{}× {}", significant(ratio), cost.less)
    } else {
        format!("{}× {}", significant(1.0 / ratio), cost.more)
    }
}

fn missing() -> Cell {
    Cell {
        value: MISSING.into(),
        remark: String::new(),
    }
}
