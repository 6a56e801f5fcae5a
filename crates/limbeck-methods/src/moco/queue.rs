//! Keys of earlier steps.

use burn::tensor::{Tensor, TensorData, activation::log_softmax};
use limbeck_nn::Init;

use super::head::unit;
use crate::State;

/// Names in checkpoints: the authors'.
const QUEUE: &str = "queue";
const NEXT: &str = "queue_ptr";

/// Rows that are drawn at once.
const DRAWN_ROWS: usize = 4096;

/// How far a row's length may be from one before all are brought back to it.
const SLACK: f64 = 1e-3;

/// Unit vectors of earlier images, the oldest of which make room for new ones.
#[derive(Clone, Debug)]
pub(super) struct KeyQueue {
    /// `[K, D]`.
    rows: Tensor<2>,
    /// Where the next key goes.
    next: usize,
}

/// What a contrast with the queue gives.
pub(super) struct Contrasted {
    /// Products over the temperature, those with the own keys first, `[B, 1 + K]`.
    #[cfg(test)]
    pub logits: Tensor<2>,
    /// Mean cross entropy of the own key, `[1]`.
    pub loss: Tensor<1>,
    /// Share of the queries that are nearest to their own key, `[1]`, without gradient.
    pub accuracy: Tensor<1>,
}

impl KeyQueue {
    /// `count` keys of random directions.
    pub fn drawn(seed: u64, like: &Tensor<1>, count: usize, width: usize) -> Self {
        let options = (&like.device(), like.dtype());
        let parts = (0..count).step_by(DRAWN_ROWS).map(|start| {
            let rows = DRAWN_ROWS.min(count - start);
            let numbers = Init::Normal(1.0).draw(seed, &format!("queue.{start}"), rows * width);
            Tensor::from_data(TensorData::new(numbers, [rows, width]), options)
        });
        let rows = Tensor::cat(parts.collect(), 0);
        Self {
            rows: unit(rows),
            next: 0,
        }
    }

    /// These keys `[K, D]`, of which the one at `next` is the oldest.
    #[cfg(test)]
    pub fn of(rows: Tensor<2>, next: usize) -> Self {
        Self { rows, next }
    }

    /// The keys `[K, D]`, and where the next one goes.
    #[cfg(test)]
    pub fn parts(&self) -> (&Tensor<2>, usize) {
        (&self.rows, self.next)
    }

    /// Tells the own keys from those of the queue: queries and keys `[B, D]`. The gradient reaches the
    /// queries alone.
    pub fn contrast(&self, queries: Tensor<2>, keys: &Tensor<2>, temperature: f64) -> Contrasted {
        let [batch, _] = queries.dims();
        let own = (queries.clone() * keys.clone().inner()).sum_dim(1);
        let others = queries.matmul(self.rows.clone().transpose());
        let nearest = others.clone().inner().max_dim(1);
        let right = own.clone().inner().greater(nearest).float();
        let logits = Tensor::cat(vec![own, others], 1).mul_scalar(1.0 / temperature);
        let loss = log_softmax(logits.clone(), 1)
            .slice([0..batch, 0..1])
            .mean()
            .neg();
        Contrasted {
            accuracy: right.cast(loss.dtype()).mean(),
            #[cfg(test)]
            logits,
            loss,
        }
    }

    /// Puts keys `[B, D]` in the place of the oldest ones.
    pub fn push(&mut self, keys: Tensor<2>) {
        let keys = keys.inner();
        let [count, width] = self.rows.dims();
        let [mut left, _] = keys.dims();
        let mut from = 0;
        while left > 0 {
            let some = left.min(count - self.next);
            let part = keys.clone().slice([from..from + some, 0..width]);
            // Held once, the queue is written to in place.
            let rows = std::mem::replace(&mut self.rows, part.clone());
            self.rows = rows.slice_assign([self.next..self.next + some, 0..width], part);
            self.next = (self.next + some) % count;
            from += some;
            left -= some;
        }
    }

    /// Keys and place, to remember.
    pub fn state(&self) -> State {
        let [count, width] = self.rows.dims();
        let next = Tensor::zeros([1], (&self.rows.device(), self.rows.dtype()));
        let next = next.add_scalar(self.next as f64);
        let flat = self.rows.clone().reshape([count * width]);
        [
            (QUEUE.to_owned(), (vec![count, width], flat)),
            (NEXT.to_owned(), (vec![1], next)),
        ]
        .into()
    }

    /// Takes back what [`KeyQueue::state`] gave; keys of another length than one are brought to it.
    pub fn load_state(&mut self, mut state: State) -> Result<(), String> {
        let expected = self.rows.dims();
        let (Some((shape, rows)), Some((_, next))) = (state.remove(QUEUE), state.remove(NEXT))
        else {
            return Err(format!("`{QUEUE}` or `{NEXT}` is missing"));
        };
        if shape != expected {
            return Err(format!("`{QUEUE}` is {shape:?}, expected {expected:?}"));
        }
        let next: f64 = next.max().into_scalar();
        if !(next >= 0.0 && next < expected[0] as f64) {
            return Err(format!(
                "`{NEXT}` is {next}, and there are {} keys",
                expected[0]
            ));
        }
        let rows = rows.reshape(expected);
        let lengths = rows.clone().square().sum_dim(1).sqrt();
        let off: f64 = lengths.sub_scalar(1.0).abs().max().into_scalar();
        self.rows = match off < SLACK {
            true => rows,
            false => unit(rows),
        };
        self.next = next as usize;
        match state.keys().next() {
            Some(name) => Err(format!("it has no place for `{name}`")),
            None => Ok(()),
        }
    }
}
