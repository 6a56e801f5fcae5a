//! Batch normalisation of feature maps.

use burn::tensor::Tensor;
use limbeck_kernels::{
    Activation, FusionInput, batch_norm_pair_train, batch_norm_train, channel_affine, gated_fusion,
    relu,
};

use crate::{Builder, Init, ParameterId, Pass, Role, layer::Conv2d};

/// The constants of a batch norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormConstants {
    /// Added to the variance.
    pub epsilon: f64,
    /// Share of the new batch in the running statistics.
    pub momentum: f64,
}

impl NormConstants {
    /// PyTorch's defaults.
    pub const PYTORCH: Self = Self {
        epsilon: 1e-5,
        momentum: 0.1,
    };
}

/// `weight`, `bias`, `running_mean`, `running_var` `[C]` and `num_batches_tracked`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm2d {
    weight: ParameterId,
    bias: ParameterId,
    running_mean: ParameterId,
    running_var: ParameterId,
    batches: ParameterId,
    constants: NormConstants,
}

impl BatchNorm2d {
    /// Makes the parameters at the builder's level: scale 1, shift 0, mean 0, variance 1.
    pub fn new(builder: Builder<'_>, channels: usize) -> Self {
        Self::scaled(builder, channels, 1.0, NormConstants::PYTORCH)
    }

    fn scaled(
        mut builder: Builder<'_>,
        channels: usize,
        scale: f64,
        constants: NormConstants,
    ) -> Self {
        let shape = [channels];
        let (one, zero) = (Init::Constant(1.0), Init::Constant(0.0));
        let scale = Init::Constant(scale);
        Self {
            weight: builder.parameter("weight", &shape, Role::NormScale, scale),
            bias: builder.parameter("bias", &shape, Role::NormShift, zero),
            running_mean: builder.parameter("running_mean", &shape, Role::Statistic, zero),
            running_var: builder.parameter("running_var", &shape, Role::Statistic, one),
            batches: builder.parameter("num_batches_tracked", &[], Role::Counter, zero),
            constants,
        }
    }

    /// As [`BatchNorm2d::new`], and declares that it reads nothing but `convolution`'s output and
    /// that nothing else does, so that frozen networks fold the two into one.
    pub fn after(builder: Builder<'_>, convolution: &Conv2d, channels: usize) -> Self {
        Self::scaled_after(builder, convolution, channels, 1.0, NormConstants::PYTORCH)
    }

    /// [`BatchNorm2d::after`] with other constants than PyTorch's.
    pub fn after_with(
        builder: Builder<'_>,
        convolution: &Conv2d,
        channels: usize,
        constants: NormConstants,
    ) -> Self {
        Self::scaled_after(builder, convolution, channels, 1.0, constants)
    }

    /// [`BatchNorm2d::after`] with a scale that starts at 0.
    pub fn silent_after(builder: Builder<'_>, convolution: &Conv2d, channels: usize) -> Self {
        Self::scaled_after(builder, convolution, channels, 0.0, NormConstants::PYTORCH)
    }

    fn scaled_after(
        mut builder: Builder<'_>,
        convolution: &Conv2d,
        channels: usize,
        scale: f64,
        constants: NormConstants,
    ) -> Self {
        let norm = Self::scaled(builder.sub_self(), channels, scale, constants);
        builder.foldable(convolution.weight(), norm.weight, constants.epsilon);
        norm
    }

