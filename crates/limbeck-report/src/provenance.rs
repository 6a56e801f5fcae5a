//! How the run was made and how to make it again: data, layer pairs, command, recipe, machine.

use maud::{Markup, html};

use super::numbers::{count, counted, duration, percent, significant};
use super::statistics::mean;
use crate::results::{EpochRow, Results};

/// Everything that is needed to make the run again.
pub fn provenance(results: &Results) -> Markup {
    html! {
        section #provenance aria-labelledby="provenance-title" {
            h2 #provenance-title { "How it was made" }
            @if !results.command.is_empty() {
                h3 { "Run it again" }
                (command(&results.command))
            }
            div.columns {
                div {
                    h3 { "Data" }
                    (table("Data", &data(results)))
                }
                @if !results.pairs.is_empty() {
                    div { (pairs(results)) }
                }
                div {
                    h3 { "Machine" }
                    (table("Machine", &machine(results)))
                }
            }
            @if !results.recipe.trim().is_empty() {
                h3 { "Resolved recipe" }
                p { "Every setting of the run, defaults included. Saved as a file, it runs again with --recipe." }
                pre.recipe tabindex="0" { code { (results.recipe.trim()) } }
            }
        }
    }
}

/// A command line that wraps between words, not inside them.
pub fn command(line: &str) -> Markup {
    html! {
        pre.command tabindex="0" {
            code { @for word in line.split_inclusive(' ') { span { (word.trim_end()) } @if word.ends_with(' ') { " " } } }
        }
    }
}

fn data(results: &Results) -> Vec<(String, String)> {
    let data = &results.data;
    let [channels, height, width] = data.shape;
    let images = |number: usize| counted(number, "image");
    vec![
        ("Data set".into(), data.name.clone()),
        ("Classes".into(), count(data.classes.len() as u64)),
        ("Training".into(), images(data.train)),
        ("Validation".into(), images(data.validation)),
        ("Test".into(), images(data.test)),
        (
            "Student's input".into(),
            format!("{} of {height} × {width}", counted(channels, "channel")),
        ),
    ]
}

fn machine(results: &Results) -> Vec<(String, String)> {
    let rows = || results.students.iter().flat_map(|run| &run.epochs);
    let average = |of: fn(&EpochRow) -> f64| mean(&rows().map(of).collect::<Vec<_>>());
    let mut lines = vec![("Whole run".into(), duration(results.seconds))];
    if let Some(speed) = average(|row| row.images_per_second) {
        lines.push((
            "Training speed".into(),
            format!("{} images/s", significant(speed)),
        ));
    }
    if let Some(wait) = average(|row| row.data_wait) {
        lines.push(("Waiting for data".into(), percent(wait, 1)));
    }
    let environment = results.environment.iter();
    lines.extend(environment.map(|(name, value)| (name.clone(), value.clone())));
    lines
}

fn table(name: &str, lines: &[(String, String)]) -> Markup {
    html! {
        table.facts aria-label=(name) {
            tbody {
                @for (name, value) in lines {
                    tr { th scope="row" { (name) } td { (value) } }
                }
            }
        }
    }
}

fn pairs(results: &Results) -> Markup {
    html! {
        h3 { "Layer pairs" }
        table.facts {
            thead { tr { th scope="col" { "Student" } th scope="col" { @if results.teacher.is_some() { "Teacher" } @else { "Compared with" } } } }
            tbody {
                @for (student, teacher) in &results.pairs {
                    tr { td { code { (student) } } td { code { (teacher) } } }
                }
            }
        }
    }
}
