//! Adam with decoupled weight decay, as `torch.optim.AdamW` has it.
//!
//! Loshchilov, Hutter. "Decoupled Weight Decay Regularization". ICLR 2019, algorithm 2.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{AdamWStep, AdamWTensors, adamw_step};
use limbeck_nn::{Entry, Store};

use super::{Buffers, Optimizer, OptimizerError, decayed, put, save_buffers, split_state};

const MEAN: &str = "exp_avg";
const SQUARE: &str = "exp_avg_sq";
const STEP: &str = "step";

/// Settings of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// β₁, 0..1: decay of the mean of gradients.
    pub beta1: f64,
    /// β₂, 0..1: decay of the mean of squared gradients.
    pub beta2: f64,
    /// ε, added to the root of the squared mean after its bias correction.
    pub epsilon: f64,
    /// λ: pull towards zero, beside the gradient.
    pub weight_decay: f64,
    /// Whether biases, normalisations and tokens decay too.
    pub decay_norms: bool,
}

/// For each parameter p with gradient g, at its own t-th step: p ← p · (1 − lr · λ);
/// m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
/// p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε).
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
    mean: Buffers,
    square: Buffers,
    steps: BTreeMap<String, u32>,
}

impl AdamW {
    /// Without any step so far.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            mean: Buffers::new(),
            square: Buffers::new(),
            steps: BTreeMap::new(),
        }
    }
}

