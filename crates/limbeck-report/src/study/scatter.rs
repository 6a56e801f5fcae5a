//! Dots that belong to cells: each can be hidden by a choice, tells its name where it is pointed at, and
//! has it written beside it where there is room.

use maud::{Markup, html};

use crate::{
    axis::Axis,
    chart::{Chart, Ink, LETTERS, Mark, UNITS},
};

/// Width and height of a chart, in CSS pixels at its natural size.
pub(super) const WIDTH: u32 = 460;
const HEIGHT: u32 = 310;
/// Width that a letter of a name takes, in CSS pixels: that of most letters at most.
const LETTER: f64 = 7.5;
/// Height of a line of names, in CSS pixels.
const LINE: f64 = 14.0;
/// Between a dot and its name, in CSS pixels.
const GAP: f64 = 4.0;
/// Up to so many dots, every name is written where there is room.
const ALL: usize = 16;
/// Dots told one by one to those who do not see the chart; tables have all of them.
const TOLD: usize = 12;

/// How a dot looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Full, in the student's colour.
    Full,
    /// A ring, in the baseline's colour.
    Ring,
    /// Small, in the student's colour.
    Part,
    /// Small and quiet.
    Small,
}

impl Look {
    /// Radius in CSS pixels, with half of a ring's line.
    fn radius(self) -> f64 {
        match self {
            Self::Full | Self::Ring => 4.5,
            Self::Part | Self::Small => 3.0,
        }
    }
}

/// A dot.
pub(super) struct Dot<'a> {
    pub(super) at: (f64, f64),
    pub(super) name: &'a str,
    /// Name and numbers, for who points at it.
    pub(super) told: String,
    /// Classes that choices hide it by.
    pub(super) classes: String,
    pub(super) look: Look,
}

/// A chart of dots.
pub(super) struct Scatter<'a> {
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// What lies below the dots.
    pub(super) lines: Vec<Mark>,
    pub(super) dots: Vec<Dot<'a>>,
    /// Places of the dots whose names are wanted most, the first before others.
    pub(super) named: Vec<usize>,
}

/// Left, top, right and bottom, in CSS pixels.
type Box4 = [f64; 4];

/// Where a name stands: its left end, its middle height, in CSS pixels.
type Place = (f64, f64);

impl Scatter<'_> {
    /// The figure.
    pub(super) fn figure(self) -> Markup {
        let mut first: Vec<&str> = self.named.iter().map(|&dot| self.dots[dot].name).collect();
        first.truncate(TOLD);
        let label = match self.dots.len() {
            count if count <= TOLD => {
                let told: Vec<&str> = self.dots.iter().map(|dot| dot.told.as_str()).collect();
                told.join("; ")
            }
            count => format!("{count} dots, among them {}", first.join(", ")),
        };
        let chart = Chart {
            label: format!("{}. {label}.", self.title),
            width: WIDTH,
            height: HEIGHT,
            x: self.x,
            y: self.y,
            marks: self.lines,
        };
        let units = f64::from(UNITS);
        let middles: Vec<Option<(f64, f64)>> = (self.dots.iter())
            .map(|dot| chart.at(dot.at).map(|(x, y)| (x / units, y / units)))
            .collect();
        let names = names(&self.dots, &middles, &self.named);
        let drawn = |value: f64| (value * units).round();
        let over = html! {
            g font-size=(LETTERS * units) {
                @for ((dot, middle), name) in self.dots.iter().zip(&middles).zip(&names) {
                    @if let Some((x, y)) = middle {
                        g class=(dot.classes) {
                            title { (dot.told) }
                            (circle(dot.look, drawn(*x), drawn(*y)))
                            @if let Some((left, height)) = name {
                                text x=(drawn(*left)) y=(drawn(*height)) dy="0.35em" fill="var(--text)" { (dot.name) }
                            }
                        }
                    }
                }
            }
        };
        html! {
            figure {
                figcaption { strong { (self.title) } (self.caption) }
                (chart.svg_under(&over))
            }
        }
    }
}

fn circle(look: Look, x: f64, y: f64) -> Markup {
    let radius = look.radius() * f64::from(UNITS);
    let ink = match look {
        Look::Full | Look::Part => Ink::Student,
        Look::Ring => Ink::Baseline,
        Look::Small => Ink::Quiet,
    }
    .variable();
    match look {
        Look::Ring => {
            let line = 2.2 * f64::from(UNITS);
            let radius = radius - line / 2.0;
            html! { circle cx=(x) cy=(y) r=(radius) fill="var(--ground)" stroke=(ink) stroke-width=(line) {} }
        }
        _ => html! { circle cx=(x) cy=(y) r=(radius) fill=(ink) {} },
    }
}

