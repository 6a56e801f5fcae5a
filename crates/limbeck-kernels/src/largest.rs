//! The largest numbers of a row.

use crate::simd::{Kernel, MOST_LANES, Simd, as_room, dispatch};

/// Candidates up to which counting the larger ones of each costs less than sorting: there are more
/// comparisons, but no branches on what they find.
const COUNTED: usize = 256;

/// Finds the largest numbers of one row after the other, and keeps the room that it needs.
#[derive(Debug, Default)]
pub struct Largest {
    maxima: Vec<f32>,
    places: Vec<u32>,
    candidates: Vec<f32>,
    ranks: Vec<f32>,
    keys: Vec<u64>,
    ordered: Vec<(u32, f32)>,
}

impl Largest {
    /// The `count` largest of the finite `numbers` with their places, descending; of equal ones the
    /// first comes first. All of them where there are no more. Of a row with numbers that are not
    /// finite it may be fewer. There are fewer than 2³² numbers.
    pub fn find(&mut self, numbers: &[f32], count: usize) -> &[(u32, f32)] {
        self.ordered.clear();
        if count > 0 && !numbers.is_empty() {
            // Four times as many groups as numbers are wanted leave few others above the bound, and
            // whole vectors of them are quick.
            let groups = count.saturating_mul(4).next_multiple_of(MOST_LANES);
            self.maxima.resize(groups.min(numbers.len()), 0.0);
            let room = numbers.len() + MOST_LANES;
            self.places.resize(self.places.len().max(room), 0);
            let found = dispatch(Candidates {
                numbers,
                count,
                maxima: &mut self.maxima,
                places: &mut self.places,
            });
            self.order(numbers, count, found);
        }
        self.ordered.truncate(count);
        &self.ordered
    }

    /// Puts the first `found` of the places with their numbers in order, at least the `count` first.
    fn order(&mut self, numbers: &[f32], count: usize, found: usize) {
        /// What stands where no number has been put yet; no place is so high.
        const FREE: (u32, f32) = (u32::MAX, 0.0);
        let places = &self.places[..found];
        let candidates = places.iter().map(|&place| numbers[place as usize]);
        self.candidates.clear();
        self.candidates.extend(candidates);
        let pairs = places.iter().copied().zip(self.candidates.iter().copied());
        if found <= COUNTED {
            self.ranks.resize(found, 0.0);
            dispatch(Ranks {
                numbers: &self.candidates,
                ranks: &mut self.ranks,
            });
            self.ordered.resize(found, FREE);
            for (pair, &rank) in pairs.zip(&self.ranks) {
                // SAFETY: it is the count of some of the candidates, 256 at the most.
                let mut rank = unsafe { rank.to_int_unchecked::<u32>() } as usize;
                // Equal ones have the same rank.
                while self.ordered[rank].0 != FREE.0 {
                    rank += 1;
                }
                self.ordered[rank] = pair;
            }
            return;
        }
        self.keys.clear();
        self.keys
            .extend(pairs.map(|(place, number)| key(number, place)));
        // Sorting a few too many is quicker than leaving them out first.
        if count.saturating_mul(2) < found {
            self.keys.select_nth_unstable(count);
            self.keys.truncate(count);
        }
        self.keys.sort_unstable();
        let pairs = self.keys.iter().map(|&key| (key as u32, number(key)));
        self.ordered.extend(pairs);
    }
}

/// Counts for each of the numbers, fewer than 2²⁴, those that are larger.
struct Ranks<'a> {
    numbers: &'a [f32],
    ranks: &'a mut [f32],
}

