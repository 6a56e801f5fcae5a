//! Refusing settings outside their range.

use crate::DataError;

/// Refuses what is not a probability.
pub(super) fn probability(key: &'static str, value: f64) -> Result<(), DataError> {
    within(key, value, 1.0)
}

/// Refuses what is not a number from 0 to `greatest`.
pub(super) fn within(key: &'static str, value: f64, greatest: f64) -> Result<(), DataError> {
    if (0.0..=greatest).contains(&value) {
        return Ok(());
    }
    let expected = if greatest == f64::MAX {
        "a number of at least 0".to_owned()
    } else {
        format!("a number from 0 to {greatest}")
    };
    Err(DataError::setting(key, expected, value))
}

/// Refuses what is not `[least, greatest]`, both above 0 and at most `limit`.
pub(super) fn interval(key: &'static str, value: [f64; 2], limit: f64) -> Result<(), DataError> {
    let [least, greatest] = value;
    if least > 0.0 && least <= greatest && greatest <= limit {
        return Ok(());
    }
    let most = if limit == f64::MAX {
        String::new()
    } else {
        format!(" and at most {limit}")
    };
    Err(DataError::setting(
        key,
        format!("[least, greatest] in this order, both above 0{most}"),
        format!("{value:?}"),
    ))
}
