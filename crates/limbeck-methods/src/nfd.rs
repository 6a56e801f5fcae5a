//! # nfd — Normalized Feature Distillation for Semantic Segmentation
//!
//! A small student that copies the teacher's map spends itself on the size of its responses. With
//! both maps standardised only their spatial pattern is compared.
//!
//! ## Definition
//! L = task + weight · Σ_pairs mean (N(F_s) − N(F_t))²
//!
//! F_s: student map, F_t: teacher map (detached), N(F) = (F − μ)/(σ + `epsilon`), σ = √(mean (F − μ)²).
//! μ and σ are taken, with `dims`: `hw`, of each channel of each image; `c`, of each position;
//! `chw`, of each image; `nhw`, of each channel over the batch. The gradient goes through μ and σ of
//! the student. Where the channels differ, F_s is what a 1×1 convolution with bias makes of the
//! student's map, brought to the teacher's size bilinearly.
//!
//! ## Inputs and shapes
//! Student maps `[B, C_s, H_s, W_s]`, teacher maps `[B, C_t, H, W]`, by default what the last
//! classifier of a network that segments reads (`feature`), else the last stages.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `weight` | 1 | ≥ 0 | ours |
//! | `dims` | `hw` | or `c`, `chw`, `nhw` | paper: width and height |
//! | `epsilon` | 0.000001 | > 0 | ours |
//! | `adapter` | true | | ours; false refuses maps of different channels |
//!
//! ## Notes
//! The authors have released no code: this follows the paper's abstract and what others report of
//! it; what is ours is the place where it attaches, the biased variance, the size at which the maps
//! are compared, and the weight. With `hw` the loss is 2·(1 − r), r the mean correlation of the
//! channels of both maps: 2 for maps that have nothing in common, which is on the scale of a cross
//! entropy, so the weight is for SGD and AdamW alike. With `nhw` it is twice PKD's loss (Cao et al.,
//! NeurIPS 2022). A channel that is constant is compared as zeros. Cost: C_s·C_t weights where the
//! channels differ, a few passes over both maps.
//!
//! ## Reference
//! Liu, Yang, Chen. "Normalized Feature Distillation for Semantic Segmentation". 2022.
//! <https://arxiv.org/abs/2207.05256>

#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Pass, Taps,
    layer::{Conv2d, Conv2dConfig, resize_bilinear},
};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    connector::mean_squared_error,
    criterion::{require_positive, require_weight},
    dense::last_features,
    pairs::{Pair, resolve_pairs},
};

/// Least variance whose root is taken: below it the root's slope has no bound.
const LEAST_VARIANCE: f64 = 1e-24;

/// Of what mean and deviation are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormalisedOver {
    /// Each channel of each image.
    #[default]
    Hw,
    /// Each position of each image.
    C,
    /// Each image.
    Chw,
    /// Each channel over the batch.
    Nhw,
}

impl NormalisedOver {
    /// Axes of `[B, C, H, W]` that are averaged over.
    fn axes(self) -> &'static [usize] {
        match self {
            Self::Hw => &[2, 3],
            Self::C => &[1],
            Self::Chw => &[1, 2, 3],
            Self::Nhw => &[0, 2, 3],
        }
    }
}

/// Settings of [`Nfd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NfdConfig {
    /// Factor of the distances.
    pub weight: f64,
    /// Of what mean and deviation are taken.
    pub dims: NormalisedOver,
    /// Added to the deviation.
    pub epsilon: f64,
    /// Whether a student map of other channels is brought to the teacher's.
    pub adapter: bool,
}

impl Default for NfdConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            dims: NormalisedOver::Hw,
            epsilon: 1e-6,
            adapter: true,
        }
    }
}

/// Standardised maps that are copied.
#[derive(Debug)]
pub struct Nfd {
    config: NfdConfig,
    pairs: Vec<Pair>,
    /// One for each pair; `None` where the channels are the same.
    adapters: Vec<Option<Conv2d>>,
}

impl Nfd {
    const ID: &'static str = "nfd";

