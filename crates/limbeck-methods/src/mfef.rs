//! # mfef — Multi scale Feature Extraction and Fusion for Online Knowledge Distillation
//!
//! Networks learn side by side. Each one's last feature map is enriched at several receptive fields
//! and weighed by channel and by position; the enriched maps are fused into one classifier. The
//! mean of the networks' logits teaches it, and it teaches every network back. There is no teacher;
//! one network, the student, is kept.
//!
//! ## Definition
//! L = Σ_i CE(z_i, y) + CE(z_f, y) + w(e) · [ Σ_i KL_T(z_f → z_i) + KL_T(mean_i z_i → z_f) ]
//!
//! z_i: logits of network i of M, z_f: the fused classifier's; KL_T(t → z) = T²/B · Σ_b KL(softmax(t/T)
//! ‖ softmax(z/T)) with t detached, T: `temperature`. w(e) = exp(−5 (1 − min(e, R)/R)²) with the
//! epoch e counted from 0 and R = `rampup_epochs`. From the map F of a network with C channels:
//! - s = `groups` runs of channels x_1 … x_s; y_1 = x_1, y_2 = K_1(x_2), y_j = K_(j−1)(x_j + y_(j−1));
//!   K is a 3×3 convolution, BN, ReLU. Y = y_1 … y_s side by side.
//! - a_c = sigmoid(W_2 ReLU(W_1 mean Y) + W_2 ReLU(W_1 max Y)) over positions, narrowed to
//!   C/`reduction` in between; a_s = sigmoid(S(mean, max)) over the channels of a_c ⊙ Y, S a
//!   convolution with a side of `spatial_kernel`. G = a_s ⊙ a_c ⊙ Y.
//!
//! z_f: G_1 … G_M side by side, a depthwise 3×3 convolution, BN, ReLU, a 1×1 convolution to C
//! channels, BN, ReLU, the mean over positions, a linear map. The maps are not detached: what the
//! fused classifier learns trains the networks too.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]`; the map `[B, C, H, W]` of each network's last stage (tokens are put back
//! on their grid), of one shape in all. Logits `[B, K]`; labels `[B]` or the shares of the classes
//! `[B, K]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `peers` | none | names of the zoo joined by `+` | none is one more like the student |
//! | `groups` | 4 | a divisor of C | our reading: Res2Net |
//! | `reduction` | 16 | ≥ 1 | our reading: CBAM |
//! | `spatial_kernel` | 7 | odd | same |
//! | `temperature` | 3 | > 0 | our reading: FFL's code |
//! | `rampup_epochs` | 80 | ≥ 0 epochs, 0 for w = 1 | same, for 300 epochs |
//! | `modules_weight_decay` | 1e-5 | ≥ 0 | same |
//!
//! ## Notes
//! There is no code, and of the paper we know the abstract alone. It has the division of channels,
//! the dual attention and the fusion of all students' maps; everything beyond that is our reading,
//! made of the field's usual parts: the split of Res2Net, the attention of CBAM, fusion and mutual
//! losses of FFL. All networks are whole ones. What is added is thrown away. The ramp is counted
//! in epochs: a run of far fewer than 300 wants a smaller `rampup_epochs`. Cost: M training steps;
//! for each network (s − 1)·9·(C/s)² + 2·C²/r + 2·k² weights, and 9·MC + MC² + CK for the fusion.
//!
//! ## Reference
//! Zou, Teng, Niu. "Multi scale Feature Extraction and Fusion for Online Knowledge Distillation".
//! 2022. <https://arxiv.org/abs/2206.08224>

mod branch;
#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::{Builder, Pass, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Cast, MethodError, Probe, Procedure, Scene, Stage, Term,
    criterion::{require_at_least, require_positive, require_weight},
    fusion::{Fused, Fusion, FusionNames, mutual_terms},
    pairs::map_of,
    peers::{Peers, require_alike, require_several},
    rampup::rampup,
    softmax::softened_kl,
};

pub use branch::{BranchShape, MultiScaleBranch};

/// Name of branches and fusion in the cast.
const MODULES: &str = "modules";

const NAMES: FusionNames = FusionNames {
    depthwise: ["dw", "bn1"],
    pointwise: ["pw", "bn2"],
    classifier: "fc",
};

/// Settings of [`Mfef`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MfefConfig {
    /// Zoo names of the peers, joined by `+`; one more network like the student where missing.
    pub peers: Option<String>,
    /// Runs of channels with receptive fields of their own.
    pub groups: usize,
    /// By how much the channel attention narrows the channels.
    pub reduction: usize,
    /// Side of the spatial attention's kernel.
    pub spatial_kernel: usize,
    /// Softens both distributions.
    pub temperature: f64,
    /// Epochs until the divergences have their full weight.
    pub rampup_epochs: usize,
    /// Pull of the branches' and the fusion's weights towards zero.
    pub modules_weight_decay: f64,
}

