//! The top of the page: headline, key numbers, cautions.

use maud::{Markup, html};

use super::headline::{Headline, Verdict, ratio, verdict};
use super::numbers::{bytes, fixed, interval, milliseconds, percent, short, signed, significant};
use super::side::{Role, decimals, sides};
use crate::results::{RECALL_NAME, Results};

/// A key number.
struct Tile {
    label: &'static str,
    value: String,
    unit: String,
    note: String,
}

/// Headline, key numbers, cautions.
pub fn summary(results: &Results, headline: &Headline) -> Markup {
    html! {
        header.top {
            p.overline { "Limbeck report" span.dot aria-hidden="true" { "·" } span.run { (results.run) } }
            h1 { (headline.title) }
            @for sentence in &headline.sentences { p.lede { (sentence) } }
            dl.tiles {
                @for tile in tiles(results) {
                    div.tile {
                        dt { (tile.label) }
                        dd.value { (tile.value) @if !tile.unit.is_empty() { " " span.unit { (tile.unit) } } }
                        @if !tile.note.is_empty() { dd.note { (tile.note) } }
                    }
                }
            }
            @if !headline.cautions.is_empty() {
                aside.cautions aria-labelledby="cautions" {
                    h2 #cautions { "Read with care" }
                    ul { @for caution in &headline.cautions { li { (caution) } } }
                }
            }
        }
    }
}

fn tiles(results: &Results) -> Vec<Tile> {
    [
        gain(results),
        accuracy(results),
        size(results),
        work(results),
        latency(results),
        agreement(results),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn gain(results: &Results) -> Option<Tile> {
    let gain = results.gain.as_ref()?;
    let digits = decimals(results);
    let note = match (verdict(gain), gain.ci95) {
        (Verdict::OneSeed, _) => "one seed, no interval".into(),
        (Verdict::Broken, _) | (_, None) => "no interval".into(),
        (_, Some([low, high])) => {
            format!("95 % interval {}", interval([low, high], digits))
        }
    };
    let broken = verdict(gain) == Verdict::Broken;
    Some(Tile {
        label: "Gain over the baseline",
        value: if broken {
            "unknown".into()
        } else {
            signed(gain.mean, digits)
        },
        unit: if broken { "" } else { "points" }.into(),
        note,
    })
}

fn accuracy(results: &Results) -> Option<Tile> {
    let digits = decimals(results);
    let sides = sides(results);
    let score = |role: Role| {
        let side = sides.iter().find(|side| side.role == role)?;
        side.mean(|test| test.score())
    };
    let mut note = Vec::new();
    if let Some(value) = score(Role::Teacher) {
        note.push(format!("teacher {}", percent(value, digits)));
    }
    if let Some(value) = score(Role::Baseline) {
        note.push(format!("baseline {}", percent(value, digits)));
    }
    Some(Tile {
        label: match results.score_name() {
            RECALL_NAME => "Test Recall@1",
            _ => "Test accuracy (top-1)",
        },
        value: fixed(score(Role::Student)?, digits),
        unit: "%".into(),
        note: note.join(", "),
    })
}

/// `label`, with `more` or `less` as the unit word where there is a teacher to compare with.
fn cost(
    label: &'static str,
    (teacher, student): (Option<u64>, u64),
    less: &str,
    more: &str,
    write: impl Fn(u64) -> String,
) -> Option<Tile> {
    if student == 0 {
        return None;
    }
    let Some(ratio) = teacher.and_then(|teacher| ratio(teacher, student)) else {
        return Some(Tile {
            label,
            value: write(student),
            unit: String::new(),
            note: String::new(),
        });
    };
    let (factor, word) = if ratio >= 1.0 {
        (ratio, less)
    } else {
        (1.0 / ratio, more)
    };
    let beside = if word == less {
        "instead of"
    } else {
        "against"
    };
    Some(Tile {
        label,
        value: format!("{}×", significant(factor)),
        unit: word.into(),
        note: format!(
            "{} {beside} {}",
            write(student),
            write(teacher.unwrap_or_default())
        ),
    })
}

fn size(results: &Results) -> Option<Tile> {
    let teacher = results.teacher.as_ref();
    cost(
        "File to deploy",
        (teacher.map(|t| t.bytes), results.student.bytes),
        "smaller",
        "larger",
        bytes,
    )
    .or_else(|| {
        cost(
            "Parameters",
            (teacher.map(|t| t.params), results.student.params),
            "fewer",
            "more",
            short,
        )
    })
}

fn work(results: &Results) -> Option<Tile> {
    cost(
        "Multiply-accumulates",
        (
            results.teacher.as_ref().map(|teacher| teacher.macs),
            results.student.macs,
        ),
        "fewer",
        "more",
        short,
    )
}

fn latency(results: &Results) -> Option<Tile> {
    // In nanoseconds, so that one function compares all costs.
    let nanoseconds = |ms: f64| (ms * 1e6).max(0.0) as u64;
    cost(
        "Time for one image",
        (
            results
                .teacher
                .as_ref()
                .map(|teacher| nanoseconds(teacher.latency_ms)),
            nanoseconds(results.student.latency_ms),
        ),
        "faster",
        "slower",
        |ns| milliseconds(ns as f64 / 1e6),
    )
}

fn agreement(results: &Results) -> Option<Tile> {
    let digits = decimals(results);
    let sides = sides(results);
    let agreement = |role: Role| {
        let side = sides.iter().find(|side| side.role == role)?;
        side.mean(|test| test.agreement.unwrap_or(f64::NAN))
    };
    Some(Tile {
        label: "Agreement with the teacher",
        value: fixed(agreement(Role::Student)?, digits),
        unit: "%".into(),
        note: agreement(Role::Baseline)
            .map(|value| format!("baseline {}", percent(value, digits)))
            .unwrap_or_default(),
    })
}