    /// Makes the 1×1 convolutions: `weight` and `bias` of a single pair, `0.weight`, … of several.
    ///
    /// # Errors
    /// A setting out of range, no teacher, layers that are not there or do not fit.
    pub fn new(
        config: NfdConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "weight", config.weight)?;
        require_positive(Self::ID, "epsilon", config.epsilon)?;
        let pairs = resolve_pairs(Self::ID, probe, last_features)?;
        let single = pairs.len() == 1;
        let mut adapters = Vec::new();
        for (index, pair) in pairs.iter().enumerate() {
            let ([input, ..], [output, height, width]) = (pair.student_shape, pair.teacher_shape);
            let values = match config.dims {
                NormalisedOver::Hw => height * width,
                NormalisedOver::C => output,
                NormalisedOver::Chw => output * height * width,
                NormalisedOver::Nhw => probe.batch * height * width,
            };
            if values == 1 {
                let reason = "a mean of one value leaves nothing of it; set `dims` in \
                              [method.nfd] to others, or name other layers with `pairs` in [method]";
                return Err(pair.mismatch(Self::ID, reason.to_owned()));
            }
            if input != output && !config.adapter {
                let reason = "the maps differ in channels; set `adapter` to true";
                return Err(pair.mismatch(Self::ID, reason.to_owned()));
            }
            adapters.push((input != output).then(|| {
                let level = match single {
                    true => builder.sub_self(),
                    false => builder.sub(index),
                };
                Conv2d::new(level, Conv2dConfig::new(input, output, 1).bias())
            }));
        }
        Ok(Self {
            config,
            pairs,
            adapters,
        })
    }

    /// The student map `[B, C_s, H_s, W_s]` of the pair number `index`, in the channels and the size
    /// of a teacher map `[B, C_t, H, W]`.
    fn adapted(
        &self,
        pass: &mut Pass<'_>,
        index: usize,
        student: Tensor<4>,
        teacher: &Tensor<4>,
    ) -> Tensor<4> {
        let [.., height, width] = teacher.dims();
        let student = match self.adapters.get(index) {
            Some(Some(adapter)) => adapter.forward(pass, student),
            _ => student,
        };
        match student.dims() {
            [_, _, h, w] if [h, w] == [height, width] => student,
            _ => resize_bilinear(student, [height, width], false),
        }
    }

    /// N(F) of a map `[B, C, H, W]`.
    fn normalise(&self, map: Tensor<4>) -> Tensor<4> {
        let mean = |map: Tensor<4>| {
            let axes = self.config.dims.axes();
            axes.iter().fold(map, |map, &axis| map.mean_dim(axis))
        };
        let centred = map.clone() - mean(map);
        let variance = mean(centred.clone().square());
        let deviation = variance.clamp_min(LEAST_VARIANCE).sqrt();
        centred / deviation.add_scalar(self.config.epsilon)
    }
}

