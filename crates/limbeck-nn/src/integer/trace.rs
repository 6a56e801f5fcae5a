//! What reads what in a network, found by watching it.
//!
//! Each convolution and pooling gives noise of its own, by which its readers are known. What no call gave is
//! made by an operation that is not watched. Whether such an operation reads a map is seen by giving other
//! noise for it: what changes elsewhere must have read it.

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
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Read {
    /// What the call of this number gave.
    Call(usize),
    /// Something else: its numbers, in order.
    Other(Vec<f32>),
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operation {
    Convolution(ParameterId, Activation),
    MaxPool(Pool2dOptions),
}

/// A call that was watched.
#[derive(Clone, Debug, PartialEq)]
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
    /// What each call gave.
    noise: Vec<(Vec<f32>, [usize; 4])>,
    /// Calls, by their numbers, that give other noise than usual.
    other: std::ops::Range<usize>,
}

impl Trace {
    /// With `layers` known from before, and other noise for some calls.
    pub(super) fn again(&self, other: std::ops::Range<usize>) -> Self {
        Self {
            layers: self.layers.clone(),
            other,
            ..Self::default()
        }
    }

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

    /// Notes a linear layer, which is given and gives numbers.
    pub(crate) fn linear(&mut self, store: &Store, weight: ParameterId, bias: Option<ParameterId>) {
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
        let number = self.calls.len();
        let seed = 2 * number as u64 + u64::from(self.other.contains(&number));
        let noise: Vec<f32> = (0..shape.iter().product::<usize>() as u64)
            .map(|index| noise(seed, index))
            .collect();
        self.calls.push(call);
        self.noise.push((noise.clone(), shape));
        Tensor::from_data(
            TensorData::new(noise, shape),
            (store.device(), store.dtype()),
        )
    }

    /// Where `map` is from.
    fn read(&self, map: &Tensor<4>) -> Read {
        let shape = map.dims();
        let numbers = numbers(map.clone());
        let calls = self.noise.iter().enumerate().rev();
        let same = |(_, (noise, its)): &(usize, &(Vec<f32>, [usize; 4]))| {
            *its == shape && *noise == numbers
        };
        match calls.into_iter().find(same) {
            Some((call, _)) => Read::Call(call),
            None => Read::Other(numbers),
        }
    }
}

/// What a network was seen to do.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub calls: Vec<Traced>,
    /// The numbers of all that it predicts.
    pub prediction: Vec<f32>,
}

impl Seen {
    pub fn new(trace: &Trace, prediction: &Feature) -> Self {
        Self {
            calls: trace.calls.clone(),
            prediction: numbers(prediction.to_rows()),
        }
    }
}

/// From −1 to 1, so that no rectifier leaves it as it is.
fn noise(seed: u64, index: u64) -> f32 {
    let mut bits = (seed << 40 | index)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits ^= bits >> 32;
    // 24 bits, as many as a number holds.
    (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}
