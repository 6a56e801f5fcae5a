//! # kd — Distilling the Knowledge in a Neural Network
//!
//! The student's softened class distribution is pulled towards the teacher's.
//!
//! ## Definition
//! L = ce_weight · CE(z, y) + kd_weight · T²/B · Σ_b KL(softmax(u/T) ‖ softmax(z/T))
//!
//! z: student logits, u: teacher logits (detached), T: `temperature`. T² keeps the size of the
//! soft gradient at the hard one's: ∂/∂z = (T/B)(softmax(z/T) − softmax(u/T)).
//!
//! ## Inputs and shapes
//! Student and teacher logits `[B, K]`, labels `[B]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 4 | > 0 | CIFAR protocol of RepDistiller and mdistiller; ImageNet uses 1 |
//! | `ce_weight` | 0.1 | ≥ 0 | same; ImageNet uses 0.5 |
//! | `kd_weight` | 0.9 | ≥ 0 | same; ImageNet uses 0.5 |
//!
//! ## Notes
//! The paper leaves the weights open; its advice to multiply by T² is followed. Classes are
//! summed and the batch averaged; code that averages over classes too has another weight.
//! Cost: one forward pass of the teacher.
//!
//! ## Reference
//! Hinton, Vinyals, Dean. "Distilling the Knowledge in a Neural Network". NIPS 2014 Deep Learning
//! Workshop. <https://arxiv.org/abs/1503.02531>

use limbeck_nn::Pass;
use serde::{Deserialize, Serialize};

use crate::{Criterion, MethodError, Needs, Probe, Step, Term, softmax::softened_kl};

/// Settings of [`Kd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KdConfig {
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the cross entropy with the labels.
    pub ce_weight: f64,
    /// Factor of the divergence from the teacher.
    pub kd_weight: f64,
}

impl Default for KdConfig {
    fn default() -> Self {
        Self {
            temperature: 4.0,
            ce_weight: 0.1,
            kd_weight: 0.9,
        }
    }
}

/// Softened logits.
#[derive(Clone, Debug)]
pub struct Kd {
    config: KdConfig,
}

impl Kd {
    const ID: &'static str = "kd";

    /// Checks the settings.
    ///
    /// # Errors
    /// A temperature that is not positive, a negative weight, or no teacher.
    pub fn new(config: KdConfig, probe: &Probe) -> Result<Self, MethodError> {
        crate::criterion::require_teacher(Self::ID, probe)?;
        crate::criterion::require_positive(Self::ID, "temperature", config.temperature)?;
        crate::criterion::require_weight(Self::ID, "ce_weight", config.ce_weight)?;
        crate::criterion::require_weight(Self::ID, "kd_weight", config.kd_weight)?;
        Ok(Self { config })
    }
}

impl Criterion for Kd {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn task_weight(&self) -> f64 {
        self.config.ce_weight
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let teacher = step.teacher(Self::ID)?;
        Ok(vec![Term {
            name: "kd",
            value: softened_kl(
                step.student.logits.clone(),
                teacher.logits.clone(),
                self.config.temperature,
            ),
            weight: self.config.kd_weight,
        }])
    }
}
