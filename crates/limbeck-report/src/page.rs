//! The page around everything: one HTML file that loads nothing.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::classes::classes;
use super::classification::{calibration, confusion};
use super::comparison::comparison;
use super::curves::curves;
use super::disagreements::disagreements;
use super::headline::headline;
use super::provenance::provenance;
use super::seeds::seeds;
use super::summary::summary;
use crate::results::Results;

/// Allows the page nothing but its own style sheet and the pictures inside it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const STYLE: &str = include_str!("style.css");

/// The report of one run: a self-contained HTML page.
pub fn render(results: &Results) -> String {
    let headline = headline(results);
    let sections = [
        ("comparison", "Side by side", comparison(results)),
        ("seeds", "Seeds", seeds(results)),
        ("training", "Training", curves(results)),
        ("disagreements", "Disagreements", disagreements(results)),
        ("classes", "Classes", classes(results)),
        ("calibration", "Calibration", calibration(results)),
        ("confusion", "Confusion", confusion(results)),
        ("provenance", "How it was made", provenance(results)),
    ];
    let links: Vec<(&str, &str)> = sections
        .iter()
        .filter(|(_, _, content)| !content.0.is_empty())
        .map(|(id, name, _)| (*id, *name))
        .collect();
    let [
        comparison,
        seeds,
        training,
        disagreements,
        classes,
        calibration,
        confusion,
        provenance,
    ] = sections.map(|(_, _, content)| content);
    let body = html! {
        (summary(results, &headline))
        nav aria-label="Sections" {
            ul {
                @for (id, name) in &links { li { a href={ "#" (id) } { (name) } } }
            }
        }
        main {
            (beside(&comparison, &seeds))
            (training)
            (disagreements)
            (beside(&classes, &calibration))
            (confusion)
            (provenance)
        }
    };
    page(&format!("{} · Limbeck report", results.run), &body)
}

/// Two sections beside each other where the page is wide enough.
fn beside(one: &Markup, two: &Markup) -> Markup {
    let both = !one.0.is_empty() && !two.0.is_empty();
    html! { div.pair[both] { (one) (two) } }
}

/// A whole page with the given title and body.
pub fn page(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "Limbeck " (env!("CARGO_PKG_VERSION")) };
                // Keeps browsers from asking the network for an icon.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                div.page {
                    (body)
                    footer { "Limbeck " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    }
    .into_string()
}

/// With hyphens that no line ends at where a single digit follows: `top-1` stays whole.
pub fn unbroken(title: &str) -> String {
    let letters: Vec<char> = title.chars().collect();
    let single_digit = |place: usize| {
        let is = |place: usize, of: fn(&char) -> bool| letters.get(place).is_some_and(of);
        is(place, char::is_ascii_digit) && !is(place + 1, |letter| letter.is_alphanumeric())
    };
    let kept = |(place, &letter): (usize, &char)| match letter {
        '-' if single_digit(place + 1) => '\u{2011}',
        letter => letter,
    };
    letters.iter().enumerate().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_with_a_digit_stay_whole_and_names_of_runs_as_they_are() {
        assert_eq!(
            unbroken("best top-1 accuracy"),
            "best top\u{2011}1 accuracy"
        );
        assert_eq!(
            unbroken("kd-resnet8-20261122-0830"),
            "kd-resnet8-20261122-0830"
        );
    }
}
