//! # drg — Distillation with Reverse Guidance
//!
//! A light auxiliary classifier reads an early stage of the student, and its softened prediction
//! guides the student's own: the last layers are reminded of edges and shapes. No teacher is
//! read; the classifier is trained along and thrown away.
//!
//! ## Definition
//! L = CE(z, y) + CE(a, y) + weight · T²/B · Σ_b KL(softmax(a/T) ‖ softmax(z/T))
//!
//! z: student logits, a: auxiliary logits (detached in the divergence alone), T: `temperature`.
//! The auxiliary cross entropy also trains the student up to the tap; the divergence trains what
//! leads to z. From the tapped map x with C channels: m = sigmoid(up(ReLU(BN(S_C→C(x))))), the
//! mask; a = linear(mean over positions of S_2C→4C(S_C→2C(m ⊙ x))). S is a separable convolution:
//! depthwise 3×3 of stride 2, 1×1, BN, ReLU, depthwise 3×3, 1×1, BN, ReLU; up doubles height and
//! width bilinearly with aligned corners.
//!
//! ## Inputs and shapes
//! One student map `[B, C, H, W]` with even H and W (tokens are put back on their grid), student
//! logits `[B, K]`, labels `[B]` or the shares of the classes `[B, K]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 4 | > 0 | authors' code |
//! | `weight` | 0.2 | ≥ 0 | same |
//! | `tap` | `stage2` | a map of the student | same |
//!
//! ## Notes
//! The first half of LightSKD; `drg+dsr` joins both. The code fixes the classifier's widths to
//! those of a bottleneck ResNet; here they follow the tapped map. Its constant 100 added to the
//! loss is left out. Maps below 8×8 shrink to single positions inside. Cost: 17·C² + 96·C +
//! 4·C·K + K weights (342 thousand for C = 128, K = 100), no second pass over the images.
//!
//! ## Reference
//! Wang, Han, Guo. "Lightweight Self-Knowledge Distillation with Multi-source Information
//! Fusion". 2023. <https://arxiv.org/abs/2305.09183>
//! Authors' code: <https://github.com/xucong-parsifal/LightSKD> (b3a3bf995b19, no licence file).

#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Pass, Taps,
    layer::{BatchNorm2d, Linear, gated, global_avg_pool2d, resize_bilinear},
};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Supervision, Term,
    criterion::{require_positive, require_weight},
    pairs::{find_map, map_of},
    separable_conv::SeparableConv,
    softmax::softened_kl,
};

/// Settings of [`Drg`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrgConfig {
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the divergence from the auxiliary prediction.
    pub weight: f64,
    /// Layer of the student that the auxiliary classifier reads.
    pub tap: String,
}

impl Default for DrgConfig {
    fn default() -> Self {
        Self {
            temperature: 4.0,
            weight: 0.2,
            tap: "stage2".to_owned(),
        }
    }
}

/// Guidance by an auxiliary classifier on an early stage.
#[derive(Debug)]
pub struct Drg {
    config: DrgConfig,
    attention: SeparableConv,
    attention_norm: BatchNorm2d,
    scala: [SeparableConv; 2],
    fc: Linear,
}

/// What [`Drg::classify`] makes.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct Auxiliary {
    /// The mask's logits, `[B, C, H, W]`.
    pub mask: Tensor<4>,
    /// `[B, 4·C]`.
    pub pooled: Tensor<2>,
    /// `[B, K]`.
    pub logits: Tensor<2>,
}

impl Drg {
    const ID: &'static str = "drg";

