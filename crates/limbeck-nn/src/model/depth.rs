//! Depths of plain vision transformers, told by a suffix of the name.

use crate::NnError;

/// What stands between the name and the number of blocks.
const MARK: &str = "_d";
/// Numbers beyond this are slips of the pen.
const GREATEST: usize = 200;

/// `vit_mini_patch4_d3` → (`vit_mini_patch4`, 3); `None` of a name without such a suffix.
///
/// # Errors
/// A number of blocks that is out of range.
pub(super) fn split(name: &str) -> Result<Option<(&str, usize)>, NnError> {
    let Some((stem, number)) = name.rsplit_once(MARK) else {
        return Ok(None);
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match number.parse() {
        Ok(depth) if (1..=GREATEST).contains(&depth) => Ok(Some((stem, depth))),
        _ => Err(NnError::Unsupported {
            model: name.to_owned(),
            reason: format!("found a depth of {number} blocks, it must be from 1 to {GREATEST}"),
        }),
    }
}

/// The name of a model with this many blocks.
pub(super) fn named(name: &str, depth: usize) -> String {
    format!("{name}{MARK}{depth}")
}
