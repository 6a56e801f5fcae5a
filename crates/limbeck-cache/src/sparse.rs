//! The most probable classes alone: TinyViT's soft labels (Wu et al., ECCV 2022, section 3.1).

use half::{f16, slice::HalfFloatSliceExt};
use limbeck_kernels::{Largest, exponentials, sum_of_exponentials};

use crate::half_precision::decode_f16;

/// Probabilities that are converted at once.
const PIECE: usize = 64;

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

/// What encoding needs room for, kept from record to record.
#[derive(Debug, Default)]
pub struct Room {
    largest: Largest,
    chosen: Vec<f32>,
    /// The logits of a position of a map.
    row: Vec<f32>,
}

/// Appends K indices, then K probabilities: the K most probable classes by descending probability,
/// the first of equal ones first; softmax at temperature 1 over all classes, rounded to half
/// precision. K is below the number of logits, all of them finite.
pub fn encode(logits: &[f32], k: usize, wide: bool, room: &mut Room, into: &mut Vec<u8>) {
    let start = into.len();
    into.resize(start + k * entry_bytes(wide), 0);
    let (indices, values) = into[start..].split_at_mut(k * index_bytes(wide));
    let largest = room.largest.find(logits, k);
    // Little-endian: the first bytes of an index are its low ones.
    if wide {
        for (bytes, &(class, _)) in indices.as_chunks_mut().0.iter_mut().zip(largest) {
            *bytes = class.to_le_bytes();
        }
    } else {
        for (bytes, &(class, _)) in indices.as_chunks_mut().0.iter_mut().zip(largest) {
            *bytes = (class as u16).to_le_bytes();
        }
    }
    let chosen = &mut room.chosen;
    chosen.clear();
    chosen.extend(largest.iter().map(|&(_, logit)| logit));
    let largest = chosen.first().copied().unwrap_or_default();
    let inverse_sum = 1.0 / sum_of_exponentials(logits, largest);
    exponentials(chosen, largest);
    for probability in chosen.iter_mut() {
        *probability = (f64::from(*probability) * inverse_sum) as f32;
    }
    let mut rounded = [f16::ZERO; PIECE];
    for (values, exact) in values.chunks_mut(2 * PIECE).zip(chosen.chunks(PIECE)) {
        let rounded = &mut rounded[..exact.len()];
        rounded.convert_from_f32_slice(exact);
        for (bytes, value) in values.as_chunks_mut().0.iter_mut().zip(rounded) {
            *bytes = value.to_le_bytes();
        }
    }
}

/// Appends what [`encode`] does for each position of a map `[K, h, w]` of logits, row by row.
pub fn encode_map(logits: &[f32], classes: usize, k: usize, room: &mut Room, into: &mut Vec<u8>) {
    let positions = logits.len() / classes.max(1);
    let mut row = std::mem::take(&mut room.row);
    for position in 0..positions {
        row.clear();
        row.extend(logits.iter().skip(position).step_by(positions));
        encode(&row, k, is_wide(classes), room, into);
    }
    room.row = row;
}

/// Decodes what [`encode_map`] wrote to the probabilities of all classes `[K, h, w]`; `None` for bytes
/// that it cannot have written.
pub fn decode_map(
    bytes: &[u8],
    classes: usize,
    k: usize,
    rule: Minor,
    into: &mut [f32],
) -> Option<()> {
    let wide = is_wide(classes);
    let each = k.checked_mul(entry_bytes(wide)).filter(|&each| each > 0)?;
    let positions = into.len() / classes.max(1);
    if bytes.len() != each.checked_mul(positions)? {
        return None;
    }
    let mut row = vec![0.0; classes];
    for (position, bytes) in bytes.chunks_exact(each).enumerate() {
        Entries::new(bytes, k, wide)?.decode(rule, &mut row)?;
        let places = into.iter_mut().skip(position).step_by(positions);
        for (place, &probability) in places.zip(&row) {
            *place = probability;
        }
    }
    Some(())
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

    /// Gives the same numbers to `work`, converted many at once.
    fn each_probability(self, mut work: impl FnMut(f32)) {
        let mut numbers = [0.0; PIECE];
        for values in self.values.chunks(PIECE) {
            let numbers = &mut numbers[..values.len()];
            decode_f16(values.as_flattened(), numbers);
            numbers.iter().for_each(|&number| work(number));
        }
    }

    /// m of so many classes, more than K.
    pub fn minor(self, classes: usize) -> f64 {
        let mut rest = 1.0;
        self.each_probability(|value| rest -= f64::from(value));
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
        let (mut classes, mut known) = (self.classes(), true);
        self.each_probability(|probability| {
            let place = classes.next().and_then(|class| into.get_mut(class));
            match place {
                Some(place) => *place = probability,
                None => known = false,
            }
        });
        known.then_some(())
    }
}