impl Criterion for Nfd {
    fn needs(&self) -> Needs {
        Needs {
            student: Taps::from_iter(self.pairs.iter().map(|pair| &pair.student.name)),
            teacher: Taps::from_iter(self.pairs.iter().map(|pair| &pair.teacher.name)),
            logits: false,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let outputs = step.teacher(Self::ID)?;
        let mut sum: Option<Tensor<1>> = None;
        for (index, pair) in self.pairs.iter().enumerate() {
            let teacher = pair.teacher_map(Self::ID, &outputs)?;
            let student = pair.student_map(Self::ID, step.student)?;
            let student = self.adapted(pass, index, student, &teacher);
            let value = mean_squared_error(self.normalise(student), self.normalise(teacher));
            sum = Some(match sum {
                Some(sum) => sum + value,
                None => value,
            });
        }
        Ok(sum
            .map(|value| Term::new("nfd", value, self.config.weight))
            .into_iter()
            .collect())
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pairs.iter().map(Pair::names).collect()
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::{Feature, Store, Tap};

    use super::*;
    use crate::testing::{
        assert_close, build, gradient, leaf, map, number, numbers, outputs, probe, random, terms,
    };

    const ALL: [NormalisedOver; 4] = [
        NormalisedOver::Hw,
        NormalisedOver::C,
        NormalisedOver::Chw,
        NormalisedOver::Nhw,
    ];

    fn make(config: NfdConfig, student: Tap, teacher: Tap) -> Result<(Nfd, Store), MethodError> {
        build(&probe(&[student], &[teacher]), |probe, builder| {
            Nfd::new(config, probe, builder)
        })
    }

    fn over(dims: NormalisedOver) -> (Nfd, Store) {
        let config = NfdConfig {
            dims,
            epsilon: 1e-12,
            ..NfdConfig::default()
        };
        let same = || map("feature", [3, 4, 5]);
        make(config, same(), same()).unwrap()
    }

    fn loss(made: &mut (Nfd, Store), student: &Tensor<4>, teacher: &Tensor<4>) -> Tensor<1> {
        let with = |map: &Tensor<4>| {
            let mut outputs = outputs("x", map.dims()[0], &[]);
            let map = Feature::Map(map.clone());
            outputs.features.insert("feature".to_owned(), map);
            outputs
        };
        let store = made.1.clone();
        let found = terms(&mut made.0, &store, &with(student), &with(teacher));
        found[0].value.clone()
    }

    #[test]
    fn scale_and_shift_of_a_map_change_nothing_and_its_mirror_costs_four() {
        let (student, teacher) = (random("s", [2, 3, 4, 5]), random("t", [2, 3, 4, 5]));
        for dims in ALL {
            let mut made = over(dims);
            let between = number(&loss(&mut made, &student, &teacher));
            assert!(between > 0.0 && between < 4.0);
            let moved = teacher.clone().mul_scalar(3.0).add_scalar(0.5);
            assert_close(&[number(&loss(&mut made, &student, &moved))], &[between]);
            assert_close(&[number(&loss(&mut made, &teacher, &moved))], &[0.0]);
            let mirrored = teacher.clone().mul_scalar(-2.0).add_scalar(1.0);
            assert_close(&[number(&loss(&mut made, &teacher, &mirrored))], &[4.0]);
        }
    }

    #[test]
    fn over_height_and_width_it_is_the_correlation_of_channels() {
        let (student, teacher) = (random("s", [2, 3, 4, 5]), random("t", [2, 3, 4, 5]));
        let mut made = over(NormalisedOver::Hw);
        let found = number(&loss(&mut made, &student, &teacher));
        let channels = |map: Tensor<4>| {
            let rows = numbers(&map);
            let rows: Vec<Vec<f64>> = rows.chunks(20).map(<[f64]>::to_vec).collect();
            rows
        };
        let correlation = |a: &[f64], b: &[f64]| {
            let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
            let (p, q) = (mean(a), mean(b));
            let of = |x: &[f64], m: f64, y: &[f64], n: f64| {
                let products = x.iter().zip(y).map(|(x, y)| (x - m) * (y - n));
                products.sum::<f64>()
            };
            of(a, p, b, q) / (of(a, p, a, p) * of(b, q, b, q)).sqrt()
        };
        let both = channels(student).into_iter().zip(channels(teacher));
        let r: Vec<f64> = both.map(|(a, b)| correlation(&a, &b)).collect();
        let mean = r.iter().sum::<f64>() / r.len() as f64;
        assert_close(&[found], &[2.0 * (1.0 - mean)]);
    }

    #[test]
    fn the_gradient_is_orthogonal_to_shift_and_scale_and_the_teacher_gets_none() {
        let student = leaf(random("s", [2, 3, 4, 5]));
        let teacher = leaf(random("t", [2, 3, 4, 5]));
        let mut made = over(NormalisedOver::Hw);
        let gradients = loss(&mut made, &student, &teacher).backward();
        assert!(gradient(&teacher, &gradients).is_none());
        let arrived = gradient(&student, &gradients).unwrap();
        let values = numbers(&student.inner());
        for (gradient, values) in arrived.chunks(20).zip(values.chunks(20)) {
            let mean = values.iter().sum::<f64>() / 20.0;
            let along = gradient.iter().zip(values);
            let shift: f64 = gradient.iter().sum();
            let scale: f64 = along.map(|(g, x)| g * (x - mean)).sum();
            assert_close(&[shift, scale], &[0.0, 0.0]);
        }
    }

    #[test]
    fn a_constant_channel_is_compared_as_zeros_and_has_a_finite_gradient() {
        let student = leaf(Tensor::ones_like(&random::<4>("s", [2, 3, 4, 5])));
        let mut made = over(NormalisedOver::Hw);
        let value = loss(&mut made, &student, &random("t", [2, 3, 4, 5]));
        assert_close(&[number(&value)], &[1.0]);
        let gradients = value.backward();
        let arrived = gradient(&student, &gradients).unwrap();
        assert!(arrived.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn maps_that_do_not_fit_are_refused() {
        let refused = |config, student, teacher| {
            let made = make(config, map("feature", student), map("feature", teacher));
            made.unwrap_err().to_string()
        };
        let error = refused(
            NfdConfig {
                adapter: false,
                ..NfdConfig::default()
            },
            [2, 4, 4],
            [3, 4, 4],
        );
        assert!(error.contains("set `adapter` to true"), "{error}");
        let error = refused(NfdConfig::default(), [2, 1, 1], [2, 1, 1]);
        assert!(error.contains("`dims`"), "{error}");
        let error = refused(
            NfdConfig {
                epsilon: 0.0,
                ..NfdConfig::default()
            },
            [2, 4, 4],
            [2, 4, 4],
        );
        assert!(error.contains("`epsilon`"), "{error}");
    }
}
