//! One view of one sample.

use crate::{
    Minor,
    sparse::{self, Entries},
};

/// Bytes of the seed.
const SEED_BYTES: usize = 4;

/// The seed of a view and the most probable classes, as they are in the file.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    seed: u32,
    entries: Entries<'a>,
    classes: usize,
}

/// Bytes of a record with `k` classes of two bytes, or of four.
pub(super) fn bytes(k: usize, wide: bool) -> Option<usize> {
    k.checked_mul(sparse::entry_bytes(wide))?
        .checked_add(SEED_BYTES)
}

/// Appends a record. `seed` is below 2³¹, all logits are finite, and there are more than `k`.
pub(super) fn encode(
    seed: u32,
    logits: &[f32],
    k: usize,
    wide: bool,
    room: &mut sparse::Room,
    into: &mut Vec<u8>,
) {
    into.extend(seed.to_le_bytes());
    sparse::encode(logits, k, wide, room, into);
}

impl<'a> Record<'a> {
    /// Reads a record of `k` of `classes` classes. Refuses, with the reason, one that cannot have
    /// been written: a negative seed, classes that there are not or that are there twice,
    /// probabilities outside `[0, 1]`.
    pub(super) fn read(
        bytes: &'a [u8],
        k: usize,
        wide: bool,
        classes: usize,
    ) -> Result<Self, String> {
        let parts = bytes.split_first_chunk::<SEED_BYTES>();
        let (seed, entries) = parts
            .and_then(|(seed, rest)| Some((seed, Entries::new(rest, k, wide)?)))
            .ok_or("it has another length")?;
        let seed = u32::try_from(i32::from_le_bytes(*seed))
            .map_err(|_| "its seed is negative; seeds are 0 to 2³¹ − 1")?;
        let mut seen: Vec<usize> = entries.classes().collect();
        seen.sort_unstable();
        if let Some(twice) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("it names class {} twice", twice[0]));
        }
        if let Some(&class) = seen.last().filter(|&&class| class >= classes) {
            return Err(format!("it names class {class}; there are {classes}"));
        }
        let mut values = entries.probabilities();
        if let Some(value) = values.find(|value| !(0.0..=1.0).contains(value)) {
            return Err(format!("it has {value} for a probability"));
        }
        Ok(Self {
            seed,
            entries,
            classes,
        })
    }

    /// Seed of the view, below 2³¹; see [`super::SeedStream`].
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// The classes, by descending probability.
    pub fn classes(&self) -> impl Iterator<Item = usize> + 'a {
        self.entries.classes()
    }

    /// Their probabilities, in the same order.
    pub fn probabilities(&self) -> impl Iterator<Item = f32> + 'a {
        self.entries.probabilities()
    }

    /// m = (1 − Σ v) / (C − K), the probability of every class that is not there.
    pub fn minor(&self) -> f64 {
        self.entries.minor(self.classes)
    }

    /// Decodes to the probabilities of all classes; `None` where `into` has another length.
    pub fn decode(&self, minor: Minor, into: &mut [f32]) -> Option<()> {
        if into.len() != self.classes {
            return None;
        }
        self.entries.decode(minor, into)
    }
}
