//! # dml — Deep Mutual Learning
//!
//! Untrained networks learn together: each from the labels and from what the others predict. No
//! teacher is needed, and the student is deployed alone.
//!
//! ## Definition
//! L_i = CE(z_i, y) + weight · 1/(M−1) Σ_{j≠i} T²/B · Σ_b KL(softmax(z_j/T) ‖ softmax(z_i/T))
//!
//! z_i: logits of network i of M (the student is the first), T: `temperature`; z_j is detached.
//! Each network is trained by its own L_i. With `update = "sequential"` network 1 is updated first,
//! network 2 then learns from its new predictions, and so on; with `simultaneous` all learn from
//! the predictions before the step.
//!
//! `target = "ensemble"`: one divergence from the mean of the others' logits instead, with
//! q = softmax(mean_{j≠i} z_j/T) + 1e-7 as the target; `target = "guarded"`: the sum over the
//! others of 1/B Σ_b Σ_k p_j log(1e-8 + p_j/(p_i + 1e-8)).
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]`, logits `[B, K]` of every network, labels `[B]` or the shares of the
//! classes `[B, K]`. Of networks that segment, each pixel that is not void is a row, on the grid of
//! the network that learns.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `peers` | none | names of the zoo joined by `+` | paper: two alike; none is one more network like the student |
//! | `update` | `sequential` | `sequential`, `simultaneous` | paper; the PyTorch port is simultaneous |
//! | `target` | `peers` | `peers`, `guarded`, `ensemble` | paper; `guarded`: authors' TensorFlow code; `ensemble`: OKDDip's code |
//! | `temperature` | 1 | > 0 | paper; OKDDip's code 3 |
//! | `weight` | 1 | ≥ 0 | paper |
//! | `detach_target` | true | | paper; OKDDip's code lets gradients through its ensemble |
//!
//! ## Notes
//! The paper averages over peers and its TensorFlow code sums (`guarded`, always at temperature
//! 1). Peers are seen with the statistics of the batch; only a network's own turn changes its
//! running statistics. `detach_target = false` acts with simultaneous updates and the ensemble
//! alone: elsewhere the others are constants.
//! In 620 steps on 2,000 images (`docs/study/few-labels`) peers agree early (their divergence ends at 0.015) and
//! keep each other from fitting: 81.7 to 82.1 % of training images right at the end with three seeds, 82.4 to
//! 83.1 without the method.
//! Cost: M times a step on labels, and with sequential
//! updates M·(M−1) forward passes more; M networks and their optimiser states in memory.
//!
//! ## Reference
//! Zhang, Xiang, Hospedales, Lu. "Deep Mutual Learning". CVPR 2018.
//! <https://arxiv.org/abs/1706.00384>
//! Authors' code: <https://github.com/YingZhangDUT/Deep-Mutual-Learning> (34a20583debe).

#[cfg(test)]
pub mod golden;

use burn::tensor::{Tensor, activation::softmax};
use limbeck_nn::{Outputs, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, MethodError, Probe, Procedure, STUDENT, Scene, Stage, Supervision, Term,
    criterion::{require_positive, require_weight},
    member_seed,
    softmax::{floored_kl, softened_kl},
};

/// Guards the ratio of the TensorFlow code twice.
const RATIO_GUARD: f64 = 1e-8;

/// When the networks are updated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MutualUpdate {
    /// One after the other, each seeing what the others have become.
    #[default]
    Sequential,
    /// All at once.
    Simultaneous,
}

/// What a network learns from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MutualTarget {
    /// The mean of the divergences from each.
    #[default]
    Peers,
    /// The sum of the divergences from each, with guards against division by zero.
    Guarded,
    /// The divergence from their mean.
    Ensemble,
}

/// Settings of [`Dml`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DmlConfig {
    /// Zoo names of the peers, joined by `+`; one more network like the student where missing.
    pub peers: Option<String>,
    /// When the networks are updated.
    pub update: MutualUpdate,
    /// What a network learns from the others.
    pub target: MutualTarget,
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the divergence.
    pub weight: f64,
    /// Whether the others are constants.
    pub detach_target: bool,
}

impl Default for DmlConfig {
    fn default() -> Self {
        Self {
            peers: None,
            update: MutualUpdate::Sequential,
            target: MutualTarget::Peers,
            temperature: 1.0,
            weight: 1.0,
            detach_target: true,
        }
    }
}

/// Networks that learn from each other.
#[derive(Clone, Debug)]
pub struct Dml {
    config: DmlConfig,
    /// Names in the cast, the student first.
    members: Vec<String>,
}

impl Dml {
    const ID: &'static str = "dml";

    /// Adds the peers `peer1`, `peer2`, … to the cast.
    ///
    /// # Errors
    /// A setting out of range, or a peer that is not in the zoo or does not take the images.
    pub fn new(config: DmlConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "weight", config.weight)?;
        let student = cast.network(STUDENT)?.name().to_owned();
        let peers = config.peers.clone().unwrap_or(student);
        let mut members = vec![STUDENT.to_owned()];
        for (index, model) in (1..).zip(peers.split('+')) {
            let name = format!("peer{index}");
            cast.add_model(&name, model.trim(), member_seed(probe.seed, index))?;
            members.push(name);
        }
        Ok(Self { config, members })
    }

    /// What network `index` learns from the others, `[1]`, before its weight. `logits` are those of
    /// all networks, each `[B, K]`; the others' are constants unless the settings say otherwise.
    ///
    /// # Errors
    /// Fewer than two networks, or logits of different shapes.
    pub fn mutual(&self, index: usize, logits: &[Tensor<2>]) -> Result<Tensor<1>, MethodError> {
        let own = &logits[index];
        let others = logits
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != index);
        let detaches = self.config.detach_target || self.config.target != MutualTarget::Ensemble;
        let others: Vec<Tensor<2>> = others
            .map(|(_, logits)| match detaches {
                true => logits.clone().inner(),
                false => logits.clone(),
            })
            .collect();
        let refuse = || {
            let shapes: Vec<String> = logits.iter().map(|l| format!("{:?}", l.dims())).collect();
            MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "needs logits of two networks or more, all of one shape; found {}",
                    shapes.join(", ")
                ),
            }
        };
        if others.iter().any(|other| other.dims() != own.dims()) {
            return Err(refuse());
        }
        let temperature = self.config.temperature;
        let share = 1.0 / others.len() as f64;
        let others = others.into_iter();
        let value = match self.config.target {
            MutualTarget::Peers => others
                .map(|other| softened_kl(own.clone(), other, temperature).mul_scalar(share))
                .reduce(|sum, part| sum + part),
            MutualTarget::Guarded => others
                .map(|other| guarded(own.clone(), other))
                .reduce(|sum, part| sum + part),
            MutualTarget::Ensemble => others
                .reduce(|sum, other| sum + other)
                .map(|sum| floored_kl(own.clone(), sum.mul_scalar(share), temperature)),
        };
        value.ok_or_else(refuse)
    }

    /// Names of a network's terms: the student's are `task` and `mutual`.
    fn name(&self, term: &str, index: usize) -> String {
        match index {
            0 => term.to_owned(),
            _ => format!("{term}.{}", self.members[index]),
        }
    }

    fn terms(
        &self,
        index: usize,
        outputs: &[Outputs],
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let mut terms = scene.supervise_labelled(&outputs[index], 1.0)?;
        for term in &mut terms {
            term.name = self.name(&term.name, index);
        }
        // On the grid of the network that learns.
        let own = &outputs[index].prediction;
        let Supervision { task, target } = scene.supervision();
        let logits = outputs.iter().enumerate().map(|(other, outputs)| {
            let beside = (other != index).then_some(&outputs.prediction);
            let rows = task.rows(own, beside, target)?;
            Ok(rows.teacher.unwrap_or(rows.student))
        });
        let logits = logits.collect::<Result<Vec<_>, MethodError>>()?;
        let mutual = self.mutual(index, &logits)?;
        let name = self.name("mutual", index);
        terms.push(Term::new(&name, mutual, self.config.weight));
        Ok(terms)
    }
}

/// 1/B Σ_b Σ_k p_j log(1e-8 + p_j/(p_i + 1e-8)).
fn guarded(own: Tensor<2>, other: Tensor<2>) -> Tensor<1> {
    let [batch, _] = own.dims();
    let (own, other) = (softmax(own, 1), softmax(other, 1));
    let ratio = other.clone() / own.add_scalar(RATIO_GUARD);
    let divergence = (other * ratio.add_scalar(RATIO_GUARD).log()).sum();
    divergence.mul_scalar(1.0 / batch as f64)
}

impl Procedure for Dml {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let members = self.members.iter().map(String::as_str);
        let acts = match self.config.update {
            MutualUpdate::Simultaneous => vec![Act::training(members)],
            MutualUpdate::Sequential => members.map(|member| Act::training([member])).collect(),
        };
        vec![Stage::new("train", epochs, acts)]
    }

    fn play(
        &mut self,
        _stage: usize,
        act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let images = &scene.batch().images;
        let simultaneous = self.config.update == MutualUpdate::Simultaneous;
        let mut all = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            let outputs = match simultaneous || index == act {
                true => scene.train(member, images.clone(), &Taps::none())?,
                false => scene.rehearse(member, images.clone(), &Taps::none())?,
            };
            all.push(outputs);
        }
        let learners = match simultaneous {
            true => 0..self.members.len(),
            false => act..act + 1,
        };
        let mut terms = Vec::new();
        for index in learners {
            terms.extend(self.terms(index, &all, scene)?);
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        assert_close, gradient, leaf, network, network_probe, number, numbers, random,
    };

    fn make(config: DmlConfig) -> Result<(Dml, Cast), MethodError> {
        let mut cast = Cast::new(network("resnet8", 1));
        let dml = Dml::new(config, &network_probe(), &mut cast)?;
        Ok((dml, cast))
    }

    fn of(target: MutualTarget) -> Dml {
        let config = DmlConfig {
            target,
            ..DmlConfig::default()
        };
        make(config).unwrap().0
    }

    const TARGETS: [MutualTarget; 3] = [
        MutualTarget::Peers,
        MutualTarget::Guarded,
        MutualTarget::Ensemble,
    ];

    #[test]
    fn equal_logits_cost_nothing_but_the_guards() {
        let logits = vec![random("z", [4, 5]); 3];
        assert_close(
            &[number(&of(MutualTarget::Peers).mutual(1, &logits).unwrap())],
            &[0.0],
        );
        for target in TARGETS {
            let value = number(&of(target).mutual(1, &logits).unwrap());
            assert!(value.abs() < 1e-5, "{target:?}: {value}");
        }
    }

    #[test]
    fn a_constant_added_to_a_peers_logits_changes_nothing() {
        for target in TARGETS {
            let dml = of(target);
            let logits = ["a", "b", "c"].map(|name| random(name, [4, 5])).to_vec();
            let mut moved = logits.clone();
            moved[2] = moved[2].clone().add_scalar(3.0);
            let before = number(&dml.mutual(0, &logits).unwrap());
            let after = number(&dml.mutual(0, &moved).unwrap());
            assert!((before - after).abs() < 1e-9, "{target:?}");
        }
    }

    #[test]
    fn the_gradient_is_the_difference_of_probabilities_and_none_reaches_a_peer() {
        let dml = of(MutualTarget::Peers);
        let [own, peer] = ["a", "b"].map(|name| leaf(random(name, [4, 5])));
        let loss = dml.mutual(0, &[own.clone(), peer.clone()]).unwrap();
        let gradients = loss.backward();
        let difference = softmax(own.clone().inner(), 1) - softmax(peer.clone().inner(), 1);
        let expected = numbers(&difference.mul_scalar(0.25));
        assert_close(&gradient(&own, &gradients).unwrap(), &expected);
        assert!(gradient(&peer, &gradients).is_none());
    }

    #[test]
    fn the_mean_over_one_peer_is_that_peer() {
        let dml = of(MutualTarget::Peers);
        let [a, b] = ["a", "b"].map(|name| random(name, [4, 5]));
        let two = number(&dml.mutual(0, &[a.clone(), b.clone()]).unwrap());
        let three = number(&dml.mutual(0, &[a.clone(), b.clone(), b.clone()]).unwrap());
        assert_close(&[two, three], &[number(&softened_kl(a, b, 1.0)); 2]);
    }

    #[test]
    fn peers_are_drawn_apart_and_may_be_other_networks() {
        let (dml, cast) = make(DmlConfig::default()).unwrap();
        assert_eq!(dml.members, ["student", "peer1"]);
        let first = |name: &str| numbers(&cast.store(name).unwrap().entries()[0].value);
        assert_ne!(first("student"), first("peer1"));
        let config = DmlConfig {
            peers: Some("resnet14 + resnet8".to_owned()),
            ..DmlConfig::default()
        };
        let (dml, cast) = make(config).unwrap();
        assert_eq!(dml.members.len(), 3);
        assert_eq!(cast.network("peer1").unwrap().name(), "resnet14");
    }

    #[test]
    fn unfit_settings_and_logits_are_refused() {
        let config = DmlConfig {
            temperature: 0.0,
            ..DmlConfig::default()
        };
        let error = make(config).unwrap_err().to_string();
        assert!(
            error.contains("`temperature` must be a number above 0"),
            "{error}"
        );
        let config = DmlConfig {
            peers: Some("resnet9000".to_owned()),
            ..DmlConfig::default()
        };
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains("resnet9000"), "{error}");
        let dml = of(MutualTarget::Peers);
        for logits in [
            vec![random("a", [4, 5])],
            vec![random("a", [4, 5]), random("b", [4, 6])],
            vec![random("a", [4, 5]), random("b", [3, 5])],
        ] {
            let error = dml.mutual(0, &logits).unwrap_err().to_string();
            assert!(error.contains("two networks or more"), "{error}");
        }
    }
}
