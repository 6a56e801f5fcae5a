//! `limbeck models`: the zoo.

use std::io::{Write, stdout};

use limbeck::nn::model::{MODELS, find};
use serde_json::{Value, json};

use super::network::{print_network, published};
use crate::arguments::NamedArguments;

/// Prints the list, or the facts of one model.
pub fn run(arguments: &NamedArguments) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    match &arguments.name {
        Some(name) => {
            let network = published(&find(name)?)?;
            print_network(&mut out, &network, arguments.json)?;
        }
        None if arguments.json => {
            let all: Vec<Value> = MODELS
                .iter()
                .flat_map(|family| family.iter())
                .map(|entry| {
                    json!({
                        "name": entry.name,
                        "family": entry.family,
                        "size": entry.size,
                        "classes": entry.classes,
                    })
                })
                .collect();
            writeln!(out, "{:#}", Value::Array(all))?;
        }
        None => {
            for family in MODELS {
                let Some(first) = family.first() else {
                    continue;
                };
                let names: Vec<&str> = family.iter().map(|entry| entry.name).collect();
                writeln!(out, "{} ({}×{})", first.family, first.size, first.size)?;
                for row in names.chunks(6) {
                    writeln!(out, "  {}", row.join("  "))?;
                }
            }
            writeln!(out, "\nFacts of one: limbeck models NAME")?;
        }
    }
    Ok(())
}
