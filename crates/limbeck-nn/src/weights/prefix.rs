//! What wrappers put before the names of a network.

use std::collections::BTreeMap;

use super::StateDict;
use crate::Store;

/// Left out where names match without them: data parallelism, training frameworks, networks made
/// of a backbone and a head, `torch.compile`.
const PREFIXES: &[&str] = &[
    "module.",
    "model.",
    "backbone.",
    "pretrained.",
    "_orig_mod.",
];

/// How many may stand before one name.
const MAX_PREFIXES: usize = 4;

/// What stands before the names of `store` in `state`: a combination of known prefixes, or else the
/// one first part of a name, such as `net.`, below which most of the store is found.
pub(super) fn prefix_of<'a>(state: &'a StateDict, store: &Store) -> &'a str {
    let names = || state.iter().map(|(name, _)| name);
    let usual = common_prefix(names(), |name| store.find(name).is_some());
    match networks_below(state, store).as_slice() {
        [only] if count(state, store, only) > count(state, store, usual) => only,
        _ => usual,
    }
}

/// First parts of names, with their dots, below which most of `store` is found.
pub(super) fn networks_below<'a>(state: &'a StateDict, store: &Store) -> Vec<&'a str> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in state.iter() {
        if let Some(dot) = name.find('.')
            && store.find(&name[dot + 1..]).is_some()
        {
            *found.entry(&name[..=dot]).or_default() += 1;
        }
    }
    let most = store.entries().len() / 2;
    let found = found.into_iter().filter(|(_, count)| *count > most);
    found.map(|(prefix, _)| prefix).collect()
}

/// How many names of `state` are the store's without `prefix`.
fn count(state: &StateDict, store: &Store, prefix: &str) -> usize {
    let names = state
        .iter()
        .filter_map(|(name, _)| name.strip_prefix(prefix));
    names.filter(|name| store.find(name).is_some()).count()
}

/// The combination of known prefixes without which the most names are `known`; the shortest of
/// equals, which is none at all where nothing is gained.
pub(super) fn common_prefix<'a>(
    names: impl Iterator<Item = &'a str>,
    known: impl Fn(&str) -> bool,
) -> &'a str {
    let mut matches: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        let mut length = 0;
        for _ in 0..=MAX_PREFIXES {
            if known(&name[length..]) {
                *matches.entry(&name[..length]).or_default() += 1;
            }
            let rest = &name[length..];
            match PREFIXES.iter().find(|prefix| rest.starts_with(**prefix)) {
                Some(prefix) => length += prefix.len(),
                None => break,
            }
        }
    }
    matches
        .into_iter()
        .max_by_key(|(prefix, count)| (*count, std::cmp::Reverse(prefix.len())))
        .map(|(prefix, _)| prefix)
        .unwrap_or_default()
}
