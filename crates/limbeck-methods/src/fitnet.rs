//! # fitnet — FitNets: Hints for Thin Deep Nets
//!
//! A middle feature map of the student is regressed onto the teacher's, the "hint", through a
//! small convolution that bridges width and resolution.
//!
//! ## Definition
//! L = CE(z, y) + weight · mean (R(F_s) − F_t)²
//!
//! F_s: student map, F_t: teacher map (detached), the mean is over all elements. R is a
//! convolution with bias, batch norm and, if `use_relu`, a ReLU; the heights choose the
//! convolution: 3×3 of stride 2 where H_s = 2·H_t; transposed 4×4 of stride 2 where 2·H_s = H_t;
//! otherwise, for H_s ≥ H_t, a kernel of (1 + H_s − H_t) × (1 + W_s − W_t), which is 1×1 for
//! equal maps.
//!
//! ## Inputs and shapes
//! One student map `[B, C_s, H_s, W_s]` and one teacher map `[B, C_t, H_t, W_t]`; tokens are put
//! back on their grid. Default: the end of the student's second stage and the teacher's stage that
//! `limbeck inspect` pairs with it; where no convolution fits that pair, the next deeper pair that
//! fits, else the next shallower. Between networks that segment, whose maps are large, R is a 1×1
//! convolution, and the student's map is brought to the teacher's size, averaged over adaptive
//! windows or interpolated bilinearly.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `weight` | 100 | ≥ 0 | RepDistiller and mdistiller |
//! | `use_relu` | true | | mdistiller |
//! | `hint_share` | 0 | 0 to < 1 | common code; the paper has two stages, how long is left open |
//! | `temperature` | 4 | > 0 | as `kd`; read in two stages |
//! | `ce_weight` | 0.1 | ≥ 0 | as `kd`; read in two stages |
//! | `kd_weight` | 0.9 | ≥ 0 | as `kd`; read in two stages |
//!
//! ## Notes
//! By default both terms are trained together, as in the common code. The paper trains the lower
//! part on the hint first and then distils the whole: with `hint_share` above 0, the first stage
//! takes this share of the epochs with weight · mean (R(F_s) − F_t)² alone, which teaches the
//! student up to the hinted layer, and the second the rest with L = ce_weight · CE(z, y) +
//! kd_weight · T²/B · Σ_b KL(softmax(u/T) ‖ softmax(z/T)), u: teacher logits; each runs through
//! the recipe's schedule. The two stages cannot be joined with other methods. Of classifiers, a
//! student map smaller than the teacher's is refused unless it is exactly half of it: no convolution
//! of the definition reaches it. Cost: one convolution, 9·C_s·C_t or 16·C_s·C_t weights, and one
//! forward pass of the teacher.
//!
//! ## Reference
//! Romero, Ballas, Kahou, Chassang, Gatta, Bengio. "FitNets: Hints for Thin Deep Nets". ICLR 2015.
//! <https://arxiv.org/abs/1412.6550>

#[cfg(test)]
pub mod golden;
mod stages;

use burn::tensor::Tensor;
use limbeck_nn::{Builder, Pass, Tap, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    connector::{Regressor, mean_squared_error},
    criterion::{require_positive, require_weight},
    pairs::{Pair, map_shape, propose_pairs, resolve_pair},
};

pub use stages::FitNetStages;

/// Settings of [`FitNet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FitNetConfig {
    /// Factor of the hint's mean squared error.
    pub weight: f64,
    /// Whether the regressor ends with a ReLU.
    pub use_relu: bool,
    /// Share of the epochs that go to the hint alone, before the rest distils; 0 trains both
    /// together.
    pub hint_share: f64,
    /// Softens both distributions in the second stage.
    pub temperature: f64,
    /// Factor of the second stage's cross entropy with the labels.
    pub ce_weight: f64,
    /// Factor of the second stage's divergence from the teacher.
    pub kd_weight: f64,
}

impl Default for FitNetConfig {
    fn default() -> Self {
        Self {
            weight: 100.0,
            use_relu: true,
            hint_share: 0.0,
            temperature: 4.0,
            ce_weight: 0.1,
            kd_weight: 0.9,
        }
    }
}

/// One regressed feature map.
#[derive(Debug)]
pub struct FitNet {
    config: FitNetConfig,
    pair: Pair,
    regressor: Regressor,
}

impl FitNet {
    const ID: &'static str = "fitnet";

