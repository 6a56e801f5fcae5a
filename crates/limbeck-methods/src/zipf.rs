//! # zipf — Efficient One Pass Self-distillation with Zipf's Label Smoothing
//!
//! The classes beside the label are ranked by the network itself, by votes of all positions of its
//! last map, and get probabilities that fall with the rank as Zipf's law says: soft targets
//! without a teacher, from the one pass that there is.
//!
//! ## Definition
//! L = CE(z, y) + weight · 1/B Σ_b Σ_{c≠y} q_bc (log q_bc − log p_bc) + head_weight · Σ_h CE(a_h, y)
//!
//! z: student logits; p: softmax over the K − 1 logits beside the label's; q: w normalised over
//! the same classes, a constant. The score of a class is the number of positions at which it is
//! the classifier's most probable one, or its logit. Its rank r is 1 + the number of classes, the
//! label among them, with a greater score; R is the number of those whose score is not smaller.
//! `distribution = "rank"`: w = r^−power. `distribution = "unbiased"`:
//! w = ln((l + R·I)/(l + (r − 1)·I))/(R − r + 1) with I = (h − l)/K, l: `left_bound`,
//! h: `right_bound`. a_h: logits of extra heads on earlier stages, whose positions vote too; there
//! are none by default.
//!
//! ## Inputs and shapes
//! Student logits `[B, K]`, labels `[B]`. For votes the last map `[B, D, H, W]` that is as wide as
//! the classifier's input (tokens are put back on their grid), and the classifier's weights.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `weight` | 0.1 | ≥ 0 | authors' CIFAR-100 and ImageNet commands; 1 for TinyImageNet and INAT |
//! | `rank_by` | `auto` | `votes`, `logits`, `auto` | votes in all released commands; `auto`: where there is such a map |
//! | `distribution` | `rank` | `rank`, `unbiased` | authors' code |
//! | `power` | 1 | > 0 | same; read by `rank` |
//! | `left_bound` | 0.001 | > 0 | same; read by `unbiased` |
//! | `right_bound` | 1 | > `left_bound` | same |
//! | `mask_wrong` | false | | same: whether images that are classified wrongly are left out |
//! | `upsample` | true | | the CIFAR commands: the map is doubled bilinearly before the vote |
//! | `deep_layers` | 1 | 1 to 3 | the commands; 2 and 3 add heads on the one or two stages before the last |
//! | `head_weight` | 1 | ≥ 0 | ours; without heads, as in the commands, it does nothing |
//!
//! ## Notes
//! With two classes there is one beside the label and the term is 0. Where images are mixed, the
//! label is the class with the greater share. Nets whose last map is narrower than the
//! classifier's input, such as MobileNetV2, rank by logits. In a transformer that averages patches
//! before its last norm, the patches vote without that norm. Cost: one K-wide linear map at each
//! position, without gradient, and a sort of B·K scores.
//!
//! ## Reference
//! Liang, Li, Bing, Zhao, Tang, Lin, Fan. "Efficient One Pass Self-distillation with Zipf's Label
//! Smoothing". ECCV 2022. <https://arxiv.org/abs/2207.12980>
//! Authors' code: <https://github.com/megvii-research/zipfls> (108e27aaf81a, Apache-2.0).

#[cfg(test)]
pub mod golden;
mod ranks;
#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use limbeck_nn::{
    Outputs, TapKind, Taps,
    layer::{Linear, global_avg_pool2d, resize_bilinear},
};
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, Classifier, MethodError, Probe, Procedure, STUDENT, Scene, Stage, Term,
    criterion::{require_at_least, require_positive, require_weight},
    pairs::{find_map, map_of, map_shape, stages},
    softmax::other_classes,
};

/// What ranks the classes of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZipfRanking {
    /// Votes where the student has a map for them, else logits.
    #[default]
    Auto,
    /// Votes of the positions of the last map.
    Votes,
    /// The logits.
    Logits,
}

