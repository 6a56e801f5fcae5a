//! The page around everything: one HTML file that loads nothing.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::classification;
use super::comparison::comparison;
use super::curves::curves;
use super::detection;
use super::generated::generated;
use super::headline::headline;
use super::pretraining;
use super::prototypes::prototypes;
use super::provenance::provenance;
use super::section::Section;
use super::seeds::seeds;
use super::segmentation;
use super::summary::summary;
use crate::results::Results;

/// Allows the page nothing but its own style sheet and the pictures inside it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const STYLE: &str = include_str!("style.css");

/// The report of one run: a self-contained HTML page.
pub fn render(results: &Results) -> String {
    let headline = headline(results);
    let mut rows = vec![
        vec![
            Section::new("comparison", "Side by side", comparison(results)),
            Section::new("seeds", "Seeds", seeds(results)),
        ],
        vec![Section::new("training", "Training", curves(results))],
    ];
    rows.extend(match &results.pretrained {
        Some(found) => pretraining::rows(found, results),
        None if segmentation::is_of(results) => segmentation::rows(results),
        None if detection::is_of(results) => detection::rows(results),
        None => classification::rows(results),
    });
    rows.push(vec![Section::new(
        "prototypes",
        "Prototypes",
        prototypes(results),
    )]);
    rows.push(vec![Section::new(
        "generated",
        "Generated images",
        generated(results),
    )]);
    rows.push(vec![Section::new(
        "provenance",
        "How it was made",
        provenance(results),
    )]);
    let there = rows.iter().flatten().filter(|section| section.is_there());
    let body = html! {
        (summary(results, &headline))
        nav aria-label="Sections" {
            ul {
                @for section in there { li { a href={ "#" (section.id) } { (section.name) } } }
            }
        }
        main { @for row in &rows { (side_by_side(row)) } }
    };
    page(&format!("{} · Limbeck report", results.run), &body)
}

/// A row of the page: one section, or two beside each other where the page is wide enough.
fn side_by_side(row: &[Section]) -> Markup {
    let content = html! { @for section in row { (section.content) } };
    if row.len() < 2 {
        return content;
    }
    let several = row.iter().filter(|section| section.is_there()).count() > 1;
    html! { div.pair[several] { (content) } }
}

/// A whole page with the given title and body.
pub fn page(title: &str, body: &Markup) -> String {
    page_with(title, "", body)
}

/// The same with rules of its own after those of all pages.
pub fn page_with(title: &str, rules: &str, body: &Markup) -> String {
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
                style { (PreEscaped(STYLE)) (PreEscaped(rules)) }
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
