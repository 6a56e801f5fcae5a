//! The names of generated sets: a word, or a word and a number of images.

use std::ops::RangeInclusive;
use std::path::Path;

use crate::DataError;

/// Number of images that the path asks for, by a `form` such as `shapes:N`: `usual` where it is the word
/// alone, N where one follows, none where it is something else.
///
/// # Errors
/// [`DataError::Setting`] for an N that is none of `counts`.
pub(super) fn count(
    path: &Path,
    form: &'static str,
    usual: usize,
    counts: &RangeInclusive<usize>,
) -> Result<Option<usize>, DataError> {
    let word = form.trim_end_matches(":N");
    let Some(rest) = path.to_str().and_then(|name| name.strip_prefix(word)) else {
        return Ok(None);
    };
    if rest.is_empty() {
        return Ok(Some(usual));
    }
    let Some(number) = rest.strip_prefix(':') else {
        return Ok(None);
    };
    let asked = number.parse().ok().filter(|count| counts.contains(count));
    asked.map(Some).ok_or_else(|| {
        DataError::setting(
            form,
            format!(
                "a number of images from {} to {}",
                counts.start(),
                counts.end()
            ),
            number,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_for_the_usual_number_and_one_behind_it_for_itself() {
        let of = |path: &str| count(Path::new(path), "dots:N", 30, &(10..=50));
        assert_eq!(of("dots").unwrap(), Some(30));
        assert_eq!(of("dots:12").unwrap(), Some(12));
        for other in ["dot", "dots2", "dots/12", "./dots", "12", ""] {
            assert_eq!(of(other).unwrap(), None, "{other}");
        }
        for wrong in ["dots:", "dots:9", "dots:51", "dots:-12", "dots:x"] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(
                error.contains("dots:N") && error.contains("from 10 to 50"),
                "{error}"
            );
        }
    }
}
