//! # reviewkd — Distilling Knowledge via Knowledge Review
//!
//! Shallow teacher stages guide deeper student stages too: going from deep to shallow, each
//! student stage is fused with the running result by attention, and the fused map is compared
//! with the teacher's stage on a pyramid of resolutions.
//!
//! ## Definition
//! L = CE(z, y) + weight · min(e / warmup_epochs, 1) · Σ_i HCL(O_i, F_t,i)
//!
//! For level i, from the deepest to the shallowest, with r the running result of the level below:
//! x = BN(conv1×1(F_s,i)); except at the deepest, r' = r resized to x (nearest), (g, h) =
//! sigmoid(conv1×1([x; r'])), x ← x·g + r'·h, and r = x, resized to the teacher's size (nearest);
//! O_i = BN(conv3×3(r)).
//! HCL(a, b) = Σ_k 2^−k · mean (P_k a − P_k b)² / Σ_k 2^−k: P_0 is the identity, P_1, P_2, … average
//! to 4×4, 2×2, 1×1 over adaptive windows, leaving out sizes that are not below the height.
//! F_s: student maps, F_t: teacher maps (detached), e: epoch from 1.
//!
//! ## Inputs and shapes
//! Maps `[B, C, H, W]`, one of each network per level, shallow to deep; tokens are put back on
//! their grid, vectors are 1×1 maps. Default: the stages that `limbeck inspect` pairs, of the
//! teacher before their last ReLU, and `pooled` as the deepest level.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `weight` | 5 | ≥ 0 | authors' CIFAR-100 settings for R8x4, WRN and ShuffleV1; 8 for ShuffleV2, 0.6 for R56→R20, 1 for R110→R32; ImageNet 1 (R18) or 8 (MNv1) |
//! | `warmup_epochs` | 20 | ≥ 1 | same; 1 for ImageNet |
//! | `mid_channels` | none | ≥ 1 | channels while fusing; none: the deepest student map's, at most 512 (authors' code) |
//! | `student_preact` | false | | true takes the student's stages before their last ReLU too, as the authors do for ImageNet |
//!
//! ## Notes
//! Maps may have any sizes: the fused map is resized to the teacher's. The paper's pyramid is for
//! square maps; here the widths of P_k are 4, 2 and 1 too, whatever the map's. Cost: about
//! Σ_i (C_i·M + 9·M·O_i + 4·M) weights, 1.8 million for R8x4, and one forward pass of the teacher.
//!
//! ## Reference
//! Chen, Liu, Zhao, Jia. "Distilling Knowledge via Knowledge Review". CVPR 2021.
//! <https://arxiv.org/abs/2104.09044>
//! Authors' code: <https://github.com/dvlab-research/ReviewKD>, and in
//! <https://github.com/megvii-research/mdistiller> (a08d46f10d61, MIT).

#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Init, Pass, Tap,
    layer::{Conv2dConfig, ConvNorm, GatedFusion, resize_nearest},
};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    criterion::{require_at_least, require_weight, warmup},
    hierarchical_context::hierarchical_context_loss,
    pairs::{Pair, propose_pairs, resolve_pairs},
};

/// Most channels while fusing, unless told otherwise.
const MOST_MID_CHANNELS: usize = 512;

/// Settings of [`ReviewKd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReviewKdConfig {
    /// Factor of the sum over levels.
    pub weight: f64,
    /// Epochs over which the factor rises to its full size.
    pub warmup_epochs: usize,
    /// Channels while fusing; `None`: the deepest student map's, at most 512.
    pub mid_channels: Option<usize>,
    /// Whether the student's stages are taken before their last ReLU too.
    pub student_preact: bool,
}

impl Default for ReviewKdConfig {
    fn default() -> Self {
        Self {
            weight: 5.0,
            warmup_epochs: 20,
            mid_channels: None,
            student_preact: false,
        }
    }
}

/// Stages fused from deep to shallow.
#[derive(Debug)]
pub struct ReviewKd {
    config: ReviewKdConfig,
    /// Shallow to deep.
    pairs: Vec<Pair>,
    /// Deep to shallow, as in the authors' module list.
    fusions: Vec<Fusion>,
}

/// Attention-based fusion of one level with the running result.
#[derive(Debug)]
struct Fusion {
    conv1: ConvNorm,
    conv2: ConvNorm,
    /// None at the deepest level, which has nothing to fuse with.
    gates: Option<GatedFusion>,
    /// Teacher's height and width.
    size: [usize; 2],
}

impl ReviewKd {
    const ID: &'static str = "reviewkd";

