//! Charts as inline SVG: drawn by plotters in stand-in colours, which then become the page's CSS
//! variables, so that one drawing serves light, dark and paper.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
pub use super::ink::Ink;
use super::segments::segments;

/// Units of the drawing per CSS pixel: plotters rounds to whole units, curves need finer ones.
pub const UNITS: i32 = 8;
/// Height of letters, in CSS pixels.
pub const LETTERS: f64 = 12.5;
/// Width that an average letter takes, in CSS pixels.
const LETTER_WIDTH: f64 = 8.0;
/// Room above what is drawn and below it, in CSS pixels.
const ABOVE: i32 = 8;
const BELOW: i32 = 24;
/// Dashes and gaps, in units of the drawing.
const DASHES: &str = "44 32";

type Root<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Plane<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// What is drawn into a chart.
#[derive(Clone, Debug)]
pub enum Mark {
    /// A line through points; broken where a point cannot be drawn, cut off at the edges.
    Line {
        /// Horizontal and vertical value of each point.
        points: Vec<(f64, f64)>,
        /// Its colour.
        ink: Ink,
        /// Its width, in CSS pixels.
        width: f64,
        /// 1 is opaque.
        opacity: f64,
        /// Whether it is drawn in dashes.
        dashed: bool,
    },
    /// A dot: full for the student, a ring for the baseline, a diamond for the teacher.
    Dot {
        /// Horizontal and vertical value.
        at: (f64, f64),
        /// Its colour and shape.
        ink: Ink,
        /// Its radius, in CSS pixels.
        radius: f64,
    },
    /// A word that begins at a point.
    Word {
        /// Horizontal and vertical value of its left end.
        at: (f64, f64),
        /// The word.
        text: String,
    },
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows, for those who do not see it.
    pub label: String,
    /// Width in CSS pixels at its natural size; it shrinks to its place.
    pub width: u32,
    /// Height in CSS pixels at its natural size.
    pub height: u32,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// What is drawn, from back to front.
    pub marks: Vec<Mark>,
}

impl Chart {
    /// Width at which three charts stand side by side on a wide page.
    pub const WIDTH: u32 = 400;

    /// The chart as inline SVG.
    pub fn svg(&self) -> Markup {
        self.svg_under(&html! {})
    }

    /// The same with SVG elements over it, whose places are those of [`Chart::at`].
    pub fn svg_under(&self, over: &Markup) -> Markup {
        let mut buffer = String::new();
        let size = (self.width * UNITS as u32, self.height * UNITS as u32);
        let root = SVGBackend::with_string(&mut buffer, size).into_drawing_area();
        let drawn = self.draw(&root);
        drop(root);
        if drawn.is_err() {
            return html! { p { "This chart could not be drawn." } };
        }
        let elements = buffer
            .split_once('>')
            .and_then(|(_, rest)| rest.rsplit_once("</svg>"))
            .map_or("", |(elements, _)| elements);
        html! {
            svg role="img" aria-label=(self.label) viewBox={ "0 0 " (size.0) " " (size.1) } {
                (PreEscaped(page_colours(elements)))
                (over)
            }
        }
    }

    /// Where a point is drawn, in units of the drawing; `None` if it cannot be.
    pub fn at(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let [left, right] = self.margins().map(f64::from);
        let share = |axis: &Axis, value: f64| {
            let (first, last) = axis.range;
            Some((axis.place(value)? - first) / (last - first))
        };
        let width = f64::from(self.width) - left - right;
        let height = f64::from(self.height) - f64::from(ABOVE + BELOW);
        let across = left + share(&self.x, x)? * width;
        let down = f64::from(ABOVE) + (1.0 - share(&self.y, y)?) * height;
        let units = f64::from(UNITS);
        Some((across * units, down * units))
    }

    /// Room to the left and right of what is drawn, in CSS pixels.
    fn margins(&self) -> [i32; 2] {
        let widest = self.y.ticks.iter().map(|(_, label)| label.chars().count());
        // Half a label of the horizontal axis may stand out at either end.
        let half = |tick: Option<&(f64, String)>| {
            tick.map_or(0, |(_, label)| label.chars().count()) as f64 * LETTER_WIDTH / 2.0
        };
        let left = widest.max().unwrap_or(0) as f64 * LETTER_WIDTH + 8.0;
        let left = left.max(half(self.x.ticks.first())).ceil() as i32;
        let right = half(self.x.ticks.last()).max(8.0).ceil() as i32;
        [left.min(self.width as i32 / 2), right]
    }

