//! A pass in whole numbers.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use limbeck_kernels::{Activation, Addend, ByteMap, Conv2dOptions, NumberMap, Quantisation};

use super::{
    Integers,
    call::ConvolutionCall,
    layer::{IntegerLayer, numbers, sound},
    plan::{Form, PlannedCall, PlannedOperation, Source},
};
use crate::{ParameterId, Store};

/// A convolution over single positions: what a linear layer is.
pub(super) const POINT: Conv2dOptions = Conv2dOptions {
    stride: [1; 2],
    padding: [0; 2],
    dilation: [1; 2],
    groups: 1,
};

/// What calls have given so far.
#[derive(Debug)]
pub(crate) struct Running {
    integers: Arc<Integers>,
    /// Whether maps stay in bytes: not where a tap reads them too, or for images of another size.
    by_plan: bool,
    /// What was given, by call, until nothing reads it any more.
    maps: Vec<Option<Carried>>,
}

/// A map between two calls.
#[derive(Debug)]
enum Carried {
    Bytes(ByteMap),
    Numbers(NumberMap),
}

impl Running {
    /// Of a pass that is given maps as numbers.
    pub(crate) fn new(integers: Arc<Integers>) -> Self {
        Self {
            integers,
            by_plan: false,
            maps: Vec::new(),
        }
    }

    /// Of a whole network from images of `size` on, none of whose taps are recorded: maps stay in bytes
    /// where that was found out for this size.
    pub(crate) fn begin(&mut self, size: [usize; 2]) {
        self.by_plan = size == self.integers.size;
    }

    /// `[B, O, H', W']`: numbers, or where the map stays in bytes something of the same shape that nothing
    /// reads. `None` of a layer that does not run in whole numbers.
    pub(crate) fn convolution(
        &mut self,
        store: &Store,
        call: &ConvolutionCall<'_>,
    ) -> Option<Tensor<4>> {
        let integers = self.integers.clone();
        let layer = integers.layers.get(&call.weight)?;
        let Some(planned) = self.next(&integers) else {
            let given = sound(
                layer
                    .to_numbers
                    .forward_to_numbers(&layer.quantised(call.x)),
            );
            let residual = call.residual.map(channels_last);
            let residual = residual.as_ref().map(Addend::Numbers);
            let finished = sound(given.finished(residual, call.activation));
            return Some(tensor(store, &finished));
        };
        let PlannedOperation::Convolution(layer, to_bytes, activation) = &planned.operation else {
            unreachable!("a network runs its layers in the same order each time");
        };
        let read;
        let x = match planned.input {
            Source::Given => {
                read = layer.quantised(call.x);
                &read
            }
            Source::Call(number) => match self.carried(number) {
                Carried::Bytes(bytes) if bytes.quantisation() == layer.input => bytes,
                carried => {
                    read = carried.quantised(layer.input);
                    &read
                }
            },
        };
        let given;
        let residual = match (planned.residual, call.residual) {
            (Some(Source::Call(number)), _) => Some(self.carried(number).addend()),
            (Some(Source::Given), Some(residual)) => {
                given = channels_last(residual);
                Some(Addend::Numbers(&given))
            }
            _ => None,
        };
        let made = made(
            layer,
            to_bytes.as_deref(),
            *activation,
            planned.output,
            x,
            residual,
        );
        Some(self.give(store, made, planned))
    }

    /// `[B, C, H', W']`, as [`Running::convolution`]; `None` of numbers.
    pub(crate) fn max_pool(&mut self, store: &Store) -> Option<Tensor<4>> {
        let integers = self.integers.clone();
        let planned = self.next(&integers)?;
        let PlannedOperation::MaxPool(options) = planned.operation else {
            unreachable!("a network runs its layers in the same order each time");
        };
        let (Source::Call(number), Form::Bytes(quantisation)) = (planned.input, planned.output)
        else {
            // Of numbers: its place in the order is taken all the same.
            self.maps.push(None);
            return None;
        };
        let read;
        let x = match self.carried(number) {
            Carried::Bytes(bytes) if bytes.quantisation() == quantisation => bytes,
            carried => {
                read = carried.quantised(quantisation);
                &read
            }
        };
        let made = Carried::Bytes(sound(x.max_pool(options)));
        Some(self.give(store, made, planned))
    }

