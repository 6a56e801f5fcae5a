//! How precision falls while recall rises: one small chart a class.

use maud::{Markup, html};

use super::details;
use crate::axis::Axis;
use crate::chart::{Chart, Mark};
use crate::numbers::{count, counted, fixed};
use crate::results::Results;
use crate::side::{Role, Side, legend, sides};

/// Charts at the most.
const CHARTS: usize = 24;
/// Height of a chart, in CSS pixels.
const HEIGHT: u32 = 230;
/// Steps of recall that curves are told at: 0, 0.01, … 1.
const STEPS: usize = 100;

/// The charts; nothing where there are no curves.
pub fn precision_recall(results: &Results) -> Markup {
    let sides = sides(results);
    let mut classes: Vec<(usize, u64)> = (0..classes_of(&sides))
        .filter(|class| {
            sides
                .iter()
                .any(|side| curves(side, *class).next().is_some())
        })
        .map(|class| (class, objects(&sides, class)))
        .collect();
    if classes.is_empty() {
        return html! {};
    }
    let all = classes.len();
    if all > CHARTS {
        classes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        classes.truncate(CHARTS);
        classes.sort_unstable();
    }
    let several = sides.iter().any(|side| side.tests.len() > 1);
    html! {
        section #precision-recall aria-labelledby="precision-recall-title" {
            h2 #precision-recall-title { "Precision and recall" }
            p {
                "At an overlap of 0.5, from the surest boxes to the least sure ones: which share of the objects was found \
                 (recall, to the right), and which share of the boxes is right (precision, upwards; the greatest that is \
                 reached at any recall as high)."
                @if several { " Thin lines are seeds, thick lines their mean." }
                @if all > CHARTS { " These are the " (CHARTS) " of " (count(all as u64)) " classes with most objects." }
            }
            (legend(&sides))
            div.charts {
                @for (class, objects) in classes { (chart(results, &sides, class, objects)) }
            }
        }
    }
}

fn classes_of(sides: &[Side]) -> usize {
    let all = sides.iter().flat_map(details);
    all.map(|details| details.curves.len()).max().unwrap_or(0)
}

fn objects(sides: &[Side], class: usize) -> u64 {
    let mut all = sides.iter().flat_map(details);
    all.find_map(|details| details.objects.get(class).copied())
        .unwrap_or(0)
}

/// The curves of a class, one for each seed that has some.
fn curves<'a>(side: &'a Side, class: usize) -> impl Iterator<Item = &'a [[f64; 2]]> {
    let all = details(side).filter_map(move |details| details.curves.get(class));
    all.map(Vec::as_slice).filter(|curve| !curve.is_empty())
}

fn chart(results: &Results, sides: &[Side], class: usize, objects: u64) -> Markup {
    let name = results.data.class_name(class);
    let (mut marks, mut told) = (Vec::new(), Vec::new());
    // The student's line lies above the others.
    let behind = |side: &&Side| side.role != Role::Student;
    let student = |side: &&Side| side.role == Role::Student;
    for side in sides
        .iter()
        .filter(behind)
        .chain(sides.iter().filter(student))
    {
        let seeds: Vec<Vec<f64>> = curves(side, class).map(precisions).collect();
        if seeds.is_empty() {
            continue;
        }
        let line = |precisions: &[f64], width: f64, opacity: f64| {
            // Where nothing was found at a recall, the line ends.
            let drawn = precisions.iter().take_while(|precision| **precision > 0.0);
            let points = drawn
                .enumerate()
                .map(|(step, precision)| (step as f64 / STEPS as f64, *precision));
            Mark::Line {
                points: points.collect(),
                ink: side.role.ink(),
                width,
                opacity,
                dashed: side.role == Role::Teacher,
            }
        };
        if seeds.len() > 1 {
            marks.extend(seeds.iter().map(|seed| line(seed, 1.2, 0.45)));
        }
        let mean: Vec<f64> = (0..=STEPS)
            .map(|step| seeds.iter().map(|seed| seed[step]).sum::<f64>() / seeds.len() as f64)
            .collect();
        marks.push(line(&mean, 2.4, 1.0));
        let half = mean[STEPS / 2];
        told.push(format!("{} {}", side.title.to_lowercase(), fixed(half, 2)));
    }
    let chart = Chart {
        label: format!(
            "Precision of {name} over recall; at a recall of a half: {}.",
            told.join(", ")
        ),
        width: Chart::WIDTH,
        height: HEIGHT,
        x: Axis::between(0.0, 1.0, 5),
        y: Axis::between(0.0, 1.0, 5),
        marks,
    };
    html! {
        figure {
            figcaption { strong { (name) } (counted(objects as usize, "object")) }
            (chart.svg())
        }
    }
}

/// Precision at each step of recall; 0 beyond the end of the curve.
fn precisions(curve: &[[f64; 2]]) -> Vec<f64> {
    let mut precisions = vec![0.0; STEPS + 1];
    for [recall, precision] in curve {
        let step = (recall * STEPS as f64).round();
        let place = (step >= 0.0 && step <= STEPS as f64).then_some(step as usize);
        if let Some(at) = place.and_then(|place| precisions.get_mut(place))
            && precision.is_finite()
        {
            *at = *precision;
        }
    }
    precisions
}
