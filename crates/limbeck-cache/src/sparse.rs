//! The most probable classes alone: TinyViT's soft labels (Wu et al., ECCV 2022, section 3.1).

use half::f16;

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

/// The K most probable classes, by descending probability, the first of equal ones first, with
/// their probabilities: softmax at temperature 1 over all classes, rounded to half precision.
pub fn top(logits: &[f32], k: usize) -> impl Iterator<Item = (u32, f16)> {
    // Ordered as numbers, then by index from the last to the first: no two keys are equal.
    let mut keys: Vec<u64> = (logits.iter().enumerate())
        .map(|(index, &logit)| u64::from(ordered(logit)) << 32 | u64::from(!(index as u32)))
        .collect();
    if k < keys.len() {
        keys.select_nth_unstable_by(k, |a, b| b.cmp(a));
        keys.truncate(k);
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = (logits.iter())
        .map(|&logit| f64::from((logit - largest).exp()))
        .sum();
    keys.into_iter().map(move |key| {
        let index = !(key as u32);
        let logit = number((key >> 32) as u32);
        let probability = f64::from(logit - largest).exp() / sum;
        (index, f16::from_f32(probability as f32))
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

/// The number that [`ordered`] made these bits of.
fn number(ordered: u32) -> f32 {
    f32::from_bits(if ordered >> 31 == 1 {
        ordered & !(1 << 31)
    } else {
        !ordered
    })
}

/// Appends K indices, then K probabilities. K is below the number of logits, all of them finite.
pub fn encode(logits: &[f32], k: usize, wide: bool, into: &mut Vec<u8>) {
    let start = into.len();
    let index_bytes = index_bytes(wide);
    into.resize(start + k * entry_bytes(wide), 0);
    let (indices, probabilities) = into[start..].split_at_mut(k * index_bytes);
    let places = (indices.chunks_exact_mut(index_bytes)).zip(probabilities.as_chunks_mut().0);
    for ((class, probability), (index, value)) in places.zip(top(logits, k)) {
        // Little-endian: the first bytes of an index are its low ones.
        class.copy_from_slice(&index.to_le_bytes()[..index_bytes]);
        *probability = value.to_le_bytes();
    }
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
