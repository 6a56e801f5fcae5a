//! # dlb — Self-Distillation from the Last Mini-Batch for Consistency Regularization
//!
//! Each step sees the batch of the step before once more, in another view, and is held to what was
//! predicted for it then. No teacher is needed.
//!
//! ## Definition
//! L_k = CE([r_k; z_k], [y_{k−1}; y_k]) + weight · T²/B' · Σ_b KL(softmax(z_{k−1}/T) ‖ softmax(r_k/T))
//!
//! z_k: logits of the first view of batch k; r_k: logits of the second view of batch k−1 under the
//! weights of step k; z_{k−1}: logits of its first view as they were at step k−1 (detached);
//! T: `temperature`, B': images of batch k−1. Cross entropy is the mean over the rows of both
//! parts. The first step has the cross entropy of z alone.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]`, those of the batch before `[B', C, H, W]`, logits `[B, K]` and `[B', K]`,
//! labels `[B]` and `[B']`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 3 | > 0 | paper |
//! | `weight` | 1 | ≥ 0 | paper; the code's script suggests 0.5 |
//!
//! ## Notes
//! The stored logits are kept across epochs and are part of checkpoints. Both parts pass on their
//! own, batch k first. Batches may differ in size. Images are not mixed, since the second view
//! would be another mixture. Cost: twice a step on labels; B'·K numbers remembered.
//!
//! ## Reference
//! Shen, Xu, Yang, Li, Guo. "Self-Distillation from the Last Mini-Batch for Consistency
//! Regularization". CVPR 2022. <https://arxiv.org/abs/2203.16172>
//! Authors' code: <https://github.com/Meta-knowledge-Lab/DLB> (8949a4621072, MIT).

#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::Taps;
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, Images, Interlude, MethodError, Probe, Procedure, STUDENT, Scene, Stage, State,
    Term,
    criterion::{require_positive, require_weight},
    softmax::softened_kl,
};

/// Name of the remembered logits in checkpoints.
const LOGITS: &str = "logits";

/// Settings of [`Dlb`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DlbConfig {
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the divergence from the predictions of the step before.
    pub weight: f64,
}

impl Default for DlbConfig {
    fn default() -> Self {
        Self {
            temperature: 3.0,
            weight: 1.0,
        }
    }
}

/// Predictions of the step before.
#[derive(Clone, Debug)]
pub struct Dlb {
    config: DlbConfig,
    classes: usize,
    /// Of the first view of the batch before, `[B', K]`; `None` before the first step.
    remembered: Option<Tensor<2>>,
}

/// A part of a step's images: its cross entropy `[1]`, averaged over its rows, and their number.
#[derive(Clone, Debug)]
pub struct MeanOfRows {
    /// `[1]`.
    pub value: Tensor<1>,
    /// At least 1.
    pub rows: usize,
}

impl Dlb {
    const ID: &'static str = "dlb";

    /// Checks the settings; nothing is remembered yet.
    ///
    /// # Errors
    /// A temperature that is not positive, or a negative weight.
    pub fn new(config: DlbConfig, probe: &Probe, _cast: &mut Cast) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "weight", config.weight)?;
        Ok(Self {
            config,
            classes: probe.classes,
            remembered: None,
        })
    }

    /// The divergence `[1]` of `replayed`, logits of the batch before under the weights at hand, from
    /// `remembered`, what they were then; both `[B', K]`. The latter are detached.
    ///
    /// # Errors
    /// Logits of different shapes.
    pub fn consistency(
        &self,
        replayed: Tensor<2>,
        remembered: Tensor<2>,
    ) -> Result<Tensor<1>, MethodError> {
        let (now, before) = (replayed.dims(), remembered.dims());
        if before != now {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "the batch before had logits {before:?}, and its second view has {now:?}"
                ),
            });
        }
        let temperature = self.config.temperature;
        Ok(softened_kl(replayed, remembered.inner(), temperature))
    }

    /// Keeps `logits` `[B, K]` of the first view for the next step, cut off from any gradient graph.
    ///
    /// # Errors
    /// Logits of another number of classes.
    pub fn remember(&mut self, logits: Tensor<2>) -> Result<(), MethodError> {
        let [rows, classes] = logits.dims();
        if classes != self.classes {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "it was set up for {} classes and found logits [{rows}, {classes}]",
                    self.classes
                ),
            });
        }
        self.remembered = Some(logits.inner());
        Ok(())
    }
}

/// The mean over the rows of both parts, `[1]`.
pub fn mean_of_both(now: MeanOfRows, before: MeanOfRows) -> Tensor<1> {
    let share = now.rows as f64 / (now.rows + before.rows) as f64;
    now.value.mul_scalar(share) + before.value.mul_scalar(1.0 - share)
}

