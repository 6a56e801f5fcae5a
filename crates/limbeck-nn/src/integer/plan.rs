//! Which maps stay in bytes.

use std::{collections::BTreeMap, sync::Arc};

use burn::tensor::{Tensor, TensorData};
use limbeck_kernels::{Activation, IntegerConvolution, Pool2dOptions, Quantisation};

use super::{
    Integers,
    layer::IntegerLayer,
    trace::{Operation, Read, Trace, Traced},
};
use crate::{Feature, InputShape, Mode, Network, ParameterId, Pass, Taps};

/// Where a call has a map from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The tensor that it is given.
    Given,
    /// What the call of this number gave.
    Call(usize),
}

/// What a call gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// A tensor: an operation that is not watched reads it.
    Given,
    /// Bytes, all of whose readers want the same.
    Bytes(Quantisation),
    /// Numbers, channels last, that calls alone read.
    Numbers,
}

/// What a call does.
#[derive(Clone, Debug)]
pub(super) enum PlannedOperation {
    /// The layer, and the same giving bytes where it can do so at once.
    Convolution(
        Arc<IntegerLayer>,
        Option<Arc<IntegerConvolution>>,
        Activation,
    ),
    MaxPool(Pool2dOptions),
}

/// A call as it will run.
#[derive(Clone, Debug)]
pub(super) struct PlannedCall {
    pub operation: PlannedOperation,
    pub input: Source,
    pub residual: Option<Source>,
    pub output: Form,
    /// Calls whose maps nothing reads after this one.
    pub frees: Vec<usize>,
}

impl PlannedCall {
    pub fn is_bytes(&self) -> bool {
        matches!(self.output, Form::Bytes(_))
    }
}

/// The plan of a frozen network; `None` where no layer can run in whole numbers.
pub(super) fn plan(network: &Network) -> Option<Integers> {
    let InputShape { height, width, .. } = network.input();
    let (trace, prediction) = watch(network);
    let mut layers = BTreeMap::new();
    for (&id, layer) in &trace.layers {
        if let Some(layer) = layer {
            layers.insert(id, layer.clone());
        }
    }
    if layers.is_empty() {
        return None;
    }
    let forms = forms(&trace.calls, &layers, &trace.read_elsewhere(&prediction));
    Some(Integers {
        calls: planned(&trace.calls, &layers, &forms),
        layers,
        size: [height, width],
    })
}

/// Runs the network once, watched: what was seen, and what it predicts.
fn watch(network: &Network) -> (Trace, Feature) {
    let InputShape {
        channels,
        height,
        width,
        ..
    } = network.input();
    let store = &network.store;
    let shape = [1, channels, height, width];
    let count = shape.iter().product();
    // No call's noise.
    let image: Vec<f32> = (0..count).map(|i| (i % 251) as f32 / 125.0 - 1.0).collect();
    let image = Tensor::from_data(
        TensorData::new(image, shape),
        (store.device(), store.dtype()),
    );
    let mut pass = Pass::new(store, Mode::Evaluate, Taps::none(), 0);
    pass.watch(Trace::default());
    let prediction = network.run(&mut pass, image);
    (pass.take_trace(), prediction)
}

/// What each call gives, from the last one on: what its readers want decides.
fn forms(
    calls: &[Traced],
    layers: &BTreeMap<ParameterId, Arc<IntegerLayer>>,
    read_elsewhere: &[bool],
) -> Vec<Form> {
    let mut forms = vec![Form::Given; calls.len()];
    for (number, &is_read_elsewhere) in read_elsewhere.iter().enumerate().rev() {
        let mut wanted: Vec<Form> = Vec::new();
        let mut readers = 0;
        let mut is_added = false;
        for (reader, call) in calls.iter().enumerate().skip(number + 1) {
            if call.residual == Some(Read::Call(number)) {
                readers += 1;
                is_added = true;
            }
            if call.input != Read::Call(number) {
                continue;
            }
            readers += 1;
            wanted.push(match call.operation {
                Operation::Convolution(weight, _) => match layers.get(&weight) {
                    Some(layer) => Form::Bytes(layer.input),
                    None => Form::Given,
                },
                // Bytes go through it as they are; numbers would not.
                Operation::MaxPool(_) => match forms[reader] {
                    Form::Bytes(quantisation) => Form::Bytes(quantisation),
                    Form::Given | Form::Numbers => Form::Given,
                },
            });
        }
        // What is added to another map has all its numbers in training, few levels where a layer reads it. Of a
        // whole byte the difference is small.
        let is_few = |form: &Form| matches!(form, Form::Bytes(levels) if levels.greatest < u8::MAX);
        let loses = is_added && wanted.iter().any(is_few);
        let is_pool = matches!(calls[number].operation, Operation::MaxPool(_));
        forms[number] = match wanted.first() {
            _ if is_read_elsewhere || readers == 0 || wanted.contains(&Form::Given) => Form::Given,
            Some(&first) if !loses && wanted.iter().all(|form| *form == first) => first,
            _ if is_pool => Form::Given,
            _ => Form::Numbers,
        };
    }
    forms
}

fn planned(
    calls: &[Traced],
    layers: &BTreeMap<ParameterId, Arc<IntegerLayer>>,
    forms: &[Form],
) -> Vec<PlannedCall> {
    let source = |read: &Read| match read {
        Read::Call(call) if forms[*call] != Form::Given => Source::Call(*call),
        Read::Call(_) | Read::Other => Source::Given,
    };
    let mut planned: Vec<PlannedCall> = Vec::with_capacity(calls.len());
    let mut last_reader = vec![None; calls.len()];
    for (number, (call, &output)) in calls.iter().zip(forms).enumerate() {
        let operation = match call.operation {
            Operation::MaxPool(options) => PlannedOperation::MaxPool(options),
            // A call is watched only where its layer is one of these.
            Operation::Convolution(weight, activation) => {
                let layer = layers[&weight].clone();
                let to_bytes = match output {
                    Form::Bytes(quantisation) => {
                        layer.to_bytes(quantisation, activation).map(Arc::new)
                    }
                    Form::Given | Form::Numbers => None,
                };
                PlannedOperation::Convolution(layer, to_bytes, activation)
            }
        };
        let input = source(&call.input);
        let residual = call.residual.as_ref().map(source);
        for source in [Some(input), residual].into_iter().flatten() {
            if let Source::Call(read) = source {
                last_reader[read] = Some(number);
            }
        }
        planned.push(PlannedCall {
            operation,
            input,
            residual,
            output,
            frees: Vec::new(),
        });
    }
    for (call, reader) in last_reader.into_iter().enumerate() {
        if let Some(reader) = reader {
            planned[reader].frees.push(call);
        }
    }
    planned
}
