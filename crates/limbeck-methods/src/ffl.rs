//! # ffl — Feature Fusion for Online Mutual Knowledge Distillation
//!
//! Networks learn side by side, and a small module classifies their last feature maps together.
//! The mean of the networks' logits teaches the fused classifier, which teaches every network
//! back. There is no teacher; one network, the student, is kept.
//!
//! ## Definition
//! L = Σ_i CE(z_i, y) + CE(z_f, y) + w(e) · [ Σ_i D(z_i, z_f) + D(z_f, mean_i z_i) ]
//!
//! z_i: logits of network i of M, z_f: those of the fused classifier: the maps side by side, a
//! depthwise 3×3 convolution, BN, ReLU, a 1×1 convolution to the channels of one map, BN, ReLU, the
//! mean over positions, a linear map. D(z, t) = T²/B · Σ_b Σ_k q_k (log q_k − log softmax(z/T)_k)
//! with q = softmax(t/T) + 1e-7 and t detached, T: `temperature`. The maps are not detached: what
//! the fused classifier learns trains the networks too. w(e) = exp(−5 (1 − min(e, R)/R)²) with the
//! epoch e counted from 0 and R = `rampup_epochs`.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]`; the map `[B, C, H, W]` of each network's last stage (tokens are put back
//! on their grid), with the same number of channels in all; larger maps are averaged down to the
//! smallest. Logits `[B, K]`; labels `[B]` or the shares of the classes `[B, K]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `peers` | none | names of the zoo joined by `+` | none is one more like the student |
//! | `temperature` | 3 | > 0 | authors' code |
//! | `rampup_epochs` | 80 | ≥ 0 epochs, 0 for w = 1 | same, for 300 epochs |
//! | `fusion_weight_decay` | 1e-5 | ≥ 0 | same |
//!
//! ## Notes
//! The released code has two branches on a shared stem; the paper also fuses networks of different
//! architecture, of which there is no code. Here all are whole networks, the student among them,
//! so that every network of the zoo can take part; averaging down unequal maps is our reading. The
//! fused classifier is thrown away. The ramp is counted in epochs: a run of far fewer than 300
//! wants a smaller `rampup_epochs`. Cost: M training steps and 9·MC + MC² + CK weights.
//!
//! ## Reference
//! Kim, Hyun, Chung, Kwak. "Feature Fusion for Online Mutual Knowledge Distillation". ICPR 2020.
//! <https://arxiv.org/abs/1904.09058>
//! Authors' code: <https://github.com/Jangho-Kim/FFL-pytorch> (546d47810319).

#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::{Pass, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Cast, MethodError, Probe, Procedure, Scene, Stage, Term,
    connector::pool_map,
    criterion::{require_positive, require_weight},
    fusion::{Fused, Fusion, FusionNames, mutual_terms},
    pairs::map_of,
    peers::{Peers, require_several},
    rampup::rampup,
    softmax::floored_kl,
};

/// Name of the fused classifier in the cast.
const FUSION: &str = "fusion";

/// Names of the released code.
const NAMES: FusionNames = FusionNames {
    depthwise: ["conv1", "bn1"],
    pointwise: ["conv1_1", "bn1_1"],
    classifier: "fc2",
};

/// Settings of [`Ffl`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FflConfig {
    /// Zoo names of the peers, joined by `+`; one more network like the student where missing.
    pub peers: Option<String>,
    /// Softens both distributions.
    pub temperature: f64,
    /// Epochs until the divergences have their full weight.
    pub rampup_epochs: usize,
    /// Pull of the fused classifier's weights towards zero.
    pub fusion_weight_decay: f64,
}

impl Default for FflConfig {
    fn default() -> Self {
        Self {
            peers: None,
            temperature: 3.0,
            rampup_epochs: 80,
            fusion_weight_decay: 1e-5,
        }
    }
}

/// Networks and a classifier of their fused maps that teach each other.
#[derive(Debug)]
pub struct Ffl {
    config: FflConfig,
    peers: Peers,
    /// Last stage of each network.
    taps: Vec<String>,
    /// `[height, width]` of the smallest map.
    size: [usize; 2],
    fusion: Fusion,
}

impl Ffl {
    const ID: &'static str = "ffl";

