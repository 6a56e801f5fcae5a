//! One remembered embedding for each training image, and noise-contrastive estimation against
//! them.
//!
//! An anchor is compared with thousands of rows. Gathering those takes B·K·D numbers, twice with
//! their gradient; so a block of anchors is multiplied with the whole bank instead, which one
//! matrix product does, and the products of the picked rows are taken out. The gradient with
//! respect to the anchors is known in closed form and goes the same way back: slopes are added up
//! in a block of N numbers an anchor, and one product with the bank gives their gradient.

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use limbeck_nn::Init;

/// Most products of anchors and rows that are held at once: 8 MiB in single precision.
const BLOCK: usize = 1 << 21;
/// Rows that are drawn at once.
const DRAWN_ROWS: usize = 4096;

/// Rows of length one, one for each training image.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBank {
    /// `[N, D]`.
    pub rows: Tensor<2>,
    /// `ln Z`, `[1]`: the logarithm of what scores are divided by; `None` before the first use.
    pub log_normaliser: Option<Tensor<1>>,
}

/// The constants of a contrast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contrast {
    /// Products are divided by it before the exponential.
    pub temperature: f64,
    /// Added to the denominators.
    pub epsilon: f64,
}

impl MemoryBank {
    /// `count` rows drawn uniformly from ±1/√(width/3), which makes them about as long as one.
    pub fn drawn(name: &str, seed: u64, like: &Tensor<1>, count: usize, width: usize) -> Self {
        let options = (&like.device(), like.dtype());
        let bound = 1.0 / (width as f64 / 3.0).sqrt();
        let mut rows = Tensor::<2>::zeros([count, width], options);
        for start in (0..count).step_by(DRAWN_ROWS) {
            let end = (start + DRAWN_ROWS).min(count);
            let shape = [end - start, width];
            let numbers =
                Init::Uniform(bound).draw(seed, &format!("{name}.{start}"), shape[0] * width);
            let part = Tensor::from_data(TensorData::new(numbers, shape), options);
            rows = rows.slice_assign([start..end, 0..width], part);
        }
        Self {
            rows,
            log_normaliser: None,
        }
    }

    /// `⟨row, anchor⟩/τ` of the picked rows: anchors `[b, D]`, picks `[b, K + 1]` → `[b, K + 1]`.
    fn logits(&self, anchors: Tensor<2>, picks: Tensor<2, Int>, temperature: f64) -> Tensor<2> {
        anchors
            .matmul(self.rows.clone().transpose())
            .gather(1, picks)
            .mul_scalar(1.0 / temperature)
    }

    /// Anchors and picks block by block, with the block's first image.
    fn blocks(
        &self,
        anchors: &Tensor<2>,
        picks: &Tensor<2, Int>,
    ) -> impl Iterator<Item = (Tensor<2>, Tensor<2, Int>)> {
        let [batch, width] = anchors.dims();
        let [count, _] = self.rows.dims();
        let [_, columns] = picks.dims();
        let length = (BLOCK / count.max(columns)).clamp(1, batch);
        let (anchors, picks) = (anchors.clone(), picks.clone());
        (0..batch).step_by(length).map(move |start| {
            let end = (start + length).min(batch);
            (
                anchors.clone().slice([start..end, 0..width]),
                picks.clone().slice([start..end, 0..columns]),
            )
        })
    }

    /// Sets Z, unless it is set: the mean of `exp(⟨row, anchor⟩/τ)` over all picks, times N.
    pub fn set_normaliser(
        &mut self,
        anchors: &Tensor<2>,
        picks: &Tensor<2, Int>,
        temperature: f64,
    ) {
        if self.log_normaliser.is_some() {
            return;
        }
        let [count, _] = self.rows.dims();
        let picked = picks.shape().num_elements();
        let anchors = anchors.clone().inner();
        let logs: Vec<Tensor<1>> = self
            .blocks(&anchors, picks)
            .map(|(anchors, picks)| {
                let logits = self.logits(anchors, picks, temperature);
                let greatest = logits.clone().max();
                (logits - greatest.clone().reshape([1, 1]))
                    .exp()
                    .sum()
                    .log()
                    + greatest
            })
            .collect();
        let logs = Tensor::cat(logs, 0);
        let greatest = logs.clone().max();
        let log_sum = (logs - greatest.clone()).exp().sum().log() + greatest;
        self.log_normaliser = Some(log_sum.add_scalar((count as f64 / picked as f64).ln()));
    }

    /// Logarithms of the scores `exp(⟨row, anchor⟩/τ)/Z` of the picks.
    fn log_scores(&self, anchors: Tensor<2>, picks: Tensor<2, Int>, temperature: f64) -> Tensor<2> {
        let logits = self.logits(anchors, picks, temperature);
        match &self.log_normaliser {
            Some(log_normaliser) => logits - log_normaliser.clone().reshape([1, 1]),
            None => logits,
        }
    }

