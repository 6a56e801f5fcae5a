//! The page of classes that were learnt in steps.

use maud::{Markup, html};

use super::panels::panels;
use super::results::ContinualResults;
use super::ways::{Of, Way, way, ways};
use crate::gain::paired_gain;
use crate::numbers::{MISSING, counted, fixed, interval, percent, signed};
use crate::page::page;
use crate::provenance::command;
use crate::section::Section;
use crate::side::{Role, swatch};
use crate::tile::{self, Tile};
use crate::title::unbroken;

/// Decimals of percentages and points.
const DIGITS: usize = 1;
/// Class names that a row of the table lists.
const LISTED: usize = 4;

/// The report of one sequence of steps: a self-contained HTML page.
pub fn render_continual(results: &ContinualResults) -> String {
    let ways = ways(results);
    let sections = [
        Section::new("steps", "After each step", steps(results, &ways)),
        Section::new("classes", "Class by class", classes(results, &ways)),
        Section::new("provenance", "How it was made", provenance(results)),
    ];
    let there = sections.iter().filter(|section| section.is_there());
    let body = html! {
        (top(results, &ways))
        nav aria-label="Sections" {
            ul { @for section in there { li { a href={ "#" (section.id) } { (section.name) } } } }
        }
        main { @for section in &sections { (section.content) } }
    };
    page(&format!("{} · Limbeck report", results.run), &body)
}

/// The last step that the method has been measured after.
fn reached(results: &ContinualResults, ways: &[Way]) -> Option<usize> {
    let method = way(ways, Role::Student)?;
    (0..results.steps()).rev().find(|&step| method.has(step))
}

fn top(results: &ContinualResults, ways: &[Way]) -> Markup {
    let reached = reached(results, ways);
    let cautions = cautions(results, ways);
    html! {
        header.top {
            p.overline { "Limbeck report" span.dot aria-hidden="true" { "·" } span.run { (results.run) } }
            h1 { (unbroken(&title(results, ways))) }
            @for sentence in sentences(results, ways) { p.lede { (sentence) } }
            @if let Some(step) = reached { (tile::list(&tiles(ways, step))) }
            @if !cautions.is_empty() {
                aside.cautions aria-labelledby="cautions" {
                    h2 #cautions { "Read with care" }
                    ul { @for caution in &cautions { li { (caution) } } }
                }
            }
        }
    }
}

fn title(results: &ContinualResults, ways: &[Way]) -> String {
    let last = results.steps().saturating_sub(1);
    let all: Of = |step| step.all_miou;
    let method = way(ways, Role::Student).filter(|method| method.has(last));
    let Some((method, value)) = method.and_then(|way| Some((way, way.mean(last, all)?))) else {
        return match reached(results, ways) {
            None => "No step is done".to_owned(),
            Some(step) => format!("{} of {} steps are done", step + 1, results.steps()),
        };
    };
    let beside = match gain(ways, last) {
        Some((mean, _)) if fixed(mean.abs(), DIGITS) == fixed(0.0, DIGITS) => {
            ", as much as fine-tuning".to_owned()
        }
        Some((mean, _)) => format!(
            ", {} points {} than fine-tuning",
            fixed(mean.abs(), DIGITS),
            if mean > 0.0 { "more" } else { "less" }
        ),
        None => String::new(),
    };
    format!(
        "After the last step {} reaches {} mean IoU of all classes{beside}",
        method.title,
        percent(value, DIGITS)
    )
}

/// How far the method is above fine-tuning in all classes after step `step`, over the seeds that both
/// have, and the 95 % interval of that.
fn gain(ways: &[Way], step: usize) -> Option<(f64, Option<[f64; 2]>)> {
    let all: Of = |step| step.all_miou;
    let tuned = way(ways, Role::Baseline)?.by_seed(step, all);
    let pairs: Vec<(f64, f64)> = (way(ways, Role::Student)?.by_seed(step, all).into_iter())
        .filter_map(|(seed, own)| {
            let other = tuned.iter().find(|(other, _)| *other == seed)?;
            Some((own, other.1))
        })
        .collect();
    let (own, others): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    paired_gain(&own, &others).map(|gain| (gain.mean, gain.ci95))
}

