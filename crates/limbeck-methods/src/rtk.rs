//! # rtk — Knowledge Distillation with Representative Teacher Keys
//!
//! Every student layer may learn from every teacher layer; a learned attention decides how
//! strongly. Of the teacher's answers to a student layer only the few most similar ones, the
//! representative keys, are kept.
//!
//! ## Definition
//! L = CE(z, y) + kd_weight · T²/B · Σ_b KL(softmax(u/T) ‖ softmax(z/T)) + weight · L_A
//!
//! f_i: student layer i of S, g_j: teacher layer j of J (detached), z, u: logits, T: `temperature`.
//! With d = `width`, h_i = ReLU(BN(Linear(mean over positions of f_i))),
//! e_j = BN(Linear(mean over positions of g_j)), and the J parts of d numbers of
//! B(h_i) = BN(Linear(h_i)): m_ij = (⟨B(h_i)_j, e_j⟩ + ⟨p_s,i, p_t,j⟩)/√d with learned p_s, p_t.
//! A(g_j): mean over channels of g_j², flattened, over max(length, 1e-12); A_j(f_i) the same of
//! f_i after averaging the mean over adaptive windows to the size of g_j.
//! D_ij = mean over positions of (A_j(f_i) − A(g_j))².
//! `rtk`: w_ij = softmax over j of m_ij; the `keep` greatest of each (image, i) are kept, lower j
//! first among equals, and divided by their sum: L_A = 1/B Σ_b Σ_i Σ_j ŵ_ij D_ij.
//! `afd` (the base method): α_ij = softmax over i of m_ij, L_A = 1/B Σ_b Σ_j Σ_i α_ij D_ij.
//! The selection carries no gradient, kept weights do.
//!
//! ## Inputs and shapes
//! Maps `[B, C, H, W]` of any layers; tokens are put back on their grid. Default: all blocks of
//! both networks, and the ends of the stages in networks that show no blocks. With `pairs`, the
//! student layers and the teacher layers named there, each once; all are compared with all.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `attention` | `rtk` | or `afd` | |
//! | `weight` | 200 | ≥ 0 | AFD's CIFAR settings; for `rtk` our reading |
//! | `kd_weight` | 0.9 | ≥ 0 | same |
//! | `temperature` | 4 | > 0 | same |
//! | `width` | 128 | ≥ 1 | AFD's code |
//! | `keep` | none | 1 to J | our reading; none is the number of different sizes among the teacher's maps, but at least 2 where J allows it |
//!
//! ## Notes
//! AFD follows its authors' code, whose parameter names are kept: there the teacher asks. Of RTK
//! only the abstract was to be had; the selection over teacher layers is our reading of it. With
//! `keep` 1 the one weight is always 1, and the attention learns nothing; with `keep` = J nothing
//! is dropped. Not invariant to the layers' scale in m, but batch norm absorbs most of it. Cost:
//! Σ d·(C_i + 3) + Σ d·(C_j + 3) + d²·J + 3·d·J + d·(S + J) weights; S·J differences of maps.
//!
//! ## Reference
//! Yang, Kao, Huang. "Knowledge Distillation with Representative Teacher Keys Based on Attention
//! Mechanism for Image Classification Model Compression". 2022. <https://arxiv.org/abs/2206.12788>
//! Ji, Heo, Park. "Show, Attend and Distill: Knowledge Distillation via Attention-based Feature
//! Matching". AAAI 2021. <https://arxiv.org/abs/2102.02973>
//! AFD's code: <https://github.com/clovaai/attention-feature-distillation> (dd990d0bb378,
//! Apache-2.0).

#[cfg(test)]
pub mod golden;

use std::collections::BTreeSet;

use burn::tensor::{Int, Tensor, activation::softmax};
use limbeck_nn::{Builder, Pass, Tap, layer::energy_and_mean};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    connector::pool_map,
    criterion::{require_at_least, require_positive, require_teacher, require_weight},
    layer_attention::LayerAttention,
    pairs::{blocks, find_map, map_of},
    softmax::softened_kl,
};