    fn draw(&self, root: &Root) -> Drawn {
        let [left, right] = self.margins();
        let mut plane = ChartBuilder::on(root)
            .margin_left(left * UNITS)
            .margin_right(right * UNITS)
            .margin_top(ABOVE * UNITS)
            .margin_bottom(BELOW * UNITS)
            .build_cartesian_2d(
                self.x.range.0..self.x.range.1,
                self.y.range.0..self.y.range.1,
            )?;
        self.draw_grid(root, &plane)?;
        for mark in &self.marks {
            self.draw_mark(root, &mut plane, mark)?;
        }
        root.present()
    }

    fn draw_grid(&self, root: &Root, plane: &Plane) -> Drawn {
        let (x, y) = (self.x.range, self.y.range);
        let line = |from, to, ink: Ink| {
            PathElement::new(
                vec![from, to],
                style(ink, false, 1.0).stroke_width(units(1.0)),
            )
        };
        for (at, label) in &self.x.ticks {
            if self.x.grid {
                plane
                    .plotting_area()
                    .draw(&line((*at, y.0), (*at, y.1), Ink::Grid))?;
            }
            let (left, top) = plane.backend_coord(&(*at, y.0));
            let text = text_style(Ink::Quiet, HPos::Center, VPos::Top);
            root.draw_text(label, &text, (left, top + 7 * UNITS))?;
        }
        for (at, label) in &self.y.ticks {
            if self.y.grid {
                plane
                    .plotting_area()
                    .draw(&line((x.0, *at), (x.1, *at), Ink::Grid))?;
            }
            let (left, top) = plane.backend_coord(&(x.0, *at));
            let text = text_style(Ink::Quiet, HPos::Right, VPos::Center);
            root.draw_text(label, &text, (left - 7 * UNITS, top))?;
        }
        Ok(())
    }

    fn draw_mark(&self, root: &Root, plane: &mut Plane, mark: &Mark) -> Drawn {
        let place = |(x, y): (f64, f64)| self.x.place(x).zip(self.y.place(y));
        let (bottom, top) = self.y.range;
        let heights = (bottom.min(top), bottom.max(top));
        match mark {
            Mark::Line {
                points,
                ink,
                width,
                opacity,
                dashed,
            } => {
                let style = style(*ink, *dashed, *opacity).stroke_width(units(*width));
                let placed: Vec<_> = points.iter().map(|point| place(*point)).collect();
                for piece in segments(&placed, heights) {
                    plane.draw_series(LineSeries::new(piece, style))?;
                }
            }
            Mark::Dot { at, ink, radius } => {
                let inside = |at: &(f64, f64)| (heights.0..=heights.1).contains(&at.1);
                if let Some(at) = place(*at).filter(inside) {
                    draw_dot(root, plane.backend_coord(&at), *ink, *radius)?;
                }
            }
            Mark::Word { at, text } => {
                if let Some(at) = place(*at) {
                    let (left, top) = plane.backend_coord(&at);
                    let style = text_style(Ink::Text, HPos::Left, VPos::Center);
                    root.draw_text(text, &style, (left, top))?;
                }
            }
        }
        Ok(())
    }
}

fn draw_dot(root: &Root, at: (i32, i32), ink: Ink, radius: f64) -> Drawn {
    let radius = units(radius) as i32;
    let full = style(ink, false, 1.0).filled();
    match ink {
        Ink::Teacher => {
            let reach = radius * 5 / 4;
            let corners = [(0, -reach), (reach, 0), (0, reach), (-reach, 0)];
            let corners = corners.map(|(x, y)| (at.0 + x, at.1 + y));
            root.draw(&Polygon::new(corners.to_vec(), full))
        }
        Ink::Baseline => {
            root.draw(&Circle::new(at, radius, full))?;
            let hole = style(Ink::Ground, false, 1.0).filled();
            root.draw(&Circle::new(at, radius * 11 / 20, hole))
        }
        _ => root.draw(&Circle::new(at, radius, full)),
    }
}

