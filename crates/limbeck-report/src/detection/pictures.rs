//! Pictures with the right boxes and those of the networks, where these differ most.

use maud::{Markup, html};

use crate::box_drawing::{boxes_over, is_drawable};
use crate::numbers::{count, counted};
use crate::palette::Palette;
use crate::picture::is_base64;
use crate::results::{BoxKind, DetectedPicture, DrawnBox, Results};
use crate::side::is_plain;

/// Pictures that are shown.
const SHOWN: usize = 12;
/// Classes that the legend names.
const NAMED: usize = 32;

/// The pictures; nothing where there are none.
pub fn pictures(results: &Results) -> Markup {
    if results.detected.is_empty() {
        return html! {};
    }
    let shown = &results.detected[..results.detected.len().min(SHOWN)];
    let palette = Palette::of(&results.data.classes);
    html! {
        section #pictures aria-labelledby="pictures-title" {
            h2 #pictures-title { (title(shown, results)) }
            p {
                "Test images with the boxes that "
                @if is_plain(results) { "the network finds" } @else { "the networks of the first seed find" }
                " with a score of 0.25 or more. Dashed boxes are wrong: no object of that class overlaps them by more than \
                 half, or it was found already. Dotted boxes count nowhere: crowds, difficult objects, and what was found \
                 on them."
            }
            (colours(shown, results, &palette))
            ul.scenes {
                @for (place, case) in shown.iter().enumerate() { (scene(place, case, results, &palette)) }
            }
        }
    }
}

/// By what the pictures were chosen.
fn title(shown: &[DetectedPicture], results: &Results) -> &'static str {
    if shown.iter().any(|case| case.baseline.is_some()) {
        "Where student and baseline differ most"
    } else if shown.iter().any(|case| case.teacher.is_some()) {
        "Where student and teacher differ most"
    } else if is_plain(results) {
        "Where the network is wrong most"
    } else {
        "Where the student is wrong most"
    }
}

/// The boxes of a picture by who has them.
fn panels<'a>(case: &'a DetectedPicture, results: &Results) -> Vec<(&'static str, &'a [DrawnBox])> {
    let student = if is_plain(results) {
        "Network"
    } else {
        "Student"
    };
    let found = [
        ("Teacher", &case.teacher),
        (student, &case.student),
        ("Baseline", &case.baseline),
    ];
    let found = found
        .into_iter()
        .filter_map(|(who, boxes)| Some((who, boxes.as_deref()?)));
    std::iter::once(("Right boxes", case.truth.as_slice()))
        .chain(found)
        .collect()
}

/// The classes that are in the pictures with their colours; of many, the first.
fn colours(shown: &[DetectedPicture], results: &Results, palette: &Palette) -> Markup {
    let panels = shown.iter().flat_map(|case| panels(case, results));
    let mut named: Vec<usize> = panels
        .flat_map(|(_, boxes)| boxes.iter().map(|drawn| drawn.class))
        .collect();
    named.sort_unstable();
    named.dedup();
    let others = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    html! {
        ul.legend.colours {
            @for &class in &named {
                li {
                    span.chip style={ "--colour:" (palette.hex(class)) } {}
                    (results.data.class_name(class))
                }
            }
            @if others > 0 { li { "and " (counted(others, "other")) } }
        }
    }
}

fn scene(place: usize, case: &DetectedPicture, results: &Results, palette: &Palette) -> Markup {
    let panels = panels(case, results);
    let objects = of_kind(&case.truth, BoxKind::Right);
    html! {
        li.scene style={ "--panels:" (panels.len()) } {
            @for (number, (who, boxes)) in panels.iter().enumerate() {
                div.panel {
                    @if is_base64(&case.png) && is_drawable(case.size) {
                        (drawing(place, number == 0, who, boxes, case, results, palette))
                    } @else {
                        div.blank { "no picture" }
                    }
                    p {
                        (who)
                        @if number == 0 {
                            " " small { (counted(objects, "object")) } small { (case.name) }
                        } @else {
                            " " small { (told(boxes, objects)) }
                        }
                    }
                }
            }
        }
    }
}

fn of_kind(boxes: &[DrawnBox], kind: BoxKind) -> usize {
    boxes.iter().filter(|drawn| drawn.kind == kind).count()
}

/// `3 right, 1 wrong, 2 missed`.
fn told(boxes: &[DrawnBox], objects: usize) -> String {
    let (right, wrong) = (
        of_kind(boxes, BoxKind::Right),
        of_kind(boxes, BoxKind::Wrong),
    );
    let missed = objects.saturating_sub(right);
    let number = |number: usize| count(number as u64);
    format!(
        "{} right, {} wrong, {} missed",
        number(right),
        number(wrong),
        number(missed)
    )
}

/// The picture with boxes. Its file is in the first panel; the others use that one.
fn drawing(
    place: usize,
    first: bool,
    who: &str,
    boxes: &[DrawnBox],
    case: &DetectedPicture,
    results: &Results,
    palette: &Palette,
) -> Markup {
    let [height, width] = case.size;
    let id = format!("picture-{place}");
    let picture = html! {
        @if first {
            image id=(id) width=(width) height=(height) href={ "data:image/png;base64," (case.png) } {}
        } @else {
            use href={ "#" (id) } {}
        }
    };
    let label = format!("{who} in test image {}", count(case.index as u64));
    let name = |class: usize| results.data.class_name(class);
    boxes_over(&picture, &label, case.size, boxes, &name, palette)
}