/// How probabilities fall with the rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZipfDistribution {
    /// One over a power of the rank.
    #[default]
    Rank,
    /// What 1/x leaves of an interval for each place.
    Unbiased,
}

/// Settings of [`Zipf`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ZipfConfig {
    /// Factor of the divergence.
    pub weight: f64,
    /// What ranks the classes.
    pub rank_by: ZipfRanking,
    /// How probabilities fall with the rank.
    pub distribution: ZipfDistribution,
    /// Exponent of the rank.
    pub power: f64,
    /// Lower end of the interval of the unbiased form.
    pub left_bound: f64,
    /// Its upper end.
    pub right_bound: f64,
    /// Whether the mean is over images that are classified rightly alone.
    pub mask_wrong: bool,
    /// Whether the map is doubled before the vote.
    pub upsample: bool,
    /// Layers that vote, the last among them.
    pub deep_layers: usize,
    /// Factor of the extra heads' cross entropies.
    pub head_weight: f64,
}

impl Default for ZipfConfig {
    fn default() -> Self {
        Self {
            weight: 0.1,
            rank_by: ZipfRanking::Auto,
            distribution: ZipfDistribution::Rank,
            power: 1.0,
            left_bound: 0.001,
            right_bound: 1.0,
            mask_wrong: false,
            upsample: true,
            deep_layers: 1,
            head_weight: 1.0,
        }
    }
}

/// Label smoothing by rank.
#[derive(Debug)]
pub struct Zipf {
    config: ZipfConfig,
    classes: usize,
    /// Tap whose positions vote; `None` ranks by logits.
    voters: Option<String>,
    /// Extra heads with their taps, nearest to the output first.
    heads: Vec<(String, Linear)>,
}

/// What [`Zipf::divergence`] makes.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct ZipfDivergence {
    /// Targets of the classes beside the label, in order, `[B, K − 1]`.
    pub targets: Tensor<2>,
    /// `[1]`, before its weight.
    pub value: Tensor<1>,
}

/// Name of the extra heads in the cast.
const HEADS: &str = "heads";

impl Zipf {
    const ID: &'static str = "zipf";

    /// Finds the map that votes, and adds the extra heads to the cast: `heads.0.*` on the last
    /// stage but one, ….
    ///
    /// # Errors
    /// A setting out of range, fewer than two classes, no map to vote where votes are asked for,
    /// or fewer stages than heads need.
    pub fn new(config: ZipfConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_weight(Self::ID, "weight", config.weight)?;
        require_positive(Self::ID, "power", config.power)?;
        require_positive(Self::ID, "left_bound", config.left_bound)?;
        require_positive(Self::ID, "right_bound", config.right_bound)?;
        require_weight(Self::ID, "head_weight", config.head_weight)?;
        require_at_least(Self::ID, "deep_layers", config.deep_layers, 1)?;
        let refuse = |key, expected: String, found: String| MethodError::Setting {
            method: Self::ID,
            key,
            expected,
            found,
        };
        if config.right_bound <= config.left_bound {
            let expected = format!("above `left_bound`, {}", config.left_bound);
            let found = config.right_bound.to_string();
            return Err(refuse("right_bound", expected, found));
        }
        if probe.classes < 2 {
            return Err(MethodError::Configuration {
                method: Self::ID.to_owned(),
                reason: format!(
                    "it ranks the classes beside the label, and the data has {}",
                    probe.classes
                ),
            });
        }
        let voters = voters(&config, probe, Classifier::of(cast.network(STUDENT)?))?;
        let stages = stages(&probe.student);
        let extra = config.deep_layers - 1;
        if extra > 0 && (config.deep_layers > 3 || voters.is_none() || stages.len() <= extra) {
            let expected = format!(
                "1, or 2 or 3 where positions vote and the student has that many stages (it has \
                 {})",
                stages.len()
            );
            return Err(refuse(
                "deep_layers",
                expected,
                config.deep_layers.to_string(),
            ));
        }
        let mut heads = Vec::new();
        if extra > 0 {
            let names = stages.iter().rev().skip(1).take(extra);
            let names: Vec<String> = names.map(|tap| tap.name.clone()).collect();
            heads = cast.add_modules(HEADS, probe.seed, |builder| {
                let heads = names.into_iter().enumerate().map(|(i, name)| {
                    let (_, [width, ..]) = find_map(Self::ID, "student", &probe.student, &name)?;
                    let level = builder.sub(format!("heads.{i}"));
                    Ok((name, Linear::new(level, width, probe.classes)))
                });
                heads.collect()
            })?;
        }
        Ok(Self {
            config,
            classes: probe.classes,
            voters,
            heads,
        })
    }

