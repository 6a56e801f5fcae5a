//! How titles are set.

/// With hyphens that no line ends at where a single digit follows: `top-1` stays whole.
pub fn unbroken(title: &str) -> String {
    let letters: Vec<char> = title.chars().collect();
    let single_digit = |place: usize| {
        let is = |place: usize, of: fn(&char) -> bool| letters.get(place).is_some_and(of);
        is(place, char::is_ascii_digit) && !is(place + 1, |letter| letter.is_alphanumeric())
    };
    let kept = |(place, &letter): (usize, &char)| match letter {
        '-' if single_digit(place + 1) => '\u{2011}',
        letter => letter,
    };
    letters.iter().enumerate().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_with_a_digit_stay_whole_and_names_of_runs_as_they_are() {
        assert_eq!(
            unbroken("best top-1 accuracy"),
            "best top\u{2011}1 accuracy"
        );
        assert_eq!(
            unbroken("kd-resnet8-20261122-0830"),
            "kd-resnet8-20261122-0830"
        );
    }
}
