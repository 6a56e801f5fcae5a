//! Test images with the training images that are nearest to them.

use maud::{Markup, html};

use super::found::{Neighbour, Neighbourhood, Pretrained};
use crate::numbers::{count, fixed};
use crate::picture::{is_base64, is_sharp};
use crate::results::Results;
use crate::side::{Role, is_plain, swatch};

/// The pictures; nothing where there are none.
pub fn neighbours(found: &Pretrained, results: &Results) -> Markup {
    let cases = &found.neighbourhoods;
    if cases.is_empty() {
        return html! {};
    }
    let labelled = cases.iter().all(|case| case.label.is_some());
    html! {
        section #neighbours aria-labelledby="neighbours-title" {
            h2 #neighbours-title { "Nearest training images" }
            p {
                "Test images, and the training images whose embeddings point most nearly the same way, the nearest "
                "first; the number is the cosine."
                @if labelled {
                    " ✓ is of the test image's class, ✗ of another. " (shares(found, results))
                }
            }
            ul.neighbourhoods {
                @for case in cases { (neighbourhood(case, found, results)) }
            }
        }
    }
}

/// What each network's part in the pictures is.
fn by_network<'a>(
    case: &'a Neighbourhood,
    results: &Results,
) -> Vec<(Role, &'static str, &'a [Neighbour])> {
    let student = if is_plain(results) {
        "Network"
    } else {
        "Student"
    };
    let all = [
        (Role::Teacher, "Teacher", &case.teacher[..]),
        (Role::Student, student, &case.student[..]),
        (Role::Baseline, "Baseline", &case.baseline[..]),
    ];
    let all = all.into_iter();
    all.filter(|(_, _, near)| !near.is_empty()).collect()
}

/// How many of the neighbours shown are of the right class, by network.
fn shares(found: &Pretrained, results: &Results) -> String {
    let Some(first) = found.neighbourhoods.first() else {
        return String::new();
    };
    let networks = by_network(first, results);
    let told = networks.iter().map(|(role, who, _)| {
        let (mut right, mut all) = (0, 0);
        for case in &found.neighbourhoods {
            let near = by_network(case, results);
            let near = near.into_iter().filter(|(other, ..)| other == role);
            for neighbour in near.flat_map(|(_, _, near)| near) {
                all += 1;
                right += usize::from(neighbour.label == case.label);
            }
        }
        format!("{who} {right} of {all}")
    });
    format!("Right here: {}.", told.collect::<Vec<_>>().join(", "))
}

fn neighbourhood(case: &Neighbourhood, found: &Pretrained, results: &Results) -> Markup {
    let name = case.label.map(|label| class_name(found, label));
    let sharp = is_sharp(results.data.shape);
    html! {
        li {
            div.query {
                (picture(&case.png, &format!("Test image {}", case.index), sharp))
                p {
                    @if let Some(name) = &name { (name) }
                    small { "image\u{a0}" (count(case.index as u64)) }
                }
            }
            div.near {
                @for (role, who, near) in by_network(case, results) {
                    p { (swatch(role)) (who) }
                    ol {
                        @for neighbour in near { (shown(neighbour, case.label, found, sharp)) }
                    }
                }
            }
        }
    }
}

fn shown(neighbour: &Neighbour, label: Option<usize>, found: &Pretrained, sharp: bool) -> Markup {
    let name = neighbour.label.map(|label| class_name(found, label));
    let right = neighbour.label.zip(label).map(|(own, label)| own == label);
    let alt = match &name {
        Some(name) => format!("Training image of class {name}"),
        None => "Training image".to_owned(),
    };
    html! {
        li.right[right == Some(true)].wrong[right == Some(false)] title=[name] {
            (picture(&neighbour.png, &alt, sharp))
            p {
                @if let Some(right) = right {
                    span.verdict aria-hidden="true" { @if right { "✓" } @else { "✗" } }
                    span.unseen { @if right { "right " } @else { "wrong " } }
                }
                (fixed(neighbour.cosine, 2))
            }
        }
    }
}

fn picture(png: &str, alt: &str, sharp: bool) -> Markup {
    html! {
        @if is_base64(png) {
            img.sharp[sharp] src={ "data:image/png;base64," (png) } alt=(alt);
        } @else {
            div.blank { "no picture" }
        }
    }
}

/// A class's name; its number where there is none.
fn class_name(found: &Pretrained, class: usize) -> String {
    match found.classes.get(class) {
        Some(name) if !name.trim().is_empty() => name.clone(),
        _ => format!("class {class}"),
    }
}