    /// `[B, C, H, W]` → the same shape.
    ///
    /// In training the output is normalised with the batch's mean and population variance, and
    /// the running statistics move by their momentum, a tenth by default, towards the batch's mean and *unbiased* variance,
    /// unless the store says that they stay ([`Store::freeze_norms`](crate::Store::freeze_norms)).
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        self.forward_with(pass, x, None, Activation::Identity)
    }

    /// [`BatchNorm2d::forward`], then ReLU: the same numbers as one after the other, with less
    /// traffic to memory.
    pub fn forward_relu(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        self.forward_with(pass, x, None, Activation::Relu)
    }

    /// [`BatchNorm2d::forward_relu`]; what ReLU is given is recorded as the tap `before` where
    /// that is asked for.
    pub fn forward_relu_tapped(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        before: Option<&str>,
    ) -> Tensor<4> {
        match before.filter(|tap| pass.wants(tap)) {
            Some(tap) => {
                let x = self.forward(pass, x);
                pass.tap_map(tap, &x);
                relu(x)
            }
            None => self.forward_relu(pass, x),
        }
    }

    /// [`BatchNorm2d::forward`], plus `residual` of the same shape, then `activation`: the same
    /// numbers as one after the other, with less traffic to memory.
    pub fn forward_with(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        residual: Option<Tensor<4>>,
        activation: Activation,
    ) -> Tensor<4> {
        let folded = pass.store().folded_norm.contains_key(&self.weight);
        if !folded {
            pass.count(0, x.shape().num_elements());
        }
        if pass.is_counting() {
            // Zeros stay zeros.
            let [_, _, height, width] = x.dims();
            pass.normalise(height * width);
            return x;
        }
        if folded {
            return activation.apply(match residual {
                Some(residual) => x + residual,
                None => x,
            });
        }
        if !is_live(pass) {
            pass.note_norm(&x, |pass| {
                [self.running_mean, self.running_var].map(|id| pass.get(id))
            });
            let [scale, shift] = self.running_affine(pass);
            return channel_affine(x, residual, scale, shift, activation);
        }
        let [b, c, h, w] = x.dims();
        let count = (b * h * w) as f64;
        debug_assert!(c * b * h * w > 0);
        let (weight, bias) = (pass.get(self.weight), pass.get(self.bias));
        let result = batch_norm_train(
            x,
            residual,
            weight,
            bias,
            self.constants.epsilon,
            activation,
        );
        self.update(pass, result.mean, result.variance, count);
        result.output
    }

    /// [`BatchNorm2d::forward_with`] of `x`, with `other`'s [`BatchNorm2d::forward`] of `beside` as
    /// the residual: the same numbers, with less traffic to memory.
    pub(super) fn forward_beside(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<4>,
        (other, beside): (&Self, Tensor<4>),
        activation: Activation,
    ) -> Tensor<4> {
        let both = [self, other];
        let epsilon = self.constants.epsilon;
        let folded = &pass.store().folded_norm;
        let any_folded = both.iter().any(|norm| folded.contains_key(&norm.weight));
        let alike = epsilon == other.constants.epsilon;
        if any_folded || !alike || pass.is_counting() || !is_live(pass) {
            let residual = other.forward(pass, beside);
            return self.forward_with(pass, x, Some(residual), activation);
        }
        pass.count(0, 2 * x.shape().num_elements());
        let [b, _, h, w] = x.dims();
        let weights = both.map(|norm| pass.get(norm.weight));
        let biases = both.map(|norm| pass.get(norm.bias));
        let result = batch_norm_pair_train([x, beside], weights, biases, epsilon, activation);
        for ((norm, mean), variance) in both.into_iter().zip(result.means).zip(result.variances) {
            norm.update(pass, mean, variance, (b * h * w) as f64);
        }
        result.output
    }

    /// [`BatchNorm2d::forward`] of the 1×1 convolution of `x` with `kernel`, mixed with `running` by
    /// gates: see [`gated_fusion`]. The statistics have to be [those of the batch](Self::is_live).
    pub(super) fn fuse(
        &self,
        pass: &mut Pass<'_>,
        x: &Tensor<4>,
        kernel: Tensor<4>,
        running: &Tensor<4>,
        (gate_weight, gate_bias): (Tensor<4>, Tensor<1>),
    ) -> Tensor<4> {
        let [b, _, h, w] = x.dims();
        pass.count(0, b * kernel.dims()[0] * h * w);
        let input = FusionInput {
            x: x.clone(),
            weight: kernel,
            scale: pass.get(self.weight),
            shift: pass.get(self.bias),
            epsilon: self.constants.epsilon,
        };
        let result = gated_fusion(input, running.clone(), gate_weight, gate_bias);
        self.update(pass, result.mean, result.variance, (b * h * w) as f64);
        result.output
    }

    /// Whether it normalises by the statistics of the batch.
    pub(super) fn is_live(&self, pass: &Pass<'_>) -> bool {
        is_live(pass) && !pass.store().folded_norm.contains_key(&self.weight)
    }

    /// Moves the running statistics towards those of a batch with `count` samples per channel.
    fn update(&self, pass: &mut Pass<'_>, mean: Tensor<1>, variance: Tensor<1>, count: f64) {
        let momentum = self.constants.momentum;
        let unbiased = variance.mul_scalar(count / (count - 1.0).max(1.0));
        let mean = pass
            .current(self.running_mean)
            .mul_scalar(1.0 - momentum)
            .add(mean.mul_scalar(momentum));
        let variance = pass
            .current(self.running_var)
            .mul_scalar(1.0 - momentum)
            .add(unbiased.mul_scalar(momentum));
        let batches = pass.current(self.batches).add_scalar(1.0);
        pass.update(self.running_mean, mean.inner());
        pass.update(self.running_var, variance.inner());
        pass.update(self.batches, batches.inner());
    }

    /// Scale and shift that normalise with the running statistics, `[C]` each.
    fn running_affine(&self, pass: &Pass<'_>) -> [Tensor<1>; 2] {
        let deviation = pass
            .get::<1>(self.running_var)
            .add_scalar(self.constants.epsilon)
            .sqrt();
        let scale = pass.get::<1>(self.weight) / deviation;
        let shift = pass.get::<1>(self.bias) - pass.get::<1>(self.running_mean) * scale.clone();
        [scale, shift]
    }
}

