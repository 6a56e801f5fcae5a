//! Test images with a part hidden, and what networks make of the rest.

use maud::{Markup, html};

use super::found::{Pretrained, Reconstructed, Redrawn};
use crate::numbers::{count, percent};
use crate::picture::{is_base64, is_sharp};
use crate::results::Results;
use crate::side::is_plain;

/// The pictures; nothing of methods that hide nothing.
pub fn reconstructions(found: &Pretrained, results: &Results) -> Markup {
    if found.reconstructions.is_empty() {
        return html! {};
    }
    html! {
        section #reconstructions aria-labelledby="reconstructions-title" {
            h2 #reconstructions-title { "What is made of the hidden patches" }
            p {
                "Test images, what was left to see of them, and how they were reconstructed from that after the "
                "last step of the first seed. Below each: how far its hidden pixels are from the right ones, the "
                "root of the mean square, in percent of the way from black to white."
                @if found.standardised {
                    " The method learns patches without their mean and contrast; both are the image's own here."
                }
            }
            ul.reconstructed {
                @for case in &found.reconstructions { (row(case, results)) }
            }
        }
    }
}

fn row(case: &Reconstructed, results: &Results) -> Markup {
    let student = if is_plain(results) {
        "Network"
    } else {
        "Student"
    };
    let made = [
        (student, Some(&case.student)),
        ("Baseline", case.baseline.as_ref()),
    ];
    let made: Vec<(&str, &Redrawn)> = made
        .into_iter()
        .filter_map(|(who, made)| Some((who, made?)))
        .collect();
    let sharp = is_sharp(results.data.shape);
    let least = made
        .iter()
        .map(|(_, made)| made.error)
        .fold(f64::INFINITY, f64::min);
    html! {
        li style={ "--panels:" (made.len() + 2) } {
            (panel("Image", &case.png, case.index, sharp, html! {}))
            (panel("Seen", &case.masked, case.index, sharp, html! {}))
            @for (who, redrawn) in &made {
                @let wins = made.len() > 1 && redrawn.error == least;
                (panel(who, &redrawn.png, case.index, sharp, html! {
                    span.number.best[wins] { (percent(redrawn.error, 1)) }
                }))
            }
        }
    }
}

fn panel(who: &str, png: &str, index: usize, sharp: bool, told: Markup) -> Markup {
    html! {
        div.panel {
            @if is_base64(png) {
                img.sharp[sharp] src={ "data:image/png;base64," (png) }
                    alt={ (who) " of test image " (count(index as u64)) };
            } @else {
                div.blank { "no picture" }
            }
            p { (who) " " (told) }
        }
    }
}
