//! # okddip — Online Knowledge Distillation with Diverse Peers
//!
//! Peers learn together, each from a mixture of all peers' logits that it chooses by attention, so
//! that they stay different. A group leader outside the mixture learns from their mean. There is no
//! teacher; the leader, the student, is kept.
//!
//! ## Definition
//! L = Σ_i CE(z_i, y) + CE(z_l, y) + weight · w(e) · [ Σ_i D(z_i, t_i) + D(z_l, mean_i z_i) ]
//!
//! z_i: logits of peer i, z_l: those of the leader; `members` in all. t_i = Σ_j a_ij z_j with
//! a_ij = softmax_j(⟨W_q h_i, W_k h_j⟩), where h_i is the peer's pooled feature and both maps go
//! from D to D/`factor` dimensions. D(z, t) = T²/B · Σ_b Σ_k q_k (log q_k − log softmax(z/T)_k) with
//! q = softmax(t/T) + 1e-7, T: `temperature`. w(e) = exp(−5 (1 − min(e, R)/R)²) with the epoch e
//! counted from 0 and R = `rampup_epochs`. Nothing is detached: gradients also flow through the
//! targets, and W_q and W_k have none but these. `detach_target` cuts them off.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]`; pooled feature `[B, D]` of each peer; logits `[B, K]` of each member;
//! labels `[B]` or the shares of the classes `[B, K]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `members` | 4 | ≥ 3 | authors' code |
//! | `factor` | 8 | a divisor of D | same |
//! | `temperature` | 3 | > 0 | same |
//! | `weight` | 1 | ≥ 0 | same |
//! | `rampup_epochs` | 80 | ≥ 0 epochs, 0 for w = 1 | same, for 300 epochs |
//! | `detach_target` | false | | same |
//!
//! ## Notes
//! Of the paper's two forms, branches on a shared trunk and separate networks, this is the second:
//! members are whole networks of the student's architecture, drawn from different seeds. With
//! `detach_target` the attention stays as it was drawn. The ramp is counted in epochs: a run of far
//! fewer than 300 wants a smaller `rampup_epochs`. Cost: `members` training steps, and 2·D²/factor
//! weights.
//!
//! ## Reference
//! Chen, Mei, Wang, Feng, Chen. "Online Knowledge Distillation with Diverse Peers". AAAI 2020.
//! <https://arxiv.org/abs/1912.00350>
//! Authors' code: <https://github.com/DefangChen/OKDDip-AAAI2020> (c6a05de892fc, no licence file).

#[cfg(test)]
pub mod golden;

use burn::tensor::{Tensor, activation::softmax};
use limbeck_nn::{Init, Pass, Taps, layer::Linear};
use serde::{Deserialize, Serialize};

use crate::{
    Cast, MethodError, Probe, Procedure, Scene, Stage, Term,
    criterion::{require_at_least, require_positive, require_weight},
    pairs::{find_map, vector_of},
    peers::{Peers, mean_logits, require_alike},
    rampup::rampup,
    softmax::floored_kl,
};

/// Name of the attention in the cast.
const ATTENTION: &str = "attention";
/// The tap that peers are compared by.
const POOLED: &str = "pooled";

/// Settings of [`Okddip`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OkddipConfig {
    /// Number of networks: the leader and its peers.
    pub members: usize,
    /// By how much the attention narrows the features.
    pub factor: usize,
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of all divergences.
    pub weight: f64,
    /// Epochs until the divergences have their full weight.
    pub rampup_epochs: usize,
    /// Whether targets are constants.
    pub detach_target: bool,
}

impl Default for OkddipConfig {
    fn default() -> Self {
        Self {
            members: 4,
            factor: 8,
            temperature: 3.0,
            weight: 1.0,
            rampup_epochs: 80,
            detach_target: false,
        }
    }
}

/// Peers that choose whom to learn from, and a leader that learns from all of them.
#[derive(Debug)]
pub struct Okddip {
    config: OkddipConfig,
    /// The leader is the student.
    peers: Peers,
    query: Linear,
    key: Linear,
}

impl Okddip {
    const ID: &'static str = "okddip";

