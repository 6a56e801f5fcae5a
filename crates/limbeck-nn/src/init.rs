//! How parameters are drawn.
//!
//! Each parameter has a random stream of its own, keyed by the seed and its name: what one layer
//! draws does not depend on the layers made before it.

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use crate::seed::{self, Purpose};

/// Distribution that a parameter is drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All elements equal.
    Constant(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Normal with mean 0 and this standard deviation, redrawn outside ±2 (absolute bounds, as
    /// PyTorch's `trunc_normal_` has them by default).
    TruncatedNormal(f64),
    /// Uniform in `±bound`.
    Uniform(f64),
    /// Uniform from 0 to 1.
    Unit,
}

impl Init {
    /// PyTorch's default for convolutions and linear maps: Kaiming uniform with `a = √5`, which is
    /// uniform in `±1/√fan_in`. The bias uses the same bound.
    pub fn pytorch_default(fan_in: usize) -> Self {
        Init::Uniform(1.0 / (fan_in.max(1) as f64).sqrt())
    }

    /// Kaiming normal for ReLU by the number of outgoing connections: standard deviation
    /// `√(2 / fan_out)` with `fan_out = out_channels · kh · kw`, not divided by groups.
    pub fn kaiming_normal_fan_out(out_channels: usize, kernel: [usize; 2]) -> Self {
        Init::Normal((2.0 / (out_channels * kernel[0] * kernel[1]) as f64).sqrt())
    }

    /// `count` numbers for the parameter called `name` under `seed`.
    pub fn draw(self, seed: u64, name: &str, count: usize) -> Vec<f64> {
        let number = seed::of_name(name);
        let mut stream = RandomStream::new(seed, Purpose::Parameter, number);
        (0..count)
            .map(|_| match self {
                Init::Constant(value) => value,
                Init::Normal(deviation) => deviation * stream.normal(),
                Init::TruncatedNormal(deviation) => loop {
                    let value = deviation * stream.normal();
                    if value.abs() <= 2.0 {
                        break value;
                    }
                },
                Init::Uniform(bound) => bound * (2.0 * stream.unit() - 1.0),
                Init::Unit => stream.unit(),
            })
            .collect()
    }
}

/// Random numbers of one key.
pub(crate) struct RandomStream(ChaCha8Rng);

impl RandomStream {
    pub(crate) fn new(seed: u64, purpose: Purpose, number: u64) -> Self {
        Self(seed::generator(seed, purpose, number))
    }

    /// Uniform in `[0, 1)` with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal by Box and Muller's transformation.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}
