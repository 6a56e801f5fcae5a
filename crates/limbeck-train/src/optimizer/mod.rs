//! Optimisers with PyTorch's semantics: one instance for each store of trained numbers.

mod adamw;
mod change;
mod sgd;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{Role, Store};

use crate::recipe::{OptimizerName, OptimizerRecipe};

pub use adamw::{AdamW, AdamWConfig};
pub use change::changed;
pub use sgd::{Sgd, SgdConfig};

/// Changes the numbers of a store along their gradients.
pub trait Optimizer: Send + std::fmt::Debug {
    /// One step. `gradients` are in the store's order, as [`Store::gradients`] gives them, flat
    /// `[n]`; entries without one are left untouched, their state included. The update happens in
    /// place where nobody else holds the tensors: drop tracked copies first.
    fn step(&mut self, store: &mut Store, gradients: Vec<Option<Tensor<1>>>, learning_rate: f64);

    /// Sets the momentum of the steps to come, where the rule has one.
    fn set_momentum(&mut self, _momentum: f64) {}

    /// What the optimiser remembers, by PyTorch's name for it and the entry's name, such as
    /// `momentum_buffer.conv1.weight`: part of checkpoints.
    fn state(&self) -> BTreeMap<String, Tensor<1>>;

    /// Takes back what [`Optimizer::state`] gave, for the same layout of `store`.
    ///
    /// # Errors
    /// State of another optimiser or of another store; nothing is changed then.
    fn load_state(
        &mut self,
        store: &Store,
        state: BTreeMap<String, Tensor<1>>,
    ) -> Result<(), OptimizerError>;
}

/// Errors of optimisers.
#[derive(Debug, thiserror::Error)]
pub enum OptimizerError {
    /// Part of a saved state does not belong to this optimiser or store.
    #[error("the saved optimiser state `{key}` does not fit: {reason}")]
    State {
        /// Name of the part.
        key: String,
        /// Why.
        reason: String,
    },
}

/// The optimiser that a recipe asks for.
pub fn build(recipe: &OptimizerRecipe) -> Box<dyn Optimizer> {
    match recipe.name {
        OptimizerName::Sgd | OptimizerName::Auto => Box::new(Sgd::new(SgdConfig {
            momentum: recipe.momentum,
            dampening: recipe.dampening,
            nesterov: recipe.nesterov,
            weight_decay: recipe.weight_decay,
            decay_norms: recipe.decay_norms,
        })),
        OptimizerName::AdamW => Box::new(AdamW::new(AdamWConfig {
            beta1: recipe.beta1,
            beta2: recipe.beta2,
            epsilon: recipe.epsilon,
            weight_decay: recipe.weight_decay,
            decay_norms: recipe.decay_norms,
        })),
    }
}

/// The weight decay of entries of this role. Weights of convolutions and linear maps always decay;
/// biases, scales and shifts of normalisations and tokens do if `decay_norms`.
fn decayed(role: Role, decay_norms: bool, weight_decay: f64) -> f64 {
    match role == Role::Weight || (decay_norms && role.is_trained()) {
        true => weight_decay,
        false => 0.0,
    }
}

/// One tensor for each entry that has had a gradient, by the entry's name.
type Buffers = BTreeMap<String, Tensor<1>>;

/// Puts a buffer in the place that it was taken out of, or in a new one.
fn put(buffers: &mut Buffers, name: &str, buffer: Option<Tensor<1>>) {
    let Some(buffer) = buffer else { return };
    match buffers.get_mut(name) {
        Some(place) => *place = buffer,
        None => {
            buffers.insert(name.to_owned(), buffer);
        }
    }
}

/// Adds `buffers` to `state` as `kind.name`.
fn save_buffers(state: &mut Buffers, kind: &str, buffers: &Buffers) {
    for (name, buffer) in buffers {
        state.insert(format!("{kind}.{name}"), buffer.clone());
    }
}

