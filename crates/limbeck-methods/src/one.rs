//! # one — Knowledge Distillation by On-the-Fly Native Ensemble
//!
//! Several branches learn together, and a small gate weighs their logits image by image into an
//! ensemble, which learns from the labels too and teaches every branch. There is no teacher; one
//! branch, the student, is kept.
//!
//! ## Definition
//! L = Σ_i CE(z_i, y) + CE(z_e, y) + w(e) · Σ_i T²/B · Σ_b Σ_k q_k (log q_k − log softmax(z_i/T)_k)
//!
//! z_i: logits of branch i of `branches`, z_e = Σ_i g_i z_i, q = softmax(z_e/T) + 1e-7 with z_e
//! detached, T: `temperature`. g = softmax(ReLU(BN(linear(x)))), where x is the mean over the
//! positions of the student's map at `tap`. w(e) = exp(−5 (1 − min(e, R)/R)²) with the epoch e
//! counted from 0 and R = `rampup_epochs`. The gate learns from CE(z_e, y) alone.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]`, B ≥ 2; one map `[B, C, H, W]` of the student (tokens are put back on
//! their grid); logits `[B, K]` of each branch; labels `[B]` or the shares of the classes `[B, K]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `branches` | 3 | ≥ 2 | authors' code |
//! | `temperature` | 3 | > 0 | same |
//! | `rampup_epochs` | 80 | ≥ 0 epochs, 0 for w = 1 | same, for 300 epochs |
//! | `tap` | none | a map of the student | same; none is the stage before the last |
//!
//! ## Notes
//! The paper's branches are the last stage and the classifier on a shared trunk. Here each branch
//! is a whole network of the student's architecture, drawn from its own seed, so that every network
//! of the zoo can have branches; the gate reads the student's trunk. The code's gate pools windows
//! of 16×16, which is all of its map; here the whole map whatever its size. The ramp is in the code
//! alone; it is counted in epochs, so a run of far fewer than 300 wants a smaller `rampup_epochs`.
//! Cost: `branches` training steps, and a gate of M·(C + 3) weights.
//!
//! ## Reference
//! Lan, Zhu, Gong. "Knowledge Distillation by On-the-Fly Native Ensemble". NeurIPS 2018.
//! <https://arxiv.org/abs/1806.04606>
//! Authors' code: <https://github.com/Lan1991Xu/ONE_NeurIPS2018> (54afde30fe03).

#[cfg(test)]
pub mod golden;

use burn::tensor::{Tensor, activation::softmax};
use limbeck_nn::{
    Pass, Taps,
    layer::{BatchNorm2d, Linear, global_avg_pool2d},
};
use serde::{Deserialize, Serialize};

use crate::{
    Cast, MethodError, Probe, Procedure, Scene, Stage, Term,
    criterion::{require_at_least, require_positive},
    pairs::{find_map, map_of},
    peers::{Peers, require_alike, require_several, stage_map},
    rampup::rampup,
    softmax::floored_kl,
};

/// Name of the gate in the cast.
const GATE: &str = "gate";

/// Settings of [`One`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OneConfig {
    /// Number of branches, the student among them.
    pub branches: usize,
    /// Softens both distributions.
    pub temperature: f64,
    /// Epochs until the divergences have their full weight.
    pub rampup_epochs: usize,
    /// Layer of the student that the gate reads; the stage before the last where it is missing.
    pub tap: Option<String>,
}

impl Default for OneConfig {
    fn default() -> Self {
        Self {
            branches: 3,
            temperature: 3.0,
            rampup_epochs: 80,
            tap: None,
        }
    }
}

/// Branches that are taught by their gated ensemble.
#[derive(Debug)]
pub struct One {
    config: OneConfig,
    peers: Peers,
    tap: String,
    control: Linear,
    norm: BatchNorm2d,
}

impl One {
    const ID: &'static str = "one";

    /// Adds the other branches and the gate: `control_v1.*`, `bn_v1.*` of the member `gate`.
    ///
    /// # Errors
    /// A setting out of range, a tap that is not there, or one image a step.
    pub fn new(config: OneConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_at_least(Self::ID, "branches", config.branches, 2)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        let (tap, [channels, ..]) = match &config.tap {
            Some(name) => {
                let (tap, shape) = find_map(Self::ID, "student", &probe.student, name)?;
                (tap.name, shape)
            }
            None => stage_map(Self::ID, &probe.student, 1)?,
        };
        require_several(Self::ID, probe.batch)?;
        let peers = Peers::alike(config.branches, probe, cast)?;
        let branches = config.branches;
        let (control, norm) = cast.add_modules(GATE, probe.seed, |builder| {
            let control = Linear::new(builder.sub("control_v1"), channels, branches);
            Ok((control, BatchNorm2d::new(builder.sub("bn_v1"), branches)))
        })?;
        Ok(Self {
            config,
            peers,
            tap,
            control,
            norm,
        })
    }

