//! The largest numbers of a row.

use crate::simd::{Kernel, MOST_LANES, Simd, as_room, dispatch};

/// Finds the largest numbers of one row after the other, and keeps the room that it needs.
#[derive(Debug, Default)]
pub struct Largest {
    maxima: Vec<f32>,
    places: Vec<u32>,
    keys: Vec<u64>,
}

impl Largest {
    /// The `count` largest of the finite `numbers` with their places, descending; of equal ones the
    /// first comes first. All of them where there are no more. Of a row with numbers that are not
    /// finite it may be fewer. There are fewer than 2³² numbers.
    pub fn find(&mut self, numbers: &[f32], count: usize) -> impl Iterator<Item = (u32, f32)> {
        self.keys.clear();
        if count > 0 && !numbers.is_empty() {
            // Four times as many groups as numbers are wanted leave few others above the bound, and
            // whole vectors of them are quick.
            let groups = count.saturating_mul(4).next_multiple_of(MOST_LANES);
            self.maxima.clear();
            self.maxima
                .extend_from_slice(&numbers[..groups.min(numbers.len())]);
            let room = numbers.len() + MOST_LANES;
            self.places.resize(self.places.len().max(room), 0);
            let found = dispatch(Candidates {
                numbers,
                count,
                maxima: &mut self.maxima,
                places: &mut self.places,
            });
            let places = &self.places[..found];
            (self.keys).extend(
                places
                    .iter()
                    .map(|&place| key(numbers[place as usize], place)),
            );
        }
        let keys = &mut self.keys;
        // Sorting a few too many is quicker than leaving them out first.
        if count.saturating_mul(2) < keys.len() {
            keys.select_nth_unstable(count);
            keys.truncate(count);
        }
        keys.sort_unstable();
        keys.truncate(count);
        keys.iter().map(|&key| (key as u32, number(key)))
    }
}

/// Collects the places of at least the `count` largest numbers, and tells how many they are.
/// `maxima` has the first numbers, one for each group; `places` has room for a vector more than
/// there are numbers.
struct Candidates<'a> {
    numbers: &'a [f32],
    count: usize,
    maxima: &'a mut [f32],
    places: &'a mut [u32],
}

impl Kernel for Candidates<'_> {
    type Output = usize;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> usize {
        let mut count = 0;
        // SAFETY: as this function's own; `at` stays inside the numbers. No more places are found
        // than there are numbers, behind which there is room for a vector.
        unsafe {
            find_maxima::<S>(self.numbers, self.maxima);
            let bound = bound::<S>(self.maxima, self.count);
            for at in (0..self.numbers.len()).step_by(S::LANES) {
                let found = reached::<S>(self.numbers, at, bound);
                S::store_places(self.places[count..].as_mut_ptr(), at as u32, found);
                count += found.count_ones() as usize;
            }
        }
        count
    }
}

/// Which of the numbers from `at` on, as many as a vector has, are at least `bound`; a bit each.
///
/// # Safety
/// The processor must have the instruction set of `S`; `at` must not lie behind the numbers' end.
#[inline(always)]
unsafe fn reached<S: Simd>(numbers: &[f32], at: usize, bound: f32) -> u32 {
    // SAFETY: as this function's own.
    unsafe {
        let found = S::at_least(S::load_part(numbers, at), S::splat(bound));
        let valid = (numbers.len() - at).min(S::LANES);
        found & ((1 << valid) - 1)
    }
}

/// The maxima of groups: group i has the numbers i, i + groups, …, so that those of neighbours are
/// found side by side. There are whole vectors of groups, or each number is one of its own.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn find_maxima<S: Simd>(numbers: &[f32], maxima: &mut [f32]) {
    let groups = maxima.len();
    // SAFETY: as this function's own; vectors that are read lie inside the numbers.
    unsafe {
        for group in (0..groups).step_by(S::LANES) {
            let mut most = S::load_part(maxima, group);
            let mut at = group + groups;
            while at + S::LANES <= numbers.len() {
                most = S::maximum(S::load(numbers.as_ptr().add(at)), most);
                at += groups;
            }
            S::store_part(as_room(maxima), group, most);
        }
    }
    // What is no whole vector.
    let rest = (numbers.len() - numbers.len() % S::LANES).max(groups);
    for at in rest..numbers.len() {
        let maximum = &mut maxima[at % groups];
        *maximum = maximum.max(numbers[at]);
    }
}

