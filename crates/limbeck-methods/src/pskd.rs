//! # pskd — Self-Knowledge Distillation with Progressive Refinement of Targets
//!
//! What the student predicted for an image one epoch ago softens the image's label, the more the
//! further training has come. No teacher is read.
//!
//! ## Definition
//! L = (1 − α)·CE(z, y) + α·1/B Σ_b Σ_c −P_bc log softmax(z_b)_c, with α = `final_share`·(e + 1)/E
//!
//! z: student logits, e: epoch, counted from 0, of E; P: the prediction remembered for the image,
//! a constant. Both terms together are the cross entropy with the mixed targets (1 − α)·y + α·P.
//! After the loss the image's P becomes softmax(z), temperature 1, of the augmented image as the
//! network saw it in training. Before that P is the label, so the first epoch is plain cross
//! entropy.
//!
//! ## Inputs and shapes
//! Student logits `[B, K]`, the images' positions in the training part `[B]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `final_share` | 0.8 | 0 to 1 | the paper, section 4; authors' code (`alpha_T`) |
//!
//! ## Notes
//! The code starts from zeros and writes the labels in the first epoch; here they are there from
//! the start, so that an image that an incomplete batch left out keeps its label. Label smoothing
//! acts on the first term alone. With MixUp or CutMix the remembered predictions are those of
//! mixed images: better without. Cost: N·K numbers for N training images in the host's memory
//! and in every checkpoint, 20 MB for CIFAR-100 and 5 GB for ImageNet in single precision; no
//! second pass over the images.
//!
//! ## Reference
//! Kim, Ji, Yoon, Hwang. "Self-Knowledge Distillation with Progressive Refinement of Targets".
//! ICCV 2021. <https://arxiv.org/abs/2006.12000>
//! Authors' code: <https://github.com/lgcnsai/PS-KD-Pytorch> (9aa0828d099f, MIT).

#[cfg(test)]
pub mod golden;

use burn::tensor::{DType, Device, Tensor, activation::softmax};
use limbeck_nn::{Builder, Pass};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Progress, State, Step, Term, criterion::require_share,
    prediction_bank::PredictionBank, softmax::soft_cross_entropy,
};

/// Settings of [`Pskd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PskdConfig {
    /// Share of the earlier prediction in the targets of the last epoch.
    pub final_share: f64,
}

impl Default for PskdConfig {
    fn default() -> Self {
        Self { final_share: 0.8 }
    }
}

/// Targets refined by the predictions of the epoch before.
#[derive(Debug)]
pub struct Pskd {
    config: PskdConfig,
    classes: usize,
    labels: Vec<i64>,
    device: Device,
    dtype: DType,
    /// Made at the first step.
    bank: Option<PredictionBank>,
    /// α of the step at hand.
    share: f64,
}

impl Pskd {
    const ID: &'static str = "pskd";
    const PREDICTIONS: &'static str = "predictions";

    /// Checks the setting.
    ///
    /// # Errors
    /// A share outside 0 to 1.
    pub fn new(
        config: PskdConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_share(Self::ID, "final_share", config.final_share)?;
        Ok(Self {
            config,
            classes: probe.classes,
            labels: probe.training.labels(Self::ID)?.to_vec(),
            device: probe.device.clone(),
            dtype: probe.dtype,
            bank: None,
            share: 0.0,
        })
    }

    /// α: the share of the remembered prediction.
    pub fn share(&self, progress: Progress) -> f64 {
        self.config.final_share * (progress.epoch + 1) as f64 / progress.epochs as f64
    }

