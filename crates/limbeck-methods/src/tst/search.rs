//! How far a search is, and how its learning rate falls.

use burn::tensor::{DType, Device, Tensor};

use crate::{MethodError, State, Term};

use super::Tst;

/// Where the loss before the first epoch stands (authors' code).
const NO_LOSS: f64 = 999.0;

/// A search of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Of the epoch at hand.
    pub learning_rate: f64,
    /// Mean loss of the epoch before.
    before: f64,
    /// Sum of this epoch's losses.
    sum: f64,
    /// Their number.
    steps: f64,
}

impl Search {
    /// Before its first epoch.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            before: NO_LOSS,
            sum: 0.0,
            steps: 0.0,
        }
    }

    /// Counts a step whose loss has these terms.
    pub fn add(&mut self, terms: &[Term]) {
        for term in terms {
            let value = term.value.clone().inner().into_scalar::<f64>();
            self.sum += term.weight * value;
        }
        self.steps += 1.0;
    }

    /// Takes a tenth off the learning rate where the mean loss has hardly fallen.
    pub fn end_epoch(&mut self) {
        if self.steps > 0.0 {
            let loss = self.sum / self.steps;
            let fall = self.before - loss;
            if fall < 0.02 && (fall / (self.before - 1e-6)).abs() < 0.02 {
                self.learning_rate *= 0.9;
            }
            self.before = loss;
        }
        (self.sum, self.steps) = (0.0, 0.0);
    }

    /// Four numbers called `search`.
    pub fn state(&self) -> State {
        let numbers = [self.learning_rate, self.before, self.sum, self.steps];
        let value = Tensor::from_data(numbers, (&Device::flex(), DType::F64));
        [("search".to_owned(), (vec![numbers.len()], value))].into()
    }

    /// What [`Search::state`] gave.
    ///
    /// # Errors
    /// Anything else.
    pub fn from_state(mut state: State) -> Result<Self, MethodError> {
        let numbers: Option<Vec<f64>> = state
            .remove("search")
            .map(|(_, value)| value.to_data().iter().collect());
        match numbers.as_deref() {
            Some(&[learning_rate, before, sum, steps]) => Ok(Self {
                learning_rate,
                before,
                sum,
                steps,
            }),
            _ => Err(MethodError::State {
                method: Tst::ID,
                reason: "expected four numbers called `search`".to_owned(),
            }),
        }
    }
}