impl Optimizer for AdamW {
    fn step(&mut self, store: &mut Store, gradients: Vec<Option<Tensor<1>>>, learning_rate: f64) {
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
            weight_decay,
            decay_norms,
        } = self.config;
        for (id, gradient) in store.ids().zip(gradients) {
            let Some(gradient) = gradient else { continue };
            let value = store.take(id);
            let Entry { name, role, .. } = store.entry(id);
            let steps = self.steps.entry(name.clone()).or_insert(0);
            *steps += 1;
            let step = AdamWStep {
                learning_rate,
                weight_decay: decayed(*role, decay_norms, weight_decay),
                beta1,
                beta2,
                epsilon,
                step: *steps,
            };
            let old = |buffers: &mut Buffers| {
                let buffer = buffers.get_mut(name).map(Tensor::extract);
                buffer.unwrap_or_else(|| gradient.zeros_like())
            };
            let tensors = AdamWTensors {
                value,
                mean: old(&mut self.mean),
                square: old(&mut self.square),
            };
            let tensors = adamw_step(tensors, gradient, step);
            put(&mut self.mean, name, Some(tensors.mean));
            put(&mut self.square, name, Some(tensors.square));
            store.set_taken(id, tensors.value);
        }
    }

    fn state(&self) -> BTreeMap<String, Tensor<1>> {
        let mut state = BTreeMap::new();
        save_buffers(&mut state, MEAN, &self.mean);
        save_buffers(&mut state, SQUARE, &self.square);
        for (name, &steps) in &self.steps {
            // Single precision counts exactly up to 2²⁴ steps; PyTorch saves them so too.
            let Some(device) = self.mean.get(name).map(Tensor::device) else {
                continue;
            };
            let steps = Tensor::from_data([steps as f32], (&device, DType::F32));
            state.insert(format!("{STEP}.{name}"), steps);
        }
        state
    }

    fn load_state(
        &mut self,
        store: &Store,
        state: BTreeMap<String, Tensor<1>>,
    ) -> Result<(), OptimizerError> {
        let [mean, square, steps] = split_state(store, state, [MEAN, SQUARE, STEP])?;
        for name in mean.keys().chain(square.keys()).chain(steps.keys()) {
            for (kind, buffers) in [(MEAN, &mean), (SQUARE, &square), (STEP, &steps)] {
                if !buffers.contains_key(name) {
                    return Err(OptimizerError::State {
                        key: format!("{kind}.{name}"),
                        reason: "it is missing".to_owned(),
                    });
                }
            }
        }
        self.steps = steps
            .into_iter()
            .map(|(name, steps)| (name, steps.into_scalar::<f32>() as u32))
            .collect();
        self.mean = mean;
        self.square = square;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::super::tests::{close, gradients, store, values};
    use super::*;

    const TORCH: AdamWConfig = AdamWConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        decay_norms: true,
    };

    fn run(config: AdamWConfig, learning_rate: f64, steps: &[[f64; 2]]) -> Vec<f64> {
        let mut optimizer = AdamW::new(config);
        let mut numbers = store(DType::F64);
        for &values in steps {
            let gradients = gradients(&numbers, values);
            optimizer.step(&mut numbers, gradients, learning_rate);
        }
        values(&numbers, "conv.weight")
    }

    #[test]
    fn the_first_step_has_the_size_of_the_learning_rate() {
        // m̂ = g and √v̂ = |g|: p = 1 · (1 − 0.1 · 0.01) − 0.1 · 0.5/(0.5 + 1e-8).
        let expected = [
            0.999 - 0.1 * 0.5 / (0.5 + 1e-8),
            -1.998 + 0.1 * 2.0 / (2.0 + 1e-8),
        ];
        close(&run(TORCH, 0.1, &[[0.5, -2.0]]), &expected);
    }

    #[test]
    fn two_steps_agree_with_a_calculation_by_hand() {
        // β₁ = β₂ = ½, ε = 0, no decay, lr = 1, g = 1 then 3:
        // m = ½, v = ½; m̂ = 1, v̂ = 1; p = 1 − 1 = 0.
        // m = ¼ + 3/2 = 7/4, v = ¼ + 9/2 = 19/4; m̂ = 7/3, v̂ = 19/3; p = −(7/3)/√(19/3).
        let config = AdamWConfig {
            beta1: 0.5,
            beta2: 0.5,
            epsilon: 0.0,
            weight_decay: 0.0,
            decay_norms: true,
        };
        let found = run(config, 1.0, &[[1.0, 1.0], [3.0, 3.0]]);
        let second = -(7.0 / 3.0) / (19.0_f64 / 3.0).sqrt();
        close(&found, &[second, second - 3.0]);
    }

    #[test]
    fn five_steps_agree_with_an_independent_calculation() {
        // Computed apart, in double precision:
        //   p, m, v = 1.0, 0.0, 0.0                      (and p = -2.0)
        //   for t, g in enumerate(gradients, 1):
        //       p *= 1 - 0.003 * 0.05
        //       m += (g - m) * (1 - 0.9); v = 0.98 * v + (1 - 0.98) * g * g
        //       p -= 0.003 / (1 - 0.9 ** t) * m / (sqrt(v) / sqrt(1 - 0.98 ** t) + 1e-3)
        let config = AdamWConfig {
            beta2: 0.98,
            epsilon: 1e-3,
            weight_decay: 0.05,
            ..TORCH
        };
        let steps = [
            [0.5, -1.0],
            [0.25, 0.5],
            [-1.0, 2.0],
            [0.125, 0.0],
            [0.75, -0.25],
        ];
        close(&run(config, 0.003, &steps), &EXPECTED);
    }

    const EXPECTED: [f64; 2] = [0.9937229898220996, -1.9979592544761169];

    #[test]
    fn an_entry_that_starts_later_counts_its_own_steps() {
        let mut optimizer = AdamW::new(TORCH);
        let mut numbers = store(DType::F64);
        let mut first = gradients(&numbers, [0.5, 0.5]);
        first[0] = None;
        optimizer.step(&mut numbers, first, 0.1);
        let second = gradients(&numbers, [0.5, -2.0]);
        optimizer.step(&mut numbers, second, 0.1);
        close(
            &values(&numbers, "conv.weight"),
            &run(TORCH, 0.1, &[[0.5, -2.0]]),
        );
        let state = optimizer.state();
        let step = |name: &str| state[name].clone().into_scalar::<f32>();
        assert_eq!(
            (step("step.conv.weight"), step("step.conv.bias")),
            (1.0, 2.0)
        );
    }

    #[test]
    fn a_state_that_lacks_a_part_is_refused() {
        let mut optimizer = AdamW::new(TORCH);
        let mut numbers = store(DType::F64);
        let gradients = gradients(&numbers, [0.5, 0.5]);
        optimizer.step(&mut numbers, gradients, 0.1);
        let mut state = optimizer.state();
        state.remove("exp_avg_sq.token");
        let error = AdamW::new(TORCH).load_state(&numbers, state).unwrap_err();
        assert!(error.to_string().contains("exp_avg_sq.token"), "{error}");
    }
}