    /// Makes the classifier: `attention2.*`, `scala2.*`, `fc2.*`.
    ///
    /// # Errors
    /// A setting out of range, a tap that is not there, or a map of odd height or width.
    pub fn new(
        config: DrgConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "weight", config.weight)?;
        let (tap, shape) = find_map(Self::ID, "student", &probe.student, &config.tap)?;
        let [channels, height, width] = shape;
        let refuse = |reason: &str| {
            Err(MethodError::Shape {
                method: Self::ID,
                feature: format!("the student's `{}` ({})", tap.name, tap.kind),
                reason: reason.to_owned(),
            })
        };
        if !height.is_multiple_of(2) || !width.is_multiple_of(2) {
            return refuse(
                "height and width must be even, since the mask is halved and doubled again; \
                 choose another layer with `tap`",
            );
        }
        if probe.batch * height.div_ceil(4) * width.div_ceil(4) == 1 {
            return refuse("batch norm over a 1×1 map needs at least 2 images a step");
        }
        Ok(Self {
            attention: SeparableConv::new(builder.sub("attention2.0"), channels, channels),
            attention_norm: BatchNorm2d::new(builder.sub("attention2.1"), channels),
            scala: [
                SeparableConv::new(builder.sub("scala2.0"), channels, 2 * channels),
                SeparableConv::new(builder.sub("scala2.1"), 2 * channels, 4 * channels),
            ],
            fc: Linear::new(builder.sub("fc2"), 4 * channels, probe.classes),
            config,
        })
    }

    /// The auxiliary prediction from the tapped map `[B, C, H, W]`.
    pub fn classify(&self, pass: &mut Pass<'_>, map: Tensor<4>) -> Auxiliary {
        let [_, _, height, width] = map.dims();
        let x = self.attention.forward(pass, map.clone());
        let x = self.attention_norm.forward_relu(pass, x);
        let mask = resize_bilinear(x, [height, width], true);
        let masked = gated(map, mask.clone());
        let [first, second] = &self.scala;
        let x = first.forward(pass, masked);
        let pooled = global_avg_pool2d(second.forward(pass, x));
        Auxiliary {
            mask,
            logits: self.fc.forward(pass, pooled.clone()),
            pooled,
        }
    }

    /// The terms from student and auxiliary logits `[B, K]`: `auxiliary`, the classifier's own
    /// supervised loss, and `drg`, the guidance.
    ///
    /// # Errors
    /// Images without labels.
    pub fn losses(
        &self,
        student: Tensor<2>,
        auxiliary: Tensor<2>,
        supervision: Supervision<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let guide = auxiliary.clone().inner();
        let guidance = softened_kl(student, guide, self.config.temperature);
        Ok(vec![
            Term::new("auxiliary", supervision.loss(auxiliary)?, 1.0),
            Term::new("drg", guidance, self.config.weight),
        ])
    }
}

