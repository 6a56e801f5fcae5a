//! What reads what in a network, found by watching it.
//!
//! Each convolution and pooling gives noise of its own, by which its readers are known. What no call gave is
//! made by an operation that is not watched. Which maps such operations read is told by gradients: of the
//! network's prediction and of all that its calls are given by others, to the noise.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use limbeck_kernels::{Activation, Pool2dOptions};

use super::{
    call::{ConvolutionCall, PoolCall},
    layer::{IntegerLayer, numbers},
};
use crate::{Feature, ParameterId, Store};

/// Where a call has a map from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Read {
    /// What the call of this number gave.
    Call(usize),
    /// Something else.
    Other,
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operation {
    Convolution(ParameterId, Activation),
    MaxPool(Pool2dOptions),
}

/// A call that was watched.
#[derive(Clone, Debug)]
pub(super) struct Traced {
    pub operation: Operation,
    pub input: Read,
    pub residual: Option<Read>,
}

/// A pass that is watched.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Those that can run in whole numbers; `None` of others.
    pub(super) layers: BTreeMap<ParameterId, Option<Arc<IntegerLayer>>>,
    pub(super) calls: Vec<Traced>,
    /// What each call gave, with gradients.
    noise: Vec<Tensor<4>>,
    /// The same, number by number.
    noise_numbers: Vec<Vec<f32>>,
    /// What calls were given that no call gave.
    others: Vec<Tensor<1>>,
}

impl Trace {
    /// Watches a convolution, which gives out maps of `shape`; `None` where it cannot run in whole numbers.
    pub(crate) fn convolution(
        &mut self,
        store: &Store,
        call: &ConvolutionCall<'_>,
        shape: [usize; 4],
    ) -> Option<Tensor<4>> {
        let layer = || IntegerLayer::new(store, call.weight, call.bias, call.options).map(Arc::new);
        let layer = self.layers.entry(call.weight).or_insert_with(layer);
        layer.as_ref()?;
        let operation = Operation::Convolution(call.weight, call.activation);
        Some(self.watched(store, operation, call.x, call.residual, shape))
    }

    /// Watches a pooling, which gives out maps of `shape`.
    pub(crate) fn max_pool(
        &mut self,
        store: &Store,
        call: &PoolCall<'_>,
        shape: [usize; 4],
    ) -> Tensor<4> {
        let operation = Operation::MaxPool(call.options);
        self.watched(store, operation, call.x, None, shape)
    }

    /// Notes a linear layer, which is given `x` and gives numbers.
    pub(crate) fn linear<const D: usize>(
        &mut self,
        store: &Store,
        weight: ParameterId,
        bias: Option<ParameterId>,
        x: &Tensor<D>,
    ) {
        self.others.push(flat(x.clone()));
        let layer = || IntegerLayer::new(store, weight, bias, super::running::POINT).map(Arc::new);
        self.layers.entry(weight).or_insert_with(layer);
    }

    fn watched(
        &mut self,
        store: &Store,
        operation: Operation,
        x: &Tensor<4>,
        residual: Option<&Tensor<4>>,
        shape: [usize; 4],
    ) -> Tensor<4> {
        let call = Traced {
            operation,
            input: self.read(x),
            residual: residual.map(|residual| self.read(residual)),
        };
        let seed = self.calls.len() as u64;
        let numbers = noise(seed, shape.iter().product());
        let data = TensorData::new(numbers.clone(), shape);
        let given = Tensor::from_data(data, (store.device(), store.dtype()));
        let given = given.autodiff().require_grad();
        self.calls.push(call);
        self.noise.push(given.clone());
        self.noise_numbers.push(numbers);
        given
    }

    /// Where `map` is from.
    fn read(&mut self, map: &Tensor<4>) -> Read {
        let shape = map.dims();
        let numbers = numbers(map.clone());
        let is_it = |call: &usize| {
            self.noise[*call].dims() == shape && self.noise_numbers[*call] == numbers
        };
        match (0..self.noise.len()).rev().find(is_it) {
            Some(call) => Read::Call(call),
            None => {
                self.others.push(flat(map.clone()));
                Read::Other
            }
        }
    }

    /// Of each call, whether an operation that is not watched reads its map, of a network that was seen to
    /// predict this.
    pub(super) fn read_elsewhere(&self, prediction: &Feature) -> Vec<bool> {
        // Weighed at random: sums of all numbers of a map may be the same whatever it was made of.
        let weighed = |numbers: &Tensor<1>| {
            let weights = noise(u64::MAX >> 41, numbers.dims()[0]);
            let weights = Tensor::<1>::from_data(weights.as_slice(), &numbers.device());
            (numbers.clone() * weights).sum()
        };
        let predicted = flat(prediction.to_rows());
        let read = self.others.iter().chain([&predicted]);
        // The image, for one, is made of no noise.
        let read = read.filter(|numbers| numbers.is_tracked()).map(weighed);
        let Some(total) = read.reduce(|total, more| total + more) else {
            return vec![false; self.calls.len()];
        };
        let gradients = total.backward();
        let reaches = |noise: &Tensor<4>| {
            let gradient = noise.grad(&gradients);
            gradient.is_some_and(|it| it.into_data().iter::<f32>().any(|number| number != 0.0))
        };
        self.noise.iter().map(reaches).collect()
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}

/// So many numbers from −1 to 1, so that no rectifier leaves them as they are.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let number = |index: u64| {
        let mut bits = (seed << 40 | index)
            .wrapping_add(1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits ^= bits >> 32;
        // 24 bits, as many as a number holds.
        (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count as u64).map(number).collect()
}
