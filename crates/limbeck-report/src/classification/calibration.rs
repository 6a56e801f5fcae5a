//! Calibration: whether confidence can be believed.

use maud::{Markup, html};

use super::details;
use crate::axis::Axis;
use crate::chart::{Chart, Ink, Mark};
use crate::numbers::fixed;
use crate::results::Results;
use crate::side::{Side, legend, sides};

/// Heights of the two charts, in CSS pixels.
const RELIABILITY: u32 = 300;
const CONFIDENCE: u32 = 210;

/// A bin of confidence over all seeds: share of the images, mean confidence, share right; all in
/// percent.
struct Bin {
    images: f64,
    confidence: f64,
    right: f64,
}

/// Reliability diagram and the distribution of confidence.
pub fn calibration(results: &Results) -> Markup {
    let sides = sides(results);
    let bins: Vec<(&Side, Vec<Bin>)> = sides
        .iter()
        .map(|side| (side, bins(side)))
        .filter(|(_, bins)| !bins.is_empty())
        .collect();
    if bins.is_empty() {
        return html! {};
    }
    html! {
        section #calibration aria-labelledby="calibration-title" {
            h2 #calibration-title { "Calibration" }
            p {
                "Can the probabilities be believed? Images are binned by the probability of the chosen class; of "
                "those with 80 %, 80 % should be right. Below the diagonal a network is too sure of "
                "itself, above it not sure enough. The calibration error is the mean distance from the "
                "diagonal."
            }
            (legend(&bins.iter().map(|(side, _)| (*side).clone()).collect::<Vec<_>>()))
            div.charts {
                (reliability(&bins))
                (confidence(&bins))
            }
        }
    }
}

/// Bins of all seeds, added by their images; empty ones are left out.
fn bins(side: &Side) -> Vec<Bin> {
    let number = details(side).map(|details| details.calibration.len()).max();
    let all: Vec<(f64, f64, f64)> = (0..number.unwrap_or(0))
        .map(|bin| {
            let seeds = details(side).filter_map(|details| details.calibration.get(bin));
            seeds
                .filter(|(images, confidence, right)| {
                    *images > 0 && confidence.is_finite() && right.is_finite()
                })
                .fold((0.0, 0.0, 0.0), |sum, (images, confidence, right)| {
                    let images = *images as f64;
                    (
                        sum.0 + images,
                        sum.1 + images * confidence,
                        sum.2 + images * right,
                    )
                })
        })
        .collect();
    let total: f64 = all.iter().map(|(images, _, _)| images).sum();
    all.into_iter()
        .filter(|(images, _, _)| *images > 0.0)
        .map(|(images, confidence, right)| Bin {
            images: images / total * 100.0,
            confidence: confidence / images * 100.0,
            right: right / images * 100.0,
        })
        .collect()
}

fn reliability(sides: &[(&Side, Vec<Bin>)]) -> Markup {
    let mut marks = vec![Mark::Line {
        points: vec![(0.0, 0.0), (100.0, 100.0)],
        ink: Ink::Quiet,
        width: 1.2,
        opacity: 1.0,
        dashed: false,
    }];
    let mut told = Vec::new();
    for (side, bins) in sides {
        let ink = side.role.ink();
        marks.push(Mark::Line {
            points: bins.iter().map(|bin| (bin.confidence, bin.right)).collect(),
            ink,
            width: 2.0,
            opacity: 1.0,
            dashed: false,
        });
        marks.extend(bins.iter().map(|bin| Mark::Dot {
            at: (bin.confidence, bin.right),
            ink,
            radius: 3.5,
        }));
        let points: Vec<String> = bins
            .iter()
            .map(|bin| format!("{}→{}", fixed(bin.confidence, 0), fixed(bin.right, 0)))
            .collect();
        told.push(format!("{} {}", side.title, points.join(" ")));
    }
    let chart = Chart {
        label: format!(
            "Reliability diagram, confidence → share right in percent: {}.",
            told.join("; ")
        ),
        width: Chart::WIDTH,
        height: RELIABILITY,
        x: Axis::between(0.0, 100.0, 5),
        y: Axis::between(0.0, 100.0, 5),
        marks,
    };
    html! {
        figure {
            figcaption { strong { "Reliability" } "share right by confidence, both in percent" }
            (chart.svg())
        }
    }
}

fn confidence(sides: &[(&Side, Vec<Bin>)]) -> Markup {
    let mut marks = Vec::new();
    let mut told = Vec::new();
    for (side, bins) in sides {
        let ink = side.role.ink();
        let points: Vec<_> = bins
            .iter()
            .map(|bin| (bin.confidence, bin.images))
            .collect();
        marks.push(Mark::Line {
            points: points.clone(),
            ink,
            width: 2.0,
            opacity: 1.0,
            dashed: false,
        });
        marks.extend(points.iter().map(|at| Mark::Dot {
            at: *at,
            ink,
            radius: 3.5,
        }));
        let sure: f64 = bins
            .iter()
            .filter(|bin| bin.confidence >= 90.0)
            .map(|bin| bin.images)
            .sum();
        told.push(format!(
            "{} is at least 90 % sure of {} % of the images",
            side.title,
            fixed(sure, 0)
        ));
    }
    let images = sides.iter().flat_map(|(_, bins)| bins);
    let Some(y) = Axis::covering(images.map(|bin| bin.images).chain([0.0]), 5) else {
        return html! {};
    };
    let chart = Chart {
        label: format!("Share of images by confidence: {}.", told.join("; ")),
        width: Chart::WIDTH,
        height: CONFIDENCE,
        x: Axis::between(0.0, 100.0, 5),
        y,
        marks,
    };
    html! {
        figure {
            figcaption { strong { "How sure" } "share of images by confidence, both in percent" }
            (chart.svg())
        }
    }
}
