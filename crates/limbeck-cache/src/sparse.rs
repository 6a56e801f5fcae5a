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
pub fn entry_bytes(classes: usize) -> usize {
    index_bytes(classes) + 2
}

fn index_bytes(classes: usize) -> usize {
    if classes <= NARROW { 2 } else { 4 }
}

/// m, the probability of each class that is not in `values`.
pub fn minor(values: impl Iterator<Item = f32>, k: usize, classes: usize) -> f64 {
    let rest = values.fold(1.0, |rest, value| rest - f64::from(value));
    rest / (classes - k) as f64
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
pub fn encode(logits: &[f32], k: usize, into: &mut Vec<u8>) {
    let start = into.len();
    let (index_bytes, narrow) = (k * index_bytes(logits.len()), logits.len() <= NARROW);
    into.resize(start + index_bytes + 2 * k, 0);
    let (indices, probabilities) = into[start..].split_at_mut(index_bytes);
    for (i, (index, probability)) in top(logits, k).enumerate() {
        if narrow {
            indices[2 * i..2 * i + 2].copy_from_slice(&(index as u16).to_le_bytes());
        } else {
            indices[4 * i..4 * i + 4].copy_from_slice(&index.to_le_bytes());
        }
        probabilities[2 * i..2 * i + 2].copy_from_slice(&probability.to_le_bytes());
    }
}

/// Decodes to the probabilities of all classes, `into.len()` of them.
pub fn decode(bytes: &[u8], k: usize, rule: Minor, into: &mut [f32]) -> Result<(), &'static str> {
    let classes = into.len();
    let (indices, values) = bytes
        .split_at_checked(k * index_bytes(classes))
        .filter(|(_, values)| values.len() == 2 * k && k < classes)
        .ok_or("the record has another length")?;
    let values = values.as_chunks().0.iter();
    let values = values.map(|bytes| f16::from_le_bytes(*bytes).to_f32());
    let mut minor = minor(values.clone(), k, classes) as f32;
    if rule == Minor::ClampedAtZero {
        minor = minor.max(0.0);
    }
    into.fill(minor);
    let mut put = |index: usize, value: f32| match into.get_mut(index) {
        Some(place) => {
            *place = value;
            Ok(())
        }
        None => Err("it names a class that there is not"),
    };
    if classes <= NARROW {
        let indices = indices.as_chunks().0.iter();
        let indices = indices.map(|bytes| usize::from(u16::from_le_bytes(*bytes)));
        indices
            .zip(values)
            .try_for_each(|(index, value)| put(index, value))
    } else {
        let indices = indices.as_chunks().0.iter();
        let indices = indices.map(|bytes| u32::from_le_bytes(*bytes) as usize);
        indices
            .zip(values)
            .try_for_each(|(index, value)| put(index, value))
    }
}
