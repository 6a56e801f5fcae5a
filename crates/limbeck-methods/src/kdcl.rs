//! # kdcl — Online Knowledge Distillation via Collaborative Learning
//!
//! Several networks learn together, each on its own augmentation of the same images. From their
//! logits a better target than any of them is made, and each is taught it, so that it also becomes
//! indifferent to the distortions. There is no teacher; the student alone is kept.
//!
//! ## Definition
//! L = Σ_i [ ce_weight · CE(z_i, y) + kd_weight · T²/B · Σ_b KL(softmax(t/T) ‖ softmax(z_i/T)) ]
//!
//! z_i: logits of network i of M, t: the target (detached), T: `temperature`. `ensemble`
//! says how t is made of z_1 … z_M:
//! - `naive`: for each image the logits with the least cross entropy; the first of equals.
//! - `linear`: Σ_i a_i z_i with the a ≥ 0, Σ a = 1, that make the cross entropy least: one a for
//!   the batch, or one for each image (`linear_scope`).
//! - `minlogit`: t_k = min_i (z_i,k − z_i,y). The label's logit is 0, all others are as low as any
//!   network has them.
//! - `general`: Σ_i w_i z_i with w = C⁻¹ 1 / (1ᵀ C⁻¹ 1), where C_ij is the mean of
//!   ⟨p_i − onehot(y), p_j − onehot(y)⟩ over images that were held out; from the second epoch on,
//!   renewed after each. Weights may be negative.
//! - `mean`: the mean of the logits.
//!
//! ## Inputs and shapes
//! As many views of the images as there are networks, `[B, C, H, W]` each; logits `[B, K]`; labels
//! `[B]`. Mixed images are refused, since their labels belong to one view.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `peers` | none | names of the zoo joined by `+` | the paper pairs a large with a small network; none is one more like the student |
//! | `ensemble` | `minlogit` | `naive`, `linear`, `minlogit`, `general`, `mean` | our choice: the cheapest that is better than all |
//! | `linear_scope` | `batch` | `batch`, `sample` | our reading |
//! | `temperature` | 2 | > 0 | paper, from memory |
//! | `ce_weight` | 1 | ≥ 0 | same; with `mean` the re-implementation has 0.5 |
//! | `kd_weight` | 1 | ≥ 0 | same; with `mean` the re-implementation has 0.5, and T = 4 |
//! | `held_out` | 0.1 | > 0, < 1 | our choice: share of the training images for `general` |
//!
//! ## Notes
//! The authors released no code. All networks are whole ones; the student is the first, peers are
//! drawn from other seeds. In the first epoch `general` weighs all networks alike. Where C is
//! singular, as with networks that agree everywhere, 1e-8 is added to its diagonal, and the run says
//! so. `linear` is solved by Newton's method within the simplex; a search that does not end is told
//! too. Cost: M training steps; `general` also runs all networks on the held-out images
//! once an epoch.
//!
//! ## Reference
//! Guo, Wang, Wu, Yu, Liang, Hu, Luo. "Online Knowledge Distillation via Collaborative Learning".
//! CVPR 2020. <https://openaccess.thecvf.com/content_CVPR_2020/html/Guo_Online_Knowledge_Distillation_via_Collaborative_Learning_CVPR_2020_paper.html>
//! Re-implementation: <https://github.com/shaoeric/Online-Knowledge-Distillation-via-Collaborative-Learning>
//! (no licence file).

mod ensemble;
mod error_matrix;
#[cfg(test)]
pub mod golden;
mod simplex;

use burn::tensor::{Int, Tensor, activation::softmax};
use limbeck_nn::Taps;
use serde::{Deserialize, Serialize};

use crate::{
    Cast, Interlude, MethodError, Probe, Procedure, Scene, Stage, State, Term,
    criterion::{require_positive, require_weight},
    peers::{Peers, require_alike},
    softmax::softened_kl,
};

pub use ensemble::{Ensemble, EnsembleTarget, LinearScope};
pub use error_matrix::ErrorMatrix;

/// Settings of [`Kdcl`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KdclConfig {
    /// Zoo names of the peers, joined by `+`; one more network like the student where missing.
    pub peers: Option<String>,
    /// How the target is made.
    pub ensemble: Ensemble,
    /// What has a mixture of its own under [`Ensemble::Linear`].
    pub linear_scope: LinearScope,
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of each cross entropy with the labels.
    pub ce_weight: f64,
    /// Factor of each divergence from the target.
    pub kd_weight: f64,
    /// Share of the training images that [`Ensemble::General`] holds out.
    pub held_out: f64,
}

impl Default for KdclConfig {
    fn default() -> Self {
        Self {
            peers: None,
            ensemble: Ensemble::MinLogit,
            linear_scope: LinearScope::Batch,
            temperature: 2.0,
            ce_weight: 1.0,
            kd_weight: 1.0,
            held_out: 0.1,
        }
    }
}

/// Networks that are taught a target made of all their logits.
#[derive(Debug)]
pub struct Kdcl {
    config: KdclConfig,
    peers: Peers,
    /// Weights by the errors on held-out images, `[1, M]`.
    weights: Tensor<2>,
    warnings: Vec<String>,
    /// Whether the search of `linear` has been told to be open already.
    told_open: bool,
}

impl Kdcl {
    const ID: &'static str = "kdcl";
    const WEIGHTS: &'static str = "weights";

