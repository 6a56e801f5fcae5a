//! What an image that is made is to fulfil.

use burn::tensor::{Int, Tensor};

use super::OtaConfig;
use crate::{Term, cross_entropy::cross_entropy};

/// The five terms, `[1]` each, before their weights.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Cross entropy with the class that it is made for.
    pub ce: Tensor<1>,
    /// Distance to the guide's features.
    pub guide: Tensor<1>,
    /// Distance to statistics.
    pub bn: Tensor<1>,
    /// Differences of neighbouring pixels.
    pub tv: Tensor<1>,
    /// Squares of pixels.
    pub l2: Tensor<1>,
}

impl Objective {
    /// The terms by name, with their weights.
    pub fn terms(self, config: &OtaConfig) -> Vec<Term> {
        vec![
            Term::new("ce", self.ce, config.ce_weight),
            Term::new("guide", self.guide, config.guide_weight),
            Term::new("bn", self.bn, config.bn_weight),
            Term::new("tv", self.tv, config.tv_weight),
            Term::new("l2", self.l2, config.l2_weight),
        ]
    }

    /// Their weighted sum.
    pub fn total(self, config: &OtaConfig) -> Tensor<1> {
        let zero = self.ce.zeros_like();
        let weighted = self.terms(config).into_iter();
        let weighted = weighted.map(|term| term.value.mul_scalar(term.weight));
        weighted.fold(zero, |sum, term| sum + term)
    }

    /// The same numbers without gradients.
    pub fn detach(self) -> Self {
        Self {
            ce: self.ce.inner(),
            guide: self.guide.inner(),
            bn: self.bn.inner(),
            tv: self.tv.inner(),
            l2: self.l2.inner(),
        }
    }
}

/// A map `[B, C, H, W]` and the statistics `[C]` that it is to have.
#[derive(Clone, Debug)]
pub struct Held {
    /// Of the images that are made.
    pub input: Tensor<4>,
    /// Mean.
    pub mean: Tensor<1>,
    /// Biased variance.
    pub variance: Tensor<1>,
}

/// A feature `[B, C, H, W]` of the images that are made beside that of their guides.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Of the made ones.
    pub made: Tensor<4>,
    /// Of the guides, a constant.
    pub guide: Tensor<4>,
    /// 1 for each image that it guides, else 0, `[B, 1, 1, 1]`; `None` where it guides all.
    pub guided: Option<Tensor<4>>,
}

/// The terms of `images` `[B, C, H, W]` with `logits` `[B, K]` that are to be of the classes `labels`
/// `[B]`.
pub fn objective(
    images: Tensor<4>,
    logits: Tensor<2>,
    labels: &Tensor<1, Int>,
    compared: Vec<Compared>,
    held: Vec<Held>,
) -> Objective {
    let zero = || Tensor::<1>::zeros([1], (&images.device(), images.dtype()));
    let layers = compared.len().max(1);
    let guide = compared.into_iter().fold(zero(), |sum, compared| {
        let apart = (compared.made - compared.guide).square();
        sum + mean(match compared.guided {
            Some(guided) => apart * guided,
            None => apart,
        })
    });
    let bn = held.into_iter().fold(zero(), |sum, held| {
        let [mean, variance] = statistics(held.input);
        sum + length(mean - held.mean) + length(variance - held.variance)
    });
    Objective {
        ce: cross_entropy(logits, labels, None, 0.0),
        guide: guide.mul_scalar(1.0 / layers as f64),
        bn,
        tv: total_variation(images.clone()),
        l2: mean(images.square()),
    }
}

/// Mean and biased variance of each channel of a map `[B, C, H, W]` over batch and places: `[C]` each.
pub fn statistics(map: Tensor<4>) -> [Tensor<1>; 2] {
    let [batch, channels, height, width] = map.dims();
    let share = 1.0 / (batch * height * width).max(1) as f64;
    let map = map.reshape([batch, channels, height * width]);
    let over_all = |values: Tensor<3>| values.sum_dim(2).sum_dim(0).mul_scalar(share);
    let mean = over_all(map.clone());
    let variance = over_all((map - mean.clone()).square());
    [mean, variance].map(|it| it.reshape([channels]))
}

/// Mean squared difference of neighbours above each other, and of those beside each other, each over
/// their own number; an image of a single row has none of the first.
fn total_variation(images: Tensor<4>) -> Tensor<1> {
    let along = |axis: usize| {
        let length = images.dims()[axis];
        (length > 1).then(|| {
            let next = images.clone().narrow(axis, 1, length - 1);
            let here = images.clone().narrow(axis, 0, length - 1);
            mean((next - here).square())
        })
    };
    let zero = Tensor::zeros([1], (&images.device(), images.dtype()));
    [along(2), along(3)]
        .into_iter()
        .flatten()
        .fold(zero, |sum, it| sum + it)
}

/// ‖v‖, whose gradient at 0 is 0.
fn length(vector: Tensor<1>) -> Tensor<1> {
    let squares = vector.square().sum();
    let is_zero = squares.clone().inner().equal_elem(0.0).float();
    let is_zero = is_zero.cast(squares.dtype());
    (squares + is_zero.clone()).sqrt() - is_zero
}

/// Mean of all numbers. Not `mean`: its gradient divides in single precision.
fn mean<const D: usize>(values: Tensor<D>) -> Tensor<1> {
    let share = 1.0 / values.shape().num_elements().max(1) as f64;
    values.sum().mul_scalar(share)
}