impl Procedure for Dlb {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let mut stage = Stage::new("train", epochs, vec![Act::training([STUDENT])]);
        stage.images = Images {
            replay: true,
            ..Images::default()
        };
        vec![stage]
    }

    fn begin_stage(
        &mut self,
        _stage: usize,
        _interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        self.remembered = None;
        Ok(())
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let none = Taps::none();
        let logits = scene.train(STUDENT, batch.images.clone(), &none)?.logits();
        let mut task = scene.task(logits.clone())?;
        let mut consistency = Tensor::zeros([1], (scene.cast().device(), scene.cast().dtype()));
        // Steps that are only tried out may have other numbers of images: what one of those remembered is not of the
        // batch before.
        let is_before = |remembered: &Tensor<2>| {
            let replay = batch.replay.as_ref();
            replay.is_none_or(|replay| replay.indices.len() == remembered.dims()[0])
        };
        if let Some(remembered) = self.remembered.take().filter(is_before) {
            let replay = batch.replay.as_ref().ok_or_else(|| MethodError::Batch {
                method: Self::ID,
                reason: "the batch comes without a second view of the batch before".to_owned(),
            })?;
            let replayed = scene.train(STUDENT, replay.images.clone(), &none)?.logits();
            let now = MeanOfRows {
                value: task,
                rows: batch.indices.len(),
            };
            let before = MeanOfRows {
                value: scene.task_of(replayed.clone(), &replay.target)?,
                rows: replay.indices.len(),
            };
            task = mean_of_both(now, before);
            consistency = self.consistency(replayed, remembered)?;
        }
        self.remember(logits)?;
        Ok(vec![
            Term::new("task", task, 1.0),
            Term::new("consistency", consistency, self.config.weight),
        ])
    }

    fn state(&self) -> State {
        let remembered = self.remembered.iter().map(|logits| {
            let shape = logits.dims();
            let numbers = logits.clone().reshape([shape[0] * shape[1]]);
            (LOGITS.to_owned(), (shape.to_vec(), numbers))
        });
        remembered.collect()
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let Some((shape, numbers)) = state.remove(LOGITS) else {
            self.remembered = None;
            return Ok(());
        };
        match shape[..] {
            [rows, classes] if classes == self.classes && numbers.dims() == [rows * classes] => {
                self.remembered = Some(numbers.reshape([rows, classes]));
                Ok(())
            }
            _ => Err(MethodError::State {
                method: Self::ID,
                reason: format!(
                    "`{LOGITS}` has shape {shape:?} where [images, {}] is needed",
                    self.classes
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cross_entropy, rehearsal,
        testing::{
            assert_close, gradient, labels, leaf, network, network_probe, number, numbers, random,
        },
    };

    fn make(config: DlbConfig) -> Result<Dlb, MethodError> {
        let mut cast = Cast::new(network("resnet8", 1));
        Dlb::new(config, &network_probe(), &mut cast)
    }

    fn default() -> Dlb {
        make(DlbConfig::default()).unwrap()
    }

    #[test]
    fn equal_predictions_cost_nothing_and_others_something() {
        let cost = |now: &str| {
            let value = default().consistency(random(now, [3, 5]), random("before", [3, 5]));
            number(&value.unwrap())
        };
        assert_close(&[cost("before")], &[0.0]);
        assert!(cost("now") > 0.01);
    }

    #[test]
    fn no_gradient_reaches_the_step_before() {
        let (before, now) = (leaf(random("before", [3, 5])), leaf(random("now", [3, 5])));
        let value = default().consistency(now.clone(), before.clone()).unwrap();
        let gradients = value.backward();
        assert!(gradient(&now, &gradients).is_some());
        assert!(gradient(&before, &gradients).is_none());
        let mut method = default();
        method.remember(before).unwrap();
        assert!(!method.remembered.unwrap().is_tracked());
    }

    #[test]
    fn cross_entropy_is_the_mean_over_all_rows_of_unequal_parts() {
        let (now, before) = (random("now", [2, 5]), random("before", [3, 5]));
        let both = Tensor::cat(vec![before.clone(), now.clone()], 0);
        let of = |logits, classes: &[i64]| MeanOfRows {
            value: cross_entropy(logits, &labels(classes), None, 0.0),
            rows: classes.len(),
        };
        let expected = of(both, &[2, 3, 4, 0, 1]).value;
        let found = mean_of_both(of(now, &[0, 1]), of(before, &[2, 3, 4]));
        assert_close(&[number(&found)], &[number(&expected)]);
    }

    #[test]
    fn what_is_remembered_can_be_put_back_and_is_forgotten_when_a_stage_begins() {
        let mut method = default();
        assert!(method.state().is_empty());
        method.remember(random("before", [3, 5])).unwrap();
        let mut resumed = default();
        resumed.load_state(method.state()).unwrap();
        let remembered = |method: &Dlb| numbers(method.remembered.as_ref().unwrap());
        assert_eq!(remembered(&resumed), remembered(&method));
        let mut cast = Cast::new(network("resnet8", 1));
        let mut interlude = Interlude {
            cast: &mut cast,
            teacher: None,
            held_out: None,
        };
        resumed.begin_stage(0, &mut interlude).unwrap();
        assert!(resumed.state().is_empty());
        resumed.load_state(State::new()).unwrap();
        let unfit = [(LOGITS.to_owned(), (vec![3, 4], random("x", [12])))].into();
        let error = resumed.load_state(unfit).unwrap_err().to_string();
        assert!(
            error.contains("[3, 4]") && error.contains("[images, 5]"),
            "{error}"
        );
    }

    #[test]
    fn settings_out_of_range_and_other_rows_or_classes_are_refused() {
        for (temperature, weight, text) in [
            (-3.0, 1.0, "`temperature` must be a number above 0"),
            (3.0, f64::NAN, "`weight` must be a number of at least 0"),
        ] {
            let config = DlbConfig {
                temperature,
                weight,
            };
            let error = make(config).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let mut method = default();
        let error = method.consistency(random("now", [4, 5]), random("before", [3, 5]));
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("[3, 5]") && error.contains("[4, 5]"),
            "{error}"
        );
        let error = method
            .remember(random("z", [3, 6]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("5 classes") && error.contains("[3, 6]"),
            "{error}"
        );
    }

    #[test]
    fn a_second_view_that_is_missing_is_refused() {
        let mut method = default();
        method.remember(random("before", [4, 5])).unwrap();
        let cast = rehearsal::cast();
        // The made-up batch has no second view of the batch before.
        let error = rehearsal::play(&mut method, &cast, 0)
            .map(drop)
            .unwrap_err();
        let error = error.to_string();
        assert!(error.contains("without a second view"), "{error}");
    }
}