    /// The scores of all picks at once, `[B, K + 1]`; no gradient.
    #[cfg(test)]
    pub fn scores(
        &self,
        anchors: &Tensor<2>,
        picks: &Tensor<2, Int>,
        temperature: f64,
    ) -> Tensor<2> {
        let anchors = anchors.clone().inner();
        let blocks = self.blocks(&anchors, picks);
        let scores = blocks.map(|(anchors, picks)| self.log_scores(anchors, picks, temperature));
        Tensor::cat(scores.collect(), 0).exp()
    }

    /// The noise-contrastive loss `[1]` of anchors `[B, D]` whose own row is the first of their
    /// picks `[B, K + 1]`: with scores o and c = K/N,
    /// −1/B Σ_b (log(o_b0/(o_b0 + c + ε)) + Σ_k≥1 log(c/(o_bk + c + ε))).
    /// The gradient reaches the anchors; the bank is a constant.
    pub fn contrast(
        &self,
        anchors: Tensor<2>,
        picks: &Tensor<2, Int>,
        constants: Contrast,
    ) -> Tensor<1> {
        let [batch, _] = anchors.dims();
        let [count, _] = self.rows.dims();
        let negatives = picks.dims()[1] - 1;
        let share = negatives as f64 / count as f64;
        let log_offset = (share + constants.epsilon).ln();
        let at = anchors.clone().inner();
        let options = (&at.device(), at.dtype());
        // With x = ln o and a = ln(c + ε), the own row costs log(1 + e^(a − x)), every other one
        // log(1 + e^(x − a)) + ln(1 + ε/c).
        let mut signs = vec![1.0; negatives + 1];
        signs[0] = -1.0;
        let signs = Tensor::<2>::from_data(TensorData::new(signs, [1, negatives + 1]), options);
        let mut values = Vec::new();
        let mut gradients = Vec::new();
        for (anchors, picks) in self.blocks(&at, picks) {
            let length = anchors.dims()[0];
            let x = self.log_scores(anchors, picks.clone(), constants.temperature);
            let signed = x.sub_scalar(log_offset) * signs.clone();
            let costs = softplus(signed.clone());
            values.push(costs.clone().sum());
            // softplus' = e^(u − softplus(u)).
            let slopes = (signed - costs).exp() * signs.clone();
            let slopes = Tensor::zeros([length, count], options).scatter(
                1,
                picks,
                slopes,
                IndexingUpdateOp::Add,
            );
            gradients.push(slopes.matmul(self.rows.clone()));
        }
        let scale = 1.0 / batch as f64;
        let value = Tensor::cat(values, 0).sum().mul_scalar(scale);
        let value = value.add_scalar(negatives as f64 * (constants.epsilon / share).ln_1p());
        let gradient = Tensor::cat(gradients, 0).mul_scalar(scale / constants.temperature);
        // Adds nothing to the value, and the gradient at its place.
        value + ((anchors - at) * gradient).sum()
    }

    /// Moves the rows of `positions` to normalise(m·row + (1 − m)·anchor); where a position comes
    /// twice, its last anchor counts alone.
    pub fn remember(&mut self, positions: &[usize], anchors: Tensor<2>, momentum: f64) {
        let anchors = anchors.inner();
        let width = anchors.dims()[1];
        let indices: Vec<i64> = positions.iter().map(|&position| position as i64).collect();
        let indices = Tensor::<1, Int>::from_data(
            TensorData::new(indices, [positions.len()]),
            &anchors.device(),
        );
        let old = self.rows.clone().select(0, indices);
        let mixed = old.mul_scalar(momentum) + anchors.mul_scalar(1.0 - momentum);
        let new = mixed.clone() / mixed.square().sum_dim(1).sqrt();
        // Held once, the bank is written to in place.
        let mut rows = std::mem::replace(&mut self.rows, new.clone());
        for (i, &position) in positions.iter().enumerate() {
            let row = new.clone().slice([i..i + 1, 0..width]);
            rows = rows.slice_assign([position..position + 1, 0..width], row);
        }
        self.rows = rows;
    }
}

