//! Which inputs an output is made of, and how much each of them counts.

/// Weights are fixed-point numbers with this many bits after the point: results do not depend
/// on the order of summation, and 255 times a sum of weights near 1 fits 32 bits.
pub(super) const FRACTION: u32 = 22;

/// Which inputs the outputs along one axis are made of: `each` of them, from `first` on. Where an output
/// is made of fewer, the others weigh nothing.
pub(super) struct Taps {
    /// `[N]`, ascending.
    pub first: Vec<usize>,
    pub each: usize,
    /// `[N, each]`.
    pub weights: Vec<i32>,
}

impl Taps {
    /// Taps of `count` outputs from `skip` on, along one axis.
    pub fn new(input: usize, output: usize, skip: usize, count: usize) -> Self {
        let scale = input as f64 / output as f64;
        let support = scale.max(1.0);
        let one = f64::from(1u32 << FRACTION);
        let own: Vec<(usize, Vec<i32>)> = (skip..skip + count)
            .map(|out| {
                if input == output {
                    return (out, vec![1 << FRACTION]);
                }
                let centre = (out as f64 + 0.5) * scale;
                let first = ((centre - support + 0.5).max(0.0)) as usize;
                let end = ((centre + support + 0.5) as usize).min(input);
                let weights: Vec<f64> = (first..end)
                    .map(|at| (1.0 - ((at as f64 + 0.5 - centre) / support).abs()).max(0.0))
                    .collect();
                let sum: f64 = weights.iter().sum();
                let fixed = weights.iter().map(|weight| (weight / sum * one).round());
                (first, fixed.map(|weight| weight as i32).collect())
            })
            .collect();
        let each = own.iter().map(|(_, weights)| weights.len()).max();
        let each = each.unwrap_or(1);
        let mut taps = Self {
            first: Vec::with_capacity(count),
            each,
            weights: vec![0; count * each],
        };
        for ((own_first, own), weights) in own.iter().zip(taps.weights.chunks_exact_mut(each)) {
            let first = (*own_first).min(input - each);
            taps.first.push(first);
            weights[own_first - first..][..own.len()].copy_from_slice(own);
        }
        taps
    }

    /// First input and weights of each output.
    pub fn each(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let first = self.first.iter().copied();
        first.zip(self.weights.chunks_exact(self.each))
    }
}
