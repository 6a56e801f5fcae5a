//! The top of the page: headline, key numbers, cautions.

use maud::{Markup, html};

use super::headline::{Headline, Verdict, ratio, verdict};
use super::numbers::{self, bytes, interval, milliseconds, short, signed, significant};
use super::side::{Role, decimals, side, student};
use super::tile::{self, Tile};
use super::title::unbroken;
use crate::measure::{AGREEMENT, Measure};
use crate::results::Results;

/// Headline, key numbers, cautions.
pub fn summary(results: &Results, headline: &Headline) -> Markup {
    html! {
        header.top {
            p.overline { "Limbeck report" span.dot aria-hidden="true" { "·" } span.run { (results.run) } }
            h1 { (unbroken(&headline.title)) }
            @for sentence in &headline.sentences { p.lede { (sentence) } }
            (tile::list(&tiles(results)))
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
        compared(results),
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
    let measure = results.compared_by()?;
    let digits = measure.digits(decimals(results));
    let note = match (verdict(gain), gain.ci95) {
        (Verdict::OneSeed, _) => "one seed, no interval".into(),
        (Verdict::Broken, _) | (_, None) => "no interval".into(),
        (_, Some([low, high])) => {
            format!("95 % interval {}", interval([low, high], digits))
        }
    };
    let note = match &gain.resampled {
        Some(drawn) if drawn.ci95.iter().all(|end| end.is_finite()) => format!(
            "{note}, over {} {}",
            numbers::counted(drawn.units, &drawn.unit),
            interval(drawn.ci95, digits)
        ),
        _ => note,
    };
    let broken = verdict(gain) == Verdict::Broken;
    Some(Tile {
        label: "Gain over the baseline".into(),
        value: if broken {
            "unknown".into()
        } else {
            signed(gain.mean, digits)
        },
        unit: if broken {
            ""
        } else {
            measure.difference_unit()
        }
        .into(),
        note,
    })
}

/// What networks are compared by.
fn compared(results: &Results) -> Option<Tile> {
    let measure = results.compared_by()?;
    measured(format!("Test {}", measure.title), measure, results)
}

/// One measure: the student's, with the others' below it.
fn measured(label: String, measure: &Measure, results: &Results) -> Option<Tile> {
    let digits = decimals(results);
    let mean = |role: Role| side(results, role)?.mean(&measure.name);
    let beside = [
        ("teacher", Role::Teacher),
        ("baseline", Role::Baseline),
        ("upper bound", Role::UpperBound),
    ];
    let note: Vec<String> = beside
        .into_iter()
        .filter_map(|(name, role)| Some(format!("{name} {}", measure.write(mean(role)?, digits))))
        .collect();
    Some(Tile {
        label,
        value: measure.bare(mean(Role::Student)?, digits),
        unit: measure.unit.clone(),
        note: note.join(", "),
    })
}

/// `label`, with `more` or `less` as the unit word where there is a teacher to compare with.
fn cost(
    label: &str,
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
            label: label.into(),
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
        label: label.into(),
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

/// Left out where networks are compared by it.
fn agreement(results: &Results) -> Option<Tile> {
    let measure = student(results).tests.first()?.measure(AGREEMENT)?;
    let compared = results.compared_by()?.name == measure.name;
    (!compared).then(|| measured(measure.heading(), measure, results))?
}
