//! How many images of each class make up a whole.

/// How many of each class make up a share of the whole: the method of largest remainders, the
/// first of equals first, leaving at least one of each class.
pub(crate) fn proportional(sizes: &[usize], share: f64) -> Vec<usize> {
    let total = (sizes.iter().sum::<usize>() as f64 * share).round() as usize;
    let mut counts: Vec<usize> = sizes
        .iter()
        .map(|&size| (size as f64 * share) as usize)
        .collect();
    let mut classes: Vec<usize> = (0..sizes.len()).collect();
    let remainder = |class: &usize| sizes[*class] as f64 * share - counts[*class] as f64;
    classes.sort_by(|a, b| remainder(b).total_cmp(&remainder(a)));
    let missing = total.saturating_sub(counts.iter().sum());
    for &class in classes.iter().take(missing) {
        counts[class] += 1;
    }
    for (count, &size) in counts.iter_mut().zip(sizes) {
        *count = (*count).min(size.saturating_sub(1));
    }
    counts
}

/// `total` in shares as equal as the sizes allow: what a small class lacks, greater ones give.
/// What does not divide evenly goes to the first classes that have room.
pub(crate) fn equal(sizes: &[usize], total: usize) -> Vec<usize> {
    let filled = |level: usize| sizes.iter().map(|&size| size.min(level)).sum::<usize>();
    // The greatest level up to which every class can be filled.
    let (mut level, mut above) = (0, sizes.iter().max().map_or(1, |&size| size + 1));
    while above - level > 1 {
        let middle = level + (above - level) / 2;
        if filled(middle) <= total {
            level = middle;
        } else {
            above = middle;
        }
    }
    let mut left = total - filled(level);
    sizes
        .iter()
        .map(|&size| {
            let extra = usize::from(size > level && left > 0);
            left -= extra;
            size.min(level) + extra
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shares_fill_up_from_greater_classes() {
        assert_eq!(equal(&[5, 5, 5], 7), [3, 2, 2]);
        assert_eq!(equal(&[1, 9, 9], 9), [1, 4, 4]);
        assert_eq!(equal(&[1, 9, 9], 10), [1, 5, 4]);
        assert_eq!(equal(&[2, 2], 4), [2, 2]);
        assert_eq!(equal(&[2, 2], 0), [0, 0]);
    }

    #[test]
    fn proportional_shares_go_to_the_largest_remainders() {
        assert_eq!(proportional(&[6, 3, 1], 0.5), [3, 2, 0]);
        assert_eq!(proportional(&[10, 10], 0.25), [3, 2]);
    }
}
