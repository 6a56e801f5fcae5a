//! Two-dimensional convolution.

use burn::tensor::Tensor;
use limbeck_kernels::{Activation, Conv2dOptions, conv2d, conv2d_pair, conv2d_with};

use crate::{Builder, Init, ParameterId, Pass, Role, Store, integer::ConvolutionCall};

/// Shape of a convolution; start from [`Conv2dConfig::new`].
#[derive(Clone, Copy, Debug)]
pub struct Conv2dConfig {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Kernel `[height, width]`.
    pub kernel: [usize; 2],
    /// Step between output positions.
    pub stride: [usize; 2],
    /// Zeros added on both sides.
    pub padding: [usize; 2],
    /// Distance between kernel elements.
    pub dilation: [usize; 2],
    /// Channel groups.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
    /// How the weight is drawn; `None` is PyTorch's default. The bias always follows PyTorch's
    /// default unless `bias_init` says otherwise.
    pub init: Option<Init>,
    /// How the bias is drawn; `None` is PyTorch's default.
    pub bias_init: Option<Init>,
}

impl Conv2dConfig {
    /// A square kernel, stride 1, no padding, no dilation, one group, no bias.
    pub fn new(input: usize, output: usize, kernel: usize) -> Self {
        Self {
            input,
            output,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
            bias: false,
            init: None,
            bias_init: None,
        }
    }

    /// With this stride in both directions.
    pub fn stride(mut self, stride: usize) -> Self {
        self.stride = [stride; 2];
        self
    }

    /// With this padding on all sides.
    pub fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 2];
        self
    }

    /// With this distance between kernel elements in both directions.
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.dilation = [dilation; 2];
        self
    }

    /// With this many channel groups.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// With a bias.
    pub fn bias(mut self) -> Self {
        self.bias = true;
        self
    }

    /// With the weight drawn from `init`.
    pub fn init(mut self, init: Init) -> Self {
        self.init = Some(init);
        self
    }

    /// With the weight drawn by Kaiming's normal rule over outgoing connections.
    pub fn kaiming_fan_out(self) -> Self {
        let init = Init::kaiming_normal_fan_out(self.output, self.kernel);
        self.init(init)
    }
}

/// `weight` `[O, C / groups, kh, kw]`, optional `bias` `[O]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    weight: ParameterId,
    bias: Option<ParameterId>,
    config: Conv2dConfig,
}

impl Conv2d {
    /// Makes the parameters at the builder's level.
    pub fn new(mut builder: Builder<'_>, config: Conv2dConfig) -> Self {
        let [kh, kw] = config.kernel;
        let per_group = config.input / config.groups;
        let default = Init::pytorch_default(per_group * kh * kw);
        let weight = builder.parameter(
            "weight",
            &[config.output, per_group, kh, kw],
            Role::Weight,
            config.init.unwrap_or(default),
        );
        let bias = config.bias.then(|| {
            builder.parameter(
                "bias",
                &[config.output],
                Role::Bias,
                config.bias_init.unwrap_or(default),
            )
        });
        Self {
            weight,
            bias,
            config,
        }
    }

    /// Id of the weight: what [`Builder::foldable`] wants.
    pub fn weight(&self) -> ParameterId {
        self.weight
    }

    /// Id of the bias.
    pub fn bias(&self) -> Option<ParameterId> {
        self.bias
    }

