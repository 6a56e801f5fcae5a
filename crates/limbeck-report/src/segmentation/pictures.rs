//! Pictures with the right mask and those of the networks, where these differ most.

use maud::{Markup, html};

use crate::confusion::confused;
use crate::numbers::{count, percent};
use crate::palette::Palette;
use crate::picture::is_base64;
use crate::results::{DrawnMask, Results, SegmentedPicture};
use crate::side::{is_plain, sides};

/// Pictures that are shown.
const SHOWN: usize = 12;
/// Pictures up to this height and width are shown with their pixels sharp.
const SMALL: usize = 96;
/// Classes that the legend names.
const NAMED: usize = 32;

/// The pictures; nothing where there are none.
pub fn pictures(results: &Results) -> Markup {
    if results.segmented.is_empty() {
        return html! {};
    }
    let shown = &results.segmented[..results.segmented.len().min(SHOWN)];
    let sharp = shown
        .iter()
        .all(|case| case.size.iter().all(|&side| side <= SMALL));
    html! {
        section #pictures aria-labelledby="pictures-title" {
            h2 #pictures-title { (title(shown, results)) }
            p {
                "Test images with the masks that "
                @if is_plain(results) { "the network gives" } @else { "the networks of the first seed give" }
                " them, and the mean IoU that each reaches in that picture alone. Hatched pixels are void: they have no "
                "class, and count nowhere."
            }
            (colours(results))
            ul.scenes {
                @for case in shown { (scene(case, sharp, results)) }
            }
        }
    }
}

/// By what the pictures were chosen.
fn title(shown: &[SegmentedPicture], results: &Results) -> &'static str {
    let any = |mask: fn(&SegmentedPicture) -> &Option<DrawnMask>| {
        shown.iter().any(|case| mask(case).is_some())
    };
    if any(|case| &case.baseline) {
        "Where student and baseline differ most"
    } else if any(|case| &case.teacher) {
        "Where student and teacher differ most"
    } else if is_plain(results) {
        "Where the network is wrong most"
    } else {
        "Where the student is wrong most"
    }
}

/// The classes with their colours; of many, those with most pixels.
fn colours(results: &Results) -> Markup {
    let classes = results.data.classes.len();
    let palette = Palette::of(&results.data.classes);
    let mut named: Vec<usize> = (0..classes).collect();
    if classes > NAMED {
        let counts = sides(results)
            .iter()
            .map(confused)
            .find(|all| !all.is_empty());
        let pixels = |class: &usize| {
            let row = counts.as_ref().and_then(|all| all.get(*class));
            row.map_or(0, |row| {
                row.values().fold(0, |sum: u64, &n| sum.saturating_add(n))
            })
        };
        named.sort_by_key(|class| std::cmp::Reverse(pixels(class)));
        named.truncate(NAMED);
        named.sort_unstable();
    }
    html! {
        ul.legend.colours {
            @for &class in &named {
                li {
                    span.chip style={ "--colour:" (palette.hex(class)) } {}
                    (results.data.class_name(class))
                }
            }
            @if named.len() < classes { li { "and " (count((classes - named.len()) as u64)) " rarer ones" } }
            li { span.chip.void {} "void" }
        }
    }
}

fn scene(case: &SegmentedPicture, sharp: bool, results: &Results) -> Markup {
    let student = if is_plain(results) {
        "Network"
    } else {
        "Student"
    };
    let masks = [
        ("Right mask", &case.truth),
        ("Teacher", &case.teacher),
        (student, &case.student),
        ("Baseline", &case.baseline),
    ];
    let masks: Vec<_> = masks
        .into_iter()
        .filter_map(|(who, mask)| Some((who, mask.as_ref()?)))
        .collect();
    let best = masks
        .iter()
        .filter(|(who, _)| *who == student || *who == "Baseline")
        .filter_map(|(_, mask)| mask.miou)
        .fold(f64::NEG_INFINITY, f64::max);
    html! {
        li.scene style={ "--panels:" (masks.len() + 1) } {
            (panel("Image", &case.png, case, sharp, html! { small { (case.name) } }))
            @for (who, mask) in &masks {
                @let wins = masks.len() > 2 && mask.miou == Some(best) && *who != "Teacher";
                (panel(who, &mask.png, case, sharp, html! {
                    @if let Some(miou) = mask.miou {
                        span.number.best[wins] { (percent(miou, 1)) }
                    }
                }))
            }
        }
    }
}

fn panel(who: &str, png: &str, case: &SegmentedPicture, sharp: bool, told: Markup) -> Markup {
    let [height, width] = case.size;
    let is_mask = who != "Image";
    html! {
        div.panel {
            @if is_base64(png) {
                img.mask[is_mask].sharp[sharp || is_mask] width=(width) height=(height)
                    src={ "data:image/png;base64," (png) }
                    alt={ (who) " of test image " (count(case.index as u64)) };
            } @else {
                div.blank { "no picture" }
            }
            p { (who) " " (told) }
        }
    }
}
