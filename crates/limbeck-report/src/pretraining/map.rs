//! Test images in the plane, by their embeddings.

use std::collections::BTreeMap;
use std::fmt::Write;

use maud::{Markup, html};

use super::found::{Plane, Pretrained};
use crate::numbers::{count, percent};
use crate::results::Results;
use crate::side::is_plain;

/// Side of a map in the drawing's units.
const SIDE: f64 = 1_000.0;
/// Room around the points.
const MARGIN: f64 = 24.0;
/// Diameter of a point.
const POINT: u32 = 15;
/// Classes that the legend names.
const NAMED: usize = 20;
/// Colours of up to ten classes, which differ for most of those who see few colours as well, on a light
/// ground and on a dark one (Tableau's ten).
const COLOURS: [&str; 10] = [
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#b6992d", "#b07aa1", "#ff9da7",
    "#9c755f", "#8a8f94",
];

/// The maps; nothing where there are none.
pub fn map(found: &Pretrained, results: &Results) -> Markup {
    let student = if is_plain(results) {
        "Network"
    } else {
        "Student"
    };
    let map = &found.map;
    let planes = [
        ("Teacher", &map.teacher),
        (student, &map.student),
        ("Baseline", &map.baseline),
    ];
    let planes: Vec<(&str, &Plane)> = planes
        .into_iter()
        .filter_map(|(who, plane)| Some((who, plane.as_ref()?)))
        .filter(|(_, plane)| !plane.points.is_empty())
        .collect();
    let Some((_, first)) = planes.first() else {
        return html! {};
    };
    let mut counts = BTreeMap::new();
    for &label in &map.labels {
        *counts.entry(label).or_insert(0usize) += 1;
    }
    html! {
        section #map aria-labelledby="map-title" {
            h2 #map-title { "Test images by their embeddings" }
            p {
                (count(first.points.len() as u64)) " test images, each a point: the plane in which the unit vectors of "
                "their embeddings vary most (their two first principal components). Directions that the plane does "
                "not hold are not seen, so classes that overlap here may still lie apart."
            }
            @if !counts.is_empty() { (legend(&counts, found)) }
            div.charts {
                @for (who, plane) in &planes { (figure(who, plane, &map.labels, found.classes.len())) }
            }
        }
    }
}

/// The classes that occur with their colours; of many, the most frequent.
fn legend(counts: &BTreeMap<usize, usize>, found: &Pretrained) -> Markup {
    let mut named: Vec<usize> = counts.keys().copied().collect();
    named.sort_by_key(|class| std::cmp::Reverse(counts[class]));
    named.truncate(NAMED);
    named.sort_unstable();
    html! {
        ul.legend.colours {
            @for &class in &named {
                li {
                    span.chip.round style={ "--colour:" (colour(class, found.classes.len())) } {}
                    @match found.classes.get(class) {
                        Some(name) => (name),
                        None => { "class " (class) }
                    }
                }
            }
            @if counts.len() > named.len() {
                li { "and " (count((counts.len() - named.len()) as u64)) " others" }
            }
        }
    }
}

fn figure(who: &str, plane: &Plane, labels: &[usize], classes: usize) -> Markup {
    let labelled = labels.len() == plane.points.len();
    let mut by_class: BTreeMap<Option<usize>, String> = BTreeMap::new();
    for (place, [x, y]) in places(&plane.points).into_iter().enumerate() {
        let class = labels.get(place).copied().filter(|_| labelled);
        // A line without length and with round ends is a point.
        let path = by_class.entry(class).or_default();
        let _ = write!(path, "M{x} {y}h0");
    }
    let label = format!(
        "{who}: {} test images in the plane of most variance.",
        count(plane.points.len() as u64)
    );
    let side = SIDE as u32;
    html! {
        figure.plane {
            figcaption {
                strong { (who) }
                "the plane holds " (percent(plane.share, 0)) " of the variance"
            }
            svg role="img" aria-label=(label) viewBox={ "0 0 " (side) " " (side) } {
                @for (class, path) in &by_class {
                    @let colour = class.map_or("var(--student)".to_owned(), |class| colour(class, classes));
                    path d=(path) stroke=(colour) stroke-width=(POINT) stroke-opacity="0.75" fill="none" {}
                }
            }
        }
    }
}

/// The points within the drawing, one scale for both directions, in whole units; what is no number lies in
/// the middle.
fn places(points: &[[f32; 2]]) -> Vec<[i32; 2]> {
    let extent = |axis: usize| {
        let finite = points.iter().map(|point| f64::from(point[axis]));
        let finite = finite.filter(|value| value.is_finite());
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let extents = [extent(0), extent(1)];
    let longest = extents
        .iter()
        .map(|(low, high)| high - low)
        .fold(0.0, f64::max);
    let room = SIDE - 2.0 * MARGIN;
    let scale = if longest > 0.0 { room / longest } else { 0.0 };
    let place = |point: &[f32; 2], axis: usize| {
        let (low, high) = extents[axis];
        let away = (f64::from(point[axis]) - (low + high) / 2.0) * scale;
        let away = if away.is_finite() { away } else { 0.0 };
        // Upwards is greater.
        let turned = if axis == 1 { -away } else { away };
        (SIDE / 2.0 + turned).round() as i32
    };
    points
        .iter()
        .map(|point| [place(point, 0), place(point, 1)])
        .collect()
}

/// The colour of a class, one of `classes`.
fn colour(class: usize, classes: usize) -> String {
    match COLOURS.get(class).filter(|_| classes <= COLOURS.len()) {
        Some(colour) => (*colour).to_owned(),
        // Steps of the golden angle: hues of any number of classes stay apart.
        None => format!("hsl({} 55% 55%)", (class * 1375 / 10) % 360),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_keep_their_shape_and_stay_inside() {
        let found = places(&[[-2.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]);
        assert_eq!(found, [[24, 500], [976, 500], [500, 262], [500, 738]]);
        assert_eq!(places(&[[3.0, 3.0]]), [[500, 500]]);
        let broken = places(&[[f32::NAN, 1.0], [0.0, 0.0], [1.0, 0.5]]);
        assert!(
            broken
                .iter()
                .flatten()
                .all(|place| (0..=1000).contains(place))
        );
    }

    #[test]
    fn colours_of_classes_differ() {
        for classes in [10, 100] {
            let all: std::collections::BTreeSet<String> =
                (0..classes).map(|class| colour(class, classes)).collect();
            assert_eq!(all.len(), classes);
        }
    }
}