    /// The divergence from student logits `[B, K]`, labels `[B]`, and the class that each position
    /// votes for, `[B, V]`; without votes the logits rank the classes.
    ///
    /// # Errors
    /// No votes, or votes for classes that there are not.
    pub fn divergence(
        &self,
        logits: Tensor<2>,
        labels: &Tensor<1, Int>,
        votes: Option<&Tensor<2, Int>>,
    ) -> Result<ZipfDivergence, MethodError> {
        let [batch, classes] = logits.dims();
        let host: Vec<f64> = logits.clone().inner().into_data().iter().collect();
        let label_of: Vec<i64> = labels.to_data().iter().collect();
        let scores = match votes {
            Some(votes) => self.count(votes)?,
            None => host.clone(),
        };
        let mut targets = Vec::with_capacity(batch * (classes - 1));
        // Share of each image in the mean.
        let mut shares = vec![1.0; batch];
        for (image, &label) in label_of.iter().enumerate() {
            let row = image * classes..(image + 1) * classes;
            let label = label as usize;
            targets.extend(ranks::non_target(&self.config, &scores[row.clone()], label));
            let own = &host[row];
            if self.config.mask_wrong && own.iter().any(|&logit| logit > own[label]) {
                shares[image] = 0.0;
            }
        }
        let counted = shares.iter().sum::<f64>().max(1.0);
        let entropies = targets.iter().map(|q: &f64| q * q.ln());
        let negative_entropy: f64 = entropies
            .enumerate()
            .map(|(i, part)| part * shares[i / (classes - 1)])
            .sum::<f64>();
        let options = (&logits.device().inner(), logits.dtype());
        let shares = Tensor::<2>::from_data(TensorData::new(shares, [batch, 1]), options);
        let targets = TensorData::new(targets, [batch, classes - 1]);
        let targets = Tensor::<2>::from_data(targets, options);
        let others = logits.clone().gather(1, other_classes(&logits, labels));
        let cross = (log_softmax(others, 1) * targets.clone() * shares).sum();
        let value = cross.neg().add_scalar(negative_entropy);
        Ok(ZipfDivergence {
            targets,
            value: value.mul_scalar(1.0 / counted),
        })
    }

    /// Votes of each class, `[B · K]` numbers.
    fn count(&self, votes: &Tensor<2, Int>) -> Result<Vec<f64>, MethodError> {
        let [batch, positions] = votes.dims();
        let refuse = |reason| MethodError::Batch {
            method: Self::ID,
            reason,
        };
        if positions == 0 {
            return Err(refuse("no position votes".to_owned()));
        }
        let mut counts = vec![0.0; batch * self.classes];
        for (i, vote) in votes.to_data().iter::<i64>().enumerate() {
            let class = usize::try_from(vote).ok().filter(|&c| c < self.classes);
            let class = class.ok_or_else(|| {
                let classes = self.classes;
                refuse(format!("a vote for class {vote}; there are {classes}"))
            })?;
            counts[i / positions * self.classes + class] += 1.0;
        }
        Ok(counts)
    }