    /// Rows `[…, I]` → `[…, O]`; `None` of a layer that does not run in whole numbers.
    pub(crate) fn linear<const D: usize>(
        &self,
        store: &Store,
        weight: ParameterId,
        x: &Tensor<D>,
    ) -> Option<Tensor<D>> {
        let layer = self.integers.layers.get(&weight)?;
        let mut shape = x.dims();
        let columns = shape[D - 1];
        let rows = shape[..D - 1].iter().product();
        let x = sound(NumberMap::new(&numbers(x.clone()), [rows, 1, 1, columns]));
        let x = sound(x.quantised(layer.input));
        let y = sound(layer.to_numbers.forward_to_numbers(&x));
        shape[D - 1] = y.shape()[3];
        let data = TensorData::new(y.numbers().to_vec(), shape);
        Some(Tensor::from_data(data, (store.device(), store.dtype())))
    }

    /// What the next call does; `None` where maps do not stay in bytes.
    fn next<'a>(&self, integers: &'a Integers) -> Option<&'a PlannedCall> {
        let planned = integers.calls.get(self.maps.len());
        planned.filter(|_| self.by_plan)
    }

    fn carried(&self, number: usize) -> &Carried {
        match self.maps.get(number) {
            Some(Some(carried)) => carried,
            _ => unreachable!("a map is kept until nothing reads it any more"),
        }
    }

    fn give(&mut self, store: &Store, made: Carried, planned: &PlannedCall) -> Tensor<4> {
        let given = match (&made, planned.output) {
            (Carried::Numbers(numbers), Form::Given) => tensor(store, numbers),
            (carried, _) => {
                let [batch, height, width, channels] = carried.shape();
                // Nothing reads it; what did would be no number.
                let nothing = Tensor::<4>::full([1; 4], f32::NAN, (store.device(), store.dtype()));
                nothing.expand([batch, channels, height, width])
            }
        };
        self.maps
            .push((planned.output != Form::Given).then_some(made));
        for &number in &planned.frees {
            self.maps[number] = None;
        }
        given
    }
}

/// What a layer gives in the form that is wanted.
fn made(
    layer: &IntegerLayer,
    to_bytes: Option<&limbeck_kernels::IntegerConvolution>,
    activation: Activation,
    output: Form,
    x: &ByteMap,
    residual: Option<Addend<'_>>,
) -> Carried {
    if let Some(to_bytes) = to_bytes {
        return Carried::Bytes(sound(to_bytes.forward(x, residual)));
    }
    let numbers = sound(layer.to_numbers.forward_to_numbers(x));
    let numbers = sound(numbers.finished(residual, activation));
    match output {
        Form::Bytes(quantisation) => Carried::Bytes(sound(numbers.quantised(quantisation))),
        Form::Given | Form::Numbers => Carried::Numbers(numbers),
    }
}

impl Carried {
    /// `[B, H, W, C]`.
    fn shape(&self) -> [usize; 4] {
        match self {
            Self::Bytes(map) => map.shape(),
            Self::Numbers(map) => map.shape(),
        }
    }

    fn addend(&self) -> Addend<'_> {
        match self {
            Self::Bytes(map) => Addend::Bytes(map),
            Self::Numbers(map) => Addend::Numbers(map),
        }
    }

    fn quantised(&self, quantisation: Quantisation) -> ByteMap {
        sound(match self {
            Self::Bytes(map) => map.mapped(quantisation, |number| number),
            Self::Numbers(map) => map.quantised(quantisation),
        })
    }
}

/// `[B, C, H, W]` with channels last.
fn channels_last(map: &Tensor<4>) -> NumberMap {
    let [batch, channels, height, width] = map.dims();
    let last = numbers(map.clone().permute([0, 2, 3, 1]));
    sound(NumberMap::new(&last, [batch, height, width, channels]))
}

/// `[B, C, H, W]` of a map with channels last.
fn tensor(store: &Store, map: &NumberMap) -> Tensor<4> {
    let [batch, height, width, channels] = map.shape();
    let data = TensorData::new(map.channels_first(), [batch, channels, height, width]);
    Tensor::from_data(data, (store.device(), store.dtype()))
}