/// Splits a saved state into one map for each of `kinds`, checked against `store`: every entry
/// known, `length(entry length)` numbers each.
fn split_state<const N: usize>(
    store: &Store,
    state: Buffers,
    kinds: [&str; N],
) -> Result<[Buffers; N], OptimizerError> {
    let mut split = [const { Buffers::new() }; N];
    for (key, value) in state {
        let refuse = |reason: String| OptimizerError::State {
            key: key.clone(),
            reason,
        };
        let Some((kind, name)) = key.split_once('.') else {
            return Err(refuse("expected KIND.NAME".to_owned()));
        };
        let Some(index) = kinds.iter().position(|&known| known == kind) else {
            return Err(refuse(format!("expected one of {}", kinds.join(", "))));
        };
        let Some(id) = store.find(name) else {
            return Err(refuse("the network has no such parameter".to_owned()));
        };
        let expected = match kind {
            "step" => 1,
            _ => store.entry(id).shape.iter().product(),
        };
        let [found] = value.dims();
        if found != expected {
            return Err(refuse(format!(
                "expected {expected} numbers, found {found}"
            )));
        }
        split[index].insert(name.to_owned(), value.to_device(store.device()));
    }
    Ok(split)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};
    use limbeck_nn::{Builder, Init};

    use super::*;

    pub(super) const ROLES: [(&str, Role); 5] = [
        ("conv.weight", Role::Weight),
        ("conv.bias", Role::Bias),
        ("norm.weight", Role::NormScale),
        ("norm.bias", Role::NormShift),
        ("token", Role::Token),
    ];

    /// One entry of two numbers (1, −2) for each trained role, and a statistic.
    pub(super) fn store(dtype: DType) -> Store {
        let mut store = Store::new(&Device::flex(), dtype);
        let mut builder = Builder::new(&mut store, 0);
        for (name, role) in ROLES {
            builder.parameter(name, &[2], role, Init::Constant(0.0));
        }
        builder.parameter("norm.mean", &[2], Role::Statistic, Init::Constant(0.0));
        for id in store.ids().collect::<Vec<_>>() {
            store.set_values(id, vec![1.0, -2.0]);
        }
        store
    }

    /// The same gradient for each trained entry.
    pub(super) fn gradients(store: &Store, values: [f64; 2]) -> Vec<Option<Tensor<1>>> {
        let options = (store.device(), store.dtype());
        store
            .entries()
            .iter()
            .map(|entry| {
                entry
                    .role
                    .is_trained()
                    .then(|| Tensor::from_data(TensorData::from(values), options))
            })
            .collect()
    }

    pub(super) fn values(store: &Store, name: &str) -> Vec<f64> {
        let entry = store.entry(store.find(name).unwrap());
        entry.value.to_data().iter().collect()
    }

    #[track_caller]
    pub(super) fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-14, "{found:?} is not {expected:?}");
        }
    }

    fn recipe(name: OptimizerName) -> OptimizerRecipe {
        OptimizerRecipe::of(name)
    }

    #[test]
    fn training_that_was_interrupted_goes_on_with_the_same_bits() {
        for name in [OptimizerName::Sgd, OptimizerName::AdamW] {
            let mut through = build(&recipe(name));
            let mut numbers = store(DType::F32);
            for step in 0..3 {
                let gradients = gradients(&numbers, [0.3 + f64::from(step), -0.7]);
                through.step(&mut numbers, gradients, 0.1);
            }
            let mut resumed = build(&recipe(name));
            let mut copy = numbers.clone();
            resumed.load_state(&copy, through.state()).unwrap();
            for values in [[0.1, 0.2], [0.3, 0.4]] {
                let gradients = gradients(&numbers, values);
                through.step(&mut numbers, gradients.clone(), 0.1);
                resumed.step(&mut copy, gradients, 0.1);
            }
            for (name, _) in ROLES {
                assert_eq!(values(&numbers, name), values(&copy, name));
            }
        }
    }

    #[test]
    fn entries_without_gradient_are_left_untouched() {
        for name in [OptimizerName::Sgd, OptimizerName::AdamW] {
            let mut optimizer = build(&recipe(name));
            let mut numbers = store(DType::F64);
            let mut gradients = gradients(&numbers, [1.0, 1.0]);
            gradients[1] = None;
            optimizer.step(&mut numbers, gradients, 0.1);
            assert_ne!(values(&numbers, "conv.weight"), [1.0, -2.0]);
            assert_eq!(values(&numbers, "conv.bias"), [1.0, -2.0]);
            assert_eq!(values(&numbers, "norm.mean"), [1.0, -2.0]);
            let state = optimizer.state();
            assert!(state.keys().any(|key| key.ends_with("conv.weight")));
            assert!(!state.keys().any(|key| key.ends_with("conv.bias")));
        }
    }

    #[test]
    fn norms_biases_and_tokens_can_be_kept_from_decay() {
        for name in [OptimizerName::Sgd, OptimizerName::AdamW] {
            let mut optimizer = build(&OptimizerRecipe {
                weight_decay: 0.5,
                decay_norms: false,
                ..recipe(name)
            });
            let mut numbers = store(DType::F64);
            let gradients = gradients(&numbers, [0.0, 0.0]);
            optimizer.step(&mut numbers, gradients, 0.1);
            close(&values(&numbers, "conv.weight"), &[0.95, -1.9]);
            for (name, _) in &ROLES[1..] {
                assert_eq!(values(&numbers, name), [1.0, -2.0]);
            }
        }
    }

    #[test]
    fn state_of_something_else_is_refused() {
        let numbers = store(DType::F64);
        let tensor = |count: usize| Tensor::<1>::zeros([count], &Device::flex());
        for (key, count, expected) in [
            (
                "momentum_buffer.conv.weight",
                3,
                "expected 2 numbers, found 3",
            ),
            ("momentum_buffer.fc.weight", 2, "no such parameter"),
            ("exp_avg.conv.weight", 2, "expected one of momentum_buffer"),
            ("momentum_buffer", 2, "expected KIND.NAME"),
        ] {
            let state = BTreeMap::from([(key.to_owned(), tensor(count))]);
            let mut optimizer = build(&recipe(OptimizerName::Sgd));
            let error = optimizer.load_state(&numbers, state).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