/// Smallest length that a map is divided by, as in PyTorch's `normalize`.
const LENGTH_FLOOR: f64 = 1e-12;

/// Over which layers the attention is a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerChoice {
    /// Teacher layers, of which the most similar are kept.
    #[default]
    Rtk,
    /// Student layers, all of them.
    Afd,
}

/// Settings of [`Rtk`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RtkConfig {
    /// Over which layers the attention goes.
    pub attention: LayerChoice,
    /// Factor of the attended distances.
    pub weight: f64,
    /// Factor of the divergence from the teacher's logits.
    pub kd_weight: f64,
    /// Softens the logits.
    pub temperature: f64,
    /// Width of queries and keys.
    pub width: usize,
    /// Teacher layers that are kept for each student layer.
    pub keep: Option<usize>,
}

impl Default for RtkConfig {
    fn default() -> Self {
        Self {
            attention: LayerChoice::Rtk,
            weight: 200.0,
            kd_weight: 0.9,
            temperature: 4.0,
            width: 128,
            keep: None,
        }
    }
}

/// A layer whose features can be read as a map.
#[derive(Clone, Debug)]
struct Layer {
    name: String,
    /// `[C, H, W]`.
    shape: [usize; 3],
}

/// Attention between the layers of both networks.
#[derive(Debug)]
pub struct Rtk {
    config: RtkConfig,
    keep: usize,
    student: Vec<Layer>,
    teacher: Vec<Layer>,
    /// What the user named.
    named: Vec<(String, String)>,
    attention: LayerAttention,
}

/// What the attention makes of a batch; S student layers, J teacher layers.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct Attended {
    /// The distribution before anything is dropped, `[B, S, J]`.
    pub full: Tensor<3>,
    /// What distances are weighted with, `[B, S, J]`.
    pub weights: Tensor<3>,
    /// D, `[B, S, J]`.
    pub distances: Tensor<3>,
}

impl Attended {
    /// L_A, `[1]`.
    pub fn loss(&self) -> Tensor<1> {
        let [batch, _, _] = self.weights.dims();
        let sum = (self.weights.clone() * self.distances.clone()).sum();
        sum.mul_scalar(1.0 / batch as f64)
    }
}

impl Rtk {
    const ID: &'static str = "rtk";

    /// Makes the attention: `attention.*`.
    ///
    /// # Errors
    /// A setting out of range, no teacher, layers that are not there, or batches of one image.
    pub fn new(
        config: RtkConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "weight", config.weight)?;
        require_weight(Self::ID, "kd_weight", config.kd_weight)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_at_least(Self::ID, "width", config.width, 1)?;
        let taps = require_teacher(Self::ID, probe)?;
        let named = probe.pairs.clone().unwrap_or_default();
        let names = |side: fn(&(String, String)) -> &String, taps: &[Tap]| match named.is_empty() {
            true => blocks(taps),
            false => distinct(named.iter().map(side)),
        };
        let student = layers(
            "student",
            &probe.student,
            names(|pair| &pair.0, &probe.student),
        )?;
        let teacher = layers("teacher", taps, names(|pair| &pair.1, taps))?;
        let keep = config.keep.unwrap_or_else(|| usual_keep(&teacher));
        if !(1..=teacher.len()).contains(&keep) {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "keep",
                expected: format!("1 to the {} layers of the teacher", teacher.len()),
                found: keep.to_string(),
            });
        }
        if probe.batch < 2 {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason:
                    "batch norm over vectors needs at least 2 images a step, found a batch of 1"
                        .to_owned(),
            });
        }
        let channels = |layers: &[Layer]| layers.iter().map(|l| l.shape[0]).collect::<Vec<_>>();
        let attention = LayerAttention::new(
            &mut builder.sub("attention"),
            &channels(&student),
            &channels(&teacher),
            config.width,
        );
        Ok(Self {
            keep,
            student,
            teacher,
            named,
            attention,
            config,
        })
    }

    /// Attention and distances of maps `[B, C, H, W]`, one for each layer of student and teacher.
    pub fn attend(
        &self,
        pass: &mut Pass<'_>,
        student: &[Tensor<4>],
        teacher: &[Tensor<4>],
    ) -> Attended {
        let (student, teacher) = (Summaries::of(student), Summaries::of(teacher));
        let scores = self.attention.scores(pass, &student.means, &teacher.means);
        let (full, weights) = match self.config.attention {
            LayerChoice::Afd => {
                let full = softmax(scores, 1);
                (full.clone(), full)
            }
            LayerChoice::Rtk => {
                let full = softmax(scores, 2);
                let kept = full.clone() * greatest(&full, self.keep);
                let weights = kept.clone() / kept.sum_dim(2);
                (full, weights)
            }
        };
        Attended {
            full,
            weights,
            distances: distances(&student.energies, &teacher.energies),
        }
    }
}

