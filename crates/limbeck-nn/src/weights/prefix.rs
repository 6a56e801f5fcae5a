//! What wrappers put before the names of a network.

use std::collections::BTreeMap;

/// Left out where names match without them: data parallelism, training frameworks, networks made
/// of a backbone and a head, `torch.compile`.
const PREFIXES: &[&str] = &["module.", "model.", "backbone.", "_orig_mod."];

/// How many may stand before one name.
const MAX_PREFIXES: usize = 4;

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
