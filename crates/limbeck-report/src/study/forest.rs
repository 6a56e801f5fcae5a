//! Gains with their intervals, one below the other on one scale: a forest plot whose rows are those of
//! a table.

use maud::{Markup, html};

use super::row::{StudyRow, StudyVerdict};
use crate::numbers::{MISSING, signed};

/// Width and height of a row's drawing, in CSS pixels at its natural size.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 22.0;
/// Free at either end.
const MARGIN: f64 = 6.0;

/// The scale of all rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// One that all gains and intervals fit on, and zero.
    pub fn of(rows: &[StudyRow<'_>]) -> Self {
        let ends = rows.iter().flat_map(|row| {
            let intervals = [row.over_seeds, row.over_both]
                .into_iter()
                .flatten()
                .flatten();
            intervals.chain(row.gain)
        });
        let ends = ends.filter(|end| end.is_finite());
        let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(low, high), end| {
            (low.min(end), high.max(end))
        });
        match low == high {
            true => Self {
                low: -1.0,
                high: 1.0,
            },
            false => Self { low, high },
        }
    }

    fn x(self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        MARGIN + share.clamp(0.0, 1.0) * (WIDTH - 2.0 * MARGIN)
    }
}

/// The drawing of a row: zero, the interval over seeds and images (thin), that over seeds (thick), the mean.
pub fn forest(row: &StudyRow<'_>, scale: Scale, digits: usize) -> Markup {
    let ink = match row.verdict() {
        StudyVerdict::Better => "var(--student)",
        StudyVerdict::Worse => "var(--baseline)",
        StudyVerdict::Open | StudyVerdict::Unknown => "var(--quiet)",
    };
    let middle = HEIGHT / 2.0;
    let line = |[low, high]: [f64; 2]| {
        let (from, to) = (round(scale.x(low)), round(scale.x(high)));
        format!("M{from} {middle}H{to}")
    };
    // Points of a path with round ends, which is shorter than circles.
    let seeds: String = (row.differences.iter())
        .filter(|difference| difference.is_finite())
        .map(|difference| format!("M{} {middle}h0", round(scale.x(*difference))))
        .collect();
    let told = match (row.gain, row.over_seeds) {
        (Some(gain), Some([low, high])) => format!(
            "{}, 95 % interval {} to {}",
            signed(gain, digits),
            signed(low, digits),
            signed(high, digits)
        ),
        (Some(gain), None) => signed(gain, digits),
        _ => MISSING.to_owned(),
    };
    html! {
        svg.forest role="img" aria-label=(told) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } {
            path.zero d={ "M" (round(scale.x(0.0))) " 0V" (HEIGHT) } {}
            @if let Some(interval) = row.over_both { path.thin stroke=(ink) d=(line(interval)) {} }
            @if let Some(interval) = row.over_seeds { path.thick stroke=(ink) d=(line(interval)) {} }
            @if !seeds.is_empty() { path.seeds d=(seeds) {} }
            @if let Some(gain) = row.gain.filter(|gain| gain.is_finite()) {
                circle cx=(round(scale.x(gain))) cy=(middle) r="4.5" fill=(ink) {}
            }
        }
    }
}

/// A tenth of a pixel is fine enough, and keeps pages small.
fn round(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}
