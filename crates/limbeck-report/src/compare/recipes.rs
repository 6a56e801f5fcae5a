//! Settings in which the recipes of several runs differ.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use crate::numbers::MISSING;
use crate::results::Results;

/// A setting's dotted name and its value in each run, for settings that are not the same in all.
/// Recipes that are not TOML have no settings.
pub fn differences(runs: &[Results]) -> Vec<(String, Vec<String>)> {
    let recipes: Vec<BTreeMap<String, String>> = runs.iter().map(|run| flat(&run.recipe)).collect();
    let names: BTreeSet<&String> = recipes.iter().flat_map(BTreeMap::keys).collect();
    names
        .into_iter()
        .map(|name| {
            let values = recipes.iter().map(|recipe| recipe.get(name).cloned());
            let values: Vec<String> = values
                .map(|value| value.unwrap_or(MISSING.into()))
                .collect();
            (name.clone(), values)
        })
        .filter(|(_, values)| values.windows(2).any(|pair| pair[0] != pair[1]))
        .collect()
}

fn flat(recipe: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    if let Ok(table) = recipe.parse::<toml::Table>() {
        add("", &Value::Table(table), &mut settings);
    }
    settings
}

fn add(name: &str, value: &Value, settings: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                add(&name, value, settings);
            }
        }
        Value::String(text) => {
            settings.insert(name.into(), text.clone());
        }
        other => {
            settings.insert(name.into(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(recipe: &str) -> Results {
        Results {
            recipe: recipe.into(),
            ..Results::default()
        }
    }

    #[test]
    fn only_settings_that_differ_are_listed() {
        let runs = [
            run("epochs = 30\n[method]\nname = \"kd\"\ntemperature = 4.0\n"),
            run("epochs = 30\n[method]\nname = \"dkd\"\n"),
        ];
        let found = differences(&runs);
        assert_eq!(
            found,
            [
                ("method.name".into(), vec!["kd".into(), "dkd".into()]),
                ("method.temperature".into(), vec!["4.0".into(), "–".into()]),
            ]
        );
    }

    #[test]
    fn a_recipe_that_is_not_toml_has_no_settings() {
        assert!(differences(&[run("= = ="), run("")]).is_empty());
    }
}