    /// Makes the fusions: `abfs.0.*` for the deepest level, `abfs.1.*` for the one above, …
    ///
    /// # Errors
    /// A setting out of range, no teacher, or layers that are not there.
    pub fn new(
        config: ReviewKdConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "weight", config.weight)?;
        require_at_least(Self::ID, "warmup_epochs", config.warmup_epochs, 1)?;
        require_at_least(
            Self::ID,
            "mid_channels",
            config.mid_channels.unwrap_or(1),
            1,
        )?;
        let pairs = resolve_pairs(Self::ID, probe, |student, teacher| {
            levels(student, teacher, config.student_preact)
        })?;
        for pair in &pairs {
            let [_, height, width] = pair.teacher_shape;
            let [_, student_height, student_width] = pair.student_shape;
            if probe.batch * (height * width).min(student_height * student_width) == 1 {
                let reason = "batch norm over a 1×1 map needs at least 2 images a step";
                return Err(pair.mismatch(Self::ID, reason.to_owned()));
            }
        }
        let deepest = pairs.last().map_or(1, |pair| pair.student_shape[0]);
        let mid = config
            .mid_channels
            .unwrap_or(deepest.min(MOST_MID_CHANNELS));
        let fusions = pairs
            .iter()
            .rev()
            .enumerate()
            .map(|(i, pair)| Fusion::new(builder.sub(format!("abfs.{i}")), pair, mid, i > 0))
            .collect();
        Ok(Self {
            config,
            pairs,
            fusions,
        })
    }

    /// Fused maps in the teacher's shapes from student maps `[B, C, H, W]`, both shallow to deep.
    pub fn fuse(&self, pass: &mut Pass<'_>, student: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        let mut running = None;
        let mut fused = Vec::new();
        for (fusion, map) in self.fusions.iter().zip(student.into_iter().rev()) {
            let (output, next) = fusion.forward(pass, map, running);
            running = Some(next);
            fused.push(output);
        }
        fused.reverse();
        fused
    }

    /// HCL of one level, `[1]`, from maps `[B, C, H, W]` of the same shape.
    pub fn level(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        hierarchical_context_loss(student, teacher)
    }
}

/// The paired stages, of the teacher (and the student if told so) before their last ReLU where
/// there is such a tap, and the embeddings.
fn levels(student: &[Tap], teacher: &[Tap], student_preact: bool) -> Vec<(String, String)> {
    let has = |taps: &[Tap], name: &str| taps.iter().any(|tap| tap.name == name);
    let preact = |taps: &[Tap], name: String| {
        let before = format!("{name}.preact");
        if has(taps, &before) { before } else { name }
    };
    let mut levels: Vec<(String, String)> = propose_pairs(student, teacher)
        .into_iter()
        .map(|(s, t)| {
            let s = if student_preact {
                preact(student, s)
            } else {
                s
            };
            (s, preact(teacher, t))
        })
        .collect();
    if has(student, "pooled") && has(teacher, "pooled") {
        levels.push(("pooled".to_owned(), "pooled".to_owned()));
    }
    levels
}

impl Fusion {
    fn new(mut builder: Builder<'_>, pair: &Pair, mid: usize, fuses: bool) -> Self {
        let [input, ..] = pair.student_shape;
        let [output, height, width] = pair.teacher_shape;
        // Kaiming uniform with a = 1: ±√(3 / fan_in).
        let init = |fan_in: usize| Init::Uniform((3.0 / fan_in as f64).sqrt());
        let conv1 = Conv2dConfig::new(input, mid, 1).init(init(input));
        let conv2 = Conv2dConfig::new(mid, output, 3)
            .padding(1)
            .init(init(9 * mid));
        Self {
            conv1: ConvNorm::new(&mut builder, "conv1.0", "conv1.1", conv1),
            conv2: ConvNorm::new(&mut builder, "conv2.0", "conv2.1", conv2),
            gates: fuses.then(|| GatedFusion::new(builder.sub("att_conv.0"), mid)),
            size: [height, width],
        }
    }

    /// The output in the teacher's shape, and the running result `[B, M, H_t, W_t]`.
    fn forward(
        &self,
        pass: &mut Pass<'_>,
        map: Tensor<4>,
        running: Option<Tensor<4>>,
    ) -> (Tensor<4>, Tensor<4>) {
        let x = match (&self.gates, running) {
            (Some(gates), Some(running)) => gates.forward(pass, &self.conv1, map, running),
            _ => self.conv1.forward(pass, map),
        };
        let x = resize(x, self.size);
        (self.conv2.forward(pass, x.clone()), x)
    }
}

fn resize(map: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = map.dims();
    if [height, width] == size {
        return map;
    }
    resize_nearest(map, size)
}

