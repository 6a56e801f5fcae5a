//! The random numbers of a stored view.

use rand_core::Rng;
use rand_pcg::Lcg128Xsl64;

/// The numbers that `numpy.random.Generator(numpy.random.PCG64(seed))` draws, with the helpers of
/// TinyViT's augmentation: a stored view is made again by drawing all its choices from here, in
/// the order of the authors' code.
#[derive(Clone, Debug)]
pub struct SeedStream {
    generator: Lcg128Xsl64,
}

impl SeedStream {
    /// The stream of a seed. Two images that were mixed share the exclusive or of their seeds.
    pub fn new(seed: u64) -> Self {
        let [a, b, c, d] = seed_sequence(seed);
        let join = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        Self {
            generator: Lcg128Xsl64::new(join(a, b), join(c, d)),
        }
    }

    /// Uniform in `[0, 1)`, a multiple of 2⁻⁵³.
    pub fn random(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random()
    }

    /// A whole number in `low..=high`, which must not be empty.
    pub fn randint(&mut self, low: i64, high: i64) -> i64 {
        let count = high.saturating_sub(low).saturating_add(1);
        // Rounding down, as `int` does with what is not negative.
        let drawn = (self.random() * count as f64) as i64;
        drawn.saturating_add(low).min(high)
    }

    /// A whole number in `low..high`, which must not be empty.
    pub fn np_randint(&mut self, low: i64, high: i64) -> i64 {
        self.randint(low, high.saturating_sub(1))
    }
}

/// The four numbers that numpy's `SeedSequence` makes of a seed for PCG64: O'Neill's `seed_seq`
/// with a pool of four words and numpy's constants (`numpy/random/bit_generator.pyx`).
fn seed_sequence(seed: u64) -> [u64; 4] {
    const POOL: usize = 4;
    let mut hash = 0x43b0_d7e5_u32;
    let mut hashed = |value: u32| {
        let value = value ^ hash;
        hash = hash.wrapping_mul(0x931e_8875);
        let value = value.wrapping_mul(hash);
        value ^ value >> 16
    };
    let mixed = |x: u32, y: u32| {
        let value = (x.wrapping_mul(0xca01_f9dd)).wrapping_sub(y.wrapping_mul(0x4973_f715));
        value ^ value >> 16
    };
    let words = [seed as u32, (seed >> 32) as u32, 0, 0];
    let mut pool = words.map(&mut hashed);
    for source in 0..POOL {
        for target in (0..POOL).filter(|&target| target != source) {
            pool[target] = mixed(pool[target], hashed(pool[source]));
        }
    }
    let mut hash = 0x8b51_f9dd_u32;
    let mut word = |i: usize| {
        let value = pool[i % POOL] ^ hash;
        hash = hash.wrapping_mul(0x58f3_8ded);
        let value = value.wrapping_mul(hash);
        u64::from(value ^ value >> 16)
    };
    [0, 2, 4, 6].map(|i| {
        let low = word(i);
        low | word(i + 1) << 32
    })
}
