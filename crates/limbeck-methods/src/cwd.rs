//! # cwd — Channel-wise Knowledge Distillation for Dense Prediction
//!
//! Each channel of a map, made a distribution over positions, says where its class or concept is.
//! The student's distributions are pulled towards the teacher's, most of all where those are high.
//!
//! ## Definition
//! L = CE(z, y) + logits_weight · D(z, u) + feature_weight · D(conv(F_s), F_t)
//!
//! D(s, t) = T²/(B·C) · Σ_b Σ_c KL(softmax_p(t_bc/T) ‖ softmax_p(s_bc/T))
//!
//! softmax_p: over the H·W positions of one channel of one image, T: `temperature`. z, u: logits of
//! student and teacher at the networks' own output size; F_s, F_t: features; the teacher's are
//! detached. conv: 1×1 without bias, where the channels differ.
//!
//! ## Inputs and shapes
//! Logits `[B, K, h, w]` of both, of detectors those of the classes of each level, `[B, A·K, h, w]`, whose
//! divergences are averaged; with `feature_weight`, one pair of maps `[B, C, H, W]`, tokens put
//! back on their grid: by default what the last classifiers read. Where sizes differ, the teacher's
//! map is brought to the student's: averaged over adaptive windows where it is larger, interpolated
//! bilinearly where it is smaller.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `logits_weight` | 3 | ≥ 0 | paper, PSPNet-R101 → R18 on Cityscapes; SegFormer and detectors 0.3 |
//! | `feature_weight` | 0 | ≥ 0 | CIRKD's comparison: 50 beside the logits; SegFormer 5 |
//! | `temperature` | 4 | > 0 | paper |
//! | `divisor` | `aligned_channels` | or `student_channels` | C of the features: after the convolution, or before it as in CIRKD's code |
//!
//! ## Notes
//! A constant added to a channel changes nothing, so class priors are left to the labels. All
//! positions take part, void ones too: no label is read. Maps of one position are refused, whose
//! distributions are all alike. The paper's Table 2 has logits alone or features alone; its weights
//! are for SGD of rate 0.01. A detector's loss is smaller: with 3, three quarters of the sum are these terms,
//! and boxes are hardly learnt (docs/DETECTION.md). Cost: O(B·C·H·W), C_s·C_t weights for the features.
//!
//! ## Reference
//! Shu, Liu, Gao, Yan, Shen. "Channel-wise Knowledge Distillation for Dense Prediction". ICCV 2021.
//! <https://arxiv.org/abs/2011.13256>
//! Authors' code: <https://github.com/irfanICMLL/TorchDistiller> (78bac7cbe506, BSD-2).

#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Feature, Pass, TapKind,
    layer::{Conv2d, Conv2dConfig, divergence},
};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, TaskKind, Term,
    connector::resize_map,
    criterion::{require_positive, require_teacher, require_weight},
    dense::{last_features, logit_maps, require_logit_maps},
    pairs::{Pair, resolve_pair},
};

/// Which number of channels the sum over the features' channels is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divisor {
    /// Of the maps that are compared.
    #[default]
    AlignedChannels,
    /// Of the student's map before the convolution.
    StudentChannels,
}

/// Settings of [`Cwd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CwdConfig {
    /// Factor of the logits' divergence.
    pub logits_weight: f64,
    /// Factor of the features' divergence.
    pub feature_weight: f64,
    /// Softens both distributions.
    pub temperature: f64,
    /// What the features' divergence is divided by.
    pub divisor: Divisor,
}

impl Default for CwdConfig {
    fn default() -> Self {
        Self {
            logits_weight: 3.0,
            feature_weight: 0.0,
            temperature: 4.0,
            divisor: Divisor::AlignedChannels,
        }
    }
}

/// Distributions of channels over positions.
#[derive(Debug)]
pub struct Cwd {
    config: CwdConfig,
    feature: Option<Features>,
}

/// The compared features.
#[derive(Debug)]
struct Features {
    pair: Pair,
    /// `None` where the channels agree.
    conv: Option<Conv2d>,
}

impl Cwd {
    const ID: &'static str = "cwd";

