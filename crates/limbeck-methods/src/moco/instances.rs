//! Instance discrimination: a query is told apart from remembered ones.

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_data::Stream;

use super::MocoConfig;
use crate::{
    MethodError, State,
    memory_bank::{Contrast, MemoryBank},
    negatives::ByClass,
};

/// Added to the denominators, as in the authors' code.
const EPSILON: f64 = 1e-7;

/// Names in checkpoints.
const ROWS: &str = "memory";
const NORMALISER: &str = "memory.log_z";

/// One unit vector for each training image.
#[derive(Debug)]
pub(super) struct Instances {
    /// The vectors.
    pub bank: MemoryBank,
    images: ByClass,
    negatives: usize,
    momentum: f64,
    constants: Contrast,
}

impl Instances {
    /// A random vector for each of `images` images.
    pub fn drawn(seed: u64, like: &Tensor<1>, images: usize, config: &MocoConfig) -> Self {
        Self {
            bank: MemoryBank::drawn(ROWS, seed, like, images, config.dimensions),
            images: ByClass::unlabelled(images),
            negatives: config.negatives,
            momentum: config.memory_momentum,
            constants: Contrast {
                temperature: config.temperature,
                epsilon: EPSILON,
            },
        }
    }

    /// Rows that the images at `positions` are compared with, first their own: `[B, 1 + negatives]`.
    ///
    /// # Errors
    /// A position outside of the training part.
    pub fn pick(
        &mut self,
        id: &'static str,
        positions: &[usize],
        random: &mut Stream,
    ) -> Result<Tensor<2, Int>, MethodError> {
        let count = self.images.len();
        if let Some(position) = positions.iter().find(|&&position| position >= count) {
            return Err(MethodError::Batch {
                method: id,
                reason: format!(
                    "the batch has the image at position {position}, but the memory was made for \
                     {count} training images"
                ),
            });
        }
        let mut picks = Vec::with_capacity(positions.len() * (1 + self.negatives));
        for &position in positions {
            picks.push(position as i64);
            self.images.draw(None, self.negatives, random, &mut picks);
        }
        let shape = [positions.len(), 1 + self.negatives];
        let device = self.bank.rows.device();
        Ok(Tensor::from_data(TensorData::new(picks, shape), &device))
    }

    /// The noise-contrastive loss `[1]` of queries `[B, D]`; the first call sets what scores are
    /// divided by.
    pub fn contrast(&mut self, queries: Tensor<2>, picks: &Tensor<2, Int>) -> Tensor<1> {
        let temperature = self.constants.temperature;
        self.bank.set_normaliser(&queries, picks, temperature);
        self.bank.contrast(queries, picks, self.constants)
    }

    /// Moves the rows at `positions` towards the queries `[B, D]`.
    pub fn remember(&mut self, positions: &[usize], queries: Tensor<2>) {
        self.bank.remember(positions, queries, self.momentum);
    }

    /// Rows and ln Z, to remember.
    pub fn state(&self) -> State {
        let [count, width] = self.bank.rows.dims();
        let flat = self.bank.rows.clone().reshape([count * width]);
        let mut state = State::from([(ROWS.to_owned(), (vec![count, width], flat))]);
        if let Some(value) = &self.bank.log_normaliser {
            state.insert(NORMALISER.to_owned(), (vec![1], value.clone()));
        }
        state
    }

    /// Takes back what [`Instances::state`] gave.
    pub fn load_state(&mut self, mut state: State) -> Result<(), String> {
        let expected = self.bank.rows.dims();
        let Some((shape, flat)) = state.remove(ROWS) else {
            return Err(format!("`{ROWS}` is missing"));
        };
        if shape != expected {
            return Err(format!("`{ROWS}` is {shape:?}, expected {expected:?}"));
        }
        self.bank.rows = flat.reshape(expected);
        self.bank.log_normaliser = state.remove(NORMALISER).map(|(_, value)| value);
        match state.keys().next() {
            Some(name) => Err(format!("it has no place for `{name}`")),
            None => Ok(()),
        }
    }
}