    /// Adds the peers and the attention: `query_weight.weight`, `key_weight.weight` of the member
    /// `attention`.
    ///
    /// # Errors
    /// A setting out of range, a factor that does not divide the features, or a student without a
    /// pooled feature.
    pub fn new(config: OkddipConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_at_least(Self::ID, "members", config.members, 3)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "weight", config.weight)?;
        let (_, [width, ..]) = find_map(Self::ID, "student", &probe.student, POOLED)?;
        if config.factor == 0 || !width.is_multiple_of(config.factor) {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "factor",
                expected: format!("a divisor of the pooled feature's {width} dimensions"),
                found: config.factor.to_string(),
            });
        }
        let peers = Peers::alike(config.members, probe, cast)?;
        let narrow = width / config.factor;
        let (query, key) = cast.add_modules(ATTENTION, probe.seed, |builder| {
            let mut map = |name: &str| {
                let init = Init::pytorch_default(width);
                Linear::with_init(builder.sub(name), width, narrow, init, None)
            };
            Ok((map("query_weight"), map("key_weight")))
        })?;
        Ok(Self {
            config,
            peers,
            query,
            key,
        })
    }

    /// Whom each peer learns from, by the features `[B, D]` of all P peers: `[B, P, P]`, rows sum
    /// to one. `pass` runs over the member `attention`.
    ///
    /// # Errors
    /// Another number of peers, or features of different shapes.
    pub fn attend(
        &self,
        pass: &mut Pass<'_>,
        features: &[Tensor<2>],
    ) -> Result<Tensor<3>, MethodError> {
        require_alike(Self::ID, "features", features, self.config.members - 1)?;
        let features: Tensor<3> = Tensor::stack(features.to_vec(), 1);
        let query = self.query.forward(pass, features.clone());
        let key = self.key.forward(pass, features);
        Ok(softmax(pass.matmul(query, key.swap_dims(1, 2)), 2))
    }

    /// What each peer is taught, by attention `[B, P, P]` and the logits `[B, K]` of all P peers:
    /// `[B, P, K]`.
    ///
    /// # Errors
    /// Another number of peers, or logits of different shapes.
    pub fn targets(
        &self,
        attention: Tensor<3>,
        logits: &[Tensor<2>],
    ) -> Result<Tensor<3>, MethodError> {
        require_alike(Self::ID, "logits", logits, self.config.members - 1)?;
        Ok(attention.matmul(Tensor::stack(logits.to_vec(), 1)))
    }

    /// The divergences: `kd`, the leader's from the peers' mean, and `kd.peer1`, …, each peer's
    /// from its own target. `logits` `[B, K]` are those of all members, the leader first, `targets`
    /// the peers' `[B, P, K]`, `epoch` is counted from 0.
    ///
    /// # Errors
    /// Another number of members, or logits of different shapes.
    pub fn losses(
        &self,
        logits: &[Tensor<2>],
        targets: &Tensor<3>,
        epoch: usize,
    ) -> Result<Vec<Term>, MethodError> {
        require_alike(Self::ID, "logits", logits, self.config.members)?;
        let [batch, peers, classes] = targets.dims();
        let own = |i: usize| {
            let target = targets.clone().slice([0..batch, i..i + 1, 0..classes]);
            target.reshape([batch, classes])
        };
        let mut all = vec![mean_logits(&logits[1..])];
        all.extend((0..peers).map(own));
        let values = logits.iter().zip(all).map(|(logits, target)| {
            let target = match self.config.detach_target {
                true => target.inner(),
                false => target,
            };
            floored_kl(logits.clone(), target, self.config.temperature)
        });
        let weight = self.config.weight * rampup(epoch, self.config.rampup_epochs);
        Ok(self.peers.terms("kd", values, weight))
    }
}