    /// Adds the peers.
    ///
    /// # Errors
    /// A setting out of range, or a model that cannot be built.
    pub fn new(config: KdclConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "ce_weight", config.ce_weight)?;
        require_weight(Self::ID, "kd_weight", config.kd_weight)?;
        if !(config.held_out > 0.0 && config.held_out < 1.0) {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "held_out",
                expected: "above 0 and below 1".to_owned(),
                found: config.held_out.to_string(),
            });
        }
        let peers = Peers::named(config.peers.as_deref(), probe, cast)?;
        let networks = peers.count();
        let equal = vec![1.0 / networks as f64; networks];
        let weights = ensemble::constants(equal, [1, networks], cast.device(), cast.dtype());
        Ok(Self {
            config,
            peers,
            weights,
            warnings: Vec::new(),
            told_open: false,
        })
    }

    /// What the networks with these logits, `[B, K]` each, are taught about images with these
    /// labels `[B]`.
    ///
    /// # Errors
    /// Another number of networks, or logits of different shapes.
    pub fn target(
        &mut self,
        logits: &[Tensor<2>],
        labels: &Tensor<1, Int>,
    ) -> Result<EnsembleTarget, MethodError> {
        require_alike(Self::ID, "logits", logits, self.peers.count())?;
        let logits: Vec<Tensor<2>> = logits.iter().map(|z| z.clone().inner()).collect();
        Ok(match self.config.ensemble {
            Ensemble::Naive => ensemble::naive(&logits, labels),
            Ensemble::Linear => {
                let each = self.config.linear_scope == LinearScope::Sample;
                let (target, open) = ensemble::linear(&logits, labels, each);
                if open > 0 && !std::mem::replace(&mut self.told_open, true) {
                    self.warnings.push(format!(
                        "kdcl: the search for the best mixture of logits did not end in {open} \
                         case(s) of a step; the best mixture found was taken"
                    ));
                }
                target
            }
            Ensemble::MinLogit => ensemble::min_logit(&logits, labels),
            Ensemble::General | Ensemble::Mean => {
                EnsembleTarget::mixed(&logits, self.weights.clone())
            }
        })
    }

    /// The terms `kd` of all networks with these logits, `[B, K]` each, under this target.
    pub fn losses(&self, logits: &[Tensor<2>], target: &EnsembleTarget) -> Vec<Term> {
        let values = logits
            .iter()
            .map(|z| softened_kl(z.clone(), target.logits.clone(), self.config.temperature));
        self.peers.terms("kd", values, self.config.kd_weight)
    }

    /// Weighs the networks by their errors on images that were held out.
    ///
    /// # Errors
    /// No images.
    pub fn weigh(&mut self, errors: &ErrorMatrix) -> Result<(), MethodError> {
        if errors.images() == 0 {
            return Err(MethodError::HeldOut {
                reason: "there are none; raise `held_out`".to_owned(),
            });
        }
        let (weights, singular) = errors.weights();
        if singular {
            self.warnings.push(format!(
                "kdcl: the networks' errors on the held-out images are linearly dependent; {} was \
                 added to the diagonal of their matrix",
                error_matrix::RIDGE
            ));
        }
        let (device, dtype) = (self.weights.device(), self.weights.dtype());
        self.weights = ensemble::constants(weights, self.weights.dims(), &device, dtype);
        Ok(())
    }

    /// Weights of the networks by their errors, `[1, M]`.
    #[cfg(test)]
    pub fn weights(&self) -> &Tensor<2> {
        &self.weights
    }
}

impl Procedure for Kdcl {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let mut stage = self.peers.stage(epochs, &[]);
        stage.images.views = self.peers.count();
        vec![stage]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let mut views = vec![batch.images.clone()];
        views.extend(batch.views.iter().cloned());
        let mut logits = Vec::new();
        for (name, images) in self.peers.names().zip(views) {
            logits.push(scene.train(name, images, &Taps::none())?.logits());
        }
        let target = self.target(&logits, batch.target.classes(Self::ID)?.0)?;
        let mut terms = self.peers.task(scene, &logits, self.config.ce_weight)?;
        terms.extend(self.losses(&logits, &target));
        Ok(terms)
    }

    fn end_epoch(
        &mut self,
        _stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        if self.config.ensemble != Ensemble::General {
            return Ok(());
        }
        let mut errors = ErrorMatrix::new(self.peers.count());
        if let Some(held_out) = interlude.held_out {
            held_out.look(&mut |batch| {
                let mut probabilities = Vec::new();
                for name in self.peers.names() {
                    let network = interlude.cast.network(name)?;
                    let outputs = network.evaluate(batch.images.clone(), &Taps::none());
                    probabilities.push(softmax(outputs.logits(), 1));
                }
                errors.add(&probabilities, batch.target.classes(Self::ID)?.0);
                Ok(())
            })?;
        }
        self.weigh(&errors)
    }

    fn held_out(&self) -> f64 {
        match self.config.ensemble {
            Ensemble::General => self.config.held_out,
            _ => 0.0,
        }
    }

    fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    fn state(&self) -> State {
        match self.config.ensemble {
            Ensemble::General => {
                let shape = self.weights.dims().to_vec();
                let flat = self.weights.clone().reshape([self.peers.count()]);
                [(Self::WEIGHTS.to_owned(), (shape, flat))].into()
            }
            _ => State::new(),
        }
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let networks = self.peers.count();
        let found = state.remove(Self::WEIGHTS);
        match (self.config.ensemble, found) {
            (Ensemble::General, Some((shape, flat))) if shape == [1, networks] => {
                self.weights = flat.reshape([1, networks]);
                Ok(())
            }
            (Ensemble::General, found) => Err(MethodError::State {
                method: Self::ID,
                reason: format!(
                    "`{}` is {:?}, expected [1, {networks}]",
                    Self::WEIGHTS,
                    found.map(|(shape, _)| shape)
                ),
            }),
            (_, None) => Ok(()),
            (_, Some(_)) => Err(MethodError::State {
                method: Self::ID,
                reason: format!("it has no place for `{}`", Self::WEIGHTS),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