    /// The class that each position of the voting maps takes for the most probable one, `[B, V]`.
    fn votes(
        &self,
        outputs: &Outputs,
        scene: &Scene<'_>,
    ) -> Result<Option<Tensor<2, Int>>, MethodError> {
        let Some(tap) = &self.voters else {
            return Ok(None);
        };
        let classifier = Classifier::of(scene.cast().network(STUDENT)?);
        let classifier = classifier.ok_or_else(|| no_map(None))?;
        let mut map = map_of(Self::ID, "student", outputs, tap)?.inner();
        if self.config.upsample {
            let [_, _, height, width] = map.dims();
            map = resize_bilinear(map, [2 * height, 2 * width], false);
        }
        let batch = map.dims()[0];
        let choose = |logits: Tensor<2>| {
            let choices = logits.argmax(1);
            let positions = choices.dims()[0] / batch;
            choices.reshape([batch, positions])
        };
        let mut votes = vec![choose(classifier.logits(positions(map)))];
        for (tap, head) in &self.heads {
            let map = map_of(Self::ID, "student", outputs, tap)?.inner();
            let logits =
                scene.evaluate_modules(HEADS, |pass| head.forward(pass, positions(map)))?;
            votes.push(choose(logits));
        }
        Ok(Some(Tensor::cat(votes, 1)))
    }
}

/// `[B, D, H, W]` → `[B · H · W, D]`.
fn positions(map: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = map.dims();
    map.permute([0, 2, 3, 1])
        .reshape([batch * height * width, channels])
}

/// The tap whose positions vote: the last one, not before its activation, that is as wide as the
/// classifier's input.
fn voters(
    config: &ZipfConfig,
    probe: &Probe,
    classifier: Option<Classifier>,
) -> Result<Option<String>, MethodError> {
    if config.rank_by == ZipfRanking::Logits {
        return Ok(None);
    }
    let width = classifier.map(|classifier| classifier.width());
    let fits = |kind: &TapKind| {
        let is_map = matches!(kind, TapKind::Map(_) | TapKind::Tokens { .. });
        is_map && map_shape(kind).is_some_and(|[channels, ..]| Some(channels) == width)
    };
    let mut taps = probe.student.iter().rev();
    let tap = taps.find(|tap| fits(&tap.kind) && !tap.name.ends_with(".preact"));
    match (tap, config.rank_by) {
        (None, ZipfRanking::Votes) => Err(no_map(width)),
        (tap, _) => Ok(tap.map(|tap| tap.name.clone())),
    }
}

fn no_map(width: Option<usize>) -> MethodError {
    let feature = match width {
        Some(width) => format!("the student: none of its maps is {width} wide"),
        None => "the student: it does not end with a linear map".to_owned(),
    };
    MethodError::Shape {
        method: Zipf::ID,
        feature,
        reason: "its classifier cannot be applied at every position; use rank_by = \"logits\""
            .to_owned(),
    }
}

impl Procedure for Zipf {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let heads = (!self.heads.is_empty()).then_some(HEADS);
        let act = Act::training([STUDENT].into_iter().chain(heads));
        vec![Stage::new("train", epochs, vec![act])]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let taps: Taps = self
            .voters
            .iter()
            .chain(self.heads.iter().map(|(tap, _)| tap))
            .collect();
        let student = scene.train(STUDENT, batch.images.clone(), &taps)?;
        let votes = self.votes(&student, scene)?;
        let (labels, _) = batch.target.classes(Self::ID)?;
        let zipf = self.divergence(student.logits(), labels, votes.as_ref())?;
        let mut terms = vec![
            Term::new("task", scene.task(student.logits())?, 1.0),
            Term::new("zipf", zipf.value, self.config.weight),
        ];
        for (index, (tap, head)) in self.heads.iter().enumerate() {
            let map = map_of(Self::ID, "student", &student, tap)?;
            let pooled = global_avg_pool2d(map);
            let logits = scene.modules(HEADS, |pass| head.forward(pass, pooled))?;
            let value = scene.supervision().loss(logits)?;
            let name = format!("head.{index}");
            terms.push(Term::new(&name, value, self.config.head_weight));
        }
        Ok(terms)
    }
}