impl Criterion for Drg {
    fn needs(&self) -> Needs {
        Needs {
            student: Taps::from_iter([&self.config.tap]),
            teacher: Taps::none(),
            logits: false,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let map = map_of(Self::ID, "student", step.student, &self.config.tap)?;
        let auxiliary = self.classify(pass, map);
        self.losses(step.student.logits(), auxiliary.logits, step.supervision)
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::{Store, Tap};

    use super::*;
    use crate::{
        Target,
        testing::{
            assert_close, build, gradient, leaf, map, mixed_target, number, numbers, outputs, pass,
            probe, random, supervision, target, terms, tokens, vector,
        },
    };

    fn make(config: DrgConfig, taps: &[Tap]) -> Result<(Drg, Store), MethodError> {
        let mut probe = probe(taps, &[]);
        probe.teacher = None;
        build(&probe, |probe, builder| Drg::new(config, probe, builder))
    }

    fn default() -> (Drg, Store) {
        make(DrgConfig::default(), &[map("stage2", [4, 8, 6])]).unwrap()
    }

    #[test]
    fn masks_are_between_zero_and_one_and_shapes_follow_the_map() {
        let (method, store) = default();
        let auxiliary = method.classify(&mut pass(&store), random("x", [3, 4, 8, 6]));
        assert_eq!(auxiliary.mask.dims(), [3, 4, 8, 6]);
        let mask = burn::tensor::activation::sigmoid(auxiliary.mask);
        assert!(numbers(&mask).iter().all(|&m| 0.0 < m && m < 1.0));
        assert_eq!(auxiliary.pooled.dims(), [3, 16]);
        assert_eq!(auxiliary.logits.dims(), [3, 5]);
    }

    #[test]
    fn a_classifier_has_the_stated_number_of_weights() {
        // 17 C² + 96 C + 4 C K + K with C = 4, K = 5.
        assert_eq!(
            default().1.trained_count(),
            17 * 16 + 96 * 4 + 4 * 4 * 5 + 5
        );
    }

    fn losses_of(method: &Drg, z: Tensor<2>, a: Tensor<2>, target: &Target) -> Vec<Term> {
        method.losses(z, a, supervision(target)).unwrap()
    }

    #[test]
    fn guidance_is_zero_for_equal_logits_and_positive_otherwise() {
        let (method, _) = default();
        let (z, a) = (random("z", [3, 5]), random("a", [3, 5]));
        let y = target(&[0, 1, 2]);
        let guidance = |z, a| number(&losses_of(&method, z, a, &y)[1].value);
        assert_close(&[guidance(z.clone(), z.clone())], &[0.0]);
        assert!(guidance(z, a) > 1e-3);
    }

    #[test]
    fn guidance_teaches_the_student_alone_and_cross_entropy_the_classifier_alone() {
        let (method, _) = default();
        let (z, a) = (leaf(random("z", [3, 5])), leaf(random("a", [3, 5])));
        let y = target(&[0, 1, 2]);
        let losses = || losses_of(&method, z.clone(), a.clone(), &y);
        let guidance = losses().remove(1).value.backward();
        assert!(gradient(&z, &guidance).is_some() && gradient(&a, &guidance).is_none());
        let own = losses().remove(0).value.backward();
        assert!(gradient(&z, &own).is_none() && gradient(&a, &own).is_some());
    }

    #[test]
    fn the_size_of_the_guidance_gradient_hardly_depends_on_a_high_temperature() {
        let size = |temperature| {
            let config = DrgConfig {
                temperature,
                ..DrgConfig::default()
            };
            let (method, _) = make(config, &[map("stage2", [4, 8, 8])]).unwrap();
            let z = leaf(random("z", [3, 5]));
            let losses = losses_of(&method, z.clone(), random("a", [3, 5]), &target(&[0, 1, 2]));
            let gradient = gradient(&z, &losses[1].value.backward()).unwrap();
            gradient.iter().map(|g| g * g).sum::<f64>().sqrt()
        };
        assert!((size(50.0) / size(100.0) - 1.0).abs() < 0.02);
    }

    #[test]
    fn the_auxiliary_cross_entropy_follows_the_shares_of_mixed_images() {
        let (method, _) = default();
        let (z, a) = (random("z", [1, 5]), random("a", [1, 5]));
        let half =
            |class| number(&losses_of(&method, z.clone(), a.clone(), &target(&[class]))[0].value);
        let shares = crate::testing::tensor(vec![0.3, 0.0, 0.7, 0.0, 0.0], [1, 5]);
        let mixed = losses_of(&method, z.clone(), a.clone(), &mixed_target(&[2], shares));
        assert_close(&[number(&mixed[0].value)], &[0.3 * half(0) + 0.7 * half(2)]);
    }

    #[test]
    fn the_tapped_layer_and_every_weight_of_the_classifier_are_trained() {
        let (mut method, store) = default();
        let tap = [map("stage2", [4, 8, 6])];
        let student = outputs("s", 4, &tap);
        let tracked = store.tracked();
        let found = terms(&mut method, &tracked, &student, &student);
        let mut gradients = found[0].value.backward();
        let arrived = tracked.gradients(&mut gradients);
        let trained = store
            .entries()
            .iter()
            .filter(|entry| entry.role.is_trained());
        assert_eq!(arrived.iter().flatten().count(), trained.count());
    }

    #[test]
    fn odd_maps_missing_taps_and_settings_out_of_range_are_refused() {
        let refused = |config, tap| make(config, &[tap]).unwrap_err().to_string();
        let odd = refused(DrgConfig::default(), map("stage2", [4, 7, 8]));
        assert!(
            odd.contains("`stage2` (map [4, 7, 8])") && odd.contains("even"),
            "{odd}"
        );
        let grid = refused(DrgConfig::default(), tokens("stage2", 4, [7, 7]));
        assert!(grid.contains("even"), "{grid}");
        let missing = refused(DrgConfig::default(), map("stage1", [4, 8, 8]));
        assert!(
            missing.contains("no tap `stage2`") && missing.contains("stage1"),
            "{missing}"
        );
        for (temperature, weight, key) in [(0.0, 0.2, "temperature"), (4.0, -0.2, "weight")] {
            let config = DrgConfig {
                temperature,
                weight,
                ..DrgConfig::default()
            };
            let error = refused(config, map("stage2", [4, 8, 8]));
            assert!(error.contains(key), "{error}");
        }
        let mut probe = probe(&[map("stage2", [4, 4, 4]), vector("pooled", 3)], &[]);
        probe.batch = 1;
        let error = build(&probe, |p, b| Drg::new(DrgConfig::default(), p, b)).unwrap_err();
        assert!(error.to_string().contains("at least 2 images"), "{error}");
    }
}