/// Where the names of dots stand; `None` where there is no room, or where others are wanted more.
fn names(dots: &[Dot], middles: &[Option<(f64, f64)>], wanted: &[usize]) -> Vec<Option<Place>> {
    let around = |dot: usize| -> Option<Box4> {
        let (x, y) = middles[dot]?;
        let radius = dots[dot].look.radius();
        Some([x - radius, y - radius, x + radius, y + radius])
    };
    let mut found = vec![None; dots.len()];
    let mut taken: Vec<Box4> = Vec::new();
    let rest = (0..dots.len()).filter(|dot| dots.len() <= ALL && !wanted.contains(dot));
    for dot in wanted.iter().copied().chain(rest) {
        let Some(middle) = middles[dot] else { continue };
        let width = dots[dot].name.chars().count() as f64 * LETTER;
        let is_free = |place: &Place| {
            let name = box_of(*place, width);
            inside(name)
                && !taken.iter().any(|other| overlap(name, *other))
                && !(0..dots.len())
                    .filter_map(around)
                    .any(|other| overlap(name, other))
        };
        let radius = dots[dot].look.radius();
        if let Some(place) = around_dot(middle, radius, width).into_iter().find(is_free) {
            taken.push(box_of(place, width));
            found[dot] = Some(place);
        }
    }
    found
}

/// Places for a name around its dot, the best first: beside it, above, below, and between those.
fn around_dot((x, y): (f64, f64), radius: f64, width: f64) -> [Place; 8] {
    let beside = radius + GAP;
    let line = radius + LINE / 2.0;
    let (right, left, centre) = (x + beside, x - beside - width, x - width / 2.0);
    [
        (right, y),
        (left, y),
        (centre, y - line),
        (centre, y + line),
        (right - GAP, y - line),
        (right - GAP, y + line),
        (left + GAP, y - line),
        (left + GAP, y + line),
    ]
}

fn box_of((left, height): Place, width: f64) -> Box4 {
    [left, height - LINE / 2.0, left + width, height + LINE / 2.0]
}

fn inside([left, top, right, bottom]: Box4) -> bool {
    left >= 30.0 && right <= f64::from(WIDTH) && top >= 0.0 && bottom <= f64::from(HEIGHT) - 22.0
}

fn overlap(a: Box4, b: Box4) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dots(places: &[(f64, f64)]) -> (Vec<Dot<'static>>, Vec<Option<(f64, f64)>>) {
        let dots = places.iter().map(|&at| Dot {
            at,
            name: "a_name",
            told: String::new(),
            classes: "c".to_owned(),
            look: Look::Full,
        });
        (dots.collect(), places.iter().copied().map(Some).collect())
    }

    #[test]
    fn names_touch_neither_each_other_nor_dots() {
        // Thirty dots within 60 by 60 pixels: few have room.
        let places: Vec<(f64, f64)> = (0..30)
            .map(|dot| {
                let dot = f64::from(dot);
                (
                    200.0 + 10.0 * (dot % 6.0),
                    150.0 + 12.0 * (dot / 6.0).floor(),
                )
            })
            .collect();
        let (dots, middles) = dots(&places);
        let wanted: Vec<usize> = (0..30).collect();
        let found = names(&dots, &middles, &wanted);
        let width = 6.0 * LETTER;
        let boxes: Vec<Box4> = found.iter().flatten().map(|p| box_of(*p, width)).collect();
        assert!((2..30).contains(&boxes.len()), "{}", boxes.len());
        for (place, one) in boxes.iter().enumerate() {
            assert!(inside(*one));
            assert!(!boxes[..place].iter().any(|other| overlap(*one, *other)));
            for &(x, y) in &places {
                assert!(!overlap(*one, [x - 4.5, y - 4.5, x + 4.5, y + 4.5]));
            }
        }
    }

    #[test]
    fn few_dots_all_have_names_and_of_many_those_that_are_wanted() {
        let row = |count: u32| -> Vec<(f64, f64)> {
            (0..count)
                .map(|dot| (100.0, 12.0 * f64::from(dot) + 20.0))
                .collect()
        };
        let written = |count, wanted: &[usize]| {
            let (dots, middles) = dots(&row(count));
            names(&dots, &middles, wanted).iter().flatten().count()
        };
        assert_eq!(written(2, &[]), 2);
        assert_eq!(written(20, &[3, 9]), 2);
    }
}
