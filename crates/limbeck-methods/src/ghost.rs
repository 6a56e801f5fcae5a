//! # ghost — Guided Hybrid Quantization with One-to-one Self-teaching
//!
//! The network in full precision teaches its own copy of few bits: each layer of the copy is held
//! to the same layer of the original, and a switch that learns decides, image by image and layer
//! by layer, whether that guidance is used.
//!
//! ## Definition
//! L = CE(z, y) + weight · Σ_l mean_b a_bl · mean (A(F_s,l) − A(F_t,l))²
//!
//! A(F) = v / max(‖v‖₂, 1e-12) with v = mean_c F_c², flattened over the H·W positions, as in `at`;
//! F_s: student map, F_t: teacher map of the same layer (detached). The switch:
//! a = 1 where y > 1/2, else 0, with the gradient of y = σ((q·k/√width + g)/temperature);
//! q = BN(W_t · mean F_t + b_t), k = max(BN(W_s · mean F_s + b_s), 0), means over positions,
//! vectors of `width` numbers, and g = −ln E with E drawn from Exp(1) anew for each image and layer.
//!
//! ## Inputs and shapes
//! Maps `[B, C, H, W]`, one of each network per guided layer; tokens are put back on their grid.
//! Default: all stages that both networks have under the same name with the same shape, which of
//! the same network are all (of detectors: all layers of backbone and neck, the authors' 24); where there are none, the stages that `limbeck inspect` pairs. The
//! bits are those of `quantise` in [student] (`--quantise`); without it, the copy is one of full
//! precision.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `weight` | 400 | ≥ 0 | authors' code; 200 of detectors |
//! | `width` | 128 | ≥ 1 | authors' code, `qk_dim` |
//! | `temperature` | 1 | > 0 | authors' code, `tau` |
//! | `frozen_scm` | false | | true leaves the switch's linear maps and norms as they were drawn |
//!
//! ## Notes
//! The paper learns the switch. The authors' code makes its optimiser before the switch, which
//! therefore stays a random projection: `frozen_scm = true` is that. The code doubles the
//! supervised loss of a detector; here it has factor 1 as everywhere, and the published sum of
//! 2 · task + 400 · guidance is that of `weight = 200`, the default of detectors. `--quantise` begins
//! with the teacher's weights where the student is the teacher's network and nothing else is said, as
//! published. The quantisers of the paper are `quantiser = "dorefa"` in [student], its bits by layer
//! `quantise = "hybrid"`. The teacher may be another network, which is ours: A is a mean over
//! channels, so theirs may differ, and where sizes differ the larger map is averaged over adaptive
//! windows to the smaller size before A, as in `at`. A batch of one image has no batch statistics, so the switch needs two.
//! Cost: a forward pass of the teacher; Σ_l 2·C_l·width for the switch.
//!
//! ## Reference
//! Zhang, Lei, Xie, Li, Yang, Jia. "Guided Hybrid Quantization for Object Detection in Remote
//! Sensing Imagery via One-to-one Self-teaching". IEEE TGRS 2023. <https://arxiv.org/abs/2301.00131>

#[cfg(test)]
pub mod golden;
mod switch;

use burn::tensor::{Tensor, TensorData};
use limbeck_data::Stream;
use limbeck_nn::{Builder, Pass, Tap, layer::energy_and_mean};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    at::{energy, unit_rows},
    connector::pool_map,
    criterion::{require_at_least, require_positive, require_weight},
    pairs::{Pair, map_shape, numbered, propose_pairs, resolve_pairs, stages},
};
use switch::Switch;

/// Settings of [`Ghost`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GhostConfig {
    /// Factor of the sum over layers.
    pub weight: f64,
    /// Length of the vectors that decide on the switch.
    pub width: usize,
    /// Divides what decides on the switch.
    pub temperature: f64,
    /// Whether the switch's linear maps and norms stay as they were drawn.
    pub frozen_scm: bool,
}

impl Default for GhostConfig {
    fn default() -> Self {
        Self {
            weight: 400.0,
            width: 128,
            temperature: 1.0,
            frozen_scm: false,
        }
    }
}

/// One-to-one self-teaching.
#[derive(Debug)]
pub struct Ghost {
    config: GhostConfig,
    pairs: Vec<Pair>,
    switches: Vec<Switch>,
}

impl Ghost {
    const ID: &'static str = "ghost";

