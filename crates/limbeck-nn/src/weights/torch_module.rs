//! Networks that `torch.save` was given whole, as state dicts.
//!
//! A module of PyTorch is pickled as its class, which is not looked up, and its attributes, among them
//! the dictionaries `_parameters`, `_buffers` and `_modules`. Going through these as
//! `Module.state_dict` does gives names and tensors, whatever the classes are.

use limbeck_pickle::Value;

/// Modules within modules.
const MAX_DEPTH: usize = 64;

/// The attributes of a module; `None` of any other object.
fn attributes(value: &Value) -> Option<&Value> {
    let Value::Reduce(call) = value else {
        return None;
    };
    let state = call.state.as_ref()?;
    let is_there = |name| state.get(name).is_some_and(|it| it.to_pairs().is_some());
    (is_there("_parameters") && is_there("_modules")).then_some(state)
}

/// Whether `value` is a module.
pub(super) fn is_module(value: &Value) -> bool {
    attributes(value).is_some()
}

/// Names and tensors of a module as in its state dict; `None` of any other object, and of modules
/// that are nested too deeply.
pub(super) fn state_dict(value: &Value) -> Option<Vec<(String, &Value)>> {
    let mut pairs = Vec::new();
    collect(value, "", MAX_DEPTH, &mut pairs)?;
    Some(pairs)
}

fn collect<'a>(
    module: &'a Value,
    prefix: &str,
    depth: usize,
    into: &mut Vec<(String, &'a Value)>,
) -> Option<()> {
    let attributes = attributes(module).filter(|_| depth > 0)?;
    let passing: Vec<&str> = match attributes.get("_non_persistent_buffers_set") {
        Some(Value::Set(names)) => names.iter().filter_map(Value::as_text).collect(),
        _ => Vec::new(),
    };
    for kind in ["_parameters", "_buffers"] {
        let Some(pairs) = attributes.get(kind).and_then(Value::to_pairs) else {
            continue;
        };
        for (name, value) in pairs {
            // What was registered as None has a name and no value.
            let Some(name) = name.as_text().filter(|_| *value != Value::None) else {
                continue;
            };
            if kind == "_parameters" || !passing.contains(&name) {
                into.push((format!("{prefix}{name}"), value));
            }
        }
    }
    for (name, inner) in attributes.get("_modules")?.to_pairs()? {
        if let Some(name) = name.as_text().filter(|_| *inner != Value::None) {
            collect(inner, &format!("{prefix}{name}."), depth - 1, into)?;
        }
    }
    Some(())
}

/// The names of the classes that a module says it knows, in the order of its outputs: its attribute
/// `names`, a list, or a dictionary by number. Empty where it says none.
pub(super) fn class_names(module: &Value) -> Vec<String> {
    let Some(names) = attributes(module).and_then(|it| it.get("names")) else {
        return Vec::new();
    };
    let text = |value: &Value| value.as_text().map(str::to_owned);
    let in_order: Option<Vec<String>> = match names.as_sequence() {
        Some(names) => names.iter().map(text).collect(),
        None => {
            let pairs = names.to_pairs().unwrap_or_default();
            let numbered = pairs.into_iter().enumerate();
            let named = numbered.map(|(place, (number, name))| {
                let is_next = number.as_usize() == Some(place);
                text(name).filter(|_| is_next)
            });
            named.collect()
        }
    };
    in_order.unwrap_or_default()
}
