//! The draws of a null experiment.

use maud::{Markup, html};

use super::{found::StudyResults, page::HEIGHT};
use crate::{
    axis::Axis,
    chart::{Chart, Ink, Mark},
    measure::Measure,
};

/// Each with its interval, in the order of their gains.
pub(super) fn draws(results: &StudyResults, measure: &Measure) -> Markup {
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
        section #draws aria-labelledby="draws-title" {
            h2 #draws-title { "Draws" }
            p { "Each bar is the 95 % interval over the seeds of a draw, sorted by their means." }
            figure.wide { figcaption { strong { (title) } "intervals that do not hold zero are drawn in the other colour" } div.scroll tabindex="0" role="region" aria-label="Draws" { (chart.svg()) } }
        }
    }
}