/// Each name once, in order.
fn distinct<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).cloned().collect()
}

fn layers(side: &'static str, taps: &[Tap], names: Vec<String>) -> Result<Vec<Layer>, MethodError> {
    if names.is_empty() {
        return Err(MethodError::Pairs {
            method: Rtk::ID.to_owned(),
            reason: format!(
                "the {side} has no blocks or stages to compare; name layers with `pairs` in \
                 [method], see `limbeck inspect`"
            ),
        });
    }
    let found = names.into_iter().map(|name| {
        let (tap, shape) = find_map(Rtk::ID, side, taps, &name)?;
        Ok(Layer {
            name: tap.name,
            shape,
        })
    });
    found.collect()
}

/// Number of different sizes, but at least 2 where there are as many layers.
fn usual_keep(teacher: &[Layer]) -> usize {
    let sizes: BTreeSet<[usize; 2]> = teacher
        .iter()
        .map(|layer| [layer.shape[1], layer.shape[2]])
        .collect();
    sizes.len().max(2).min(teacher.len())
}

/// One at the `keep` greatest of each row of the last axis, lower indices first among equals, zero
/// elsewhere: `[B, S, J]` → the same shape.
fn greatest(weights: &Tensor<3>, keep: usize) -> Tensor<3> {
    let [batch, student, teacher] = weights.dims();
    let weights = weights.clone().inner();
    let all = [batch, student, teacher, teacher];
    let own = weights
        .clone()
        .reshape([batch, student, teacher, 1])
        .expand(all);
    let other = weights
        .clone()
        .reshape([batch, student, 1, teacher])
        .expand(all);
    let index = Tensor::<1, Int>::arange(0..teacher as i64, &weights.device());
    let earlier = index
        .clone()
        .reshape([1, 1, 1, teacher])
        .expand(all)
        .lower(index.reshape([1, 1, teacher, 1]).expand(all));
    let ahead = other
        .clone()
        .greater(own.clone())
        .bool_or(other.equal(own).bool_and(earlier));
    let rank = ahead.int().sum_dim(3).reshape([batch, student, teacher]);
    let kept = rank.lower_elem(keep as i64);
    weights.zeros_like().mask_fill(kept, 1.0)
}

/// What is compared of some layers' maps.
struct Summaries {
    /// Mean over channels of the squares, `[B, 1, H, W]` each.
    energies: Vec<Tensor<4>>,
    /// Mean over positions, `[B, C]` each.
    means: Vec<Tensor<2>>,
}

impl Summaries {
    /// Of maps `[B, C, H, W]`.
    fn of(maps: &[Tensor<4>]) -> Self {
        let look = |map: &Tensor<4>| {
            let [batch, _, height, width] = map.dims();
            let summary = energy_and_mean(map.clone());
            let energy = summary.energy.reshape([batch, 1, height, width]);
            (energy, summary.mean)
        };
        let (energies, means) = maps.iter().map(look).unzip();
        Self { energies, means }
    }
}