    /// What is remembered of these images, `[B, K]`.
    ///
    /// # Errors
    /// An index that is not below the number of training images.
    pub fn remembered(&mut self, indices: &[usize]) -> Result<Tensor<2>, MethodError> {
        let bank = match self.bank.take() {
            Some(bank) => bank,
            None => self.fresh(),
        };
        let bank = self.bank.insert(bank);
        let count = bank.rows();
        match indices.iter().find(|&&index| index >= count) {
            None => Ok(bank.get(indices, &self.device)),
            Some(index) => Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "image {index} is not one of the {count} training images whose predictions are \
                     remembered"
                ),
            }),
        }
    }

    fn fresh(&self) -> PredictionBank {
        PredictionBank::one_hot(&self.labels, self.classes, &self.device, self.dtype)
    }
}

impl Criterion for Pskd {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn task_weight(&self) -> f64 {
        1.0 - self.share
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let logits = step.student.logits();
        let [_, classes] = logits.dims();
        if classes != self.classes {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "the student gives logits of {classes} classes, the data has {}",
                    self.classes
                ),
            });
        }
        self.share = self.share(step.progress);
        let earlier = self.remembered(step.indices)?;
        if let Some(bank) = &mut self.bank {
            bank.set(step.indices, softmax(logits.clone().inner(), 1));
        }
        let value = soft_cross_entropy(logits, earlier);
        Ok(vec![Term::new("earlier", value, self.share)])
    }

    fn state(&self) -> State {
        let bank = match &self.bank {
            Some(bank) => bank.to_flat(&self.device),
            None => self.fresh().to_flat(&self.device),
        };
        let shape = vec![self.labels.len(), self.classes];
        [(Self::PREDICTIONS.to_owned(), (shape, bank))].into()
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let expected = [self.labels.len(), self.classes];
        let reason = match state.remove(Self::PREDICTIONS) {
            Some((shape, flat)) if shape == expected => {
                self.bank = Some(PredictionBank::from_flat(flat, expected[0], expected[1]));
                return Ok(());
            }
            Some((shape, _)) => format!("`{}` is {shape:?}", Self::PREDICTIONS),
            None => format!("`{}` is missing", Self::PREDICTIONS),
        };
        Err(MethodError::State {
            method: Self::ID,
            reason: format!("{reason}, expected {expected:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::{Outputs, Store};

    use super::*;
    use crate::{
        TrainingPart,
        testing::{
            assert_close, build, labels, leaf, number, numbers, pass, probe, random, supervision,
            target, tensor,
        },
    };

    fn make(final_share: f64) -> Result<(Pskd, Store), MethodError> {
        let mut probe = probe(&[], &[]);
        probe.teacher = None;
        probe.training = TrainingPart::labelled((0..8).map(|i| i % 5).collect());
        build(&probe, |p, b| Pskd::new(PskdConfig { final_share }, p, b))
    }

    fn step(
        method: &mut Pskd,
        store: &Store,
        logits: Tensor<2>,
        indices: &[usize],
        epoch: usize,
    ) -> Result<Term, MethodError> {
        let student = Outputs::from_logits(logits);
        let y: Vec<i64> = indices.iter().map(|&i| i as i64 % 5).collect();
        let target = target(&y);
        let step = Step {
            student: &student,
            teacher: None,
            supervision: supervision(&target),
            indices,
            progress: Progress {
                epoch,
                epochs: 4,
                step: 0,
                steps: 2,
            },
        };
        Ok(method.terms(&step, &mut pass(store))?.remove(0))
    }

    #[test]
    fn the_first_epoch_is_cross_entropy_with_the_labels() {
        let (mut method, store) = make(0.8).unwrap();
        let logits = random("z", [3, 5]);
        let term = step(&mut method, &store, logits.clone(), &[6, 2, 0], 0).unwrap();
        let ce = crate::cross_entropy(logits, &labels(&[1, 2, 0]), None, 0.0);
        assert_close(&[number(&term.value)], &[number(&ce)]);
        assert_close(&[term.weight + method.task_weight()], &[1.0]);
    }

    #[test]
    fn the_share_rises_to_its_final_size() {
        let (mut method, store) = make(0.8).unwrap();
        let shares: Vec<f64> = (0..4)
            .map(|epoch| {
                let logits = random("z", [1, 5]);
                step(&mut method, &store, logits, &[0], epoch)
                    .unwrap()
                    .weight
            })
            .collect();
        assert_close(&shares, &[0.2, 0.4, 0.6, 0.8]);
        let (mut method, store) = make(0.0).unwrap();
        let term = step(&mut method, &store, random("z", [1, 5]), &[0], 3).unwrap();
        assert_eq!((term.weight, method.task_weight()), (0.0, 1.0));
    }

    #[test]
    fn a_step_remembers_its_images_alone_and_rows_sum_to_one() {
        let (mut method, store) = make(0.8).unwrap();
        let all: Vec<usize> = (0..8).collect();
        let before = numbers(&method.remembered(&all).unwrap());
        let logits = random("z", [2, 5]);
        step(&mut method, &store, logits.clone(), &[5, 1], 0).unwrap();
        let after = numbers(&method.remembered(&all).unwrap());
        for row in 0..8 {
            let at = 5 * row..5 * (row + 1);
            assert_eq!(
                before[at.clone()] == after[at.clone()],
                row != 5 && row != 1
            );
            assert_close(&[after[at].iter().sum()], &[1.0]);
        }
        let term = step(&mut method, &store, random("w", [2, 5]), &[5, 1], 1).unwrap();
        let expected = soft_cross_entropy(random("w", [2, 5]), softmax(logits, 1));
        assert_close(&[number(&term.value)], &[number(&expected)]);
    }

    #[test]
    fn the_gradient_is_the_prediction_less_the_remembered_one() {
        let (mut method, store) = make(0.8).unwrap();
        let earlier = random("z", [2, 5]);
        step(&mut method, &store, earlier.clone(), &[0, 1], 0).unwrap();
        let logits = leaf(random("w", [2, 5]));
        let term = step(&mut method, &store, logits.clone(), &[0, 1], 1).unwrap();
        let gradient = logits.grad(&term.value.backward()).unwrap();
        let expected = softmax(logits.inner(), 1) - softmax(earlier, 1);
        assert_close(&numbers(&gradient), &numbers(&expected.mul_scalar(0.5)));
    }

    #[test]
    fn a_bank_that_is_put_back_goes_on_and_a_missing_one_is_refused() {
        let (mut method, store) = make(0.8).unwrap();
        step(&mut method, &store, random("z", [2, 5]), &[0, 1], 0).unwrap();
        let (mut resumed, _) = make(0.8).unwrap();
        resumed.load_state(method.state()).unwrap();
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(
            numbers(&resumed.remembered(&all).unwrap()),
            numbers(&method.remembered(&all).unwrap())
        );
        let missing = resumed.load_state(State::new()).unwrap_err().to_string();
        assert!(
            missing.contains("`predictions` is missing, expected [8, 5]"),
            "{missing}"
        );
        let mut other = method.state();
        other.insert("predictions".to_owned(), (vec![1, 3], random("p", [3])));
        let other = resumed.load_state(other).unwrap_err().to_string();
        assert!(other.contains("is [1, 3], expected [8, 5]"), "{other}");
    }

    #[test]
    fn unknown_images_other_classes_and_shares_out_of_range_are_refused() {
        let (mut method, store) = make(0.8).unwrap();
        let error = step(&mut method, &store, random("z", [1, 5]), &[8], 0).unwrap_err();
        assert!(error.to_string().contains("image 8"), "{error}");
        let logits = tensor(vec![0.0; 4], [1, 4]);
        let error = step(&mut method, &store, logits, &[0], 0).unwrap_err();
        assert!(
            error.to_string().contains("4 classes, the data has 5"),
            "{error}"
        );
        for share in [-0.1, 1.1, f64::NAN] {
            let error = make(share).unwrap_err().to_string();
            let expected = "`final_share` must be a number from 0 to 1";
            assert!(error.contains(expected), "{error}");
        }
    }
}