    /// Adds the peers and the fused classifier: `conv1.*`, `bn1.*`, `conv1_1.*`, `bn1_1.*`,
    /// `fc2.*` of the member `fusion`.
    ///
    /// # Errors
    /// A setting out of range, a peer that cannot be built, or last stages of different widths.
    pub fn new(config: FflConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "fusion_weight_decay", config.fusion_weight_decay)?;
        let peers = Peers::named(config.peers.as_deref(), probe, cast)?;
        let stages = peers.last_stages(Self::ID, probe, cast)?;
        let channels = stages[0].1[0];
        peers.require_fitting(
            Self::ID,
            &stages,
            |own, other| own[0] == other[0],
            "the same number of channels in all networks",
        )?;
        let least = |axis: usize| stages.iter().map(|(_, shape)| shape[axis]).min();
        let size = [1, 2].map(|axis| least(axis).unwrap_or(1));
        require_several(Self::ID, probe.batch * size[0] * size[1])?;
        let fusion = cast.add_modules(FUSION, probe.seed, |builder| {
            let networks = peers.count();
            Ok(Fusion::new(
                builder,
                NAMES,
                networks,
                channels,
                probe.classes,
            ))
        })?;
        Ok(Self {
            config,
            peers,
            taps: stages.into_iter().map(|(tap, _)| tap).collect(),
            size,
            fusion,
        })
    }

    /// Classifies the maps `[B, C, H, W]` of all networks together. `pass` runs over the member
    /// `fusion`.
    ///
    /// # Errors
    /// Another number of maps, or maps of different shapes.
    pub fn fuse(&self, pass: &mut Pass<'_>, maps: &[Tensor<4>]) -> Result<Fused, MethodError> {
        self.fusion.forward(Self::ID, pass, maps)
    }

    /// The divergences in epoch `epoch` (counted from 0) between the networks' logits and the fused
    /// classifier's, `[B, K]` each: `kd` of each network, and `fused`, that of the fused
    /// classifier.
    ///
    /// # Errors
    /// Another number of networks, or logits of different shapes.
    pub fn losses(
        &self,
        logits: &[Tensor<2>],
        fused: &Tensor<2>,
        epoch: usize,
    ) -> Result<Vec<Term>, MethodError> {
        let weight = rampup(epoch, self.config.rampup_epochs);
        mutual_terms(
            Self::ID,
            &self.peers,
            logits,
            fused,
            weight,
            |own, target| floored_kl(own, target, self.config.temperature),
        )
    }
}

impl Procedure for Ffl {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let decay = Some(self.config.fusion_weight_decay);
        vec![self.peers.stage(epochs, &[(FUSION, decay)])]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let outputs = self
            .peers
            .train(scene, |index| Taps::from_iter([&self.taps[index]]))?;
        let maps = outputs
            .iter()
            .zip(&self.taps)
            .map(|(outputs, tap)| {
                Ok(pool_map(
                    map_of(Self::ID, "network", outputs, tap)?,
                    self.size,
                ))
            })
            .collect::<Result<Vec<_>, MethodError>>()?;
        let logits: Vec<Tensor<2>> = outputs.into_iter().map(|o| o.logits()).collect();
        let fused = scene.modules(FUSION, |pass| self.fuse(pass, &maps))??;
        let mut terms = self.peers.task(scene, &logits, 1.0)?;
        terms.push(Term::new("fused", scene.task(fused.logits.clone())?, 1.0));
        terms.extend(self.losses(&logits, &fused.logits, scene.progress().epoch)?);
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

    fn make(config: FflConfig) -> Result<(Ffl, Cast), MethodError> {
        let mut cast = cast();
        let method = Ffl::new(config, &network_probe(), &mut cast)?;
        Ok((method, cast))
    }

    fn logits() -> Vec<Tensor<2>> {
        ["a", "b"].map(|name| random(name, [4, 5])).to_vec()
    }

    fn maps() -> Vec<Tensor<4>> {
        ["m", "n"].map(|name| random(name, [4, 64, 4, 4])).to_vec()
    }

    #[test]
    fn equal_logits_teach_next_to_nothing() {
        let (method, _) = make(FflConfig::default()).unwrap();
        let same = random("z", [4, 5]);
        let terms = method
            .losses(&[same.clone(), same.clone()], &same, 80)
            .unwrap();
        assert_eq!(terms.len(), 3);
        for term in terms {
            let value = number(&term.value);
            assert!((0.0..1e-3).contains(&value), "{value}");
        }
    }

    #[test]
    fn divergences_give_no_gradient_to_their_targets() {
        let (method, _) = make(FflConfig::default()).unwrap();
        let logits: Vec<Tensor<2>> = logits().into_iter().map(leaf).collect();
        let fused = leaf(random::<2>("f", [4, 5]));
        let mut terms = method.losses(&logits, &fused, 0).unwrap();
        assert_eq!(terms[2].name, "kd.fused");
        let gradients = terms.remove(2).value.backward();
        assert!(gradient(&fused, &gradients).is_some());
        assert!(gradient(&logits[0], &gradients).is_none());
        let gradients = terms.remove(0).value.backward();
        assert!(gradient(&fused, &gradients).is_none());
        assert!(gradient(&logits[0], &gradients).is_some());
    }

