//! Counter-based randomness: the same key gives the same numbers, wherever and whenever asked.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// What random numbers are drawn for. Streams of different purposes share nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Which images go to which part of a data set.
    Split,
    /// The order of the images of an epoch.
    Order,
    /// Augmentation of one image.
    Augment,
    /// Mixing of the images of one batch.
    Mix,
    /// Generated images.
    Shapes,
    /// Measuring on a part of the images.
    Measure,
    /// Another image of the same class, and its augmentation.
    Partner,
    /// Whatever has a seed of its own.
    Derived,
    /// Generated images with masks.
    Scenes,
    /// The few images of each class that are learned from.
    Shots,
    /// Whether the foreground of one image is pasted, and on what.
    Paste,
    /// Whose style an image is drawn in.
    Style,
    /// Order and augmentation of the images of another domain.
    Domain,
}

impl Purpose {
    /// Part of the key, so it must never change for a purpose once it has been used.
    const fn code(self) -> u32 {
        match self {
            Self::Split => 1,
            Self::Order => 2,
            Self::Augment => 3,
            Self::Mix => 4,
            Self::Shapes => 5,
            Self::Measure => 6,
            Self::Partner => 7,
            Self::Derived => 8,
            Self::Scenes => 9,
            Self::Shots => 10,
            Self::Paste => 11,
            Self::Style => 12,
            Self::Domain => 13,
        }
    }
}

/// Random numbers of one (seed, purpose, epoch, sample, view).
///
/// The five parts fill the 256 bits of a ChaCha8 key without overlap, so two streams agree only
/// if all five agree, and any stream can be made again without drawing those before it. That is
/// what makes results independent of the number of workers, and a view of an image repeatable.
#[derive(Clone, Debug)]
pub struct Stream {
    generator: ChaCha8Rng,
}

impl Stream {
    /// The stream of this key. `sample` is whatever the purpose counts: an image, a class, a
    /// batch; `view` tells apart several draws for the same sample.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, epoch: u64, sample: u64, view: u32) -> Self {
        let mut key = [0u8; 32];
        key[0..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&epoch.to_le_bytes());
        key[16..24].copy_from_slice(&sample.to_le_bytes());
        key[24..28].copy_from_slice(&purpose.code().to_le_bytes());
        key[28..32].copy_from_slice(&view.to_le_bytes());
        Self {
            generator: ChaCha8Rng::from_seed(key),
        }
    }

    /// The stream of a seed that was derived for one draw.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        Self::new(seed, Purpose::Derived, 0, 0, 0)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Fills `bytes` with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.generator.fill_bytes(bytes);
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        // A double holds 53 bits exactly, so every value is equally likely and 1 is never reached.
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `[lo, hi)`; `lo` if the two are equal.
    pub fn uniform(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * self.unit()
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in `0..n`, without bias; 0 for `n` of 0 or 1.
    pub fn below(&mut self, n: usize) -> usize {
        if n <= 1 {
            return 0;
        }
        // Lemire, "Fast random integer generation in an interval" (2019): the high half of a
        // product is uniform once the few low halves that would tip the balance are refused. How
        // many these are takes a division, but fewer than `n` of them.
        let n = n as u64;
        loop {
            let product = u128::from(self.bits()) * u128::from(n);
            let low = product as u64;
            if low >= n || low >= n.wrapping_neg() % n {
                return (product >> 64) as usize;
            }
        }
    }

    /// Puts the items into a uniformly random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Normal with mean 0 and variance 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        // `1 - unit` is in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Gamma with this shape (above 0) and scale 1.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        self.log_gamma(shape).exp()
    }

    /// Beta with parameters `a` and `b`, both above 0.
    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        // From logarithms: for small parameters both gammas may round to 0, their ratio does not.
        let (x, y) = (self.log_gamma(a), self.log_gamma(b));
        1.0 / (1.0 + (y - x).exp())
    }

    /// The logarithm of a gamma draw: Marsaglia and Tsang, "A simple method for generating gamma
    /// variables" (2000), with their boost `G(a) = G(a + 1) · U^(1/a)` for shapes below 1.
    fn log_gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = (1.0 - self.unit()).ln() / shape;
            return self.log_gamma(shape + 1.0) + boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v <= 0.0 {
                continue;
            }
            let accepted = 0.5 * x * x + d - d * v + d * v.ln();
            if (1.0 - self.unit()).ln() < accepted {
                return d.ln() + v.ln();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream::new(7, Purpose::Augment, 3, 11, 0)
    }

    fn mean_and_variance(draws: &[f64]) -> (f64, f64) {
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        (mean, variance)
    }

    #[test]
    fn the_same_key_gives_the_same_numbers_and_any_other_key_gives_others() {
        let first = |mut stream: Stream| stream.bits();
        let base = first(stream());
        assert_eq!(base, first(stream()));
        for other in [
            Stream::new(8, Purpose::Augment, 3, 11, 0),
            Stream::new(7, Purpose::Mix, 3, 11, 0),
            Stream::new(7, Purpose::Augment, 4, 11, 0),
            Stream::new(7, Purpose::Augment, 3, 12, 0),
            Stream::new(7, Purpose::Augment, 3, 11, 1),
        ] {
            assert_ne!(base, first(other));
        }
    }

    #[test]
    fn uniform_numbers_stay_in_their_interval_with_the_right_mean_and_variance() {
        let mut stream = stream();
        let draws: Vec<f64> = (0..20_000).map(|_| stream.uniform(-1.0, 3.0)).collect();
        assert!(draws.iter().all(|x| (-1.0..3.0).contains(x)));
        let (mean, variance) = mean_and_variance(&draws);
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
        assert!((variance - 16.0 / 12.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn below_reaches_every_value_equally_often() {
        let mut stream = stream();
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[stream.below(7)] += 1;
        }
        for count in counts {
            assert!((9_500..10_500).contains(&count), "{counts:?}");
        }
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn shuffle_keeps_all_items_and_gives_each_order_equally_often() {
        let mut stream = stream();
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..12_000 {
            let mut items = [0, 1, 2];
            stream.shuffle(&mut items);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|n| (1_800..2_200).contains(n)));
    }

    #[test]
    fn normal_gamma_and_beta_have_their_means_and_variances() {
        let mut stream = stream();
        let (mean, variance) =
            mean_and_variance(&(0..40_000).map(|_| stream.normal()).collect::<Vec<_>>());
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03);
        for shape in [0.3, 1.0, 4.5] {
            let draws: Vec<f64> = (0..40_000).map(|_| stream.gamma(shape)).collect();
            let (mean, variance) = mean_and_variance(&draws);
            assert!((mean / shape - 1.0).abs() < 0.05, "{shape}: {mean}");
            assert!((variance / shape - 1.0).abs() < 0.1, "{shape}: {variance}");
        }
        for (a, b) in [(0.2, 0.2), (1.0, 1.0), (2.0, 5.0)] {
            let draws: Vec<f64> = (0..40_000).map(|_| stream.beta(a, b)).collect();
            let (mean, variance) = mean_and_variance(&draws);
            let (m, v) = (a / (a + b), a * b / ((a + b).powi(2) * (a + b + 1.0)));
            assert!((mean - m).abs() < 0.01, "{a} {b}: {mean}");
            assert!((variance - v).abs() < 0.01, "{a} {b}: {variance}");
        }
    }

    #[test]
    fn beta_of_tiny_parameters_is_still_a_number_between_0_and_1() {
        let mut stream = stream();
        for _ in 0..1_000 {
            let draw = stream.beta(1e-4, 1e-4);
            assert!((0.0..=1.0).contains(&draw));
        }
    }
}
