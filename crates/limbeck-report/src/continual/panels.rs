//! Charts of what is reached after each step.

use maud::{Markup, html};

use super::results::ContinualResults;
use super::ways::{Of, Way};
use crate::axis::Axis;
use crate::chart::{Chart, Mark};
use crate::numbers::fixed;
use crate::side::Role;

/// Height of a chart, in CSS pixels.
const HEIGHT: u32 = 230;

/// The charts that there is something to draw in.
pub fn panels(results: &ContinualResults, ways: &[Way]) -> Vec<Markup> {
    let panels: [(&str, &str, Of); 4] = [
        (
            "All classes so far",
            "mean IoU in percent, by step",
            |step| step.all_miou,
        ),
        (
            "Classes of earlier steps",
            "mean IoU in percent, by step",
            |step| step.old_miou,
        ),
        (
            "Classes of the step",
            "mean IoU in percent, by step",
            |step| step.new_miou,
        ),
        (
            "Forgetting",
            "points below the best after an earlier step",
            |step| step.forgetting,
        ),
    ];
    let panels = panels.into_iter();
    let drawn = panels.filter_map(|(title, unit, of)| panel(results, ways, title, unit, of));
    drawn.collect()
}

/// `None` if nothing can be drawn.
fn panel(
    results: &ContinualResults,
    ways: &[Way],
    title: &str,
    unit: &str,
    of: Of,
) -> Option<Markup> {
    let last = results.steps().checked_sub(1)?;
    let mut values = Vec::new();
    let mut marks = Vec::new();
    let mut told = Vec::new();
    // The student's line in front.
    for way in ways.iter().rev() {
        let lines = way.lines(of);
        values.extend(lines.iter().flatten().map(|(_, value)| *value));
        let ink = way.role.ink();
        if lines.len() > 1 {
            for points in lines.into_iter().filter(|points| points.len() > 1) {
                marks.push(Mark::Line {
                    points,
                    ink,
                    width: 1.2,
                    opacity: 0.45,
                    dashed: false,
                });
            }
        }
        let mean: Vec<(f64, f64)> = (0..=last)
            .filter_map(|step| Some((step as f64, way.mean(step, of)?)))
            .collect();
        let Some(&end) = mean.last() else {
            continue;
        };
        told.push(format!("{} ends at {}", way.title, fixed(end.1, 1)));
        if mean.len() > 1 {
            marks.push(Mark::Line {
                points: mean.clone(),
                ink,
                width: 2.4,
                opacity: 1.0,
                dashed: false,
            });
        }
        let radius = if way.role == Role::Teacher { 4.5 } else { 3.5 };
        marks.extend(mean.into_iter().map(|at| Mark::Dot { at, ink, radius }));
    }
    let chart = Chart {
        label: format!("{title}, {unit}, steps 0 to {last}: {}.", told.join(", ")),
        width: Chart::WIDTH,
        height: HEIGHT,
        x: Axis::whole_numbers(0, last, 6),
        y: Axis::covering(values, 5)?,
        marks,
    };
    Some(html! {
        figure {
            figcaption { strong { (title) } (unit) }
            (chart.svg())
        }
    })
}
