//! The most probable classes alone: TinyViT's soft labels (Wu et al., ECCV 2022, section 3.1).

use half::{f16, slice::HalfFloatSliceExt};

/// Classes up to which two bytes hold an index.
const NARROW: usize = 1 << 16;

/// What becomes of the probability that each class outside the K stored ones is given,
/// m = (1 − Σ v) / (C − K). Rounding to half precision can make it slightly negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Minor {
    /// It stays as it is, so that the target sums to 1, as in the authors' code.
    #[default]
    Kept,
    /// It is 0 instead of negative; the stored probabilities stay as they are.
    ClampedAtZero,
}

/// Bytes of a class and its probability.
pub fn entry_bytes(wide: bool) -> usize {
    index_bytes(wide) + 2
}

/// Bytes of a class.
fn index_bytes(wide: bool) -> usize {
    if wide { 4 } else { 2 }
}

/// Whether the indices of so many classes take four bytes in our own records.
pub fn is_wide(classes: usize) -> bool {
    classes > NARROW
}

/// Appends K indices, then K probabilities: the K most probable classes by descending probability,
/// the first of equal ones first; softmax at temperature 1 over all classes, rounded to half
/// precision. K is below the number of logits, all of them finite.
pub fn encode(logits: &[f32], k: usize, wide: bool, into: &mut Vec<u8>) {
    /// Probabilities that are rounded at once.
    const PIECE: usize = 64;
    let top = top(logits, k);
    let largest = top.first().map_or(0.0, |&key| logit(key));
    let inverse_sum = 1.0 / sum_of_exponentials(logits, largest);
    into.reserve(k * entry_bytes(wide));
    for &key in &top {
        // Little-endian: the first bytes of an index are its low ones.
        into.extend_from_slice(&class(key).to_le_bytes()[..index_bytes(wide)]);
    }
    let (mut exact, mut rounded) = ([0.0; PIECE], [f16::ZERO; PIECE]);
    for keys in top.chunks(PIECE) {
        let (exact, rounded) = (&mut exact[..keys.len()], &mut rounded[..keys.len()]);
        for (exact, &key) in exact.iter_mut().zip(keys) {
            let exponential = exponential(logit(key) - largest);
            *exact = (f64::from(exponential) * inverse_sum) as f32;
        }
        rounded.convert_from_f32_slice(exact);
        for value in rounded {
            into.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// The keys of the K greatest logits, descending. A key orders as its logit does, of equal ones
/// the first class comes before; no two are equal.
fn top(logits: &[f32], k: usize) -> Vec<u64> {
    // The K-th greatest of the maxima of groups is no greater than the K-th greatest of all, so
    // most groups need not be looked into. Twice as many groups as K leave few that do. Group i has
    // the logits i, i + groups, …, so that the maxima of neighbours are found side by side.
    let groups = (2 * k).next_multiple_of(16).min(logits.len());
    let mut maxima = logits[..groups].to_vec();
    for logits in logits.chunks(groups).skip(1) {
        for (maximum, &logit) in maxima.iter_mut().zip(logits) {
            *maximum = if logit > *maximum { logit } else { *maximum };
        }
    }
    let mut keys: Vec<u64> = (maxima.iter().enumerate())
        .map(|(group, &maximum)| key(maximum, group))
        .collect();
    keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
    let bound = logit(keys[k - 1]);
    keys.clear();
    for (group, _) in (maxima.iter().enumerate()).filter(|&(_, &maximum)| maximum >= bound) {
        let members = (group..logits.len()).step_by(groups);
        keys.extend(
            members
                .filter(|&class| logits[class] >= bound)
                .map(|class| key(logits[class], class)),
        );
    }
    if k < keys.len() {
        keys.select_nth_unstable_by(k, |a, b| b.cmp(a));
        keys.truncate(k);
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys
}

/// See [`top`].
fn key(logit: f32, class: usize) -> u64 {
    u64::from(ordered(logit)) << 32 | u64::from(!(class as u32))
}

/// The class of a key.
fn class(key: u64) -> u32 {
    !(key as u32)
}

/// The logit of a key.
fn logit(key: u64) -> f32 {
    let ordered = (key >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 {
        ordered & !(1 << 31)
    } else {
        !ordered
    })
}

/// Bits that are ordered as the numbers are.
fn ordered(number: f32) -> u32 {
    // Zeros of both signs are equal.
    let bits = (number + 0.0).to_bits();
    if bits >> 31 == 0 {
        bits | 1 << 31
    } else {
        !bits
    }
}

/// Σ exp(logit − largest).
fn sum_of_exponentials(logits: &[f32], largest: f32) -> f64 {
    /// Sums side by side.
    const LANES: usize = 16;
    /// Numbers after which they are added up in double precision.
    const BLOCK: usize = 16 * LANES;
    let mut total = 0.0;
    for block in logits.chunks(BLOCK) {
        let mut sums = [0.0_f32; LANES];
        let (whole, rest) = block.as_chunks::<LANES>();
        for numbers in whole {
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum += exponential(number - largest);
            }
        }
        for (sum, number) in sums.iter_mut().zip(rest) {
            *sum += exponential(number - largest);
        }
        total += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
    }
    total
}

/// eˣ for x from -∞ to 0, to 2 units in the last place; 0 below −87. Only operations that every
/// processor rounds in the same way, and no branches, so that a compiler can do several at once:
/// the same logits give the same bytes everywhere.
#[inline]
fn exponential(x: f32) -> f32 {
    /// Added to a number of less than 23 bits and taken off again, it leaves the nearest whole
    /// number, which is in the sum's lowest bits meanwhile.
    const ROUNDING: f32 = 12_582_912.0;
    /// ln 2 = HIGH + LOW; HIGH has so few digits that its small multiples are exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let clamped = if x > -87.0 { x } else { -87.0 };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUNDING;
    let whole = shifted - ROUNDING;
    let rest = clamped - whole * HIGH - whole * LOW;
    // Taylor's series up to the seventh power: the rest is at most ln 2 / 2.
    let mut sum = 1.0 / 5040.0;
    for term in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * rest + term;
    }
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUNDING.to_bits())
        .wrapping_add(127);
    let found = sum * f32::from_bits(exponent << 23);
    if x > -87.0 { found } else { 0.0 }
}

/// K classes and their probabilities, as they are stored.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    indices: &'a [u8],
    values: &'a [[u8; 2]],
    wide: bool,
}

