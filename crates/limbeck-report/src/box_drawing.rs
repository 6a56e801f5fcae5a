//! A picture with boxes over it, as inline SVG.

use maud::{Markup, html};

use crate::numbers::fixed;
use crate::palette::Palette;
use crate::results::{BoxKind, DrawnBox};

/// Greatest side of a picture, in pixels, beyond which sizes are not believed.
const LARGEST: usize = 1 << 14;
/// A letter's height as a share of the picture's longer side.
const LETTER: f64 = 1.0 / 26.0;
/// A letter's width as a share of its height.
const LETTER_WIDTH: f64 = 0.58;

/// Whether a picture can have this height and width.
pub fn is_drawable(size: [usize; 2]) -> bool {
    size.iter().all(|side| (1..=LARGEST).contains(side))
}

/// `picture`, an element of SVG of this height and width, with boxes over it, the first on top; `label` says
/// what is seen, `name` how a class is called.
pub fn boxes_over(
    picture: &Markup,
    label: &str,
    size: [usize; 2],
    boxes: &[DrawnBox],
    name: &dyn Fn(usize) -> String,
    palette: &Palette,
) -> Markup {
    let [height, width] = size;
    let letter = height.max(width) as f64 * LETTER;
    let is_there = |drawn: &&DrawnBox| {
        let mut bounds = drawn.bounds.iter();
        bounds.all(|at| at.is_finite() && at.abs() <= LARGEST as f64)
    };
    html! {
        svg.boxes role="img" viewBox={ "0 0 " (width) " " (height) } aria-label=(label)
            style={ "--letter:" (format!("{letter:.1}px")) } {
            (picture)
            @for drawn in boxes.iter().rev().filter(is_there) {
                (frame(drawn, letter, size, name(drawn.class), palette))
            }
        }
    }
}

fn frame(
    drawn: &DrawnBox,
    letter: f64,
    [height, width]: [usize; 2],
    name: String,
    palette: &Palette,
) -> Markup {
    let [left, top, right, bottom] = drawn.bounds;
    let (wide, high) = ((right - left).max(0.0), (bottom - top).max(0.0));
    let score = drawn.score.filter(|score| score.is_finite());
    let score = score.map(|score| fixed(score, 2));
    let whole = match &score {
        Some(score) => format!("{name} {score}"),
        None => name,
    };
    let fits = |text: &String| text.chars().count() as f64 * letter * LETTER_WIDTH <= wide;
    // What does not fit into a box would cover its neighbours.
    let label = [Some(whole.clone()), score]
        .into_iter()
        .flatten()
        .find(fits);
    let label = label.filter(|_| high >= 1.6 * letter);
    let baseline = (top.max(0.0) + letter).min(height as f64);
    let start = left.clamp(0.0, width as f64) + letter * 0.2;
    let kind = match drawn.kind {
        BoxKind::Right => "right",
        BoxKind::Wrong => "wrong",
        BoxKind::Aside => "aside",
    };
    let number = |value: f64| format!("{value:.1}");
    html! {
        g class=(kind) style={ "--colour:" (palette.hex(drawn.class)) } {
            title { (whole) @if drawn.kind == BoxKind::Wrong { ", wrong" } @else if drawn.kind == BoxKind::Aside { ", counts nowhere" } }
            rect.under x=(number(left)) y=(number(top)) width=(number(wide)) height=(number(high)) {}
            rect x=(number(left)) y=(number(top)) width=(number(wide)) height=(number(high)) {}
            @if let Some(label) = label {
                text x=(number(start)) y=(number(baseline)) { (label) }
            }
        }
    }
}