    /// Makes `conv.weight` `[C_t, C_s, 1, 1]` where features of other widths are compared.
    ///
    /// # Errors
    /// A setting out of range, no teacher, other classes, layers that are not there, or maps of one
    /// position.
    pub fn new(
        config: CwdConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "logits_weight", config.logits_weight)?;
        require_weight(Self::ID, "feature_weight", config.feature_weight)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_teacher(Self::ID, probe)?;
        if config.logits_weight + config.feature_weight == 0.0 {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "logits_weight",
                expected: "above 0 where `feature_weight` is 0".to_owned(),
                found: "0".to_owned(),
            });
        }
        if config.logits_weight > 0.0 {
            match probe.student.last().map(|tap| &tap.kind) {
                Some(TapKind::Cells { .. }) => {}
                _ => refuse_one_position("logits", require_logit_maps(Self::ID, probe)?)?,
            }
        }
        let feature = match config.feature_weight > 0.0 {
            true => Some(Features::new(probe, builder)?),
            false => None,
        };
        Ok(Self { config, feature })
    }

    /// D(s, t) `[1]` of maps `[B, C, H, W]`.
    pub fn divergence(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let [batch, channels, height, width] = student.dims();
        let rows = |map: Tensor<4>| map.reshape([batch * channels, height * width]);
        let temperature = self.config.temperature;
        let sum = divergence(rows(student), rows(teacher), 1.0 / temperature);
        sum.mul_scalar(temperature * temperature / (batch * channels) as f64)
    }

    /// The mean divergence `[1]` of a detector's levels, those of one position left out.
    fn level_divergence(
        &self,
        step: &Step<'_>,
        student: Vec<Tensor<4>>,
    ) -> Result<Tensor<1>, MethodError> {
        let found = step.teacher(Self::ID)?;
        let teacher = class_maps(&found.prediction).unwrap_or_default();
        let fits = student.len() == teacher.len()
            && student
                .iter()
                .zip(&teacher)
                .all(|(s, t)| s.dims() == t.dims());
        if !fits {
            return Err(MethodError::Prediction {
                task: TaskKind::Detection,
                expected: format!(
                    "a teacher with the student's cells: {}",
                    step.student.prediction.kind()
                ),
                found: found.prediction.kind().to_string(),
            });
        }
        let zero = student[0].clone().sum().mul_scalar(0.0);
        let levels = student.into_iter().zip(teacher);
        let levels: Vec<Tensor<1>> = levels
            .filter(|(map, _)| map.dims()[2] * map.dims()[3] > 1)
            .map(|(student, teacher)| self.divergence(student, teacher.inner()))
            .collect();
        let count = levels.len().max(1) as f64;
        let sum = levels.into_iter().fold(zero, |sum, level| sum + level);
        Ok(sum.mul_scalar(1.0 / count))
    }

    /// The features' divergence `[1]` of maps `[B, C_s, H, W]` and `[B, C_t, H', W']`.
    fn feature_divergence(
        &self,
        conv: Option<&Conv2d>,
        pass: &mut Pass<'_>,
        student: Tensor<4>,
        teacher: Tensor<4>,
    ) -> Tensor<1> {
        let [_, channels, height, width] = student.dims();
        let [_, aligned, ..] = teacher.dims();
        let student = match conv {
            Some(conv) => conv.forward(pass, student),
            None => student,
        };
        let value = self.divergence(student, resize_map(teacher, [height, width]));
        match self.config.divisor {
            Divisor::AlignedChannels => value,
            Divisor::StudentChannels => value.mul_scalar(aligned as f64 / channels as f64),
        }
    }
}

impl Features {
    fn new(probe: &Probe, builder: &mut Builder<'_>) -> Result<Self, MethodError> {
        let pair = resolve_pair(Cwd::ID, probe, last_features)?;
        refuse_one_position(&pair.student.name, pair.student_shape)?;
        let (input, output) = (pair.student_shape[0], pair.teacher_shape[0]);
        let conv = (input != output).then(|| {
            let config = Conv2dConfig::new(input, output, 1);
            Conv2d::new(builder.sub("conv"), config)
        });
        Ok(Self { pair, conv })
    }
}

/// Logits of the classes of each level of a detector, `[B, A·K, H, W]`; `None` of another prediction.
fn class_maps(prediction: &Feature) -> Option<Vec<Tensor<4>>> {
    let maps = prediction.level_maps()?.into_iter();
    Some(
        maps.map(|map| {
            let [batch, anchors, rows, columns, numbers] = map.dims();
            let classes = numbers - 5;
            map.narrow(4, 5, classes).permute([0, 1, 4, 2, 3]).reshape([
                batch,
                anchors * classes,
                rows,
                columns,
            ])
        })
        .collect(),
    )
}

fn refuse_one_position(tap: &str, shape: [usize; 3]) -> Result<(), MethodError> {
    let [_, height, width] = shape;
    if height * width > 1 {
        return Ok(());
    }
    Err(MethodError::Shape {
        method: Cwd::ID,
        feature: format!("the student's `{tap}` ({shape:?})"),
        reason: "over a single position every distribution is the same; use larger images, or \
                 name an earlier layer with `pairs` in [method]"
            .to_owned(),
    })
}

