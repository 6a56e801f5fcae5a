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
    let line = |[low, high]: [f64; 2], width: f64| {
        html! {
            line x1=(round(scale.x(low))) x2=(round(scale.x(high))) y1=(middle) y2=(middle)
                stroke=(ink) stroke-width=(width) {}
        }
    };
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
            line x1=(round(scale.x(0.0))) x2=(round(scale.x(0.0))) y1="0" y2=(HEIGHT) stroke="var(--quiet)" stroke-dasharray="2 2" {}
            @if let Some(interval) = row.over_both { (line(interval, 1.5)) }
            @if let Some(interval) = row.over_seeds { (line(interval, 4.0)) }
            @for difference in &row.differences {
                circle cx=(round(scale.x(*difference))) cy=(middle) r="1.8" fill="var(--text)" fill-opacity="0.45" {}
            }
            @if let Some(gain) = row.gain {
                circle cx=(round(scale.x(gain))) cy=(middle) r="4.5" fill=(ink) {}
            }
        }
    }
}

/// A tenth of a pixel is fine enough, and keeps pages small.
fn round(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}