impl Default for MfefConfig {
    fn default() -> Self {
        Self {
            peers: None,
            groups: 4,
            reduction: 16,
            spatial_kernel: 7,
            temperature: 3.0,
            rampup_epochs: 80,
            modules_weight_decay: 1e-5,
        }
    }
}

/// Networks and a classifier of their enriched maps that teach each other.
#[derive(Debug)]
pub struct Mfef {
    config: MfefConfig,
    peers: Peers,
    /// Last stage of each network.
    taps: Vec<String>,
    branches: Vec<MultiScaleBranch>,
    fusion: Fusion,
}

impl Mfef {
    const ID: &'static str = "mfef";

    /// Adds the peers and, as the member `modules`, `branch.{i}.msfe.*`, `branch.{i}.att.*` and
    /// `fusion.*`.
    ///
    /// # Errors
    /// A setting out of range, a peer that cannot be built, or last stages of different shapes.
    pub fn new(config: MfefConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_at_least(Self::ID, "reduction", config.reduction, 1)?;
        let decay = config.modules_weight_decay;
        require_weight(Self::ID, "modules_weight_decay", decay)?;
        let refuse = |key, expected, found: usize| MethodError::Setting {
            method: Self::ID,
            key,
            expected,
            found: found.to_string(),
        };
        if config.spatial_kernel.is_multiple_of(2) {
            let found = config.spatial_kernel;
            return Err(refuse("spatial_kernel", "odd".to_owned(), found));
        }
        let peers = Peers::named(config.peers.as_deref(), probe, cast)?;
        let stages = peers.last_stages(Self::ID, probe, cast)?;
        peers.require_fitting(
            Self::ID,
            &stages,
            |own, other| own == other,
            "the same shape in all networks",
        )?;
        let [channels, height, width] = stages[0].1;
        if config.groups == 0 || !channels.is_multiple_of(config.groups) {
            let expected = format!("a divisor of the last stage's {channels} channels");
            return Err(refuse("groups", expected, config.groups));
        }
        require_several(Self::ID, probe.batch * height * width)?;
        let shape = BranchShape {
            channels,
            groups: config.groups,
            reduction: config.reduction,
            spatial_kernel: config.spatial_kernel,
        };
        let networks = peers.count();
        let make = |builder: &mut Builder<'_>| {
            let branch = |i| MultiScaleBranch::new(&mut builder.sub(format!("branch.{i}")), shape);
            let branches: Vec<MultiScaleBranch> = (0..networks).map(branch).collect();
            let mut level = builder.sub("fusion");
            let fusion = Fusion::new(&mut level, NAMES, networks, channels, probe.classes);
            Ok((branches, fusion))
        };
        let (branches, fusion) = cast.add_modules(MODULES, probe.seed, make)?;
        Ok(Self {
            config,
            peers,
            taps: stages.into_iter().map(|(tap, _)| tap).collect(),
            branches,
            fusion,
        })
    }

    /// Enriches the maps `[B, C, H, W]` of all networks and classifies them together. `pass` runs
    /// over the member `modules`.
    ///
    /// # Errors
    /// Another number of maps, or maps of different shapes.
    pub fn fuse(&self, pass: &mut Pass<'_>, maps: &[Tensor<4>]) -> Result<Fused, MethodError> {
        require_alike(Self::ID, "maps", maps, self.branches.len())?;
        let enriched: Vec<Tensor<4>> = self
            .branches
            .iter()
            .zip(maps)
            .map(|(branch, map)| branch.forward(pass, map.clone()).map)
            .collect();
        self.fusion.forward(Self::ID, pass, &enriched)
    }

    /// The divergences in epoch `epoch` (counted from 0) between the networks' logits and the fused
    /// classifier's, `[B, K]` each: `kd` of each network, and `kd.fused`, that of the fused
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
            |own, target| softened_kl(own, target, self.config.temperature),
        )
    }
}

impl Procedure for Mfef {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let decay = Some(self.config.modules_weight_decay);
        vec![self.peers.stage(epochs, &[(MODULES, decay)])]
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
            .map(|(outputs, tap)| map_of(Self::ID, "network", outputs, tap))
            .collect::<Result<Vec<_>, _>>()?;
        let logits: Vec<Tensor<2>> = outputs.into_iter().map(|o| o.logits()).collect();
        let fused = scene.modules(MODULES, |pass| self.fuse(pass, &maps))??;
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

