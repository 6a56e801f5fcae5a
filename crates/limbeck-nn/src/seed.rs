//! Where seeds come from.
//!
//! A run has one seed. Whatever draws from it has a seed of its own, derived from the one above by
//! what it is for and a number: run → step → act → pass → layer. So two draws share nothing unless
//! seed, purpose and number all agree, and each can be made again without those before it. (What is
//! drawn for images has more to its key: `limbeck_data::Stream`.)

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The numbers of a parameter, by its name.
    Parameter,
    /// A step of a run, by its position among all steps.
    Step,
    /// An act of a step.
    Act,
    /// A pass of an act through a network.
    NetworkPass,
    /// A pass of an act through modules.
    ModulePass,
    /// What a method draws in an act.
    Method,
    /// What a layer draws in a pass.
    Layer,
    /// What is left out by dropout.
    Dropout,
    /// A network that learns beside the student, counted from 1.
    Member,
}

impl Purpose {
    /// Part of the key: initial weights depend on that of [`Purpose::Parameter`].
    const fn code(self) -> u64 {
        match self {
            Self::Parameter => 0,
            Self::Step => 1,
            Self::Act => 2,
            Self::NetworkPass => 3,
            Self::ModulePass => 4,
            Self::Method => 5,
            Self::Layer => 6,
            Self::Dropout => 7,
            Self::Member => 8,
        }
    }
}

/// The seed of number `number` of what `purpose` says, under `seed`.
pub fn derive(seed: u64, purpose: Purpose, number: u64) -> u64 {
    generator(seed, purpose, number).next_u64()
}

/// The random numbers of this key, whose three parts fill 192 of a ChaCha8 key's 256 bits without
/// overlap.
pub(crate) fn generator(seed: u64, purpose: Purpose, number: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&number.to_le_bytes());
    key[16..24].copy_from_slice(&purpose.code().to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// A name as a number: Fowler, Noll and Vo's 64-bit hash, variant 1a.
pub(crate) fn of_name(name: &str) -> u64 {
    let bytes = name.bytes();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ALL: [Purpose; 9] = [
        Purpose::Parameter,
        Purpose::Step,
        Purpose::Act,
        Purpose::NetworkPass,
        Purpose::ModulePass,
        Purpose::Method,
        Purpose::Layer,
        Purpose::Dropout,
        Purpose::Member,
    ];

    #[test]
    fn the_same_key_gives_the_same_seed_and_any_other_key_another() {
        let mut seen = HashSet::new();
        for seed in [0, 1, u64::MAX] {
            for purpose in ALL {
                for number in [0, 1, 2, 1 << 40] {
                    let derived = derive(seed, purpose, number);
                    assert_eq!(derived, derive(seed, purpose, number));
                    assert!(seen.insert(derived), "{seed} {purpose:?} {number}");
                }
            }
        }
    }

    #[test]
    fn neighbouring_numbers_differ_in_half_of_the_bits() {
        let differing: u32 = (0..1_000)
            .map(|number| {
                let [a, b] = [number, number + 1].map(|n| derive(7, Purpose::Step, n));
                (a ^ b).count_ones()
            })
            .sum();
        assert!((31_000..33_000).contains(&differing), "{differing}");
    }
}