impl Procedure for Okddip {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        vec![self.peers.stage(epochs, &[(ATTENTION, None)])]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let outputs = self.peers.train(scene, |index| match index {
            0 => Taps::none(),
            _ => Taps::from_iter([POOLED]),
        })?;
        let features = outputs[1..]
            .iter()
            .map(|peer| vector_of(Self::ID, "peer", peer, POOLED))
            .collect::<Result<Vec<_>, _>>()?;
        let logits: Vec<Tensor<2>> = outputs.into_iter().map(|o| o.logits()).collect();
        let attention = scene.modules(ATTENTION, |pass| self.attend(pass, &features))??;
        let targets = self.targets(attention, &logits[1..])?;
        let mut terms = self.peers.task(scene, &logits, 1.0)?;
        terms.extend(self.losses(&logits, &targets, scene.progress().epoch)?);
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        rehearsal::{cast, learners, trained},
        testing::{assert_close, gradient, leaf, network_probe, number, numbers, pass, random},
    };

    const WIDTH: usize = 64;

    fn make(config: OkddipConfig) -> Result<(Okddip, Cast), MethodError> {
        let mut cast = cast();
        let method = Okddip::new(config, &network_probe(), &mut cast)?;
        Ok((method, cast))
    }

    fn features() -> Vec<Tensor<2>> {
        ["h1", "h2", "h3"]
            .map(|name| random(name, [4, WIDTH]))
            .to_vec()
    }

    /// Logits of leader and peers.
    fn logits() -> Vec<Tensor<2>> {
        ["l", "a", "b", "c"]
            .map(|name| random(name, [4, 5]))
            .to_vec()
    }

    fn attend(method: &Okddip, cast: &Cast, features: &[Tensor<2>]) -> Tensor<3> {
        let mut pass = pass(cast.store(ATTENTION).unwrap());
        method.attend(&mut pass, features).unwrap()
    }

    #[test]
    fn rows_of_the_attention_sum_to_one() {
        let (method, cast) = make(OkddipConfig::default()).unwrap();
        let attention = attend(&method, &cast, &features());
        assert_eq!(attention.dims(), [4, 3, 3]);
        assert_close(&numbers(&attention.sum_dim(2)), &[1.0; 12]);
    }

    #[test]
    fn without_a_query_or_a_key_everybody_learns_from_the_mean() {
        for silent in ["query_weight.weight", "key_weight.weight"] {
            let (method, mut cast) = make(OkddipConfig::default()).unwrap();
            let store = cast.store_mut(ATTENTION).unwrap();
            let id = store.find(silent).unwrap();
            let count = store.entry(id).shape.iter().product();
            store.set_values(id, vec![0.0; count]);
            let attention = attend(&method, &cast, &features());
            assert_close(&numbers(&attention), &[1.0 / 3.0; 36]);
            let peers = &logits()[1..];
            let targets = method.targets(attention, peers).unwrap();
            let mean = numbers(&mean_logits(peers));
            for i in 0..3 {
                let own = targets.clone().slice([0..4, i..i + 1, 0..5]);
                assert_close(&numbers(&own), &mean);
            }
        }
    }

    #[test]
    fn equal_members_learn_next_to_nothing_from_each_other() {
        let (method, cast) = make(OkddipConfig::default()).unwrap();
        let attention = attend(&method, &cast, &features());
        let logits = vec![random("z", [4, 5]); 4];
        let targets = method.targets(attention, &logits[1..]).unwrap();
        for term in method.losses(&logits, &targets, 80).unwrap() {
            let value = number(&term.value);
            assert!((0.0..1e-3).contains(&value), "{value}");
        }
    }

    #[test]
    fn peers_learn_from_the_leaders_loss_unless_detached_and_the_leader_never_from_theirs() {
        for detach_target in [false, true] {
            let (method, cast) = make(OkddipConfig {
                detach_target,
                ..OkddipConfig::default()
            })
            .unwrap();
            let losses = || {
                let logits: Vec<Tensor<2>> = logits().into_iter().map(leaf).collect();
                let attention = attend(&method, &cast, &features());
                let targets = method.targets(attention, &logits[1..]).unwrap();
                (method.losses(&logits, &targets, 0).unwrap(), logits)
            };
            let (mut terms, logits) = losses();
            let gradients = terms.remove(0).value.backward();
            assert!(gradient(&logits[0], &gradients).is_some());
            assert_eq!(gradient(&logits[1], &gradients).is_none(), detach_target);
            let (mut terms, logits) = losses();
            let gradients = terms.remove(1).value.backward();
            assert!(gradient(&logits[0], &gradients).is_none());
            assert!(gradient(&logits[1], &gradients).is_some());
            assert_eq!(gradient(&logits[2], &gradients).is_none(), detach_target);
        }
    }

    #[test]
    fn targets_change_places_with_their_peers() {
        let (method, cast) = make(OkddipConfig::default()).unwrap();
        let (features, logits) = (features(), logits());
        let of = |order: [usize; 3]| {
            let features = order.map(|i| features[i].clone());
            let logits = order.map(|i| logits[1 + i].clone());
            let attention = attend(&method, &cast, &features);
            let targets = method.targets(attention, &logits).unwrap();
            let own = |i: usize| numbers(&targets.clone().slice([0..4, i..i + 1, 0..5]));
            [own(0), own(1), own(2)]
        };
        let ([a, b, c], [c2, a2, b2]) = (of([0, 1, 2]), of([2, 0, 1]));
        for (left, right) in [(a, a2), (b, b2), (c, c2)] {
            assert_close(&left, &right);
        }
    }

    #[test]
    fn members_and_attention_learn_in_one_act() {
        let (mut method, cast) = make(OkddipConfig::default()).unwrap();
        let (names, arrived) = learners(&mut method, &cast);
        assert_eq!(names.len(), 8);
        assert_eq!((names[0].as_str(), names[7].as_str()), ("task", "kd.peer3"));
        assert_eq!(arrived.len(), 5);
        for (member, count) in arrived {
            assert_eq!(count, trained(&cast, &member), "{member}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (settings, text) in [
            (
                json!({ "members": 2 }),
                "`members` must be at least 3, found 2",
            ),
            (
                json!({ "factor": 7 }),
                "a divisor of the pooled feature's 64 dimensions, found 7",
            ),
            (json!({ "factor": 0 }), "dimensions, found 0"),
            (json!({ "temperature": 0.0 }), "`temperature` must be"),
            (json!({ "weight": -0.5 }), "`weight` must be"),
        ] {
            let config = serde_json::from_value(settings).unwrap();
            let error = make(config).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let (method, cast) = make(OkddipConfig::default()).unwrap();
        let mut features = features();
        features[1] = random("h", [4, 8]);
        let mut pass = pass(cast.store(ATTENTION).unwrap());
        let error = method.attend(&mut pass, &features).unwrap_err().to_string();
        assert!(error.contains("features of all networks"), "{error}");
        let mut logits = logits();
        logits[2] = random("z", [3, 5]);
        let attention = random("attention", [4, 3, 3]);
        let error = method.targets(attention, &logits[1..]).unwrap_err();
        assert!(error.to_string().contains("the same shape"), "{error}");
        let targets = random("targets", [4, 3, 5]);
        let error = method.losses(&logits, &targets, 0).unwrap_err();
        assert!(error.to_string().contains("the same shape"), "{error}");
    }
}