impl Kernel for Ranks<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        /// Counts side by side, so that none waits for the one before it.
        const SIDE_BY_SIDE: usize = 4;
        let (several, rest) = self.numbers.as_chunks::<SIDE_BY_SIDE>();
        let ranks = as_room(self.ranks);
        for at in (0..self.numbers.len()).step_by(S::LANES) {
            // SAFETY: as this function's own; there are as many ranks as numbers.
            unsafe {
                let own = S::load_part(self.numbers, at);
                let mut counts = [S::splat(0.0); SIDE_BY_SIDE];
                for others in several {
                    for i in 0..SIDE_BY_SIDE {
                        counts[i] = S::count_below(counts[i], own, S::splat(others[i]));
                    }
                }
                for (count, &other) in counts.iter_mut().zip(rest) {
                    *count = S::count_below(*count, own, S::splat(other));
                }
                let [a, b, c, d] = counts;
                S::store_part(ranks, at, S::add(S::add(a, b), S::add(c, d)));
            }
        }
    }
}

/// Collects the places of at least the `count` largest numbers, and tells how many they are.
/// `maxima` has room for one of each group; `places` has room for a vector more than there are
/// numbers.
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
            let length = self.numbers.len();
            let mut collect = |at: usize, found: u32| {
                S::store_places(self.places[count..].as_mut_ptr(), at as u32, found);
                count += found.count_ones() as usize;
            };
            let whole = length - length % S::LANES;
            let limit = S::splat(bound);
            for at in (0..whole).step_by(S::LANES) {
                let numbers = S::load(self.numbers.as_ptr().add(at));
                collect(at, S::at_least(numbers, limit));
            }
            if whole < length {
                let valid = (1 << (length - whole)) - 1;
                let numbers = S::load_part(self.numbers, whole);
                collect(whole, S::at_least(numbers, limit) & valid);
            }
        }
        count
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
            let mut most = S::load_part(numbers, group);
            let mut at = group + groups;
            while at + S::LANES <= numbers.len() {
                most = S::maximum(S::load(numbers.as_ptr().add(at)), most);
                at += groups;
            }
            S::store_part(as_room(maxima), group, most);
        }
    }
    // What is no whole vector: neighbours, as there are whole vectors of groups.
    let rest = (numbers.len() - numbers.len() % S::LANES).max(groups);
    if let Some(numbers) = numbers.get(rest..) {
        for (maximum, &number) in maxima[rest % groups..].iter_mut().zip(numbers) {
            *maximum = maximum.max(number);
        }
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
    let whole = maxima.len() - maxima.len() % S::LANES;
    let (mut lows, mut highs) = ([f32::MAX; MOST_LANES], [f32::MIN; MOST_LANES]);
    // SAFETY: as this function's own; whole vectors lie inside the maxima, and there is room for
    // any vector in both arrays.
    unsafe {
        let (mut least, mut most) = (S::splat(f32::MAX), S::splat(f32::MIN));
        for at in (0..whole).step_by(S::LANES) {
            let maxima = S::load(maxima.as_ptr().add(at));
            least = S::at_most(maxima, least);
            most = S::maximum(maxima, most);
        }
        S::store(lows.as_mut_ptr(), least);
        S::store(highs.as_mut_ptr(), most);
    }
    // What `f32::min` and `f32::max` do for what is no number costs more than the comparison.
    let smaller = |a: f32, b: f32| if a < b { a } else { b };
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let rest = &maxima[whole..];
    let mut low = lows.iter().chain(rest).copied().fold(f32::MAX, smaller);
    let mut high = highs.iter().chain(rest).copied().fold(f32::MIN, larger);
    for _ in 0..HALVINGS {
        let middle = 0.5 * low + 0.5 * high;
        let mut reaching = rest.iter().filter(|&&maximum| maximum >= middle).count();
        for at in (0..whole).step_by(S::LANES) {
            // SAFETY: as this function's own; whole vectors lie inside the maxima.
            let found = unsafe { S::at_least(S::load(maxima.as_ptr().add(at)), S::splat(middle)) };
            reaching += found.count_ones() as usize;
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
        let found = Largest::default().find(numbers, count).to_vec();
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
            assert!(Largest::default().find(&numbers, 10).len() <= 10);
        }
    }
}