    fn make(config: MfefConfig) -> Result<(Mfef, Cast), MethodError> {
        let mut cast = cast();
        let method = Mfef::new(config, &network_probe(), &mut cast)?;
        Ok((method, cast))
    }

    fn logits() -> Vec<Tensor<2>> {
        ["a", "b"].map(|name| random(name, [4, 5])).to_vec()
    }

    fn maps() -> Vec<Tensor<4>> {
        ["m", "n"].map(|name| random(name, [4, 64, 4, 4])).to_vec()
    }

    #[test]
    fn equal_logits_teach_nothing() {
        let (method, _) = make(MfefConfig::default()).unwrap();
        let same = random("z", [4, 5]);
        for term in method
            .losses(&[same.clone(), same.clone()], &same, 80)
            .unwrap()
        {
            assert_close(&[number(&term.value)], &[0.0]);
        }
    }

    #[test]
    fn divergences_give_no_gradient_to_their_targets() {
        let (method, _) = make(MfefConfig::default()).unwrap();
        let logits: Vec<Tensor<2>> = logits().into_iter().map(leaf).collect();
        let fused = leaf(random::<2>("f", [4, 5]));
        let mut terms = method.losses(&logits, &fused, 0).unwrap();
        let gradients = terms.remove(2).value.backward();
        assert!(gradient(&fused, &gradients).is_some());
        assert!(gradient(&logits[0], &gradients).is_none());
        let gradients = terms.remove(0).value.backward();
        assert!(gradient(&fused, &gradients).is_none());
        assert!(gradient(&logits[0], &gradients).is_some());
    }

    #[test]
    fn what_the_fused_classifier_learns_trains_the_networks() {
        let (method, cast) = make(MfefConfig::default()).unwrap();
        let maps: Vec<Tensor<4>> = maps().into_iter().map(leaf).collect();
        let mut pass = pass(cast.store(MODULES).unwrap());
        let fused = method.fuse(&mut pass, &maps).unwrap();
        let ce = cross_entropy(fused.logits, &labels(&[0, 1, 2, 3]), None, 0.0);
        let gradients = ce.backward();
        for map in &maps {
            let gradient = gradient(map, &gradients).unwrap();
            assert!(gradient.iter().any(|g| g.abs() > 0.0));
        }
    }

    #[test]
    fn networks_may_change_places_with_their_branches_and_channels() {
        let (method, mut cast) = make(MfefConfig::default()).unwrap();
        let maps = maps();
        let fuse = |cast: &Cast, maps: &[Tensor<4>]| {
            let mut pass = pass(cast.store(MODULES).unwrap());
            numbers(&method.fuse(&mut pass, maps).unwrap().logits)
        };
        let before = fuse(&cast, &maps);
        let store = cast.store_mut(MODULES).unwrap();
        crate::fusion::swap_halves(store, ["fusion.dw.weight", "fusion.pw.weight"]);
        let names: Vec<String> = store.entries().iter().map(|e| e.name.clone()).collect();
        for name in names {
            let Some(rest) = name.strip_prefix("branch.0.") else {
                continue;
            };
            let first = store.find(&name).unwrap();
            let second = store.find(&format!("branch.1.{rest}")).unwrap();
            let (a, b) = (
                store.entry(first).value.clone(),
                store.entry(second).value.clone(),
            );
            store.set(first, b);
            store.set(second, a);
        }
        let after = fuse(&cast, &[maps[1].clone(), maps[0].clone()]);
        assert_close(&after, &before);
    }

    #[test]
    fn the_weight_rises_and_everybody_learns() {
        let (mut method, cast) = make(MfefConfig::default()).unwrap();
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
    fn what_does_not_fit_is_refused() {
        for (settings, text) in [
            (json!({ "temperature": 0.0 }), "`temperature` must be"),
            (
                json!({ "groups": 3 }),
                "`groups` must be a divisor of the last stage's 64 channels, found 3",
            ),
            (json!({ "groups": 0 }), "channels, found 0"),
            (json!({ "reduction": 0 }), "`reduction` must be at least 1"),
            (
                json!({ "spatial_kernel": 4 }),
                "`spatial_kernel` must be odd, found 4",
            ),
            (
                json!({ "modules_weight_decay": -1.0 }),
                "`modules_weight_decay` must be",
            ),
            (json!({ "peers": "wrn_16_2" }), "choose other `peers`"),
        ] {
            let config = serde_json::from_value(settings).unwrap();
            let error = make(config).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let (method, cast) = make(MfefConfig::default()).unwrap();
        let store = cast.store(MODULES).unwrap();
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
