//! The tables `[method.<name>]`: settings of methods, which know them themselves.

use limbeck_methods::METHODS;

use super::node::{Node, Table, Value};
use super::{MethodRecipe, Mistake, RecipeError};

/// Looks at the keys of `[method]` and of the tables in it, which the types leave open.
pub(super) fn check(table: &Table) -> Result<(), RecipeError> {
    const OWN: [&str; 2] = ["name", "pairs"];
    let Some(Value::Table(method)) = table.get("method").map(|node| &node.value) else {
        return Ok(());
    };
    let ids = || METHODS.iter().map(|entry| entry.id);
    for (key, node) in method
        .iter()
        .filter(|(key, _)| !OWN.contains(&key.as_str()))
    {
        let (Some(entry), Value::Table(settings)) =
            (METHODS.iter().find(|entry| entry.id == key), &node.value)
        else {
            let known = OWN.into_iter().chain(ids());
            return Err(Mistake::unknown_key("method", key, known).at(node.place.clone()));
        };
        let defaults = (entry.defaults)();
        let known: Vec<&str> = defaults
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys().map(String::as_str))
            .collect();
        for (setting, node) in settings {
            if !known.contains(&setting.as_str()) {
                let table = format!("method.{key}");
                let mistake = Mistake::unknown_key(&table, setting, known.iter().copied());
                return Err(mistake.at(node.place.clone()));
            }
            let key = format!("method.{key}.{setting}");
            check_finite(&key, node)?;
            check_kind(&key, &defaults[setting], node)?;
        }
    }
    Ok(())
}

/// Refuses what is not a finite number, wherever in the value: no setting of a method can be.
fn check_finite(key: &str, node: &Node) -> Result<(), RecipeError> {
    match &node.value {
        Value::Float(value) if !value.is_finite() => {
            let mistake = Mistake::Value {
                key: key.to_owned(),
                expected: "a finite number".to_owned(),
                found: value.to_string(),
            };
            Err(mistake.at(node.place.clone()))
        }
        Value::Array(nodes) => nodes.iter().try_for_each(|node| check_finite(key, node)),
        Value::Table(table) => table
            .iter()
            .try_for_each(|(name, node)| check_finite(&format!("{key}.{name}"), node)),
        _ => Ok(()),
    }
}

/// Refuses a value of another kind than the default's, so that the message has a place. What is
/// left, such as ranges, the method checks itself.
fn check_kind(key: &str, default: &serde_json::Value, node: &Node) -> Result<(), RecipeError> {
    use serde_json::Value as Default;
    let found = match &node.value {
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(value) => format!("the text \"{value}\""),
        Value::Array(_) | Value::Table(_) => return Ok(()),
    };
    let expected = match (default, &node.value) {
        (Default::Number(_), Value::Text(_) | Value::Boolean(_)) => "a number",
        (Default::Bool(_), value) if !matches!(value, Value::Boolean(_)) => "true or false",
        (Default::String(_), value) if !matches!(value, Value::Text(_)) => "a text",
        _ => return Ok(()),
    };
    let mistake = Mistake::Value {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found,
    };
    Err(mistake.at(node.place.clone()))
}

/// Writes the defaults of the chosen methods where nothing was asked for, those of a student that `detects`
/// among them, and whole numbers as the floating-point numbers that a default says they are. Settings whose
/// default is to be absent stay absent.
pub(super) fn fill(method: &mut MethodRecipe, detects: bool) {
    for entry in limbeck_methods::entries(&method.name).unwrap_or_default() {
        let defaults = toml::Table::try_from(without_nulls((entry.defaults)()));
        let Ok(mut filled) = defaults else { continue };
        if detects {
            let own = of_detectors(entry.id).iter();
            filled.extend(own.map(|(key, value)| ((*key).to_owned(), (*value).into())));
        }
        let given = method.settings.entry(entry.id.to_owned()).or_default();
        for (key, value) in std::mem::take(given) {
            let value = match (filled.get(&key), value) {
                (Some(toml::Value::Float(_)), toml::Value::Integer(whole)) => {
                    toml::Value::Float(whole as f64)
                }
                (_, value) => value,
            };
            filled.insert(key, value);
        }
        *given = filled;
    }
    method.settings.retain(|_, settings| !settings.is_empty());
}

/// What is another default where the student is a detector.
fn of_detectors(id: &str) -> &'static [(&'static str, f64)] {
    match id {
        // Boxes are learnt from labels alone, which a tenth of their loss would hardly do; rows are
        // distributions of what there is, most of them sure, and no cell has a hundred classes.
        "kd" => &[("temperature", 1.0), ("ce_weight", 1.0), ("kd_weight", 1.0)],
        // Three would be three quarters of the loss.
        "cwd" => &[("logits_weight", 0.3)],
        // The authors' sum, 2 · task + 400 · guidance.
        "ghost" => &[("weight", 200.0)],
        // The same rows.
        "tst" => &[("temperature", 1.0)],
        _ => &[],
    }
}

/// TOML has no null.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(object) => object
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        other => other,
    }
}
