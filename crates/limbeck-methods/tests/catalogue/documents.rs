//! Pages, settings and recipes of all methods.

use std::path::{Path, PathBuf};

use limbeck_methods::{Build, METHODS, MethodEntry, MethodError, cast, check_trainable, entries};
use serde_json::{Value, json};

use super::rehearsal::{Settings, assemble, assemble_named, network, probe};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// File names without `extension` in a folder of the workspace, sorted.
fn stems(folder: &str, extension: &str) -> Vec<String> {
    let entries = std::fs::read_dir(workspace().join(folder)).unwrap();
    let mut stems: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|name| Some(name.strip_suffix(extension)?.to_owned()))
        .collect();
    stems.sort();
    stems
}

/// Makes the method with these settings, as far as it can be made without files.
fn make(entry: &MethodEntry, settings: Value) -> Result<(), MethodError> {
    match entry.build {
        Build::Own { check, .. } => check(settings),
        Build::Criterion(_) | Build::Procedure(_) => assemble(entry, settings),
    }
}

/// Heading of what is not the method's own.
const MEASURED: &str = "\n## Measured\n";

#[test]
fn docs_of_methods_are_up_to_date() {
    let folder = workspace().join("docs/methods");
    let writes = std::env::var_os("LIMBECK_WRITE_DOCS").is_some();
    for entry in METHODS {
        let file = folder.join(format!("{}.md", entry.id));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        // What studies found is written behind it by `limbeck`'s test `evidence`.
        let measured = text.find(MEASURED).map_or("", |place| &text[place..]);
        let page = format!("{}\n{measured}", entry.page());
        if writes {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &page).unwrap();
        }
        assert!(
            std::fs::read_to_string(&file).unwrap_or_default() == page,
            "docs/methods/{}.md is stale; run this test with LIMBECK_WRITE_DOCS=1",
            entry.id
        );
    }
    let unknown: Vec<String> = stems("docs/methods", ".md")
        .into_iter()
        .filter(|stem| METHODS.iter().all(|entry| entry.id != stem))
        .collect();
    assert!(
        unknown.is_empty(),
        "docs/methods has pages of no method: {unknown:?}"
    );
}

#[test]
fn every_page_has_all_headings_and_a_row_for_each_setting() {
    for entry in METHODS {
        let page = entry.page();
        let title = format!("# {} — {}\n", entry.id, entry.title());
        assert!(
            page.starts_with(&title),
            "{}: begins not with `{title}`",
            entry.id
        );
        let headings: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("## "))
            .collect();
        assert_eq!(
            headings,
            [
                "## Definition",
                "## Inputs and shapes",
                "## Parameters",
                "## Notes",
                "## Reference"
            ],
            "{}",
            entry.id
        );
        assert!(page.contains("<https://"), "{}: no address", entry.id);
        assert!(page.contains("Cost"), "{}: no cost", entry.id);

        let parameters = page
            .split("## ")
            .find(|part| part.starts_with("Parameters"));
        let rows: Vec<&str> = parameters
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let defaults = (entry.defaults)();
        let mut settings: Vec<&str> = defaults
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        settings.sort_unstable();
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, settings, "{}", entry.id);
    }
}

#[test]
fn every_default_in_a_page_is_the_default_of_the_code() {
    for entry in METHODS {
        let defaults = (entry.defaults)();
        for line in entry.page().lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let (name, stated) = (cells[1].trim_matches('`'), cells[2].trim_matches('`'));
            let matches = match &defaults[name] {
                serde_json::Value::Null => stated == "none",
                serde_json::Value::Number(number) => stated.parse() == Ok(number.as_f64().unwrap()),
                serde_json::Value::String(text) => stated == text,
                serde_json::Value::Bool(flag) => stated.parse() == Ok(*flag),
                _ => false,
            };
            assert!(
                matches,
                "{}: `{name}` is {}, the page says {stated}",
                entry.id, defaults[name]
            );
        }
    }
}

#[test]
fn unknown_settings_and_settings_of_the_wrong_kind_are_refused_by_name() {
    for entry in METHODS {
        let error = make(entry, json!({ "temprature": 4.0 })).unwrap_err();
        assert!(
            matches!(error, MethodError::Configuration { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("temprature"), "{error}");
        for (name, default) in (entry.defaults)().as_object().unwrap() {
            if !default.is_boolean() {
                let wrong = make(entry, json!({ name: true }));
                assert!(wrong.is_err(), "{}: `{name}` = true", entry.id);
            }
        }
    }
}

#[test]
fn defaults_written_out_build_the_same_method() {
    for entry in METHODS {
        assert!(make(entry, (entry.defaults)()).is_ok(), "{}", entry.id);
    }
}

/// The sections that a recipe may have, and the keys that those below may have.
const SECTIONS: [&str; 8] = [
    "augment",
    "data",
    "method",
    "optimizer",
    "schedule",
    "student",
    "teacher",
    "train",
];

#[test]
fn every_method_has_a_recipe_whose_settings_it_takes() {
    let recipes = stems("recipes", ".toml");
    for entry in METHODS.iter().filter(|entry| entry.command().is_none()) {
        assert!(
            recipes.iter().any(|r| r == entry.id),
            "recipes/{}.toml is missing",
            entry.id
        );
    }
    for name in recipes {
        let file = workspace().join(format!("recipes/{name}.toml"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("# "), "{name}: says not what it is");
        assert!(
            text.contains("--recipe recipes/"),
            "{name}: says not how to run it"
        );
        let recipe: toml::Table = text.parse().unwrap();
        for section in recipe.keys() {
            assert!(SECTIONS.contains(&section.as_str()), "{name}: [{section}]");
        }
        let method = &recipe["method"];
        assert_eq!(method["name"].as_str(), Some(name.as_str()));
        let ids: Vec<&str> = entries(&name)
            .unwrap()
            .iter()
            .map(|entry| entry.id)
            .collect();
        let tables = method
            .as_table()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.is_table());
        let settings = tables.map(|(id, table)| {
            assert!(ids.contains(&id.as_str()), "{name}: [method.{id}]");
            (id.clone(), serde_json::to_value(table).unwrap())
        });
        if let Err(error) = assemble_named(&name, &settings.collect()) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn methods_with_a_command_of_their_own_are_refused_in_runs_and_in_combinations() {
    for entry in METHODS {
        let Some(command) = entry.command() else {
            assert!(check_trainable(entry.id).is_ok(), "{}", entry.id);
            continue;
        };
        assert!(entry.tasks.is_empty() && !entry.joins());
        let student = network("resnet8", 1);
        let error = cast(entry.id, &Settings::new(), &probe(None), student).unwrap_err();
        assert!(matches!(error, MethodError::OwnCommand { .. }), "{error}");
        let joined = entries(&format!("kd+{}", entry.id)).unwrap_err();
        for error in [error, joined] {
            let error = error.to_string();
            assert!(error.contains(&format!("`{command}`")), "{error}");
        }
    }
}