impl Criterion for ReviewKd {
    fn needs(&self) -> Needs {
        Needs {
            student: self.pairs.iter().map(|pair| &pair.student.name).collect(),
            teacher: self.pairs.iter().map(|pair| &pair.teacher.name).collect(),
            logits: false,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let outputs = step.teacher(Self::ID)?;
        let student = self
            .pairs
            .iter()
            .map(|pair| pair.student_map(Self::ID, step.student))
            .collect::<Result<Vec<_>, _>>()?;
        let mut levels = Vec::new();
        for (pair, fused) in self.pairs.iter().zip(self.fuse(pass, student)) {
            levels.push(self.level(fused, pair.teacher_map(Self::ID, &outputs)?));
        }
        let value = Tensor::cat(levels, 0).sum();
        let share = warmup(step.progress, self.config.warmup_epochs);
        Ok(vec![Term::new("hcl", value, share * self.config.weight)])
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pairs.iter().map(Pair::names).collect()
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::Store;

    use super::*;
    use crate::connector::mean_squared_error;
    use crate::testing::{
        assert_close, build, map, number, outputs, pass, probe, random, terms, terms_at, tokens,
        vector,
    };

    fn student() -> Vec<Tap> {
        vec![
            map("stage1.preact", [3, 8, 8]),
            map("stage1", [3, 8, 8]),
            map("stage2.preact", [4, 4, 4]),
            map("stage2", [4, 4, 4]),
            vector("pooled", 5),
        ]
    }

    fn make(config: ReviewKdConfig, student: &[Tap], teacher: &[Tap]) -> (ReviewKd, Store) {
        build(&probe(student, teacher), |p, b| ReviewKd::new(config, p, b)).unwrap()
    }

    fn default() -> (ReviewKd, Store) {
        make(ReviewKdConfig::default(), &student(), &student())
    }

    #[test]
    fn equal_maps_cost_nothing_and_a_constant_offset_its_square() {
        let (method, _) = default();
        for shape in [[2, 3, 8, 8], [2, 3, 5, 3], [2, 3, 2, 2], [2, 3, 1, 1]] {
            let map = random("m", shape);
            assert_close(&[number(&method.level(map.clone(), map.clone()))], &[0.0]);
            let offset = method.level(map.clone().add_scalar(0.3), map);
            assert_close(&[number(&offset)], &[0.09]);
        }
    }

    #[test]
    fn a_single_position_is_compared_plainly() {
        let (method, _) = default();
        let (a, b) = (random("a", [2, 3, 1, 1]), random("b", [2, 3, 1, 1]));
        let plain = number(&mean_squared_error(a.clone(), b.clone()));
        assert_close(&[number(&method.level(a, b))], &[plain]);
    }

    #[test]
    fn a_pattern_that_averages_out_counts_at_full_size_alone() {
        let (method, _) = default();
        let checks: Vec<f64> = (0..64)
            .map(|i| if (i + i / 8) % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        let checks = crate::testing::tensor(checks, [1, 1, 8, 8]);
        let level = method.level(checks.clone(), checks.zeros_like());
        // 1 of 1 + 1/2 + 1/4 + 1/8.
        assert_close(&[number(&level)], &[1.0 / 1.875]);
    }

    #[test]
    fn every_fused_map_has_the_teachers_shape() {
        let teacher = [
            tokens("stage1", 6, [7, 7]),
            tokens("stage2", 7, [7, 7]),
            vector("pooled", 8),
        ];
        let (mut method, store) = make(ReviewKdConfig::default(), &student(), &teacher);
        let outputs_of_student = outputs("s", 4, &student());
        let maps = ["stage1", "stage2", "pooled"]
            .map(|tap| outputs_of_student.feature(tap).unwrap().to_map().unwrap());
        let fused = method.fuse(&mut pass(&store), maps.to_vec());
        let shapes: Vec<_> = fused.iter().map(Tensor::dims).collect();
        assert_eq!(shapes, [[4, 6, 7, 7], [4, 7, 7, 7], [4, 8, 1, 1]]);
        let teacher = outputs("t", 4, &teacher);
        let value = number(&terms(&mut method, &store, &outputs_of_student, &teacher)[0].value);
        assert!(value > 0.0 && value.is_finite());
    }

    #[test]
    fn the_weight_rises_over_the_warm_up() {
        let (mut method, store) = default();
        let (s, t) = (outputs("s", 4, &student()), outputs("t", 4, &student()));
        for (epoch, weight) in [(0, 0.25), (9, 2.5), (19, 5.0), (50, 5.0)] {
            let terms = terms_at(epoch, &mut method, &store, &s, &t);
            assert_close(&[terms[0].weight], &[weight]);
        }
    }

    #[test]
    fn teacher_stages_are_taken_before_their_relu_and_the_students_if_told_so() {
        let pairs = |student_preact| {
            let config = ReviewKdConfig {
                student_preact,
                ..ReviewKdConfig::default()
            };
            let pairs = make(config, &student(), &student()).0.pairs();
            pairs
                .into_iter()
                .map(|(s, t)| format!("{s}-{t}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            pairs(false),
            [
                "stage1-stage1.preact",
                "stage2-stage2.preact",
                "pooled-pooled"
            ]
        );
        assert_eq!(
            pairs(true),
            [
                "stage1.preact-stage1.preact",
                "stage2.preact-stage2.preact",
                "pooled-pooled"
            ]
        );
    }

    #[test]
    fn a_batch_of_one_and_zero_channels_are_refused() {
        let mut probe = probe(&student(), &student());
        let config = ReviewKdConfig {
            mid_channels: Some(0),
            ..ReviewKdConfig::default()
        };
        let error = build(&probe, |p, b| ReviewKd::new(config, p, b)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`mid_channels` must be at least 1"),
            "{error}"
        );
        probe.batch = 1;
        let config = ReviewKdConfig::default();
        let error = build(&probe, |p, b| ReviewKd::new(config, p, b)).unwrap_err();
        assert!(error.to_string().contains("at least 2 images"), "{error}");
    }
}
