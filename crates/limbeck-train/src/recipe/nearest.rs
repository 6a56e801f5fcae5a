//! The known name that a mistyped one was probably meant to be.

/// The closest of `known` to `found`, if one is close: less than half the letters differ
/// (Damerau-Levenshtein distance), or one contains the other's beginning.
pub(super) fn nearest<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let found = found.to_lowercase().replace('-', "_");
    let distance = |name: &str| {
        let name = name.replace('-', "_");
        if found.len() >= 3 && (name.starts_with(&found) || found.starts_with(&name)) {
            1
        } else {
            strsim::damerau_levenshtein(&found, &name)
        }
    };
    known
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(distance, name)| 2 * distance < name.len().max(found.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_mistyped_name_finds_the_one_that_was_meant() {
        let known = ["learning_rate", "momentum", "weight_decay", "name"];
        assert_eq!(nearest("learningrate", known), Some("learning_rate"));
        assert_eq!(nearest("learning-rate", known), Some("learning_rate"));
        assert_eq!(nearest("momentun", known), Some("momentum"));
        assert_eq!(nearest("Weight_Decay", known), Some("weight_decay"));
        assert_eq!(nearest("weight", known), Some("weight_decay"));
    }

    #[test]
    fn a_name_that_resembles_none_finds_none() {
        assert_eq!(nearest("colour", ["learning_rate", "momentum"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
