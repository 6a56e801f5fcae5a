//! Teacher, student and baseline side by side: accuracy and cost.

use maud::{Markup, html};

use super::numbers::{MISSING, bytes, count, fixed, milliseconds, percent, short, significant};
use super::side::{Role, Side, decimals, sides, swatch};
use crate::results::{Evaluation, NetworkSummary, RECALL_NAME, Results};

/// Classes up to which top-5 says nothing.
const FEW_CLASSES: usize = 5;

/// A cell: its number, and a remark below it.
struct Cell {
    value: String,
    remark: String,
}

/// A measure of the networks' answers.
struct Measure {
    name: &'static str,
    unit: &'static str,
    of: fn(&Evaluation) -> f64,
    write: fn(f64, usize) -> String,
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

const MEASURES: [Measure; 6] = [
    Measure {
        name: "Top-1",
        unit: "most probable class is right",
        of: |test| test.top1,
        write: percent,
    },
    Measure {
        name: RECALL_NAME,
        unit: "nearest embedding is of the same class",
        of: |test| {
            test.recall
                .first()
                .map_or(f64::NAN, |&(_, percent)| percent)
        },
        write: percent,
    },
    Measure {
        name: "Top-5",
        unit: "right class among the five most probable",
        of: |test| test.top5,
        write: percent,
    },
    Measure {
        name: "Loss",
        unit: "cross entropy, nats",
        of: |test| test.loss,
        write: |value, _| fixed(value, 3),
    },
    Measure {
        name: "Calibration error",
        unit: "15 bins of confidence",
        of: |test| test.calibration_error,
        write: percent,
    },
    Measure {
        name: "Agreement with teacher",
        unit: "same class chosen",
        of: |test| test.agreement.unwrap_or(f64::NAN),
        write: percent,
    },
];

const COSTS: [Cost; 5] = [
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
                strong { (data.name) } ", with the weights of the epoch that was best on the "
                (count(data.validation as u64)) " validation images. "
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
                        @for measure in MEASURES.iter().filter(|measure| shown(measure, results, &sides)) {
                            (row((measure.name, measure.unit), sides.iter().map(|side| answer(measure, side, results)).collect()))
                        }
                    }
                    tbody {
                        @for cost in &COSTS {
                            (row((cost.name, cost.unit), sides.iter().map(|side| price(cost, side, results)).collect()))
                        }
                    }
                }
            }
        }
    }
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

/// Leaves out top-5 of a few classes, and what nobody was measured by.
fn shown(measure: &Measure, results: &Results, sides: &[Side]) -> bool {
    let informative = measure.name != "Top-5" || results.data.classes.len() > FEW_CLASSES;
    let optional = measure.name == RECALL_NAME || measure.name.starts_with("Agreement");
    informative && (!optional || sides.iter().any(|side| side.mean(measure.of).is_some()))
}

fn answer(measure: &Measure, side: &Side, results: &Results) -> Cell {
    let digits = decimals(results);
    if side.role == Role::Teacher && measure.name.starts_with("Agreement") {
        return missing();
    }
    let Some(mean) = side.mean(measure.of) else {
        let finite = side.tests.is_empty();
        return Cell {
            value: if finite { MISSING } else { "not finite" }.into(),
            remark: String::new(),
        };
    };
    let remark = side.interval(measure.of).map(|[low, high]| {
        // The unit stands in the line above.
        let bare = |value| (measure.write)(value, digits).replace("\u{a0}%", "");
        format!("[{} to {}]", bare(low), bare(high))
    });
    Cell {
        value: (measure.write)(mean, digits),
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
        (Role::Baseline, _) => "as the student".into(),
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