    /// Makes the regressor: `conv.*`, `bn.*`.
    ///
    /// # Errors
    /// A setting out of range, two stages, which are [`FitNetStages`], no teacher, layers that are not there or that no regressor bridges.
    pub fn new(
        config: FitNetConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        if config.hint_share > 0.0 {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "hint_share",
                expected: "0 where it is joined with other methods: two stages have training \
                           steps of their own"
                    .to_owned(),
                found: config.hint_share.to_string(),
            });
        }
        Self::assemble(config, probe, builder)
    }

    /// The same for one stage or two.
    fn assemble(
        config: FitNetConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        check(&config)?;
        let segments = probe.segments();
        let pair = resolve_pair(Self::ID, probe, |student, teacher| match segments {
            true => middle(propose_pairs(student, teacher)),
            false => hint(student, teacher),
        })?;
        let [_, height, width] = pair.teacher_shape;
        if probe.batch * height * width == 1 {
            let reason = "batch norm over a 1×1 map needs at least 2 images a step".to_owned();
            return Err(pair.mismatch(Self::ID, reason));
        }
        let (student, teacher) = (pair.student_shape, pair.teacher_shape);
        let regressor = match segments {
            true => Regressor::resizing(builder, student, teacher, config.use_relu),
            false => Regressor::new(builder, student, teacher, config.use_relu)
                .map_err(|reason| pair.mismatch(Self::ID, reason))?,
        };
        Ok(Self {
            config,
            pair,
            regressor,
        })
    }

    /// The student's map in the teacher's shape: `[B, C_s, H_s, W_s]` → `[B, C_t, H_t, W_t]`.
    pub fn regress(&self, pass: &mut Pass<'_>, student: Tensor<4>) -> Tensor<4> {
        self.regressor.forward(pass, student)
    }
}

fn check(config: &FitNetConfig) -> Result<(), MethodError> {
    const ID: &str = FitNet::ID;
    require_weight(ID, "weight", config.weight)?;
    require_weight(ID, "ce_weight", config.ce_weight)?;
    require_weight(ID, "kd_weight", config.kd_weight)?;
    require_positive(ID, "temperature", config.temperature)?;
    if !(0.0..1.0).contains(&config.hint_share) {
        return Err(MethodError::Setting {
            method: ID,
            key: "hint_share",
            expected: "a number from 0 to below 1".to_owned(),
            found: config.hint_share.to_string(),
        });
    }
    Ok(())
}

/// The pair of the student's second stage, or in a network without one the middle pair; where no
/// regressor bridges it, the nearest one that has a regressor, deeper ones first.
fn hint(student: &[Tap], teacher: &[Tap]) -> Vec<(String, String)> {
    let pairs = propose_pairs(student, teacher);
    let preferred = preferred(&pairs);
    let shape = |taps: &[Tap], name: &str| {
        let tap = taps.iter().find(|tap| tap.name == name)?;
        map_shape(&tap.kind)
    };
    let fits = |(s, t): &&(String, String)| match (shape(student, s), shape(teacher, t)) {
        (Some(s), Some(t)) => Regressor::check(s, t).is_ok(),
        _ => false,
    };
    let deeper = pairs.iter().skip(preferred);
    let shallower = pairs.iter().take(preferred).rev();
    let chosen = deeper.chain(shallower).find(fits);
    chosen
        .or(pairs.get(preferred))
        .cloned()
        .into_iter()
        .collect()
}

/// The place of the pair of the student's second stage, or in a network without one of the middle
/// pair.
fn preferred(pairs: &[(String, String)]) -> usize {
    let second = pairs.iter().position(|(student, _)| student == "stage2");
    second.unwrap_or(pairs.len().saturating_sub(1) / 2)
}

/// The preferred pair alone.
fn middle(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    let preferred = preferred(&pairs);
    pairs.into_iter().skip(preferred).take(1).collect()
}

