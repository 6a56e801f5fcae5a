//! The steps made of burn's own operations, for every device and type without a fast path.

use burn::{
    backend::{Backend, tensor::FloatTensor},
    tensor::FloatDType,
};

use super::{AdamWStep, SgdStep};

/// The parameter and its momentum.
pub(super) fn sgd_step<B: Backend>(
    value: FloatTensor<B>,
    mut gradient: FloatTensor<B>,
    momentum: Option<FloatTensor<B>>,
    step: SgdStep,
) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
    if step.weight_decay != 0.0 {
        gradient = B::float_add(gradient, scaled::<B>(value.clone(), step.weight_decay));
    }
    let mut direction = gradient.clone();
    let mut kept = None;
    if step.momentum != 0.0 {
        let momentum = match momentum {
            None => gradient.clone(),
            Some(momentum) => B::float_add(
                scaled::<B>(momentum, step.momentum),
                scaled::<B>(gradient.clone(), 1.0 - step.dampening),
            ),
        };
        direction = match step.nesterov {
            true => B::float_add(gradient, scaled::<B>(momentum.clone(), step.momentum)),
            false => momentum.clone(),
        };
        kept = Some(momentum);
    }
    let way = scaled::<B>(direction, step.learning_rate);
    (B::float_sub(value, way), kept)
}

/// The parameter, mean and squared mean, from these three with the gradient second.
pub(super) fn adamw_step<B: Backend>(
    [mut value, gradient, mean, square]: [FloatTensor<B>; 4],
    step: AdamWStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let decay = step.decay();
    if decay != 1.0 {
        value = scaled::<B>(value, decay);
    }
    let squared = B::float_mul(gradient.clone(), gradient.clone());
    let mean = B::float_add(
        scaled::<B>(mean, step.beta1),
        scaled::<B>(gradient, 1.0 - step.beta1),
    );
    let square = B::float_add(
        scaled::<B>(square, step.beta2),
        scaled::<B>(squared, 1.0 - step.beta2),
    );
    let [size, root] = step.corrections();
    let spread = B::float_div_scalar(B::float_sqrt(square.clone()), root.into());
    let spread = B::float_add_scalar(spread, step.epsilon.into());
    let way = scaled::<B>(B::float_div(mean.clone(), spread), size);
    (B::float_sub(value, way), mean, square)
}

pub(super) fn moving_average<B: Backend>(
    average: FloatTensor<B>,
    value: FloatTensor<B>,
    decay: f64,
) -> FloatTensor<B> {
    B::float_add(scaled::<B>(average, decay), scaled::<B>(value, 1.0 - decay))
}

pub(super) fn sum_of_squares<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let x = B::float_cast(x, FloatDType::F64);
    B::float_sum(B::float_mul(x.clone(), x))
}

fn scaled<B: Backend>(tensor: FloatTensor<B>, factor: f64) -> FloatTensor<B> {
    B::float_mul_scalar(tensor, factor.into())
}

impl AdamWStep {
    /// 1 − ηλ.
    pub(super) fn decay(&self) -> f64 {
        1.0 - self.learning_rate * self.weight_decay
    }

    /// η/(1 − β₁ᵗ) and √(1 − β₂ᵗ).
    pub(super) fn corrections(&self) -> [f64; 2] {
        let remaining = |beta: f64| 1.0 - beta.powf(f64::from(self.step));
        [
            self.learning_rate / remaining(self.beta1),
            remaining(self.beta2).sqrt(),
        ]
    }
}
