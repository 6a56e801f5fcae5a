//! Networks that are published under several names.

use std::borrow::Cow;

use super::{StateDict, segformer, sources, swin, yolov5};
use crate::Store;

/// `state` under the names of `store`, where it has those of another source.
pub(super) fn in_network_names<'a>(state: &'a StateDict, store: &Store) -> Cow<'a, StateDict> {
    let translated = segformer::translated(state, store);
    let translated = translated.or_else(|| swin::translated(state, store));
    let translated = translated.or_else(|| yolov5::translated(state, store));
    match translated.or_else(|| sources::translated(state, store)) {
        Some(translated) => Cow::Owned(translated),
        None => Cow::Borrowed(state),
    }
}

/// What stands before `ending` in the one name that ends so: nothing, or parts with their dots.
/// `None` where no name or several do.
pub(super) fn before<'a>(state: &'a StateDict, ending: &str) -> Option<&'a str> {
    let mut found = state.iter().filter_map(|(name, _)| {
        let before = name.strip_suffix(ending)?;
        (before.is_empty() || before.ends_with('.')).then_some(before)
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}