/// D of all layers with all, from energies `[B, 1, H, W]`: `[B, S, J]`.
fn distances(student: &[Tensor<4>], teacher: &[Tensor<4>]) -> Tensor<3> {
    let size = |map: &Tensor<4>| [map.dims()[2], map.dims()[3]];
    let sizes: BTreeSet<[usize; 2]> = teacher.iter().map(size).collect();
    let [batch, ..] = student[0].dims();
    let mut order = Vec::new();
    let mut columns = Vec::new();
    for pixels in sizes {
        let chosen = || {
            teacher
                .iter()
                .enumerate()
                .filter(|(_, map)| size(map) == pixels)
        };
        order.extend(chosen().map(|(j, _)| j));
        let targets: Vec<Tensor<3>> = chosen().map(|(_, map)| unit_map(map.clone())).collect();
        // [B, 1, J', H·W] − [B, S, 1, H·W]
        let targets = Tensor::cat(targets, 1);
        let [_, count, positions] = targets.dims();
        let targets = targets.reshape([batch, 1, count, positions]);
        let maps = student
            .iter()
            .map(|map| unit_map(pool_map(map.clone(), pixels)));
        let maps = Tensor::cat(maps.collect(), 1).reshape([batch, student.len(), 1, positions]);
        let difference = (maps - targets).square().mean_dim(3);
        columns.push(difference.reshape([batch, student.len(), count]));
    }
    // From the order of sizes back to that of layers.
    let mut places: Vec<i64> = vec![0; order.len()];
    order
        .iter()
        .enumerate()
        .for_each(|(at, &j)| places[j] = at as i64);
    let device = student[0].device();
    Tensor::cat(columns, 2).select(2, Tensor::<1, Int>::from_data(places.as_slice(), &device))
}

/// Flattened, of length one: `[B, 1, H, W]` → `[B, 1, H·W]`.
fn unit_map(energy: Tensor<4>) -> Tensor<3> {
    let [batch, _, height, width] = energy.dims();
    let flat = energy.reshape([batch, 1, height * width]);
    // The floor is put under the square, so that the gradient at zero is zero.
    let square = flat.clone().square().sum_dim(2);
    flat / square.clamp_min(LENGTH_FLOOR * LENGTH_FLOOR).sqrt()
}

impl Criterion for Rtk {
    fn needs(&self) -> Needs {
        let names = |layers: &[Layer]| layers.iter().map(|layer| layer.name.clone()).collect();
        Needs {
            student: names(&self.student),
            teacher: names(&self.teacher),
            logits: self.config.kd_weight > 0.0,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let outputs = step.teacher(Self::ID)?;
        let student = self.student.iter();
        let student = student.map(|layer| map_of(Self::ID, "student", step.student, &layer.name));
        let student = student.collect::<Result<Vec<_>, _>>()?;
        let teacher = self.teacher.iter();
        let teacher = teacher.map(|layer| map_of(Self::ID, "teacher", &outputs, &layer.name));
        let teacher = teacher.collect::<Result<Vec<_>, _>>()?;
        let attended = self.attend(pass, &student, &teacher).loss();
        let mut terms = vec![Term::new("attention", attended, self.config.weight)];
        if self.config.kd_weight > 0.0 {
            let (own, others) = step.rows(Self::ID)?;
            let kd = softened_kl(own, others, self.config.temperature);
            terms.push(Term::new("kd", kd, self.config.kd_weight));
        }
        Ok(terms)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        if !self.named.is_empty() {
            return self.named.clone();
        }
        // All with all would be hundreds; the last ones stand for them.
        let last = |layers: &[Layer]| layers.last().map(|layer| layer.name.clone());
        last(&self.student)
            .zip(last(&self.teacher))
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests;
