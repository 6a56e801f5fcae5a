//! # cskd — Regularizing Class-wise Predictions via Self-knowledge Distillation
//!
//! Two pictures of one class should look alike to a network: what it predicts for one, softened, is
//! the target for the other. No teacher is needed.
//!
//! ## Definition
//! L = CE(z, y) + weight · T²/B · Σ_b KL(softmax(z'/T) ‖ softmax(z/T))
//!
//! z: logits of the images, z': logits of their partners (detached), T: `temperature`. The partner
//! of an image is drawn uniformly from all training images of its class, may be the image itself,
//! and is augmented on its own. Cross entropy is taken of the images alone.
//!
//! ## Inputs and shapes
//! Images and partners `[B, C, H, W]`, logits of both `[B, K]`, labels `[B]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 4 | > 0 | authors' code |
//! | `weight` | 1 | ≥ 0 | paper, for CIFAR-100 and TinyImageNet; 3 for fine-grained classes |
//!
//! ## Notes
//! As in the code, partners pass after the images, on their own, in training mode and without
//! gradients: they are normalised among themselves, and running statistics follow them too. Images
//! are not mixed, since a mixture has no class to draw a partner from. Cost: one forward pass more,
//! without a backward pass.
//!
//! ## Reference
//! Yun, Park, Lee, Shin. "Regularizing Class-wise Predictions via Self-knowledge Distillation".
//! CVPR 2020. <https://arxiv.org/abs/2003.13964>
//! Authors' code: <https://github.com/alinlab/cs-kd> (b447f2504059, no licence file).

#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::Taps;
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, Images, MethodError, Probe, Procedure, STUDENT, Scene, Stage, Term,
    criterion::{require_positive, require_weight},
    softmax::softened_kl,
};

/// Settings of [`Cskd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CskdConfig {
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the divergence from the partners.
    pub weight: f64,
}

impl Default for CskdConfig {
    fn default() -> Self {
        Self {
            temperature: 4.0,
            weight: 1.0,
        }
    }
}

/// Predictions for other images of the same class.
#[derive(Clone, Debug)]
pub struct Cskd {
    config: CskdConfig,
}

impl Cskd {
    const ID: &'static str = "cskd";

    /// Checks the settings.
    ///
    /// # Errors
    /// A temperature that is not positive, or a negative weight.
    pub fn new(config: CskdConfig, _probe: &Probe, _cast: &mut Cast) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "weight", config.weight)?;
        Ok(Self { config })
    }

    /// The term `class_wise` from logits of images and of their partners, both `[B, K]`. Partners
    /// are detached.
    ///
    /// # Errors
    /// Logits of different shapes.
    pub fn class_wise(
        &self,
        logits: Tensor<2>,
        partner_logits: Tensor<2>,
    ) -> Result<Term, MethodError> {
        let (own, partners) = (logits.dims(), partner_logits.dims());
        if own != partners {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "each image needs one partner with logits of the same classes; found logits \
                     {own:?} of images and {partners:?} of partners"
                ),
            });
        }
        let value = softened_kl(logits, partner_logits.inner(), self.config.temperature);
        Ok(Term::new("class_wise", value, self.config.weight))
    }
}

impl Procedure for Cskd {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let mut stage = Stage::new("train", epochs, vec![Act::training([STUDENT])]);
        stage.images = Images {
            partners: true,
            ..Images::default()
        };
        vec![stage]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let partners = batch.partners.as_ref().ok_or_else(|| MethodError::Batch {
            method: Self::ID,
            reason: "the batch has no partners of the same class".to_owned(),
        })?;
        let none = Taps::none();
        let logits = scene.train(STUDENT, batch.images.clone(), &none)?.logits();
        let partner_logits = scene
            .train_as_constant(STUDENT, partners.images.clone(), &none)?
            .logits();
        let task = scene.task(logits.clone())?;
        Ok(vec![
            Term::new("task", task, 1.0),
            self.class_wise(logits, partner_logits)?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        assert_close, gradient, leaf, network, network_probe, number, numbers, random,
    };

    fn make(config: CskdConfig) -> Result<Cskd, MethodError> {
        let mut cast = Cast::new(network("resnet8", 1));
        Cskd::new(config, &network_probe(), &mut cast)
    }

    fn default() -> Cskd {
        make(CskdConfig::default()).unwrap()
    }

    #[test]
    fn a_partner_with_the_same_logits_costs_nothing_and_another_something() {
        let cost = |a: &str, b: &str| {
            let term = default().class_wise(random(a, [4, 5]), random(b, [4, 5]));
            number(&term.unwrap().value)
        };
        assert_close(&[cost("a", "a")], &[0.0]);
        assert!(cost("a", "b") > 0.01);
    }

    #[test]
    fn the_gradient_is_the_softened_difference_and_none_reaches_the_partners() {
        let (own, partners) = (leaf(random("a", [4, 5])), leaf(random("b", [4, 5])));
        let term = default().class_wise(own.clone(), partners.clone()).unwrap();
        let gradients = term.value.backward();
        let soft = |logits: &Tensor<2>| {
            let logits = logits.clone().inner().mul_scalar(0.25);
            burn::tensor::activation::softmax(logits, 1)
        };
        // ∂/∂z = T/B · (softmax(z/T) − softmax(z'/T)) with T = B = 4.
        let expected = numbers(&(soft(&own) - soft(&partners)));
        assert_close(&gradient(&own, &gradients).unwrap(), &expected);
        assert!(gradient(&partners, &gradients).is_none());
    }

    #[test]
    fn each_stage_asks_for_partners_and_nothing_else() {
        let stages = default().stages(3);
        let expected = Images {
            partners: true,
            ..Images::default()
        };
        assert_eq!(stages.len(), 1);
        assert_eq!(stages[0].images, expected);
    }

    #[test]
    fn settings_out_of_range_and_unequal_halves_are_refused() {
        for (temperature, weight, text) in [
            (0.0, 1.0, "`temperature` must be a number above 0, found 0"),
            (
                4.0,
                -1.0,
                "`weight` must be a number of at least 0, found -1",
            ),
        ] {
            let config = CskdConfig {
                temperature,
                weight,
            };
            let error = make(config).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let error = default()
            .class_wise(random("a", [4, 5]), random("b", [3, 5]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("[4, 5]") && error.contains("[3, 5]"),
            "{error}"
        );
    }
}
