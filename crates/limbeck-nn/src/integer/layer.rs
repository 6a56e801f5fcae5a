//! One layer in whole numbers.

use burn::tensor::Tensor;
use limbeck_kernels::{
    Activation, ByteMap, Conv2dOptions, IntegerConvolution, IntegerWeights, Levels, Quantisation,
    RowCodes,
};

use crate::{ParameterId, Store, quantise::Bits};

/// A layer's weights as codes, and what it is given.
#[derive(Clone, Debug)]
pub(super) struct IntegerLayer {
    /// `[O, C / groups, kh, kw]`.
    codes: Vec<i8>,
    shape: [usize; 4],
    /// Distance of levels of each output channel, `[O]`.
    steps: Vec<f32>,
    /// `[O]`.
    bias: Option<Vec<f32>>,
    options: Conv2dOptions,
    /// Of its input.
    pub input: Quantisation,
    /// The layer itself, which gives numbers.
    pub to_numbers: IntegerConvolution,
}

impl IntegerLayer {
    /// The layer with `weight`, whose numbers in `store` are levels, and its own `bias` where no norm was
    /// folded into it. A linear layer, `[O, I]`, is a convolution over one position. `None` of a layer that
    /// has not few bits, has seen nothing, or is too large for sums in 32 bits.
    pub fn new(
        store: &Store,
        weight: ParameterId,
        bias: Option<ParameterId>,
        options: Conv2dOptions,
    ) -> Option<Self> {
        let entry = store.entry(weight);
        let [bits, of_input] = store.layer_bits(weight)?.map(Bits::count);
        let levels = Levels::covering(store.input_range(weight)?, of_input)?;
        let input = Quantisation::of_levels(levels)?;
        let mut shape = [1; 4];
        let dims = shape.get_mut(..entry.shape.len())?;
        dims.copy_from_slice(&entry.shape);
        if bits > 8 || shape.contains(&0) {
            return None;
        }
        let levels = numbers(entry.value.clone());
        let mut codes = Vec::with_capacity(levels.len());
        let mut steps = Vec::with_capacity(shape[0]);
        for row in levels.chunks_exact(levels.len() / shape[0]) {
            let row = RowCodes::new(row, bits);
            codes.extend(row.codes);
            steps.push(row.step);
        }
        let bias = match (store.folded_bias.get(&weight), bias) {
            (Some(folded), _) => Some(numbers(folded.clone())),
            (None, Some(id)) => Some(numbers(store.entry(id).value.clone())),
            (None, None) => None,
        };
        let weights = IntegerWeights {
            weight: &codes,
            shape,
            scales: &steps,
            bias: bias.as_deref(),
        };
        let identity = Activation::Identity;
        let to_numbers = IntegerConvolution::new(&weights, options, input, input, identity).ok()?;
        Some(Self {
            codes,
            shape,
            steps,
            bias,
            options,
            input,
            to_numbers,
        })
    }

    /// The layer giving bytes; `None` where these cannot be had without numbers in between.
    pub fn to_bytes(
        &self,
        output: Quantisation,
        activation: Activation,
    ) -> Option<IntegerConvolution> {
        let weights = IntegerWeights {
            weight: &self.codes,
            shape: self.shape,
            scales: &self.steps,
            bias: self.bias.as_deref(),
        };
        IntegerConvolution::new(&weights, self.options, self.input, output, activation).ok()
    }

    /// `x` `[B, C, H, W]` in its levels.
    pub fn quantised(&self, x: &Tensor<4>) -> ByteMap {
        let shape = x.dims();
        sound(ByteMap::quantise(&numbers(x.clone()), shape, self.input))
    }
}

/// A tensor's numbers in order.
pub(super) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data();
    match data.try_into_vec::<f32>() {
        Ok(numbers) => numbers,
        Err(error) => unreachable!("whole numbers are for single precision alone: {error:?}"),
    }
}

/// What a kernel gives for maps whose shapes and levels fit each other, as those of a plan do.
pub(super) fn sound<T>(result: Result<T, limbeck_kernels::IntegerError>) -> T {
    match result {
        Ok(found) => found,
        Err(error) => unreachable!("maps of one network fit each other: {error}"),
    }
}