fn units(pixels: f64) -> u32 {
    (pixels * f64::from(UNITS)).round() as u32
}

fn style(ink: Ink, dashed: bool, opacity: f64) -> ShapeStyle {
    ShapeStyle::from(ink.stand_in(dashed).mix(opacity))
}

fn text_style(ink: Ink, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    // plotters divides by 1.24 before it writes the font size.
    ("sans-serif", LETTERS * f64::from(UNITS) * 1.24)
        .into_font()
        .color(&ink.stand_in(false))
        .pos(Pos::new(horizontal, vertical))
}

/// Replaces the stand-in colours and drops attributes that the style sheet sets. Texts cannot be
/// hit: quotes inside them are escaped.
fn page_colours(elements: &str) -> String {
    let mut text = elements
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\" stroke-width=\"1\"", "")
        .replace(" font-family=\"sans-serif\"", "");
    for ink in Ink::ALL {
        for dashed in [false, true] {
            let RGBColor(red, green, blue) = ink.stand_in(dashed);
            let colour = format!("\"#{red:02X}{green:02X}{blue:02X}\"");
            let variable = ink.variable();
            let dashes = if dashed {
                format!(" stroke-dasharray=\"{DASHES}\"")
            } else {
                String::new()
            };
            text = text
                .replace(&format!("fill={colour}"), &format!("fill=\"{variable}\""))
                .replace(
                    &format!("stroke={colour}"),
                    &format!("stroke=\"{variable}\"{dashes}"),
                );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(marks: Vec<Mark>) -> Chart {
        Chart {
            label: "a <chart>".into(),
            width: Chart::WIDTH,
            height: 200,
            x: Axis::between(0.0, 2.0, 4),
            y: Axis::between(0.0, 2.0, 4),
            marks,
        }
    }

    #[test]
    fn colours_become_variables_and_text_stays_text() {
        let svg = chart(vec![
            Mark::Line {
                points: vec![(0.0, 0.0), (1.0, 1.0)],
                ink: Ink::Teacher,
                width: 2.0,
                opacity: 1.0,
                dashed: true,
            },
            Mark::Dot {
                at: (1.0, 1.0),
                ink: Ink::Student,
                radius: 4.0,
            },
            Mark::Word {
                at: (1.0, 1.0),
                text: "fill=\"#00002A\" <b>".into(),
            },
        ])
        .svg()
        .into_string();
        assert!(svg.contains("stroke=\"var(--teacher)\" stroke-dasharray"));
        assert!(svg.contains("fill=\"var(--student)\""));
        assert!(svg.contains("fill=&quot;#00002A&quot; &lt;b&gt;"));
        assert!(svg.contains("aria-label=\"a &lt;chart&gt;\""));
        assert!(!svg.contains("\"#0"), "a stand-in colour is left: {svg}");
        assert!(!svg.contains("http"));
    }

    /// Dots that are drawn by hand lie where plotters draws them, which rounds to whole units.
    #[test]
    fn places_are_those_of_the_drawing() {
        let chart = chart(vec![Mark::Dot {
            at: (0.5, 1.5),
            ink: Ink::Student,
            radius: 4.0,
        }]);
        let (x, y) = chart.at((0.5, 1.5)).unwrap();
        let svg = chart.svg().into_string();
        let attribute = |name: &str| -> f64 {
            let (_, rest) = svg.split_once(&format!("{name}=\"")).unwrap();
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        assert!((attribute("cx") - x).abs() <= 2.0 && (attribute("cy") - y).abs() <= 2.0);
        assert_eq!(chart.at((f64::NAN, 1.0)), None);
    }

    #[test]
    fn a_line_is_broken_where_a_value_is_not_finite() {
        let svg = chart(vec![Mark::Line {
            points: vec![
                (0.0, 0.0),
                (0.5, 1.0),
                (1.0, f64::NAN),
                (1.5, 1.0),
                (2.0, 0.0),
            ],
            ink: Ink::Student,
            width: 2.0,
            opacity: 1.0,
            dashed: false,
        }])
        .svg()
        .into_string();
        assert_eq!(svg.matches("stroke=\"var(--student)\"").count(), 2);
    }
}
