//! Finds the state dict in what `torch.save` was given.

use std::collections::HashMap;
use std::path::Path;

use limbeck_pickle::Value;

use super::WeightsError;
use super::torch_module::{self, is_module};
use super::torch_pickle::{is_tensor, object_class};

/// Keys that training programs keep the weights under, the first that is there being read. Averaged
/// weights come before plain ones, as in timm and Ultralytics: they are what such programs measure
/// and publish. Who wants the others names their key.
const USUAL_KEYS: &[&str] = &[
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema",
    "params_ema",
    "state_dict",
    "model_state_dict",
    "model",
    "model_state",
    "net",
    "network",
    "weights",
    "params",
    "student",
    "module",
    "teacher",
];

/// How deep state dicts are looked for: `{"student_best": {"model": {...}}}`.
const MAX_NESTING: usize = 3;

/// A state dict and where it was.
pub(super) struct Found<'a> {
    /// Keys from the root on, joined by dots; `None` for the root itself.
    pub under: Option<String>,
    /// Other keys with state dicts.
    pub others: Vec<String>,
    /// Names and values.
    pub pairs: Vec<(String, &'a Value)>,
    /// Names of the classes, where a network that was saved whole says them.
    pub class_names: Vec<String>,
}

/// Finds the state dict of `root`: under `key` if one is named, else under a usual key, else the
/// root itself, else under the only key that has one.
pub(super) fn find_state_dict<'a>(
    path: &Path,
    root: &'a Value,
    key: Option<&str>,
) -> Result<Found<'a>, WeightsError> {
    let all = state_dicts(root, MAX_NESTING);
    let chosen = match key {
        Some(key) => all
            .iter()
            .position(|(under, _)| under == key)
            .or_else(|| all.iter().position(|(under, _)| is_below(under, key))),
        None => all
            .iter()
            .enumerate()
            .filter_map(|(index, (under, _))| Some((rank(under)?, index)))
            .min()
            .map(|(_, index)| index)
            .or((all.len() == 1).then_some(0)),
    };
    let keys = |except: Option<usize>| -> Vec<String> {
        all.iter()
            .enumerate()
            .filter(|(index, (under, _))| Some(*index) != except && !under.is_empty())
            .map(|(_, (under, _))| under.clone())
            .collect()
    };
    let Some(index) = chosen else {
        if key.is_none() && all.len() > 1 {
            return Err(WeightsError::SeveralStateDicts {
                path: path.to_owned(),
                keys: keys(None),
            });
        }
        return Err(missing(path, root, key));
    };
    let (under, value) = &all[index];
    Ok(Found {
        under: (!under.is_empty()).then(|| under.clone()),
        others: keys(chosen),
        pairs: pairs_of(value),
        class_names: torch_module::class_names(value),
    })
}

/// Names and values of a state dict, or of a network that was saved whole.
fn pairs_of(value: &Value) -> Vec<(String, &Value)> {
    if let Some(pairs) = torch_module::state_dict(value) {
        return pairs;
    }
    let pairs = value.to_pairs().unwrap_or_default().into_iter();
    let named = pairs.filter_map(|(name, value)| Some((name.as_text()?.to_owned(), value)));
    named.collect()
}

/// All dictionaries of tensors and whole networks, with their keys joined by dots; nothing is looked
/// for inside them.
fn state_dicts(value: &Value, nesting: usize) -> Vec<(String, &Value)> {
    if is_module(value) {
        return vec![(String::new(), value)];
    }
    let Some(pairs) = value.to_pairs() else {
        return Vec::new();
    };
    let mut found: Vec<(String, &Value)> = Vec::new();
    if pairs
        .iter()
        .any(|(key, value)| key.as_text().is_some() && is_tensor(value))
    {
        found.push((String::new(), value));
    }
    if nesting == 0 {
        return found;
    }
    // A key that was set twice counts the second time.
    let last: HashMap<&str, usize> = pairs
        .iter()
        .enumerate()
        .filter_map(|(index, (key, _))| Some((key.as_text()?, index)))
        .collect();
    for (index, (key, inner)) in pairs.into_iter().enumerate() {
        let Some(key) = key.as_text().filter(|key| last.get(key) == Some(&index)) else {
            continue;
        };
        for (under, value) in state_dicts(inner, nesting - 1) {
            let under = match under.as_str() {
                "" => key.to_owned(),
                under => format!("{key}.{under}"),
            };
            found.push((under, value));
        }
    }
    found
}

fn is_below(under: &str, key: &str) -> bool {
    under
        .strip_prefix(key)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// The lower the likelier; `None` where no key is a usual one. A root that holds tensors beside a
/// usual key holds single results, such as the best accuracy.
fn rank(under: &str) -> Option<(usize, usize)> {
    if under.is_empty() {
        return Some((USUAL_KEYS.len(), 0));
    }
    under
        .split('.')
        .find_map(|key| USUAL_KEYS.iter().position(|usual| *usual == key))
        .map(|position| (position, under.len()))
}

fn missing(path: &Path, root: &Value, key: Option<&str>) -> WeightsError {
    // A whole pickled network, at the root or under a usual key.
    let object = |name: &str, value: &Value| {
        object_class(value)
            .filter(|_| !is_tensor(value))
            .map(|class| WeightsError::UnknownObject {
                path: path.to_owned(),
                name: name.to_owned(),
                global: class.to_string(),
            })
    };
    if let Some(error) = object("the whole file", root) {
        return error;
    }
    let candidates = key.into_iter().chain(USUAL_KEYS.iter().copied());
    if let Some(error) = candidates
        .filter_map(|key| object(key, root.get(key)?))
        .next()
    {
        return error;
    }
    let found = match root.to_pairs() {
        Some(pairs) if pairs.is_empty() => "an empty dictionary".to_owned(),
        Some(pairs) => {
            let mut keys: Vec<&str> = pairs.iter().filter_map(|(key, _)| key.as_text()).collect();
            let more = keys.len().saturating_sub(12);
            keys.truncate(12);
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("a dictionary with the keys {}{more}", keys.join(", "))
        }
        None => root.kind().to_owned(),
    };
    WeightsError::NoStateDict {
        path: path.to_owned(),
        key: key.map(str::to_owned),
        found,
    }
}
