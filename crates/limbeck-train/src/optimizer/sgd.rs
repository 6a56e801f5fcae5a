//! Stochastic gradient descent with momentum, as `torch.optim.SGD` has it.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_kernels::{SgdStep, sgd_step};
use limbeck_nn::Store;

use super::{Buffers, Optimizer, OptimizerError, decayed, put, save_buffers, split_state};

const MOMENTUM: &str = "momentum_buffer";

/// Settings of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// μ, 0..1; 0 switches momentum off.
    pub momentum: f64,
    /// τ, 0..1: share of each gradient that is kept out of the momentum.
    pub dampening: f64,
    /// Whether to step along the momentum to come.
    pub nesterov: bool,
    /// λ: pull towards zero, added to the gradient.
    pub weight_decay: f64,
    /// Whether biases, normalisations and tokens decay too.
    pub decay_norms: bool,
}

/// For each parameter p with gradient g: g ← g + λp; b ← g at its first step, else μb + (1 − τ)g;
/// d = g + μb with Nesterov, else b; p ← p − lr · d.
#[derive(Clone, Debug)]
pub struct Sgd {
    config: SgdConfig,
    momentum: Buffers,
}

impl Sgd {
    /// Without momentum so far.
    pub fn new(config: SgdConfig) -> Self {
        Self {
            config,
            momentum: Buffers::new(),
        }
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, store: &mut Store, gradients: Vec<Option<Tensor<1>>>, learning_rate: f64) {
        let SgdConfig {
            momentum,
            dampening,
            nesterov,
            weight_decay,
            decay_norms,
        } = self.config;
        for (id, gradient) in store.ids().zip(gradients) {
            let Some(gradient) = gradient else {
                continue;
            };
            let value = store.take(id);
            let entry = store.entry(id);
            let step = SgdStep {
                learning_rate,
                weight_decay: decayed(entry.role, decay_norms, weight_decay),
                momentum,
                dampening,
                nesterov,
            };
            let old = self.momentum.get_mut(&entry.name).map(Tensor::extract);
            let (value, new) = sgd_step(value, gradient, old, step);
            put(&mut self.momentum, &entry.name, new);
            store.set_taken(id, value);
        }
    }

    fn set_momentum(&mut self, momentum: f64) {
        self.config.momentum = momentum;
    }

    fn state(&self) -> BTreeMap<String, Tensor<1>> {
        let mut state = BTreeMap::new();
        save_buffers(&mut state, MOMENTUM, &self.momentum);
        state
    }

    fn load_state(
        &mut self,
        store: &Store,
        state: BTreeMap<String, Tensor<1>>,
    ) -> Result<(), OptimizerError> {
        [self.momentum] = split_state(store, state, [MOMENTUM])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::super::tests::{close, gradients, store, values};
    use super::*;

    const GRADIENTS: [[f64; 2]; 3] = [[0.5, -1.0], [0.25, 0.5], [-1.0, 2.0]];

    fn run(config: SgdConfig) -> Vec<f64> {
        let mut optimizer = Sgd::new(config);
        let mut numbers = store(DType::F64);
        for values in GRADIENTS {
            let gradients = gradients(&numbers, values);
            optimizer.step(&mut numbers, gradients, 0.1);
        }
        values(&numbers, "conv.weight")
    }

    const PLAIN: SgdConfig = SgdConfig {
        momentum: 0.0,
        dampening: 0.0,
        nesterov: false,
        weight_decay: 0.0,
        decay_norms: true,
    };

    #[test]
    fn without_momentum_it_steps_along_the_gradient() {
        // 1 − 0.1 · (0.5 + 0.25 − 1) and −2 − 0.1 · (−1 + 0.5 + 2).
        close(&run(PLAIN), &[1.025, -2.15]);
    }

    #[test]
    fn momentum_adds_up_past_gradients() {
        // b: 0.5, 0.9 · 0.5 + 0.25 = 0.7, 0.9 · 0.7 − 1 = −0.37; p = 1 − 0.1 · 0.83.
        // b: −1, −0.4, 1.64; p = −2 − 0.1 · 0.24.
        let config = SgdConfig {
            momentum: 0.9,
            ..PLAIN
        };
        close(&run(config), &[0.917, -2.024]);
    }

    #[test]
    fn dampening_spares_the_first_gradient() {
        // b: 0.5, 0.45 + 0.5 · 0.25 = 0.575, 0.5175 − 0.5 = 0.0175; p = 1 − 0.1 · 1.0925.
        // b: −1, −0.9 + 0.25 = −0.65, −0.585 + 1 = 0.415; p = −2 − 0.1 · (−1.235).
        let config = SgdConfig {
            momentum: 0.9,
            dampening: 0.5,
            ..PLAIN
        };
        close(&run(config), &[0.890_75, -1.8765]);
    }

    #[test]
    fn nesterov_steps_along_the_momentum_to_come() {
        // b as with momentum; d = g + 0.9 b: 0.95, 0.88, −1.333; p = 1 − 0.1 · 0.497.
        // d: −1.9, 0.14, 3.476; p = −2 − 0.1 · 1.716.
        let config = SgdConfig {
            momentum: 0.9,
            nesterov: true,
            ..PLAIN
        };
        close(&run(config), &[0.9503, -2.1716]);
    }

    #[test]
    fn weight_decay_is_part_of_the_gradient_that_momentum_takes_in() {
        // By hand, λ = 0.5, μ = 0.5: g = 0.5 + 0.5 = 1, b = 1, p = 0.9; g = 0.25 + 0.45 = 0.7,
        // b = 1.2, p = 0.78; g = −1 + 0.39 = −0.61, b = −0.01, p = 0.781.
        // g = −1 − 1 = −2, b = −2, p = −1.8; g = 0.5 − 0.9 = −0.4, b = −1.4, p = −1.66;
        // g = 2 − 0.83 = 1.17, b = 0.47, p = −1.707.
        let config = SgdConfig {
            momentum: 0.5,
            weight_decay: 0.5,
            ..PLAIN
        };
        close(&run(config), &[0.781, -1.707]);
    }
}