impl Criterion for Cwd {
    fn needs(&self) -> Needs {
        let pair = self.feature.as_ref().map(|feature| &feature.pair);
        Needs {
            student: pair.iter().map(|pair| &pair.student.name).collect(),
            teacher: pair.iter().map(|pair| &pair.teacher.name).collect(),
            logits: self.config.logits_weight > 0.0,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let mut terms = Vec::new();
        if self.config.logits_weight > 0.0 {
            let value = match class_maps(&step.student.prediction) {
                Some(student) => self.level_divergence(step, student)?,
                None => {
                    let (student, teacher) = logit_maps(Self::ID, step)?;
                    self.divergence(student, teacher)
                }
            };
            terms.push(Term::new("cwd", value, self.config.logits_weight));
        }
        if let Some(Features { pair, conv }) = &self.feature {
            let student = pair.student_map(Self::ID, step.student)?;
            let teacher = pair.teacher_map(Self::ID, &step.teacher(Self::ID)?)?;
            let value = self.feature_divergence(conv.as_ref(), pass, student, teacher);
            terms.push(Term::new("cwd_feature", value, self.config.feature_weight));
        }
        Ok(terms)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let pair = self.feature.iter().map(|feature| feature.pair.names());
        pair.collect()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Int;
    use limbeck_nn::Store;

    use super::*;
    use crate::testing::{
        assert_close, build, dense_outputs, dense_probe, dense_terms, gradient, leaf, map, number,
        pass, random, tokens,
    };

    fn made(config: CwdConfig, student: [usize; 3], teacher: [usize; 3]) -> (Cwd, Store) {
        let probe = dense_probe(
            [6, 7],
            &[map("feature", student)],
            &[map("feature", teacher)],
        );
        build(&probe, |probe, builder| Cwd::new(config, probe, builder)).unwrap()
    }

    fn both() -> CwdConfig {
        CwdConfig {
            feature_weight: 50.0,
            ..CwdConfig::default()
        }
    }

    fn plain() -> Cwd {
        made(CwdConfig::default(), [3, 4, 4], [6, 4, 4]).0
    }

    #[test]
    fn constants_of_channels_do_not_matter_and_anything_else_does() {
        let (student, teacher) = (random("s", [2, 3, 4, 5]), random("t", [2, 3, 4, 5]));
        let method = plain();
        let value = number(&method.divergence(student.clone(), teacher.clone()));
        assert!(value > 0.01);
        let shift = random("shift", [2, 3, 1, 1]).mul_scalar(10.0);
        let shifted = method.divergence(student.clone() + shift.clone(), teacher.clone());
        assert_close(&[number(&shifted)], &[value]);
        let same = method.divergence(teacher.clone() + shift, teacher);
        assert_close(&[number(&same)], &[0.0]);
    }

    #[test]
    fn positions_may_be_permuted_together() {
        let (student, teacher) = (random("s", [2, 3, 1, 4]), random("t", [2, 3, 1, 4]));
        let order = Tensor::<1, Int>::from_data([2, 0, 3, 1], &student.device());
        let method = plain();
        let permuted = method.divergence(
            student.clone().select(3, order.clone()),
            teacher.clone().select(3, order),
        );
        let value = method.divergence(student, teacher);
        assert_close(&[number(&permuted)], &[number(&value)]);
    }

    #[test]
    fn the_gradient_sums_to_zero_over_the_positions_of_a_channel_and_spares_the_teacher() {
        let (student, teacher) = (
            leaf(random("s", [2, 3, 4, 5])),
            leaf(random("t", [2, 3, 4, 5])),
        );
        let loss = plain().divergence(student.clone(), teacher.clone().inner());
        let gradients = loss.backward();
        for channel in gradient(&student, &gradients).unwrap().chunks(20) {
            assert_close(&[channel.iter().sum()], &[0.0]);
            assert!(channel.iter().any(|g| g.abs() > 1e-4));
        }
        assert!(gradient(&teacher, &gradients).is_none());
    }

    #[test]
    fn widths_and_sizes_may_differ() {
        for teacher in [map("feature", [6, 3, 9]), tokens("feature", 6, [12, 2])] {
            let taps = [map("feature", [3, 6, 4])];
            let mut probe = dense_probe([6, 4], &taps, std::slice::from_ref(&teacher));
            probe.teacher.as_mut().unwrap().last_mut().unwrap().kind =
                limbeck_nn::TapKind::Map([5, 12, 3]);
            let (mut method, store) =
                build(&probe, |probe, builder| Cwd::new(both(), probe, builder)).unwrap();
            let student = dense_outputs("s", [6, 4], &taps);
            let teacher = dense_outputs("t", [12, 3], &[teacher]);
            let terms = dense_terms(&mut method, &store, &student, &teacher);
            let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
            assert_eq!(names, ["cwd", "cwd_feature"]);
            assert!(terms.iter().all(|term| number(&term.value) > 0.0));
        }
    }

    #[test]
    fn equal_widths_need_no_convolution_and_a_weight_of_zero_no_features() {
        assert_eq!(made(both(), [4, 4, 4], [4, 4, 4]).1.entries().len(), 0);
        assert_eq!(made(both(), [3, 4, 4], [4, 4, 4]).1.entries().len(), 1);
        let (method, store) = made(CwdConfig::default(), [3, 4, 4], [4, 4, 4]);
        assert_eq!(store.entries().len(), 0);
        assert!(method.pairs().is_empty());
    }

    #[test]
    fn the_authors_divisor_is_the_students_channels() {
        let value = |divisor| {
            let config = CwdConfig { divisor, ..both() };
            let (method, store) = made(config, [3, 4, 4], [6, 4, 4]);
            let conv = method.feature.as_ref().unwrap().conv.as_ref();
            let (student, teacher) = (random("s", [2, 3, 4, 4]), random("t", [2, 6, 4, 4]));
            number(&method.feature_divergence(conv, &mut pass(&store), student, teacher))
        };
        let aligned = value(Divisor::AlignedChannels);
        assert_close(&[value(Divisor::StudentChannels)], &[2.0 * aligned]);
    }

    #[test]
    fn great_logits_stay_finite() {
        let great = random::<4>("s", [1, 2, 3, 3]).mul_scalar(1e4);
        assert!(number(&plain().divergence(great.clone(), great.neg())).is_finite());
    }

    #[test]
    fn what_cannot_be_compared_is_refused_with_the_reason() {
        let refused = |config: CwdConfig, size: [usize; 2], teacher_classes: usize| {
            let taps = [map("feature", [3, 4, 4])];
            let mut probe = dense_probe(size, &taps, &taps);
            probe.teacher.as_mut().unwrap().last_mut().unwrap().kind =
                limbeck_nn::TapKind::Map([teacher_classes, 4, 4]);
            let error = build(&probe, |p, b| Cwd::new(config, p, b)).unwrap_err();
            error.to_string()
        };
        let default = CwdConfig::default;
        let none = CwdConfig {
            logits_weight: 0.0,
            ..default()
        };
        assert!(refused(none, [6, 7], 5).contains("where `feature_weight` is 0"));
        let cold = CwdConfig {
            temperature: 0.0,
            ..default()
        };
        assert!(refused(cold, [6, 7], 5).contains("`temperature`"));
        assert!(refused(default(), [1, 1], 5).contains("a single position"));
        let error = refused(default(), [6, 7], 7);
        assert!(
            error.contains("5 classes") && error.contains("of 7"),
            "{error}"
        );
        let classifiers = crate::testing::probe(&[], &[]);
        let error = build(&classifiers, |p, b| Cwd::new(default(), p, b)).unwrap_err();
        assert!(error.to_string().contains("a map of logits"), "{error}");
    }

    #[test]
    fn of_detectors_the_levels_are_averaged_and_boxes_have_no_part() {
        let (mut method, store) = made(CwdConfig::default(), [4, 3, 3], [4, 3, 3]);
        let levels = [[2, 2], [1, 1]];
        let cells = |name: &str| Feature::Cells {
            cells: random(name, [2, 3 * 5, 7]),
            anchors: 3,
            levels: levels.to_vec(),
        };
        let (student, teacher) = (cells("s"), cells("t"));
        let maps = |of: &Feature| class_maps(of).unwrap();
        assert_eq!(maps(&student)[0].dims(), [2, 6, 2, 2]);
        let outputs = |prediction: Feature| limbeck_nn::Outputs {
            prediction,
            features: Default::default(),
        };
        let (a, b) = (outputs(student.clone()), outputs(teacher.clone()));
        let terms = dense_terms(&mut method, &store, &a, &b);
        assert_eq!(terms.len(), 1);
        let value = number(&terms[0].value);
        // The level of one position has no part.
        let expected = method.divergence(maps(&student).remove(0), maps(&teacher).remove(0));
        assert_close(&[value], &[number(&expected)]);
    }
}