/// `log(1 + e^u)` without overflow.
fn softplus(u: Tensor<2>) -> Tensor<2> {
    u.clone().abs().neg().exp().log1p() + u.clamp_min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gradient, leaf, number, numbers, random, tensor};

    const CONSTANTS: Contrast = Contrast {
        temperature: 0.2,
        epsilon: 1e-7,
    };

    fn picks(picks: &[i64], columns: usize) -> Tensor<2, Int> {
        let shape = [picks.len() / columns, columns];
        Tensor::from_data(
            TensorData::new(picks.to_vec(), shape),
            &random("d", [1]).device(),
        )
    }

    fn bank() -> MemoryBank {
        MemoryBank::drawn("bank", 1, &random("like", [1]), 6, 3)
    }

    #[test]
    fn the_closed_form_is_that_of_the_definition_with_its_gradient() {
        let mut bank = bank();
        let anchors = leaf(random("a", [3, 3]));
        // A row that comes twice counts twice.
        let indices = picks(&[0, 3, 3, 2, 1, 4, 5, 0, 2, 0, 1, 3], 4);
        bank.set_normaliser(&anchors, &indices, 0.2);
        let found = bank.contrast(anchors.clone(), &indices, CONSTANTS);
        let found_gradient = gradient(&anchors, &found.backward()).unwrap();

        let rows = bank
            .rows
            .clone()
            .select(0, indices.reshape([12]))
            .reshape([3, 4, 3]);
        let z = bank.log_normaliser.clone().unwrap().exp().reshape([1, 1]);
        let other = leaf(anchors.clone().inner());
        let products = (rows * other.clone().reshape([3, 1, 3]))
            .sum_dim(2)
            .reshape([3, 4]);
        let scores = products.mul_scalar(5.0).exp() / z;
        let c = 3.0 / 6.0;
        let own = scores.clone().slice([0..3, 0..1]);
        let rest = scores.slice([0..3, 1..4]);
        let own = (own.clone() / (own + (c + 1e-7))).log().sum();
        let rest = ((rest + (c + 1e-7)).recip() * c).log().sum();
        let expected = (own + rest).mul_scalar(-1.0 / 3.0);
        assert_close(
            &[number(&found.clone().inner())],
            &[number(&expected.clone().inner())],
        );
        let expected_gradient = gradient(&other, &expected.backward()).unwrap();
        assert_close(&found_gradient, &expected_gradient);
    }

    #[test]
    fn an_anchor_at_its_own_row_costs_less_and_no_loss_is_negative() {
        let mut bank = bank();
        bank.remember(&[0, 1], random("r", [2, 3]), 0.0);
        let indices = picks(&[0, 3, 4, 2, 1, 2, 5, 4], 4);
        let own = bank.rows.clone().slice([0..2, 0..3]);
        bank.set_normaliser(&own, &indices, 0.2);
        let loss = |anchors| number(&bank.contrast(anchors, &indices, CONSTANTS));
        let away = loss(own.clone().neg());
        let halfway = loss(own.clone().mul_scalar(0.5));
        let there = loss(own);
        assert!(0.0 <= there && there < halfway && halfway < away);
    }

    #[test]
    fn blocks_give_what_the_whole_gives() {
        // Too many rows for more than a few anchors at once.
        let count = BLOCK / 2 + 1;
        let mut rows = vec![0.0; count];
        rows.iter_mut()
            .enumerate()
            .for_each(|(i, row)| *row = (i % 7) as f64 / 7.0);
        let mut bank = MemoryBank {
            rows: tensor(rows, [count, 1]),
            log_normaliser: None,
        };
        let anchors = random("a", [3, 1]);
        let indices = picks(&[0, 5, count as i64 - 1, 3, 2, 1], 2);
        bank.set_normaliser(&anchors, &indices, 1.0);
        let a = numbers(&anchors);
        let row = |i: usize| (i % 7) as f64 / 7.0;
        let products = [
            a[0] * row(0),
            a[0] * row(5),
            a[1] * row(count - 1),
            a[1] * row(3),
            a[2] * row(2),
            a[2] * row(1),
        ];
        let z = products.iter().map(|p| p.exp()).sum::<f64>() / 6.0 * count as f64;
        let expected: Vec<f64> = products.iter().map(|p| p.exp() / z).collect();
        assert_close(&numbers(&bank.scores(&anchors, &indices, 1.0)), &expected);
    }

    #[test]
    fn only_the_rows_of_the_batch_change_and_they_have_length_one() {
        let mut bank = bank();
        let before = numbers(&bank.rows);
        bank.remember(&[4, 1, 4], random("a", [3, 3]), 0.5);
        let after = numbers(&bank.rows);
        for row in 0..6 {
            let span = row * 3..row * 3 + 3;
            match row {
                1 | 4 => {
                    let square: f64 = after[span].iter().map(|x| x * x).sum();
                    assert_close(&[square], &[1.0]);
                }
                _ => assert_eq!(before[span.clone()], after[span]),
            }
        }
        // The last anchor of a position counts, from the row as it was.
        let anchor = &numbers(&random("a", [3, 3]))[6..9];
        let mixed: Vec<f64> = before[12..15]
            .iter()
            .zip(anchor)
            .map(|(b, a)| b + a)
            .collect();
        let length = mixed.iter().map(|x| x * x).sum::<f64>().sqrt();
        let expected: Vec<f64> = mixed.iter().map(|x| x / length).collect();
        assert_close(&after[12..15], &expected);
    }

    #[test]
    fn low_temperatures_stay_finite() {
        let mut bank = MemoryBank {
            rows: tensor(vec![1.0, -1.0], [2, 1]),
            log_normaliser: None,
        };
        let anchors = leaf(tensor(vec![1.0, -1.0], [2, 1]));
        let indices = picks(&[0, 1, 0, 1], 2);
        bank.set_normaliser(&anchors, &indices, 1e-4);
        let constants = Contrast {
            temperature: 1e-4,
            ..CONSTANTS
        };
        let loss = bank.contrast(anchors.clone(), &indices, constants);
        assert!(number(&loss.clone().inner()).is_finite());
        let gradient = gradient(&anchors, &loss.backward()).unwrap();
        assert!(gradient.iter().all(|g| g.is_finite()));
    }
}