impl Criterion for FitNet {
    fn needs(&self) -> Needs {
        Needs {
            student: Taps::from_iter([&self.pair.student.name]),
            teacher: Taps::from_iter([&self.pair.teacher.name]),
            logits: false,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let teacher = self.pair.teacher_map(Self::ID, &step.teacher(Self::ID)?)?;
        let student = self.pair.student_map(Self::ID, step.student)?;
        let value = mean_squared_error(self.regress(pass, student), teacher);
        Ok(vec![Term::new("hint", value, self.config.weight)])
    }

    fn pairs(&self) -> Vec<(String, String)> {
        vec![self.pair.names()]
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::Feature;

    use super::*;
    use crate::testing::{
        assert_close, build, gradient, leaf, map, number, outputs, pass, probe, random, terms,
        tokens,
    };

    fn make(student: &[Tap], teacher: &[Tap]) -> Result<(FitNet, limbeck_nn::Store), MethodError> {
        build(&probe(student, teacher), |probe, builder| {
            FitNet::new(FitNetConfig::default(), probe, builder)
        })
    }

    #[test]
    fn a_student_that_is_regressed_exactly_costs_nothing() {
        let taps = [map("stage1", [3, 4, 4]), map("stage2", [3, 4, 4])];
        let (mut method, store) = make(&taps, &taps).unwrap();
        let student = outputs("s", 4, &taps);
        let map = student.feature("stage2").unwrap().to_map().unwrap();
        let mut teacher = outputs("t", 4, &taps);
        let exact = Feature::Map(method.regress(&mut pass(&store), map));
        teacher.features.insert("stage2".to_owned(), exact);
        let term = &terms(&mut method, &store, &student, &teacher)[0];
        assert_close(&[number(&term.value)], &[0.0]);
        assert_eq!((term.name.as_str(), term.weight), ("hint", 100.0));
    }

    #[test]
    fn the_loss_grows_with_the_square_of_the_difference() {
        let taps = [map("stage2", [3, 4, 4])];
        let (mut method, store) = make(&taps, &taps).unwrap();
        let student = outputs("s", 4, &taps);
        let map = student.feature("stage2").unwrap().to_map().unwrap();
        let reached = method.regress(&mut pass(&store), map);
        let offset = random("offset", [4, 3, 4, 4]);
        let mut loss = |factor: f64| {
            let mut teacher = outputs("t", 4, &taps);
            let shifted = reached.clone() + offset.clone().mul_scalar(factor);
            teacher
                .features
                .insert("stage2".to_owned(), Feature::Map(shifted));
            number(&terms(&mut method, &store, &student, &teacher)[0].value)
        };
        let once = loss(1.0);
        assert_close(&[loss(3.0)], &[9.0 * once]);
    }

    #[test]
    fn gradient_reaches_the_hinted_layer_and_the_regressor_but_not_the_teacher() {
        let taps = [map("stage2", [3, 4, 4])];
        let (mut method, store) = make(&taps, &taps).unwrap();
        let feature = leaf(random("s", [4, 3, 4, 4]));
        let target = leaf(random("t", [4, 3, 4, 4]));
        let with = |feature: &Tensor<4>| {
            let mut outputs = outputs("x", 4, &[]);
            let feature = Feature::Map(feature.clone());
            outputs.features.insert("stage2".to_owned(), feature);
            outputs
        };
        let tracked = store.tracked();
        let term = terms(&mut method, &tracked, &with(&feature), &with(&target)).remove(0);
        let mut gradients = term.value.backward();
        assert!(gradient(&feature, &gradients).is_some());
        assert!(gradient(&target, &gradients).is_none());
        let own = tracked.gradients(&mut gradients);
        let trained = store.entries().iter().filter(|e| e.role.is_trained());
        assert_eq!(own.iter().flatten().count(), trained.count());
    }

    #[test]
    fn by_default_the_second_stage_is_hinted_and_else_one_that_fits() {
        let cnn = |sizes: [usize; 3]| {
            let stage = |(i, size): (usize, usize)| map(&format!("stage{i}"), [2, size, size]);
            (1..).zip(sizes).map(stage).collect::<Vec<_>>()
        };
        let vit: Vec<Tap> = (1..5)
            .map(|i| tokens(&format!("stage{i}"), 6, [7, 7]))
            .collect();
        let pairs = |student: &[Tap], teacher: &[Tap]| make(student, teacher).unwrap().0.pairs();
        let pair = |s: &str, t: &str| vec![(s.to_owned(), t.to_owned())];
        assert_eq!(
            pairs(&cnn([8, 4, 2]), &cnn([8, 4, 2])),
            pair("stage2", "stage2")
        );
        assert_eq!(pairs(&cnn([28, 14, 7]), &vit), pair("stage2", "stage3"));
        assert_eq!(
            pairs(&cnn([8, 4, 2]), &cnn([8, 7, 2])),
            pair("stage3", "stage3")
        );
        assert_eq!(
            pairs(&cnn([8, 4, 2]), &cnn([8, 7, 3])),
            pair("stage1", "stage1")
        );
        let error = make(&cnn([3, 2, 1]), &cnn([32, 16, 8]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("student `stage2` (map [2, 2, 2])"),
            "{error}"
        );
        assert!(
            error.contains("teacher `stage2` (map [2, 16, 16])"),
            "{error}"
        );
        assert!(error.contains("with `pairs`"), "{error}");
    }

    #[test]
    fn a_single_value_per_channel_is_refused() {
        let mut probe = probe(&[map("stage2", [2, 1, 1])], &[map("stage2", [2, 1, 1])]);
        probe.batch = 1;
        let config = FitNetConfig::default();
        let error = build(&probe, |p, b| FitNet::new(config, p, b)).unwrap_err();
        assert!(error.to_string().contains("at least 2 images"), "{error}");
    }
}
