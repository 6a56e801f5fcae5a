//! `limbeck methods`: the catalogue.

use std::io::{Write, stdout};

use limbeck::methods::{Group, METHODS, MethodEntry, TaskKind, entries};
use limbeck::report::{self, EvidenceRow};
use serde_json::{Value, json};

use super::costs::Costs;
use super::evidence;
use crate::arguments::NamedArguments;

/// Prints the list, or the page of one method.
pub fn methods(arguments: &NamedArguments) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    let costs = Costs::read()?;
    let evidence = evidence::rows()?;
    match &arguments.name {
        Some(name) => {
            let entries = entries(name)?;
            if arguments.json {
                let all: Vec<Value> = entries
                    .iter()
                    .map(|entry| describe(entry, &costs, &evidence))
                    .collect();
                match all.as_slice() {
                    [one] => writeln!(out, "{one:#}")?,
                    several => writeln!(out, "{:#}", Value::Array(several.to_vec()))?,
                }
            } else {
                let pages: Vec<String> = entries
                    .iter()
                    .map(|entry| {
                        let facts = match entry.command() {
                            Some(command) => format!("Trained by: {command}."),
                            None => format!("{}\n{}", served(entry), measured(entry, &costs)),
                        };
                        let own = evidence::of(&evidence, entry.id);
                        let facts = match own.is_empty() {
                            true => facts,
                            false => format!(
                                "## Measured\n{}\n{facts}",
                                report::evidence_table(own, |_| None)
                            ),
                        };
                        format!("{}\n\n{facts}", entry.page())
                    })
                    .collect();
                writeln!(out, "{}", pages.join("\n\n"))?;
            }
        }
        None if arguments.json => {
            let all: Vec<Value> = METHODS
                .iter()
                .map(|entry| describe(entry, &costs, &evidence))
                .collect();
            writeln!(out, "{:#}", Value::Array(all))?;
        }
        None => {
            let width = METHODS
                .iter()
                .map(|entry| entry.id.len())
                .max()
                .unwrap_or(0);
            for group in Group::ALL {
                writeln!(out, "{}", group.title())?;
                for entry in METHODS.iter().filter(|entry| entry.group == group) {
                    let mark = if entry.joins() { " " } else { "*" };
                    let teacher = match entry.needs_teacher && group >= Group::Networks {
                        true => " (and a teacher)",
                        false => "",
                    };
                    let title = title_of(entry);
                    let cost = match entry.command() {
                        Some(command) => command.to_owned(),
                        None => costs
                            .of(entry.id)
                            .map_or("not measured".to_owned(), ToString::to_string),
                    };
                    let tasks = letters(entry);
                    writeln!(
                        out,
                        "{mark} {:width$}  {tasks}  {:COST_WIDTH$}  {title}{teacher}",
                        entry.id, cost
                    )?;
                }
            }
            writeln!(
                out,
                "\nSeveral are joined by +, such as drg+dsr, but those with * stand alone: they have training \
                 steps of their own, or the command that is named. c: for classification, s: for \
                 segmentation, d: for detection, p: for pre-training. Page of one: limbeck methods NAME\n\nTime and memory of a training step are multiples of the baseline's with the same student: {}. Times are \
                 rough: the page of a method has their range.",
                costs.setting(None)
            )?;
        }
    }
    Ok(())
}

/// Room for `step ×10.0, memory ×10.0`.
const COST_WIDTH: usize = 25;

/// A letter for each task, a dash for what a method does not serve.
fn letters(entry: &MethodEntry) -> String {
    let tasks = [
        (TaskKind::Classification, 'c'),
        (TaskKind::Segmentation, 's'),
        (TaskKind::Detection, 'd'),
        (TaskKind::Pretraining, 'p'),
    ];
    let letter = |(task, letter): (TaskKind, char)| match entry.tasks.contains(&task) {
        true => letter,
        false => '-',
    };
    tasks.map(letter).iter().collect()
}

/// The tasks that a method serves, as a line of its page.
fn served(entry: &MethodEntry) -> String {
    let tasks: Vec<String> = entry.tasks.iter().map(ToString::to_string).collect();
    let teacher = match entry.any_classes {
        true => " The teacher may know other classes, or have another of these tasks.",
        false => "",
    };
    format!("Tasks: {}.{teacher}", tasks.join(", "))
}

/// What a step costs, as the last line of a page.
fn measured(entry: &MethodEntry, costs: &Costs) -> String {
    let cost = costs.of(entry.id).map(|cost| {
        let setting = costs.setting(Some(entry.id));
        format!("{} ({setting})", cost.with_range())
    });
    format!("Measured: {}.", cost.unwrap_or("not yet".to_owned()))
}

fn describe(entry: &MethodEntry, costs: &Costs, evidence: &[EvidenceRow]) -> Value {
    json!({
        "name": entry.id,
        "title": title_of(entry),
        "needs_teacher": entry.needs_teacher,
        "teacher_of_any_classes": entry.any_classes,
        "needs_labels": entry.needs_labels((entry.defaults)()).unwrap_or(true),
        "tasks": entry.tasks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "needs": entry.group.title(),
        "joins": entry.joins(),
        "command": entry.command(),
        "cost": costs.of(entry.id),
        "evidence": evidence::of(evidence, entry.id),
        "settings": (entry.defaults)(),
    })
}

/// The paper's title, from the first line of the page: `# id — title`.
fn title_of(entry: &MethodEntry) -> String {
    let page = entry.page();
    let heading = page.lines().next().unwrap_or_default();
    heading
        .split_once('—')
        .map_or(heading, |(_, title)| title)
        .trim()
        .to_owned()
}
