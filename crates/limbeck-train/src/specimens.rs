//! Which images of a part are shown: always the same ones of the same part.

use std::collections::BTreeMap;

use limbeck_data::{Part, Stream};

/// Seed of the draws.
const SEED: u64 = 0;

/// Positions of at most `count` images of `part`, drawn, ascending: of as many classes as can be where
/// images have some.
pub(crate) fn various(part: &Part, count: usize) -> Vec<usize> {
    let mut taken = BTreeMap::new();
    let order = shuffled(part).into_iter().enumerate();
    let mut ranked: Vec<(usize, usize, usize)> = order
        .map(|(place, position)| {
            let before: &mut usize = taken.entry(part.stratum(position)).or_default();
            *before += 1;
            (*before, place, position)
        })
        .collect();
    ranked.sort_unstable();
    ascending(ranked.into_iter().map(|(_, _, position)| position), count)
}

/// Positions of at most `count` images of `part`, drawn, ascending: each image as likely as any other.
pub(crate) fn drawn(part: &Part, count: usize) -> Vec<usize> {
    ascending(shuffled(part).into_iter(), count)
}

/// The images at these `positions`, which are ascending, as a part of their own.
pub(crate) fn part_of(part: &Part, positions: &[usize]) -> Part {
    let indices = positions
        .iter()
        .filter_map(|&position| part.indices.get(position));
    Part {
        source: part.source.clone(),
        indices: indices.copied().collect(),
    }
}

fn shuffled(part: &Part) -> Vec<usize> {
    let mut order: Vec<usize> = (0..part.len()).collect();
    Stream::of_seed(SEED).shuffle(&mut order);
    order
}

fn ascending(positions: impl Iterator<Item = usize>, count: usize) -> Vec<usize> {
    let mut positions: Vec<usize> = positions.take(count).collect();
    positions.sort_unstable();
    positions
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use limbeck_data::{OpenOptions, open};

    use super::*;

    #[test]
    fn specimens_are_of_different_classes_and_always_the_same() {
        let data = open(Path::new("shapes:400"), &OpenOptions::default()).unwrap();
        let part = &data.train;
        let found = various(part, 8);
        assert_eq!(found, various(part, 8));
        let classes: BTreeSet<_> = found.iter().map(|&it| part.class(it)).collect();
        assert_eq!(classes.len(), 8);
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(drawn(part, 9_999).len(), part.len());
        let few = part_of(part, &found);
        assert_eq!(few.class(3), part.class(found[3]));
    }
}