    /// Share of each branch in the ensemble, by the trunk's map `[B, C, H, W]`: `[B, M]`, rows sum
    /// to one. `pass` runs over the member `gate`.
    pub fn gate(&self, pass: &mut Pass<'_>, trunk: Tensor<4>) -> Tensor<2> {
        let scores = self.control.forward(pass, global_avg_pool2d(trunk));
        let [batch, branches] = scores.dims();
        let scores = scores.reshape([batch, branches, 1, 1]);
        let scores = self.norm.forward_relu(pass, scores);
        softmax(scores.reshape([batch, branches]), 1)
    }

    /// The branches' logits `[B, K]` weighed by the gate `[B, M]`: `[B, K]`.
    ///
    /// # Errors
    /// Another number of branches, or logits of different shapes.
    pub fn ensemble(
        &self,
        gate: &Tensor<2>,
        logits: &[Tensor<2>],
    ) -> Result<Tensor<2>, MethodError> {
        require_alike(Self::ID, "logits", logits, self.config.branches)?;
        let [images, shares] = gate.dims();
        if [images, shares] != [logits[0].dims()[0], logits.len()] {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "the gate gives {shares} shares for {images} images, expected {} for {}",
                    logits.len(),
                    logits[0].dims()[0]
                ),
            });
        }
        let weighed = |i: usize| logits[i].clone() * gate.clone().slice([0..images, i..i + 1]);
        Ok((1..shares).fold(weighed(0), |sum, i| sum + weighed(i)))
    }

    /// The terms `kd` of all branches, taught by the ensemble's logits `[B, K]` in epoch `epoch`
    /// (counted from 0).
    pub fn losses(&self, logits: &[Tensor<2>], ensemble: &Tensor<2>, epoch: usize) -> Vec<Term> {
        let target = ensemble.clone().inner();
        let values = logits
            .iter()
            .map(|z| floored_kl(z.clone(), target.clone(), self.config.temperature));
        let weight = rampup(epoch, self.config.rampup_epochs);
        self.peers.terms("kd", values, weight)
    }
}

