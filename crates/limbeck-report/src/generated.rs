//! Images that a method has made, beside the real ones that guided them.

use maud::{Markup, html};

use crate::numbers::{count, percent};
use crate::picture::is_base64;
use crate::results::{GeneratedImage, Results};

/// Pictures up to this height and width are shown with their pixels sharp.
const SMALL: usize = 96;

/// The pairs; nothing of a run whose method makes no images.
pub fn generated(results: &Results) -> Markup {
    let shown = &results.generated;
    if shown.is_empty() {
        return html! {};
    }
    html! {
        section #generated aria-labelledby="generated-title" {
            h2 #generated-title { "Images that the student has learnt from besides" }
            p { (sentence(shown)) }
            ul.pictures {
                @for (place, case) in shown.iter().enumerate() { (pair(results, place, case)) }
            }
        }
    }
}

fn sentence(shown: &[GeneratedImage]) -> String {
    let of_class = shown
        .iter()
        .filter(|case| case.chosen.0 == case.made_for)
        .count();
    let others = shown
        .iter()
        .filter(|case| case.label != case.made_for)
        .count();
    let meant = match others {
        0 => String::new(),
        _ => format!(
            " {} of them were made for another class than their guide's.",
            count(others as u64)
        ),
    };
    format!(
        "The first {} of the first seed, each beside the training image that guided it. For the network \
         that they were made with, {} are of the class that they were made for.{meant}",
        count(shown.len() as u64),
        count(of_class as u64)
    )
}

fn pair(results: &Results, place: usize, case: &GeneratedImage) -> Markup {
    let [_, height, width] = results.data.shape;
    let small = height.max(width) <= SMALL;
    let name = |class| results.data.class_name(class);
    let (chosen, probability) = case.chosen;
    let right = chosen == case.made_for;
    html! {
        li.picture.guided {
            div.beside {
                (picture(&case.guide, small, &format!("Training image of class {}", name(case.label))))
                (picture(&case.png, small, &format!("Image {} made for class {}", place + 1, name(case.made_for))))
            }
            p.label {
                (name(case.label))
                @if case.label != case.made_for { " → " (name(case.made_for)) }
                small { "guide · made" }
            }
            dl {
                div.right[right] {
                    dt { "Seen as" }
                    dd {
                        span.verdict aria-hidden="true" { @if right { "✓" } @else { "✗" } }
                        span.unseen { @if right { "as meant: " } @else { "not as meant: " } }
                        span.name { (name(chosen)) }
                        span.number { (percent(probability * 100.0, 0)) }
                    }
                }
            }
        }
    }
}

fn picture(png: &str, small: bool, alt: &str) -> Markup {
    html! {
        @if is_base64(png) {
            img.sharp[small] src={ "data:image/png;base64," (png) } alt=(alt);
        } @else {
            div.blank { "no picture" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(label: usize, made_for: usize, chosen: usize) -> GeneratedImage {
        GeneratedImage {
            label,
            made_for,
            chosen: (chosen, 0.75),
            guide: "R1VJREU=".to_owned(),
            png: "TUFERQ==".to_owned(),
        }
    }

    #[test]
    fn pairs_are_shown_with_what_they_are_seen_as_and_nothing_where_there_are_none() {
        let mut results = Results::default();
        assert!(generated(&results).0.is_empty());
        results.data.classes = ["cat", "dog", "owl"].map(str::to_owned).to_vec();
        results.generated = vec![case(0, 0, 0), case(1, 2, 1)];
        let page = generated(&results).into_string();
        for words in [
            "The first 2 of the first seed",
            "1 are of the class that they were made for",
            "1 of them were made for another class",
            "dog → owl",
            "R1VJREU=",
            "TUFERQ==",
            "not as meant: ",
            "75",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
    }

    #[test]
    fn pictures_that_are_no_base64_are_left_out() {
        let results = Results {
            generated: vec![GeneratedImage {
                png: "\"><script>".to_owned(),
                ..case(0, 0, 0)
            }],
            ..Results::default()
        };
        let page = generated(&results).into_string();
        assert!(page.contains("no picture") && !page.contains("<script>"));
    }
}