    /// Makes the switch's linear maps and norms under the authors' names.
    ///
    /// # Errors
    /// A setting out of range, no teacher, layers that are not there, or batches of one image.
    pub fn new(
        config: GhostConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "weight", config.weight)?;
        require_at_least(Self::ID, "width", config.width, 1)?;
        require_positive(Self::ID, "temperature", config.temperature)?;
        if probe.batch < 2 {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: "its switch normalises over the images of a batch, and there is one; set \
                         `batch` to at least 2 in [train]"
                    .to_owned(),
            });
        }
        let pairs = resolve_pairs(Self::ID, probe, alike)?;
        let mut builder = match config.frozen_scm {
            true => builder.untrained(),
            false => builder.sub_self(),
        };
        let mut switches = Vec::new();
        for (layer, pair) in pairs.iter().enumerate() {
            let level = builder.sub("attention");
            switches.push(Switch::new(
                level,
                layer,
                [pair.student_shape[0], pair.teacher_shape[0]],
                config.width,
            ));
        }
        Ok(Self {
            config,
            pairs,
            switches,
        })
    }

    /// What decides on the switch of the pair of layers number `layer`, before the noise, `[B]`.
    pub fn logit(&self, pass: &mut Pass<'_>, layer: usize, seen: &Seen) -> Tensor<1> {
        let [student, teacher] = seen.means.clone();
        self.switches[layer].logit(pass, student, teacher)
    }

    /// 0 or 1 for each image, `[B]`, from what decides and draws from Exp(1), `[B]` each.
    pub fn switch(&self, logit: Tensor<1>, draws: Tensor<1>) -> Tensor<1> {
        switch::decide(logit, draws, self.config.temperature)
    }

    /// The loss of one layer, `[1]`, from its maps and the switch `[B]`.
    pub fn guidance(&self, seen: &Seen, switch: Tensor<1>) -> Tensor<1> {
        let [student, teacher] = seen.energies.clone();
        let [batch, _] = student.dims();
        let errors = (student - teacher).square().mean_dim(1).reshape([batch]);
        (errors * switch).mean()
    }
}

/// What is read of the maps of student and teacher in one layer.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Means over positions, `[B, C]`.
    means: [Tensor<2>; 2],
    /// A of both at one size, `[B, H·W]`.
    energies: [Tensor<2>; 2],
}

impl Seen {
    /// Of maps `[B, C, H, W]`.
    pub fn of(maps: [Tensor<4>; 2]) -> Self {
        let sizes = maps.each_ref().map(|map| [map.dims()[2], map.dims()[3]]);
        let [[height, width], [other_height, other_width]] = sizes;
        let size = [height.min(other_height), width.min(other_width)];
        let [student, teacher] = maps.map(|map| {
            let summary = energy_and_mean(map.clone());
            let energy = match map.dims()[2..] == size {
                true => unit_rows(summary.energy),
                false => energy(pool_map(map, size), 2),
            };
            (summary.mean, energy)
        });
        Self {
            means: [student.0, teacher.0],
            energies: [student.1, teacher.1],
        }
    }
}

/// Stages of the same name and shape, of detectors all layers of backbone and neck; of networks that have none,
/// those that belong together.
fn alike(student: &[Tap], teacher: &[Tap]) -> Vec<(String, String)> {
    let shape = |tap: &Tap| map_shape(&tap.kind);
    let same = |one: &&Tap| {
        let mut others = teacher.iter();
        others.any(|other| other.name == one.name && shape(other) == shape(one))
    };
    let layers = numbered(student, "layer");
    let candidates = match layers.is_empty() {
        true => stages(student),
        false => layers,
    };
    let names = candidates.into_iter().filter(same);
    let same: Vec<_> = names
        .map(|tap| (tap.name.clone(), tap.name.clone()))
        .collect();
    match same.is_empty() {
        true => propose_pairs(student, teacher),
        false => same,
    }
}

/// Draws from Exp(1), `[count]`.
fn exponential(seed: u64, count: usize, like: &Tensor<4>) -> Tensor<1> {
    let mut stream = Stream::of_seed(seed);
    let draws: Vec<f64> = (0..count)
        .map(|_| -(1.0 - stream.unit()).ln())
        .map(|draw| draw.max(f64::from(f32::MIN_POSITIVE)))
        .collect();
    let data = TensorData::new(draws, [count]);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

impl Criterion for Ghost {
    fn needs(&self) -> Needs {
        Needs {
            student: self.pairs.iter().map(|pair| &pair.student.name).collect(),
            teacher: self.pairs.iter().map(|pair| &pair.teacher.name).collect(),
            logits: false,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let outputs = step.teacher(Self::ID)?;
        let mut layers = Vec::new();
        for (layer, pair) in self.pairs.iter().enumerate() {
            let student = pair.student_map(Self::ID, step.student)?;
            let teacher = pair.teacher_map(Self::ID, &outputs)?;
            let [batch, ..] = student.dims();
            let draws = exponential(pass.next_seed(), batch, &student);
            let seen = Seen::of([student, teacher]);
            let logit = self.logit(pass, layer, &seen);
            layers.push(self.guidance(&seen, self.switch(logit, draws)));
        }
        let value = Tensor::cat(layers, 0).sum();
        Ok(vec![Term::new("ghost", value, self.config.weight)])
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pairs.iter().map(Pair::names).collect()
    }
}

#[cfg(test)]
mod tests;