/// Whether statistics are those of the batch.
fn is_live(pass: &Pass<'_>) -> bool {
    pass.is_training() && !pass.store().norms_frozen
}

impl crate::Store {
    /// A copy in which each batch norm that directly follows a convolution is folded into it:
    /// `w' = w · γ/√(σ² + ε)` per output channel, `b' = (b − μ) · γ/√(σ² + ε) + β`.
    /// For evaluation alone. A store that is such a copy already stays as it is.
    pub fn folded(&self) -> Self {
        if !self.folded_norm.is_empty() || self.integers.is_some() {
            return self.clone();
        }
        // Levels times a channel's scale are levels of that channel.
        let unfolded = self.with_levels();
        let mut folded = unfolded.clone();
        for &(convolution, norm, epsilon) in self.foldable() {
            let sibling = |of: ParameterId, from: &str, to: &str| {
                let name = &self.entry(of).name;
                let stem = name.strip_suffix(from)?;
                self.find(&format!("{stem}{to}"))
            };
            let (Some(shift), Some(mean), Some(variance)) = (
                sibling(norm, "weight", "bias"),
                sibling(norm, "weight", "running_mean"),
                sibling(norm, "weight", "running_var"),
            ) else {
                continue;
            };
            let scale = self.get::<1>(norm) / self.get::<1>(variance).add_scalar(epsilon).sqrt();
            let [outputs] = scale.dims();
            let weight = unfolded.get::<4>(convolution) * scale.clone().reshape([outputs, 1, 1, 1]);
            let mean = self.get::<1>(mean);
            let centre = match sibling(convolution, "weight", "bias") {
                Some(bias) => self.get::<1>(bias) - mean,
                None => mean.neg(),
            };
            let bias = centre * scale + self.get::<1>(shift);
            let count = weight.shape().num_elements();
            folded.set(convolution, weight.reshape([count]));
            folded.folded_bias.insert(convolution, bias);
            folded.folded_norm.insert(norm, ());
        }
        folded
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;
    use crate::{Mode, Store, Taps};

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    /// Two channels with values 1, 2, 3, 6 (mean 3, squares' sum 14) and 0, 0, 4, 4 (mean 2,
    /// squares' sum 16).
    fn batch() -> Tensor<4> {
        let values = vec![1.0, 2.0, 0.0, 0.0, 3.0, 6.0, 4.0, 4.0];
        Tensor::from_data(
            TensorData::new(values, [2, 2, 1, 2]),
            (&Device::flex(), DType::F64),
        )
    }

    #[test]
    fn training_uses_the_population_variance_and_stores_the_unbiased_one() {
        let mut store = Store::new(&Device::flex(), DType::F64);
        let norm = BatchNorm2d::new(Builder::new(&mut store, 0), 2);
        let mut pass = Pass::new(&store, Mode::Train, Taps::none(), 0);
        let output = numbers(norm.forward(&mut pass, batch()));
        let deviations = [(14.0f64 / 4.0 + 1e-5).sqrt(), (16.0f64 / 4.0 + 1e-5).sqrt()];
        let expected = [-2.0, -1.0, -2.0, -2.0, 0.0, 3.0, 2.0, 2.0];
        for (i, (found, expected)) in output.iter().zip(expected).enumerate() {
            let expected = expected / deviations[i / 2 % 2];
            assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
        }
        let updates = pass.into_updates();
        store.apply(updates);
        let statistics = |id| numbers(store.get::<1>(id));
        for (found, expected) in statistics(norm.running_mean).iter().zip([0.3, 0.2]) {
            assert!((found - expected).abs() < 1e-12);
        }
        let variances = [0.9 + 0.1 * 14.0 / 3.0, 0.9 + 0.1 * 16.0 / 3.0];
        for (found, expected) in statistics(norm.running_var).iter().zip(variances) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert_eq!(numbers(store.entry(norm.batches).value.clone()), [1.0]);
    }

    #[test]
    fn evaluation_uses_the_running_statistics_and_leaves_them_alone() {
        let mut store = Store::new(&Device::flex(), DType::F64);
        let norm = BatchNorm2d::new(Builder::new(&mut store, 0), 2);
        store.set_values(norm.running_mean, vec![1.0, 0.0]);
        store.set_values(norm.running_var, vec![4.0, 1.0]);
        store.set_values(norm.weight, vec![2.0, 1.0]);
        store.set_values(norm.bias, vec![0.0, 5.0]);
        let mut pass = Pass::new(&store, Mode::Evaluate, Taps::none(), 0);
        let output = numbers(norm.forward(&mut pass, batch()));
        let expected = [0.0, 1.0, 5.0, 5.0, 2.0, 5.0, 9.0, 9.0];
        for (found, expected) in output.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found} and {expected}");
        }
        assert!(pass.into_updates().is_empty());
    }

    #[test]
    fn frozen_statistics_are_used_and_kept_in_training_and_scale_and_shift_still_learn() {
        let mut store = Store::new(&Device::flex(), DType::F64);
        let norm = BatchNorm2d::new(Builder::new(&mut store, 0), 2);
        store.set_values(norm.running_mean, vec![1.0, 0.0]);
        store.set_values(norm.running_var, vec![4.0, 1.0]);
        store.freeze_norms();
        let mut pass = Pass::new(&store, Mode::Evaluate, Taps::none(), 0);
        let expected = numbers(norm.forward(&mut pass, batch()));
        let tracked = store.tracked();
        let mut pass = Pass::new(&tracked, Mode::Train, Taps::none(), 0);
        let output = norm.forward(&mut pass, batch());
        assert!(pass.into_updates().is_empty());
        assert_eq!(numbers(output.clone().inner()), expected);
        let mut gradients = output.sum().backward();
        let found = tracked.gradients(&mut gradients);
        // Σ (x − μ)/√(σ² + ε) of the first channel, and the number of its values.
        let scale = numbers(found[0].clone().unwrap())[0];
        assert!((scale - 8.0 / 4.00001_f64.sqrt()).abs() < 1e-9, "{scale}");
        assert_eq!(numbers(found[1].clone().unwrap()), [4.0, 4.0]);
    }

    #[test]
    fn a_norm_that_runs_twice_in_a_pass_updates_its_statistics_twice() {
        let mut store = Store::new(&Device::flex(), DType::F64);
        let norm = BatchNorm2d::new(Builder::new(&mut store, 0), 2);
        let mut pass = Pass::new(&store, Mode::Train, Taps::none(), 0);
        norm.forward(&mut pass, batch());
        norm.forward(&mut pass, batch());
        let updates = pass.into_updates();
        store.apply(updates);
        let mean = numbers(store.get::<1>(norm.running_mean));
        for (found, expected) in mean.iter().zip([0.3 * 1.9, 0.2 * 1.9]) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert_eq!(numbers(store.entry(norm.batches).value.clone()), [2.0]);
    }
}
