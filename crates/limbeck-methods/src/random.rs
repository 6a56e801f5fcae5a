//! Random numbers for what methods draw during training.

/// A stream of random numbers that its keys decide: SplitMix64 (Steele, Lea, Flood. "Fast
/// Splittable Pseudorandom Number Generators". OOPSLA 2014).
#[derive(Debug)]
pub(crate) struct Random(u64);

/// The generator's increment: 2⁶⁴ over the golden ratio, odd.
const INCREMENT: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The stream of these keys, such as a seed, a step and an image.
    pub fn new(keys: &[u64]) -> Self {
        let mut stream = Self(0);
        for key in keys {
            stream.0 = stream.bits() ^ key;
        }
        stream
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(INCREMENT);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is above 0; all of them as likely as 64 bits allow.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_published_generator() {
        // First numbers of SplitMix64 from state 1234567, from the reference implementation.
        let mut stream = Random(1_234_567);
        let found = [stream.bits(), stream.bits(), stream.bits()];
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_below_a_bound_are_all_as_likely() {
        let mut counts = [0; 6];
        let mut stream = Random::new(&[1, 2]);
        (0..60_000).for_each(|_| counts[stream.below(6)] += 1);
        assert!(
            counts.iter().all(|&n| (9_600..10_400).contains(&n)),
            "{counts:?}"
        );
    }

    #[test]
    fn every_key_matters() {
        let first = |keys: &[u64]| Random::new(keys).bits();
        let all = [
            first(&[1, 2]),
            first(&[2, 1]),
            first(&[1, 3]),
            first(&[1]),
            first(&[1, 2]),
        ];
        assert_eq!(all[0], all[4]);
        assert!((1..4).all(|i| all[i] != all[0]));
    }
}