fn sentences(results: &ContinualResults, ways: &[Way]) -> Vec<String> {
    let steps = results.steps();
    let last = steps.saturating_sub(1);
    let first = results.new_classes(0).len();
    let further: Vec<usize> = (1..steps)
        .map(|step| results.new_classes(step).len())
        .collect();
    let mut sentences = vec![format!(
        "{first} of {} classes are learnt in the first step, background among them, then {} in each of \
         {} ({}, {}). What is not of a step is background in its masks, and each network begins as the \
         one before.",
        results.classes.len(),
        further.first().copied().unwrap_or_default(),
        counted(further.len(), "further step"),
        results.split,
        results.setting,
    )];
    if let Some((mean, ci95)) = gain(ways, last) {
        sentences.push(match ci95 {
            Some(ends) => format!(
                "Over fine-tuning, the same steps on labels alone, it gains {} points; 95 % interval {}.",
                signed(mean, DIGITS),
                interval(ends, DIGITS)
            ),
            None => format!(
                "Over fine-tuning, the same steps on labels alone, it gains {} points.",
                signed(mean, DIGITS)
            ),
        });
    }
    let of_joint =
        way(ways, Role::Teacher).and_then(|joint| joint.mean(last, |step| step.all_miou));
    let own = way(ways, Role::Student).and_then(|way| way.mean(last, |step| step.all_miou));
    if let (Some(joint), Some(own)) = (of_joint, own) {
        sentences.push(format!(
            "Joint training, which sees all classes and images at once, reaches {}: {} points {}.",
            percent(joint, DIGITS),
            fixed((joint - own).abs(), DIGITS),
            if joint >= own { "more" } else { "less" }
        ));
    }
    sentences
}

fn tiles(ways: &[Way], step: usize) -> Vec<Tile> {
    let tiles: [(&str, &str, Of); 4] = [
        ("All classes", "%", |step| step.all_miou),
        ("Classes of earlier steps", "%", |step| step.old_miou),
        ("Classes of the last step", "%", |step| step.new_miou),
        ("Forgetting", "points", |step| step.forgetting),
    ];
    let tile = |(label, unit, of): (&str, &str, Of)| {
        let value = way(ways, Role::Student)?.mean(step, of)?;
        let beside = [Role::Baseline, Role::Teacher]
            .into_iter()
            .filter_map(|role| {
                let way = way(ways, role)?;
                Some(format!(
                    "{} {}",
                    way.title.to_lowercase(),
                    fixed(way.mean(step, of)?, DIGITS)
                ))
            });
        Some(Tile {
            label: label.to_owned(),
            value: fixed(value, DIGITS),
            unit: unit.to_owned(),
            note: beside.collect::<Vec<_>>().join(", "),
        })
    };
    tiles.into_iter().filter_map(tile).collect()
}

fn cautions(results: &ContinualResults, ways: &[Way]) -> Vec<String> {
    let mut cautions = Vec::new();
    let last = results.steps().saturating_sub(1);
    if !ways.iter().all(|way| way.has(last)) || ways.is_empty() {
        cautions.push("Not all steps are done: limbeck resume goes on with them.".to_owned());
    }
    if way(ways, Role::Baseline).is_some_and(|way| way.seeds() == 1) {
        cautions.push(
            "One seed: whether another training would show the same difference is not known; \
             --seeds 3 or more gives an interval."
                .to_owned(),
        );
    }
    if ways.iter().all(|way| way.role == Role::Student) {
        cautions.push(
            "Nothing was trained to compare it with: --baseline adds fine-tuning and joint training."
                .to_owned(),
        );
    }
    cautions
}

/// Charts and table.
fn steps(results: &ContinualResults, ways: &[Way]) -> Markup {
    let several = ways.iter().any(|way| way.seeds() > 1);
    let panels = panels(results, ways);
    if panels.is_empty() {
        return html! {};
    }
    html! {
        section #steps aria-labelledby="steps-title" {
            h2 #steps-title { "After each step" }
            p {
                "Mean IoU on the whole test part. Earlier classes are those of the steps before, with background; "
                "forgetting is how far they, without background, are below the best that they were, in the mean. "
                "The first step is the same for all that learn in steps."
                @if several { " Thin lines are seeds, thick lines their mean; in brackets the lowest and highest seed." }
            }
            ul.legend { @for way in ways { li { (swatch(way.role)) (way.title) } } }
            div.charts.curves { @for panel in &panels { (panel) } }
            div.scroll tabindex="0" role="region" aria-label="What is reached after each step" {
                table.steps {
                    thead { tr {
                        th scope="col" { "Step" }
                        th scope="col" { "Learnt by" }
                        th.number scope="col" { "Earlier" }
                        th.number scope="col" { "New" }
                        th.number scope="col" { "All" }
                        th.number scope="col" { "Forgetting" }
                    } }
                    @for step in 0..results.steps() { (step_rows(results, ways, step)) }
                }
            }
        }
    }
}