    /// `[B, C, H, W]` → `[B, O, H', W']`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let folded = pass.store().folded_bias.get(&self.weight).cloned();
        let is_folded = folded.is_some();
        if let Some(y) = self.in_integers(pass, &x, None, Activation::Identity) {
            pass.convolved(*self, (!is_folded).then_some(&y));
            return y;
        }
        let x = pass.layer_input(self.weight, x);
        let y = match self.count(pass, &x) {
            Some(zeros) => zeros,
            None => {
                let bias = folded.or_else(|| self.bias.map(|id| pass.get(id)));
                conv2d(x, pass.get(self.weight), bias, self.options())
            }
        };
        pass.convolved(*self, (!is_folded).then_some(&y));
        y
    }

    /// This convolution of `factor` · x, one number `[1, 1, 1, 1]` without a gradient for all maps:
    /// the few weights are multiplied instead. `[B, C, H, W]` → `[B, O, H', W']`.
    pub fn forward_scaled(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        factor: Tensor<4>,
    ) -> Tensor<4> {
        let weight = pass.get::<4>(self.weight) * factor;
        let bias = self.bias.map(|id| pass.get(id));
        conv2d(x, weight, bias, self.options())
    }

    /// This convolution and another one of the same `x`, where neither adds a bias and both are to
    /// be computed. `[B, C, H, W]` → `[B, O, H', W']` each.
    pub(super) fn forward_beside(
        &self,
        pass: &mut Pass<'_>,
        other: &Self,
        x: &Tensor<4>,
    ) -> Option<[Tensor<4>; 2]> {
        let both = [self, other];
        let folded = &pass.store().folded_bias;
        let biased = both
            .iter()
            .any(|conv| conv.bias.is_some() || folded.contains_key(&conv.weight));
        if biased || pass.is_counting() {
            return None;
        }
        let x = pass.layers_input([self.weight, other.weight], x)?;
        for convolution in both {
            convolution.count(pass, &x);
        }
        let weights = both.map(|convolution| pass.get(convolution.weight));
        let outputs = conv2d_pair(x, weights, both.map(Self::options));
        for (convolution, output) in both.into_iter().zip(&outputs) {
            pass.convolved(*convolution, Some(output));
        }
        Some(outputs)
    }

    /// Its weight `[O, C, 1, 1]` and bias for maps of `input` `[B, C, H, W]`, whose cost is counted: where it
    /// is nothing but a product for each pixel, in training.
    pub(super) fn as_product(
        &self,
        pass: &mut Pass<'_>,
        input: [usize; 4],
    ) -> Option<(Tensor<4>, Option<Tensor<1>>)> {
        let Conv2dConfig {
            kernel,
            stride,
            padding,
            groups,
            ..
        } = self.config;
        let plain = kernel == [1; 2] && stride == [1; 2] && padding == [0; 2] && groups == 1;
        let store = pass.store();
        let altered = store.quantisation.is_some() || store.folded_bias.contains_key(&self.weight);
        if !plain || altered || pass.is_counting() {
            return None;
        }
        let [batch, channels, height, width] = input;
        let written = batch * self.config.output * height * width;
        pass.count_layer(self.weight, written * channels, written);
        Some((pass.get(self.weight), self.bias.map(|id| pass.get(id))))
    }

    /// Its weight in `store` as a constant, with its geometry; the bias is left out.
    pub(crate) fn frozen(&self, store: &Store) -> FrozenConvolution {
        FrozenConvolution {
            weight: store.get::<4>(self.weight).inner(),
            stride: self.config.stride,
            padding: self.config.padding,
        }
    }

    /// The convolution with the batch norm that was folded into it, plus `residual` where there is
    /// one, then `activation`; `None` where no batch norm was.
    pub(super) fn forward_folded(
        &self,
        pass: &mut Pass<'_>,
        x: &Tensor<4>,
        residual: Option<&Tensor<4>>,
        activation: Activation,
    ) -> Option<Tensor<4>> {
        let bias = pass.store().folded_bias.get(&self.weight).cloned()?;
        pass.convolved(*self, None);
        if let Some(y) = self.in_integers(pass, x, residual, activation) {
            return Some(y);
        }
        let x = pass.layer_input(self.weight, x.clone());
        if let Some(zeros) = self.count(pass, &x) {
            return Some(zeros);
        }
        let (weight, residual) = (pass.get(self.weight), residual.cloned());
        let y = conv2d_with(x, weight, bias, residual, activation, self.options());
        Some(y)
    }

    /// [`Conv2d::forward_folded`] in whole numbers; `None` where it runs in single precision.
    fn in_integers(
        &self,
        pass: &mut Pass<'_>,
        x: &Tensor<4>,
        residual: Option<&Tensor<4>>,
        activation: Activation,
    ) -> Option<Tensor<4>> {
        let call = ConvolutionCall {
            weight: self.weight,
            bias: self.bias,
            options: self.options(),
            x,
            residual,
            activation,
        };
        let y = pass.convolution_in_integers(&call, self.output_shape(x))?;
        self.count(pass, x);
        Some(y)
    }

    /// Of the map that it makes of `x` `[B, C, H, W]`: `[B, O, H', W']`.
    fn output_shape(&self, x: &Tensor<4>) -> [usize; 4] {
        let Conv2dConfig {
            kernel,
            stride,
            padding,
            dilation,
            ..
        } = self.config;
        let [batch, _, height, width] = x.dims();
        let size = |axis: usize, length: usize| {
            (length + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis]
                + 1
        };
        [batch, self.config.output, size(0, height), size(1, width)]
    }

    fn options(&self) -> Conv2dOptions {
        Conv2dOptions {
            stride: self.config.stride,
            padding: self.config.padding,
            dilation: self.config.dilation,
            groups: self.config.groups,
        }
    }

    /// Counts the cost for `x` `[B, C, H, W]`; zeros in the shape of the output where nothing else
    /// is wanted.
    fn count(&self, pass: &mut Pass<'_>, x: &Tensor<4>) -> Option<Tensor<4>> {
        let Conv2dConfig { kernel, groups, .. } = self.config;
        let shape = self.output_shape(x);
        let written: usize = shape.iter().product();
        let per_element = self.config.input / groups * kernel[0] * kernel[1];
        pass.count_layer(self.weight, written * per_element, written);
        // One zero, seen through the shape: a large map costs nothing.
        let zero = || Tensor::<4>::zeros([1; 4], (pass.device(), pass.dtype()));
        pass.is_counting().then(|| zero().expand(shape))
    }
}

/// A convolution that nothing trains, without bias, of one group and without dilation.
#[derive(Clone, Debug)]
pub struct FrozenConvolution {
    /// `[O, C, kh, kw]`.
    pub weight: Tensor<4>,
    /// Step between output positions.
    pub stride: [usize; 2],
    /// Zeros added on both sides.
    pub padding: [usize; 2],
}

impl FrozenConvolution {
    /// `[B, C, H, W]` → `[B, O, H', W']`. Gradients flow back to `x`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = Conv2dOptions {
            stride: self.stride,
            padding: self.padding,
            dilation: [1; 2],
            groups: 1,
        };
        conv2d(x, self.weight.clone(), None, options)
    }
}
