//! Widths of networks that segment, told by a suffix of the name.

use crate::NnError;

/// What stands between the name and the factor.
const MARK: &str = "_x";
/// Factors beyond this are slips of the pen.
const GREATEST: f64 = 8.0;
/// A hundredth of the channels leaves none of them apart.
const LEAST: f64 = 0.01;

/// `pspnet_resnet18_x0.25` → (`pspnet_resnet18`, 0.25); `None` of a name without such a suffix.
///
/// # Errors
/// A factor that is out of range.
pub(super) fn split(name: &str) -> Result<Option<(&str, f64)>, NnError> {
    let Some((stem, factor)) = name.rsplit_once(MARK) else {
        return Ok(None);
    };
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let width = factor.parse::<f64>().ok();
    let Some(width) = width.filter(|_| factor.chars().all(is_number)) else {
        return Ok(None);
    };
    if !(LEAST..=GREATEST).contains(&width) {
        return Err(NnError::Unsupported {
            model: name.to_owned(),
            reason: format!("found the width {factor}, it must be from {LEAST} to {GREATEST}"),
        });
    }
    Ok(Some((stem, width)))
}

/// The name of a model at this width: a width of 1 is not mentioned.
pub(super) fn named(name: &str, width: f64) -> String {
    match width == 1.0 {
        true => name.to_owned(),
        false => format!("{name}{MARK}{width}"),
    }
}