/// The rows of a step; the first is common to all that learn in steps.
fn step_rows(results: &ContinualResults, ways: &[Way], step: usize) -> Markup {
    let shown: Vec<&Way> = (ways.iter())
        .filter(|way| way.has(step) && (step > 0 || way.role == Role::Student))
        .collect();
    let names = results.new_classes(step);
    // "And 1 more" would take the place of the name itself.
    let more = match names.len().saturating_sub(LISTED) {
        1 => 0,
        more => more,
    };
    html! {
        @if !shown.is_empty() {
            tbody {
                @for (place, way) in shown.iter().enumerate() {
                    tr {
                        @if place == 0 {
                            th scope="rowgroup" rowspan=(shown.len()) {
                                (step)
                                small {
                                    (names[..names.len() - more].join(", "))
                                    @if more > 0 { " and " (more) " more" }
                                }
                            }
                        }
                        th scope="row" {
                            @if step == 0 { "all alike" } @else { (swatch(way.role)) (way.title) }
                        }
                        (number(way, step, |step| step.old_miou))
                        (number(way, step, |step| step.new_miou))
                        (number(way, step, |step| step.all_miou))
                        (number(way, step, |step| step.forgetting))
                    }
                }
            }
        }
    }
}

/// A cell with the mean over seeds, and their range where there are several.
fn number(way: &Way, step: usize, of: Of) -> Markup {
    let values = way.values(step, of);
    let ends = [f64::min, f64::max].map(|end| values.iter().copied().reduce(end));
    html! {
        td.number {
            @match way.mean(step, of) {
                Some(mean) => { (fixed(mean, DIGITS)) }
                None => { (MISSING) }
            }
            @if let ([Some(low), Some(high)], true) = (ends, values.len() > 1) {
                small { "[" (fixed(low, DIGITS)) " to " (fixed(high, DIGITS)) "]" }
            }
        }
    }
}

/// IoU of each class after the last step.
fn classes(results: &ContinualResults, ways: &[Way]) -> Markup {
    let Some(last) = reached(results, ways) else {
        return html! {};
    };
    let ways: Vec<&Way> = ways.iter().filter(|way| way.has(last)).collect();
    html! {
        section #classes aria-labelledby="classes-title" {
            h2 #classes-title { "Class by class" }
            p { "IoU of each class after step " (last) ", in percent, means over seeds." }
            div.scroll tabindex="0" role="region" aria-label="IoU class by class" {
                table {
                    thead { tr {
                        th scope="col" { "Class" }
                        th.number scope="col" { "Step" }
                        @for way in &ways { th.number scope="col" { (swatch(way.role)) (way.title) } }
                    } }
                    @for step in 0..=last {
                        tbody {
                            @for (place, name) in results.new_classes(step).iter().enumerate() {
                                tr {
                                    th scope="row" { (name) }
                                    td.number { (step) }
                                    @for way in &ways {
                                        td.number {
                                            @match way.class(last, first_class(results, step) + place) {
                                                Some(iou) => { (fixed(iou, DIGITS)) }
                                                None => { (MISSING) }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn first_class(results: &ContinualResults, step: usize) -> usize {
    results.begins.get(step).copied().unwrap_or(0)
}

fn provenance(results: &ContinualResults) -> Markup {
    let facts = [
        ("Data set", results.data.clone()),
        ("Network", results.student.clone()),
        ("Method", results.method.clone()),
        ("Split", format!("{}, {}", results.split, results.setting)),
        ("Classes", results.classes.join(", ")),
    ];
    html! {
        section #provenance aria-labelledby="provenance-title" {
            h2 #provenance-title { "How it was made" }
            @if !results.command.is_empty() {
                h3 { "Run it again" }
                (command(&results.command))
            }
            table.facts aria-label="Data and method" {
                tbody {
                    @for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                        tr { th scope="row" { (name) } td { (value) } }
                    }
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