impl Procedure for One {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        vec![self.peers.stage(epochs, &[(GATE, None)])]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let outputs = self.peers.train(scene, |index| match index {
            0 => Taps::from_iter([&self.tap]),
            _ => Taps::none(),
        })?;
        let trunk = map_of(Self::ID, "student", &outputs[0], &self.tap)?;
        let logits: Vec<Tensor<2>> = outputs.into_iter().map(|o| o.logits()).collect();
        let gate = scene.modules(GATE, |pass| self.gate(pass, trunk))?;
        let ensemble = self.ensemble(&gate, &logits)?;
        let mut terms = self.peers.task(scene, &logits, 1.0)?;
        terms.push(Term::new("ensemble", scene.task(ensemble.clone())?, 1.0));
        terms.extend(self.losses(&logits, &ensemble, scene.progress().epoch));
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        cross_entropy,
        rehearsal::{cast, learners, trained},
        testing::{
            assert_close, gradient, labels, leaf, network_probe, number, numbers, pass, random,
        },
    };

    fn make(config: OneConfig) -> Result<(One, Cast), MethodError> {
        let mut cast = cast();
        let method = One::new(config, &network_probe(), &mut cast)?;
        Ok((method, cast))
    }

    /// Maps that fit the default tap of the test's student.
    fn trunk(method: &One) -> Tensor<4> {
        let (_, [c, h, w]) = stage_map("one", &network_probe().student, 1).unwrap();
        assert_eq!(method.tap, "stage2");
        random("trunk", [4, c, h, w])
    }

    fn logits() -> Vec<Tensor<2>> {
        ["a", "b", "c"].map(|name| random(name, [4, 5])).to_vec()
    }

    #[test]
    fn shares_are_positive_sum_to_one_and_keep_the_ensemble_within_the_branches() {
        let (method, cast) = make(OneConfig::default()).unwrap();
        let gate = method.gate(&mut pass(cast.store(GATE).unwrap()), trunk(&method));
        assert_close(&numbers(&gate.clone().sum_dim(1)), &[1.0; 4]);
        assert!(numbers(&gate).iter().all(|&share| share > 0.0));
        let logits = logits();
        let ensemble = numbers(&method.ensemble(&gate, &logits).unwrap());
        let each: Vec<Vec<f64>> = logits.iter().map(numbers).collect();
        for (i, value) in ensemble.into_iter().enumerate() {
            let values = || each.iter().map(|branch| branch[i]);
            assert!(value >= values().fold(f64::INFINITY, f64::min) - 1e-12);
            assert!(value <= values().fold(f64::NEG_INFINITY, f64::max) + 1e-12);
        }
    }

    #[test]
    fn equal_branches_are_their_own_ensemble_and_learn_next_to_nothing_from_it() {
        let (method, cast) = make(OneConfig::default()).unwrap();
        let gate = method.gate(&mut pass(cast.store(GATE).unwrap()), trunk(&method));
        let logits = vec![random("z", [4, 5]); 3];
        let ensemble = method.ensemble(&gate, &logits).unwrap();
        assert_close(&numbers(&ensemble), &numbers(&logits[0]));
        for term in method.losses(&logits, &ensemble, 80) {
            let value = number(&term.value);
            assert!((0.0..1e-3).contains(&value), "{value}");
        }
    }

    #[test]
    fn the_gate_learns_from_the_ensembles_cross_entropy_alone() {
        let (method, _) = make(OneConfig::default()).unwrap();
        let gate = leaf(softmax(random::<2>("gate", [4, 3]), 1));
        let logits: Vec<Tensor<2>> = logits().into_iter().map(leaf).collect();
        let ensemble = method.ensemble(&gate, &logits).unwrap();
        let terms = method.losses(&logits, &ensemble, 3);
        let sum = terms.into_iter().map(|t| t.value).reduce(|a, b| a + b);
        let gradients = sum.unwrap().backward();
        assert!(gradient(&gate, &gradients).is_none());
        assert!(gradient(&logits[2], &gradients).is_some());
        let ensemble = method.ensemble(&gate, &logits).unwrap();
        let ce = cross_entropy(ensemble, &labels(&[0, 1, 2, 3]), None, 0.0);
        assert!(gradient(&gate, &ce.backward()).is_some());
    }

    #[test]
    fn branches_may_change_places_with_their_shares() {
        let (method, _) = make(OneConfig::default()).unwrap();
        let (gate, logits) = (softmax(random::<2>("gate", [4, 3]), 1), logits());
        let before = method.ensemble(&gate, &logits).unwrap();
        let shares = |i: usize| gate.clone().slice([0..4, i..i + 1]);
        let turned = Tensor::cat(vec![shares(2), shares(0), shares(1)], 1);
        let places = [logits[2].clone(), logits[0].clone(), logits[1].clone()];
        let after = method.ensemble(&turned, &places).unwrap();
        assert_close(&numbers(&after), &numbers(&before));
    }

    #[test]
    fn branches_and_gate_learn_in_one_act() {
        let (mut method, cast) = make(OneConfig::default()).unwrap();
        let (names, arrived) = learners(&mut method, &cast);
        let expected = [
            "task",
            "task.peer1",
            "task.peer2",
            "ensemble",
            "kd",
            "kd.peer1",
            "kd.peer2",
        ];
        assert_eq!(names, expected);
        assert_eq!(arrived.len(), 4);
        for (member, count) in arrived {
            assert_eq!(count, trained(&cast, &member), "{member}");
        }
    }

    #[test]
    fn the_weight_of_the_divergences_rises() {
        let (method, _) = make(OneConfig::default()).unwrap();
        let weight = |epoch| method.losses(&logits(), &logits()[0], epoch)[1].weight;
        assert_eq!(weight(0), (-5f64).exp());
        assert_eq!(weight(80), 1.0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (settings, text) in [
            (
                json!({ "branches": 1 }),
                "`branches` must be at least 2, found 1",
            ),
            (
                json!({ "temperature": -1.0 }),
                "`temperature` must be a number above 0",
            ),
            (json!({ "tap": "stage9" }), "no tap `stage9`"),
        ] {
            let config = serde_json::from_value(settings).unwrap();
            let error = make(config).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let mut probe = network_probe();
        probe.batch = 1;
        let error = One::new(OneConfig::default(), &probe, &mut cast()).unwrap_err();
        assert!(error.to_string().contains("at least 2 values"), "{error}");
        let (method, _) = make(OneConfig::default()).unwrap();
        let gate = random::<2>("gate", [4, 2]);
        let error = method.ensemble(&gate, &logits()).unwrap_err().to_string();
        assert!(
            error.contains("gives 2 shares for 4 images, expected 3"),
            "{error}"
        );
        let gate = random::<2>("gate", [4, 3]);
        let error = method.ensemble(&gate, &logits()[..2]).unwrap_err();
        assert!(error.to_string().contains("of 3 networks"), "{error}");
    }
}
