//! What was asked for: a recipe with the flags laid over it.

use std::path::Path;

use limbeck::train::recipe::{self, put};

use crate::arguments::{StudyArguments, TaskName};
use crate::exit::Usage;

/// The recipe, `[study]` and all, and what errors call it.
pub fn table(arguments: &StudyArguments) -> anyhow::Result<(toml::Table, String)> {
    let what = arguments.what.as_deref().unwrap_or_default();
    let is_recipe = Path::new(what).extension().is_some_and(|end| end == "toml");
    let (mut table, origin) = match is_recipe {
        true => {
            let text = std::fs::read_to_string(what)
                .map_err(|error| Usage(format!("the recipe `{what}` cannot be read: {error}")))?;
            (recipe::table(&text, what)?, what.to_owned())
        }
        false => {
            let mut table = toml::Table::new();
            put(&mut table, &["data", "path"], what)?;
            (table, "command line".to_owned())
        }
    };
    let texts = |list: &[String]| toml::Value::from(list.to_vec());
    let numbers =
        |list: &[usize]| toml::Value::from(list.iter().map(|&n| n as i64).collect::<Vec<_>>());
    let lists = [
        (
            "teachers",
            arguments.teacher.is_empty(),
            texts(&arguments.teacher),
        ),
        (
            "students",
            arguments.student.is_empty(),
            texts(&arguments.student),
        ),
        ("cells", arguments.cell.is_empty(), texts(&arguments.cell)),
        (
            "methods",
            arguments.method.is_empty(),
            texts(&arguments.method),
        ),
        (
            "shots",
            arguments.shots.is_empty(),
            numbers(&arguments.shots),
        ),
        (
            "epochs",
            arguments.epochs.is_empty(),
            numbers(&arguments.epochs),
        ),
    ];
    for (key, is_empty, list) in lists {
        if !is_empty {
            put(&mut table, &["study", key], list)?;
        }
    }
    let number = |number: usize| toml::Value::from(number as i64);
    let single = [
        (["study", "seeds"], arguments.seeds),
        (["study", "most_seeds"], arguments.most_seeds),
        (["data", "batch"], arguments.batch),
        (["data", "limit"], arguments.limit),
    ];
    for (key, value) in single {
        if let Some(value) = value {
            put(&mut table, &key, number(value))?;
        }
    }
    if let Some(precision) = arguments.precision {
        put(&mut table, &["study", "precision"], precision)?;
    }
    if let Some(null) = arguments.null {
        if null < 2 || arguments.draws == 0 {
            let text =
                "--null takes 2 pairs or more, and --draws 1 or more: one pair has no interval";
            return Err(Usage(text.to_owned()).into());
        }
        let methods = toml::Value::from(vec!["none".to_owned()]);
        put(&mut table, &["study", "methods"], methods)?;
        put(&mut table, &["study", "null"], number(null))?;
        put(
            &mut table,
            &["study", "seeds"],
            number(2 * null * arguments.draws),
        )?;
    }
    if let Some(task) = arguments.task.map(TaskName::key) {
        put(&mut table, &["task", "kind"], task)?;
    }
    for assignment in &arguments.set {
        assign(&mut table, &[], assignment)?;
    }
    for assignment in &arguments.teacher_set {
        assign(&mut table, &["study", "teacher"], assignment)?;
    }
    Ok((table, origin))
}

/// Lays `KEY=VALUE` over `table`, the key below `above`. The value is TOML, or a text without quotes.
fn assign(table: &mut toml::Table, above: &[&str], assignment: &str) -> anyhow::Result<()> {
    let wrong = || {
        Usage(format!(
            "`{assignment}` is no KEY=VALUE, such as train.epochs=60"
        ))
    };
    let (key, value) = assignment.split_once('=').ok_or_else(wrong)?;
    let key: Vec<&str> = key.split('.').map(str::trim).collect();
    if value.trim().is_empty() || key.iter().any(|part| part.is_empty()) {
        return Err(wrong().into());
    }
    let read = format!("value = {}", value.trim())
        .parse::<toml::Table>()
        .ok();
    let read = read
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"));
    let path: Vec<&str> = above.iter().copied().chain(key).collect();
    Ok(put(
        table,
        &path,
        read.unwrap_or_else(|| value.trim().into()),
    )?)
}