/// A number that at least `count` of the maxima reach, or all if there are no more, and few others:
/// as many numbers of the row reach it too.
///
/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn bound<S: Simd>(maxima: &[f32], count: usize) -> f32 {
    /// Halvings at the most. What they leave undecided costs time alone.
    const HALVINGS: usize = 12;
    let (mut low, mut high) = (f32::MAX, f32::MIN);
    let (whole, rest) = maxima.as_chunks::<MOST_LANES>();
    if let Some((first, whole)) = whole.split_first() {
        let mut ends = [*first; 2];
        for maxima in whole {
            for i in 0..MOST_LANES {
                ends[0][i] = if maxima[i] < ends[0][i] {
                    maxima[i]
                } else {
                    ends[0][i]
                };
                ends[1][i] = if maxima[i] > ends[1][i] {
                    maxima[i]
                } else {
                    ends[1][i]
                };
            }
        }
        low = ends[0].into_iter().fold(low, f32::min);
        high = ends[1].into_iter().fold(high, f32::max);
    }
    low = rest.iter().copied().fold(low, f32::min);
    high = rest.iter().copied().fold(high, f32::max);
    for _ in 0..HALVINGS {
        let middle = 0.5 * low + 0.5 * high;
        let mut reaching = 0;
        for at in (0..maxima.len()).step_by(S::LANES) {
            // SAFETY: as this function's own; `at` stays inside the maxima.
            reaching += unsafe { reached::<S>(maxima, at, middle) }.count_ones() as usize;
        }
        if reaching < count {
            high = middle;
        } else {
            low = middle;
            if reaching <= count + count / 16 {
                break;
            }
        }
    }
    low
}

/// Orders as the numbers do, the largest first, and of equal ones as their places.
#[inline(always)]
fn key(number: f32, place: u32) -> u64 {
    // Zeros of both signs are equal.
    let bits = (number + 0.0).to_bits();
    let descending = if bits >> 31 == 0 {
        !(bits | 1 << 31)
    } else {
        bits
    };
    u64::from(descending) << 32 | u64::from(place)
}

/// The number of a key.
#[inline(always)]
fn number(key: u64) -> f32 {
    let descending = (key >> 32) as u32;
    f32::from_bits(if descending >> 31 == 0 {
        !descending & !(1 << 31)
    } else {
        descending
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of which many are equal, zeros of both signs among them.
    fn rough(count: usize, state: &mut u32) -> Vec<f32> {
        let next = |_| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (*state >> 24) as f32 / 16.0 - 8.0;
            if *state & 1 == 0 { number } else { -number }
        };
        (0..count).map(next).collect()
    }

    fn check(numbers: &[f32], count: usize) {
        let mut expected: Vec<u32> = (0..numbers.len() as u32).collect();
        expected.sort_by(|&a, &b| {
            numbers[b as usize]
                .partial_cmp(&numbers[a as usize])
                .unwrap()
        });
        expected.truncate(count);
        let found: Vec<(u32, f32)> = Largest::default().find(numbers, count).collect();
        let places: Vec<u32> = found.iter().map(|&(place, _)| place).collect();
        assert_eq!(places, expected, "{count} of {}", numbers.len());
        for (place, number) in found {
            assert_eq!(number, numbers[place as usize]);
        }
    }

    #[test]
    fn the_largest_are_those_of_sorting_all() {
        let mut state = 1;
        for size in [0, 1, 2, 3, 7, 10, 64, 100, 257] {
            let numbers = rough(size, &mut state);
            for count in 0..=size + 1 {
                check(&numbers, count);
            }
        }
        for count in [1, 5, 10, 100, 999, 1000] {
            check(&rough(1000, &mut state), count);
        }
    }

    #[test]
    fn far_numbers_and_equal_ones_cost_nothing_but_time() {
        let mut numbers = vec![0.25; 1000];
        check(&numbers, 10);
        numbers[999] = f32::MAX;
        numbers[500] = f32::MIN;
        check(&numbers, 1);
        check(&numbers, 10);
        check(&numbers, 1000);
    }

    #[test]
    fn a_row_with_what_is_no_number_gives_no_more_than_it_has() {
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let numbers = vec![broken; 100];
            assert!(Largest::default().find(&numbers, 10).count() <= 10);
        }
    }
}
