//! Where the positions along one axis come from.

/// For each output position, the two input positions that it is mixed of.
#[derive(Clone, Debug)]
pub(crate) struct Mixture {
    pub low: Vec<usize>,
    pub high: Vec<usize>,
    /// Share of the high one, 0..1.
    pub share: Vec<f64>,
}

/// Neighbouring outputs that an input position is a part of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Share {
    /// The first of them.
    pub first: usize,
    /// How much of each of them it is.
    pub weights: Vec<f32>,
}

impl Mixture {
    pub fn new(input: usize, output: usize, align_corners: bool) -> Self {
        let source = |position: usize| match (align_corners, output) {
            (true, 1) => 0.0,
            (true, _) => position as f64 * (input - 1) as f64 / (output - 1) as f64,
            (false, _) => ((position as f64 + 0.5) * input as f64 / output as f64 - 0.5).max(0.0),
        };
        let low = |position| (source(position).floor() as usize).min(input - 1);
        Self {
            low: (0..output).map(low).collect(),
            high: (0..output).map(|i| (low(i) + 1).min(input - 1)).collect(),
            share: (0..output).map(|i| source(i) - low(i) as f64).collect(),
        }
    }

    /// For each of `input` positions, what of the outputs is made of it.
    pub fn adjoint(&self, input: usize) -> Vec<Share> {
        let mut shares: Vec<Share> = vec![Share::default(); input];
        for (output, &share) in self.share.iter().enumerate() {
            for (position, weight) in [(self.low[output], 1.0 - share), (self.high[output], share)]
            {
                let of = &mut shares[position];
                if of.weights.is_empty() {
                    of.first = output;
                }
                of.weights.resize(output - of.first + 1, 0.0);
                of.weights[output - of.first] += weight as f32;
            }
        }
        shares
    }

    /// The same as a matrix, row-major `[output, input]`.
    pub fn matrix(&self, input: usize) -> Vec<f64> {
        let mut weights = vec![0.0; self.low.len() * input];
        for (i, row) in weights.chunks_exact_mut(input).enumerate() {
            row[self.low[i]] += 1.0 - self.share[i];
            row[self.high[i]] += self.share[i];
        }
        weights
    }
}

/// For each output position, the input position that it is a copy of.
pub(crate) fn nearest(input: usize, output: usize) -> Vec<usize> {
    (0..output).map(|i| i * input / output).collect()
}