impl<'a> Entries<'a> {
    /// What [`encode`] appended; `None` where that has another length.
    pub fn new(bytes: &'a [u8], k: usize, wide: bool) -> Option<Self> {
        let (indices, values) = bytes.split_at_checked(k.checked_mul(index_bytes(wide))?)?;
        let (values, rest) = values.as_chunks();
        (values.len() == k && rest.is_empty()).then_some(Self {
            indices,
            values,
            wide,
        })
    }

    /// The classes, which may be any numbers.
    pub fn classes(self) -> impl Iterator<Item = usize> + 'a {
        (self.indices.chunks_exact(index_bytes(self.wide))).map(|bytes| match *bytes {
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]) as usize,
            [a, b] => usize::from(u16::from_le_bytes([a, b])),
            _ => usize::MAX,
        })
    }

    /// Their probabilities, which may be any numbers.
    pub fn probabilities(self) -> impl Iterator<Item = f32> + 'a {
        (self.values.iter()).map(|bytes| f16::from_le_bytes(*bytes).to_f32())
    }

    /// m of so many classes, more than K.
    pub fn minor(self, classes: usize) -> f64 {
        let rest = (self.probabilities()).fold(1.0, |rest, value| rest - f64::from(value));
        rest / (classes - self.values.len()) as f64
    }

    /// Decodes to the probabilities of all classes, `into.len()` of them; `None` where there are
    /// too few of them, or an entry is of none of them.
    pub fn decode(self, rule: Minor, into: &mut [f32]) -> Option<()> {
        if self.values.len() >= into.len() {
            return None;
        }
        let minor = self.minor(into.len()) as f32;
        into.fill(match rule {
            Minor::Kept => minor,
            Minor::ClampedAtZero => minor.max(0.0),
        });
        for (class, probability) in self.classes().zip(self.probabilities()) {
            *into.get_mut(class)? = probability;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_two_units_in_the_last_place() {
        for i in 0..870_000 {
            let x = -(i as f32) * 1e-4;
            let exact = f64::from(x).exp();
            let error = (f64::from(exponential(x)) - exact).abs() / exact;
            assert!(error <= 2.0 * f64::from(f32::EPSILON), "{x}: {error}");
        }
        assert_eq!(exponential(0.0), 1.0);
        assert_eq!(exponential(-88.0), 0.0);
        assert_eq!(exponential(f32::MIN), 0.0);
    }

    #[test]
    fn the_greatest_are_those_of_sorting_all() {
        let mut state = 1_u32;
        for classes in [2, 3, 7, 10, 64, 100, 257, 1000] {
            // Few different values, so that many are equal.
            let logits: Vec<f32> = (0..classes)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as f32 / 16.0 - 8.0
                })
                .collect();
            let mut expected: Vec<u32> = (0..classes as u32).collect();
            expected.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
            for k in 1..classes {
                let found: Vec<u32> = top(&logits, k).into_iter().map(class).collect();
                assert_eq!(found, expected[..k], "{k} of {classes}");
            }
        }
    }
}