    #[test]
    fn what_the_fused_classifier_learns_trains_the_networks() {
        let (method, cast) = make(FflConfig::default()).unwrap();
        let maps: Vec<Tensor<4>> = maps().into_iter().map(leaf).collect();
        let mut pass = pass(cast.store(FUSION).unwrap());
        let fused = method.fuse(&mut pass, &maps).unwrap();
        assert_eq!(fused.map.dims(), [4, 64, 4, 4]);
        let ce = cross_entropy(fused.logits, &labels(&[0, 1, 2, 3]), None, 0.0);
        let gradients = ce.backward();
        for map in &maps {
            let gradient = gradient(map, &gradients).unwrap();
            assert!(gradient.iter().any(|g| g.abs() > 0.0));
        }
    }

    #[test]
    fn the_weight_rises_and_networks_learn_from_the_labels_at_any_weight() {
        let (mut method, cast) = make(FflConfig::default()).unwrap();
        let weight = |epoch| method.losses(&logits(), &logits()[0], epoch).unwrap()[0].weight;
        assert_eq!((weight(0), weight(80)), ((-5f64).exp(), 1.0));
        let (names, arrived) = learners(&mut method, &cast);
        let expected = ["task", "task.peer1", "fused", "kd", "kd.peer1", "kd.fused"];
        assert_eq!(names, expected);
        assert_eq!(arrived.len(), 3);
        for (member, count) in arrived {
            assert_eq!(count, trained(&cast, &member), "{member}");
        }
    }

    #[test]
    fn networks_that_change_places_with_the_classifiers_channels_are_fused_alike() {
        let (method, mut cast) = make(FflConfig::default()).unwrap();
        let maps = maps();
        let fuse = |cast: &Cast, maps: &[Tensor<4>]| {
            let mut pass = pass(cast.store(FUSION).unwrap());
            numbers(&method.fuse(&mut pass, maps).unwrap().logits)
        };
        let before = fuse(&cast, &maps);
        crate::fusion::swap_halves(
            cast.store_mut(FUSION).unwrap(),
            ["conv1.weight", "conv1_1.weight"],
        );
        let after = fuse(&cast, &[maps[1].clone(), maps[0].clone()]);
        assert_close(&after, &before);
    }

    #[test]
    fn the_fused_classifier_has_a_pull_of_its_own() {
        let (method, _) = make(FflConfig::default()).unwrap();
        let act = method.stages(1)[0].acts[0].clone();
        let decay = |member: &str| {
            let trained = act.trains.iter().find(|trained| trained.member == member);
            trained.unwrap().optimizer.weight_decay
        };
        assert_eq!((decay(FUSION), decay("student")), (Some(1e-5), None));
    }

    #[test]
    fn other_networks_may_take_part_where_their_maps_have_the_same_channels() {
        let with = |peers: &str| FflConfig {
            peers: Some(peers.to_owned()),
            ..FflConfig::default()
        };
        let (mut method, cast) = make(with("resnet14 + resnet20")).unwrap();
        assert_eq!(learners(&mut method, &cast).1.len(), 4);
        let error = make(with("wrn_16_2")).unwrap_err().to_string();
        assert!(error.contains("choose other `peers`"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (settings, text) in [
            (json!({ "temperature": 0.0 }), "`temperature` must be"),
            (
                json!({ "fusion_weight_decay": -1.0 }),
                "`fusion_weight_decay` must be",
            ),
        ] {
            let config = serde_json::from_value(settings).unwrap();
            let error = make(config).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let (method, cast) = make(FflConfig::default()).unwrap();
        let store = cast.store(FUSION).unwrap();
        for other in [[3, 64, 4, 4], [4, 32, 4, 4], [4, 64, 4, 2]] {
            let maps = [maps()[0].clone(), random("o", other)];
            let error = method.fuse(&mut pass(store), &maps).unwrap_err();
            assert!(error.to_string().contains("the same shape"), "{error}");
        }
        let error = method.fuse(&mut pass(store), &maps()[..1]).unwrap_err();
        assert!(error.to_string().contains("of 2 networks"), "{error}");
        let other = random("f", [4, 6]);
        assert!(method.losses(&logits(), &other, 0).is_err());
    }
}
