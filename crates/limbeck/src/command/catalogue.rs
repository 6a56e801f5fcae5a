//! `limbeck methods`: the catalogue.

use std::io::{Write, stdout};

use limbeck::methods::{Group, METHODS, MethodEntry, entries};
use serde_json::{Value, json};

use crate::arguments::NamedArguments;

/// Prints the list, or the page of one method.
pub fn methods(arguments: &NamedArguments) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    match &arguments.name {
        Some(name) => {
            let entries = entries(name)?;
            if arguments.json {
                let all: Vec<Value> = entries.iter().map(|entry| describe(entry)).collect();
                match all.as_slice() {
                    [one] => writeln!(out, "{one:#}")?,
                    several => writeln!(out, "{:#}", Value::Array(several.to_vec()))?,
                }
            } else {
                let pages: Vec<String> = entries.iter().map(|entry| entry.page()).collect();
                writeln!(out, "{}", pages.join("\n\n"))?;
            }
        }
        None if arguments.json => {
            let all: Vec<Value> = METHODS.iter().map(describe).collect();
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
                    let mark = if entry.is_procedure() { "*" } else { " " };
                    let teacher = match entry.needs_teacher && group >= Group::Networks {
                        true => " (and a teacher)",
                        false => "",
                    };
                    let title = title_of(entry);
                    writeln!(out, "{mark} {:width$}  {title}{teacher}", entry.id)?;
                }
            }
            writeln!(
                out,
                "\nSeveral are joined by +, such as drg+dsr, but those with * stand alone: they have training \
                 steps of their own. Page of one: limbeck methods NAME"
            )?;
        }
    }
    Ok(())
}

fn describe(entry: &MethodEntry) -> Value {
    json!({
        "name": entry.id,
        "title": title_of(entry),
        "needs_teacher": entry.needs_teacher,
        "needs": entry.group.title(),
        "joins": !entry.is_procedure(),
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
