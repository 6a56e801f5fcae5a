//! # tat — Knowledge Distillation via the Target-aware Transformer
//!
//! The same position of a student's and a teacher's map rarely sees the same thing. So the student's
//! map is rebuilt by attention between all positions of both, and the rebuilt map is regressed
//! onto the teacher's.
//!
//! ## Definition
//! L = ce_weight · CE(z, y) + weight · mean (O − F_t)²
//!
//! F_s: student map, F_t: teacher map (detached), q, v = two 3×3 convolutions with batch norm of
//! F_s to the teacher's channels. Channels are cut into `heads` runs, positions are taken row by
//! row, and per head, without a scaling of the products:
//! `student_query` (authors' code): A = softmax_j(q_i · F_t,j), O_i = Σ_j A_ij v_j, i a student
//! position, j a teacher position;
//! `teacher_query` (the paper's formula per position): A = softmax_j(F_t,i · q_j),
//! O_i = Σ_j A_ij v_j, i a teacher position, j a student position.
//! The mean is over all elements.
//!
//! Networks that segment have maps too large for that:
//! L = task + weight · (patch_weight · L_p + anchor_weight · L_a), with q, v of F_s and k of F_t by 1×1
//! convolutions with batch norm, k in the place of F_t within the softmax. L_p is the error above of
//! the maps cut into `patches` patches. With `patch_attention` = `stacked` the patches of an image lie
//! one after the other on the channels, and each of the `heads` runs of them is a group that is
//! attended jointly; with `single` each patch is attended by itself. L_a is that of the maps averaged
//! over the windows of `anchors` anchors, with one head. Rows and columns that do not fill a patch or
//! a window are left out.
//!
//! ## Inputs and shapes
//! One student map `[B, C_s, H_s, W_s]` and one teacher map `[B, C_t, H, W]`, by default the last
//! stages, of networks that segment what the last classifier reads (`feature`); tokens are put back on
//! their grid, the class token is left out. C_t is divisible by `heads`, n·C_t where n patches are
//! stacked.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `ce_weight` | 1 | ≥ 0 | authors' ImageNet settings, ten times as great: see below |
//! | `weight` | 2 | ≥ 0 | same; flat between about a half and two and a half times `ce_weight` |
//! | `heads` | none | ≥ 1 | none: 1; where patches are stacked, one for 4 patches as far as that divides, as in the authors' settings for VOC |
//! | `orientation` | `student_query` | or `teacher_query` | authors' code, which the published numbers come from |
//! | `resize` | true | | ours; false refuses maps of different sizes |
//! | `patches` | none | rows and columns | none: patches of 8×8, as in the authors' settings for VOC (16 of 129); segmentation |
//! | `anchors` | none | rows and columns | none: windows of 4×4, the same (32 of 129); segmentation |
//! | `patch_attention` | `stacked` | or `single` | authors' code; segmentation |
//! | `patch_weight` | 1 | ≥ 0 | same |
//! | `anchor_weight` | 0.4 | ≥ 0 | same, VOC with ResNet-18; 0.5 with MobileNetV2, 1 for COCO-Stuff |
//! | `per_image` | false | | true takes one image at a time, as the authors' loop: batch norms see one; segmentation |
//!
//! ## Notes
//! The authors' weights are 0.1 and 0.2, under AdamW, which divides the scale of the loss out. SGD
//! does not: with them it learns at a tenth of its rate. So the defaults have their ratio on the
//! scale of the cross entropy; `recipes/tat.toml` has the authors' weights with their optimiser.
//! With KD, in the authors' settings: `kd+tat` with `temperature` 1, `ce_weight` and `kd_weight`
//! 0.5 for `kd` and `weight` 0.1 here, whose labels and teacher weigh 1 together. For segmentation the
//! authors divide the cross entropy by the batch size: on its own scale theirs is 1.6 for VOC (0.1 with
//! 16 images) and up to 9.6 for COCO-Stuff, with SGD. Their teacher there is in training mode; here
//! it is not. Paper and code
//! ask for maps of one size; with `resize`, a student map of another size is first brought to the
//! teacher's: averaged over adaptive windows where it is larger, interpolated bilinearly where it
//! is smaller. In classification the teacher's key is its map itself, the better and the released
//! choice. Not invariant to scale: great teacher features turn the attention one-hot. Cost:
//! 18·C_s·C_t + 4·C_t weights, 2·B·(H·W)²·C_t multiply-accumulates; of patches 2·C_s·C_t + C_t² + 6·C_t
//! weights and the products of a patch's positions alone.
//!
//! ## Reference
//! Lin, Xie, Wang, Yu, Chang, Liang, Wang. "Knowledge Distillation via the Target-aware
//! Transformer". CVPR 2022. <https://arxiv.org/abs/2205.10793>
//! Authors' code: <https://github.com/sihaoevery/TaT> (a6cc32950e7b, BSD-2), and
//! <https://github.com/sihaoevery/TaT-seg> (9e34e0e4a443, BSD-2).

#[cfg(test)]
pub mod golden;
mod patches;

use burn::tensor::{Tensor, activation::softmax};
use limbeck_nn::{
    Builder, Pass, TapKind, Taps,
    layer::{Conv2dConfig, ConvNorm},
};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    connector::{mean_squared_error, resize_map},
    criterion::{require_at_least, require_weight},
    dense::last_features,
    pairs::{Pair, propose_pairs, resolve_pair},
};
use patches::{Layout, Patches};

/// Whose positions ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Student positions, over teacher positions.
    #[default]
    StudentQuery,
    /// Teacher positions, over student positions.
    TeacherQuery,
}

/// Which patches are attended jointly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchAttention {
    /// Those of a head.
    #[default]
    Stacked,
    /// Each by itself.
    Single,
}

/// Settings of [`Tat`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TatConfig {
    /// Factor of the cross entropy with the labels.
    pub ce_weight: f64,
    /// Factor of the rebuilt map's mean squared error.
    pub weight: f64,
    /// Number of heads; `None`: by the patches.
    pub heads: Option<usize>,
    /// Whose positions ask.
    pub orientation: Orientation,
    /// Whether a student map of another size is brought to the teacher's.
    pub resize: bool,
    /// Rows and columns of patches; `None`: by the map's size.
    pub patches: Option<[usize; 2]>,
    /// Rows and columns of anchors; `None`: by the map's size.
    pub anchors: Option<[usize; 2]>,
    /// Which patches are attended jointly.
    pub patch_attention: PatchAttention,
    /// Factor of the patches' error within the whole.
    pub patch_weight: f64,
    /// Factor of the anchors' error within the whole.
    pub anchor_weight: f64,
    /// Whether images are taken one at a time.
    pub per_image: bool,
}

impl Default for TatConfig {
    fn default() -> Self {
        Self {
            ce_weight: 1.0,
            weight: 2.0,
            heads: None,
            orientation: Orientation::StudentQuery,
            resize: true,
            patches: None,
            anchors: None,
            patch_attention: PatchAttention::Stacked,
            patch_weight: 1.0,
            anchor_weight: 0.4,
            per_image: false,
        }
    }
}

/// A student map rebuilt by attention to the teacher's.
#[derive(Debug)]
pub struct Tat {
    config: TatConfig,
    pair: Pair,
    form: Form,
}

/// What is rebuilt at once.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a method has one, which is never moved"
)]
enum Form {
    /// The map.
    Whole(Whole),
    /// Its patches, and its averages.
    Patches(Patches),
}

/// Embeddings of whole maps.
#[derive(Debug)]
struct Whole {
    query: ConvNorm,
    value: ConvNorm,
    heads: usize,
    orientation: Orientation,
}

/// What [`Whole::rebuild`] makes, N = H·W positions.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct Rebuilt {
    /// Embedded student map, `[B, C_t, H, W]`.
    pub query: Tensor<4>,
    /// Embedded student map, `[B, C_t, H, W]`.
    pub value: Tensor<4>,
    /// Rows sum to one, `[B, heads, N, N]`.
    pub attention: Tensor<4>,
    /// `[B, C_t, H, W]`.
    pub map: Tensor<4>,
}

impl Tat {
    const ID: &'static str = "tat";

    /// Makes both embeddings: `query.conv2d`, `query.l2norm` (the authors' name for the batch
    /// norm) and `value.*`; of networks that segment those of [`Patches`].
    ///
    /// # Errors
    /// A setting out of range, no teacher, layers that are not there or do not fit.
    pub fn new(
        config: TatConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "ce_weight", config.ce_weight)?;
        require_weight(Self::ID, "weight", config.weight)?;
        require_weight(Self::ID, "patch_weight", config.patch_weight)?;
        require_weight(Self::ID, "anchor_weight", config.anchor_weight)?;
        let predicts = |tap: &limbeck_nn::Tap| matches!(tap.kind, TapKind::Map(_));
        let segments = probe.student.last().is_some_and(predicts);
        let pair = resolve_pair(Self::ID, probe, |student, teacher| match segments {
            true => last_features(student, teacher),
            false => propose_pairs(student, teacher).pop().into_iter().collect(),
        })?;
        let [input, student_height, student_width] = pair.student_shape;
        let [output, height, width] = pair.teacher_shape;
        if !config.resize && [student_height, student_width] != [height, width] {
            let reason = "the maps differ in size; set `resize` to true or name other layers with \
                          `pairs` in [method]";
            return Err(pair.mismatch(Self::ID, reason.to_owned()));
        }
        let normalised = match segments && config.per_image {
            true => 1,
            false => probe.batch,
        };
        if normalised * height * width == 1 {
            let reason = "batch norm over a 1×1 map needs at least 2 images a step".to_owned();
            return Err(pair.mismatch(Self::ID, reason));
        }
        let setting = |(key, expected, found)| MethodError::Setting {
            method: Self::ID,
            key,
            expected,
            found,
        };
        let form = if segments {
            let layout = Layout::new(
                pair.teacher_shape,
                config.patches,
                config.anchors,
                config.heads,
                config.patch_attention,
            )
            .map_err(setting)?;
            let (attention, orientation) = (config.patch_attention, config.orientation);
            Form::Patches(Patches::new(
                builder,
                input,
                output,
                layout,
                attention,
                orientation,
            ))
        } else {
            let heads = config.heads.unwrap_or(1);
            require_at_least(Self::ID, "heads", heads, 1)?;
            if !output.is_multiple_of(heads) {
                let expected = format!("a divisor of the teacher's {output} channels");
                return Err(setting(("heads", expected, heads.to_string())));
            }
            Form::Whole(Whole::new(
                builder,
                input,
                output,
                heads,
                config.orientation,
            ))
        };
        Ok(Self { config, pair, form })
    }

    /// Errors of patches and anchors with their factors, of maps `[B, C_s, H, W]` and
    /// `[B, C_t, H, W]`, `[1]`.
    fn patch_term(
        &self,
        patches: &Patches,
        pass: &mut Pass<'_>,
        student: &Tensor<4>,
        teacher: &Tensor<4>,
    ) -> Tensor<1> {
        let mut error = |student: Tensor<4>, teacher: Tensor<4>| {
            let embedded = patches.embed(pass, student, teacher.clone());
            let within = patches.patch_loss(&embedded, &teacher);
            let between = patches.anchor_loss(&embedded, &teacher);
            within.mul_scalar(self.config.patch_weight)
                + between.mul_scalar(self.config.anchor_weight)
        };
        if !self.config.per_image {
            return error(student.clone(), teacher.clone());
        }
        let [batch, ..] = teacher.dims();
        let image = |maps: &Tensor<4>, index| maps.clone().narrow(0, index, 1);
        let errors = (0..batch).map(|index| error(image(student, index), image(teacher, index)));
        Tensor::cat(errors.collect(), 0).mean()
    }
}

impl Whole {
    fn new(
        builder: &mut Builder<'_>,
        input: usize,
        output: usize,
        heads: usize,
        orientation: Orientation,
    ) -> Self {
        let mut embedding = |name| {
            let conv = Conv2dConfig::new(input, output, 3).padding(1);
            ConvNorm::new(&mut builder.sub(name), "conv2d", "l2norm", conv)
        };
        Self {
            query: embedding("query"),
            value: embedding("value"),
            heads,
            orientation,
        }
    }

    /// Rebuilds the student map `[B, C_s, H, W]` by attention to the teacher map `[B, C_t, H, W]`.
    pub fn rebuild(&self, pass: &mut Pass<'_>, student: Tensor<4>, teacher: Tensor<4>) -> Rebuilt {
        let query = self.query.forward(pass, student.clone());
        let value = self.value.forward(pass, student);
        let (attention, map) = attend(&query, &teacher, &value, self.heads, self.orientation);
        Rebuilt {
            query,
            value,
            attention,
            map,
        }
    }
}

/// Attention between maps of one shape `[B, C, H, W]`, `query` and `value` of the student, `key` of the
/// teacher: probabilities `[B, heads, N, N]`, rows sum to one, and the map that they make.
fn attend(
    query: &Tensor<4>,
    key: &Tensor<4>,
    value: &Tensor<4>,
    heads: usize,
    orientation: Orientation,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, channels, height, width] = value.dims();
    // [B, C, H, W] -> [B, heads, C / heads, N]
    let split = |map: &Tensor<4>| {
        map.clone()
            .reshape([batch, heads, channels / heads, height * width])
    };
    let (asking, asked) = match orientation {
        Orientation::StudentQuery => (split(query), split(key)),
        Orientation::TeacherQuery => (split(key), split(query)),
    };
    let attention = softmax(asking.swap_dims(2, 3).matmul(asked), 3);
    // O^T = V^T A^T, which keeps channels in front: [B, heads, C / heads, N].
    let rebuilt = split(value).matmul(attention.clone().swap_dims(2, 3));
    (attention, rebuilt.reshape([batch, channels, height, width]))
}

impl Criterion for Tat {
    fn needs(&self) -> Needs {
        Needs {
            student: Taps::from_iter([&self.pair.student.name]),
            teacher: Taps::from_iter([&self.pair.teacher.name]),
            logits: false,
        }
    }

    fn task_weight(&self) -> f64 {
        self.config.ce_weight
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let teacher = self.pair.teacher_map(Self::ID, &step.teacher(Self::ID)?)?;
        let [.., height, width] = teacher.dims();
        let student = self.pair.student_map(Self::ID, step.student)?;
        let student = resize_map(student, [height, width]);
        let value = match &self.form {
            Form::Whole(whole) => {
                let rebuilt = whole.rebuild(pass, student, teacher.clone()).map;
                mean_squared_error(rebuilt, teacher)
            }
            Form::Patches(patches) => self.patch_term(patches, pass, &student, &teacher),
        };
        Ok(vec![Term::new("tat", value, self.config.weight)])
    }

    fn pairs(&self) -> Vec<(String, String)> {
        vec![self.pair.names()]
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::{Feature, Role, Store, Tap};

    use super::*;
    use crate::testing::{
        assert_close, build, gradient, leaf, map, number, numbers, outputs, pass, probe, random,
        terms, tokens, vector,
    };

    fn make(config: TatConfig, student: Tap, teacher: Tap) -> Result<(Tat, Store), MethodError> {
        build(&probe(&[student], &[teacher]), |probe, builder| {
            Tat::new(config, probe, builder)
        })
    }

    fn oriented(orientation: Orientation, heads: usize) -> (Tat, Store) {
        let config = TatConfig {
            orientation,
            heads: Some(heads),
            ..TatConfig::default()
        };
        make(config, map("stage1", [3, 4, 3]), map("stage1", [6, 4, 3])).unwrap()
    }

    /// The form of classification.
    fn rebuild(method: &Tat, store: &Store, student: Tensor<4>, teacher: Tensor<4>) -> Rebuilt {
        match &method.form {
            Form::Whole(whole) => whole.rebuild(&mut pass(store), student, teacher),
            Form::Patches(_) => panic!("the networks classify"),
        }
    }

    const BOTH: [Orientation; 2] = [Orientation::StudentQuery, Orientation::TeacherQuery];

    #[test]
    fn attention_rows_sum_to_one_and_the_map_stays_within_the_values() {
        for orientation in BOTH {
            let (method, store) = oriented(orientation, 2);
            let student = random("s", [2, 3, 4, 3]);
            let rebuilt = rebuild(&method, &store, student, random("t", [2, 6, 4, 3]));
            assert_eq!(rebuilt.attention.dims(), [2, 2, 12, 12]);
            let sums = numbers(&rebuilt.attention.sum_dim(3));
            assert_close(&sums, &vec![1.0; 48]);
            let flat = |map: Tensor<4>| map.reshape([2, 6, 12]);
            let (map, value) = (flat(rebuilt.map), flat(rebuilt.value));
            let above = map.clone() - value.clone().max_dim(2);
            let below = value.min_dim(2) - map;
            assert!(numbers(&above).iter().all(|&x| x <= 1e-12));
            assert!(numbers(&below).iter().all(|&x| x <= 1e-12));
        }
    }

    #[test]
    fn values_equal_at_all_positions_are_given_back_whatever_the_attention() {
        for orientation in BOTH {
            let (method, mut store) = oriented(orientation, 1);
            // Without the scale, the norm gives its shift at every position.
            let ids: Vec<_> = store.ids().collect();
            for id in ids {
                let entry = store.entry(id).clone();
                if entry.name.starts_with("value.") && entry.role == Role::NormScale {
                    store.set_values(id, vec![0.0; 6]);
                }
                if entry.name.starts_with("value.") && entry.role == Role::NormShift {
                    store.set_values(id, (0..6).map(f64::from).collect());
                }
            }
            let student = random("s", [2, 3, 4, 3]);
            let rebuilt = rebuild(&method, &store, student, random("t", [2, 6, 4, 3]));
            let expected: Vec<f64> = (0..2 * 6 * 12).map(|i| f64::from(i / 12 % 6)).collect();
            assert_close(&numbers(&rebuilt.map), &expected);
        }
    }

    #[test]
    fn turning_both_maps_upside_down_with_the_kernels_changes_nothing() {
        for orientation in BOTH {
            let (method, mut store) = oriented(orientation, 1);
            let (student, teacher) = (random("s", [2, 3, 4, 3]), random("t", [2, 6, 4, 3]));
            let loss = |store: &Store, student: Tensor<4>, teacher: Tensor<4>| {
                let rebuilt = rebuild(&method, store, student, teacher.clone());
                number(&mean_squared_error(rebuilt.map, teacher))
            };
            let before = loss(&store, student.clone(), teacher.clone());
            let ids: Vec<_> = store.ids().collect();
            for id in ids {
                if store.entry(id).role == Role::Weight {
                    let flipped = numbers(&store.get::<4>(id).flip([2]));
                    store.set_values(id, flipped);
                }
            }
            let after = loss(&store, student.flip([2]), teacher.flip([2]));
            assert_close(&[after], &[before]);
        }
    }

    #[test]
    fn several_heads_are_single_heads_over_runs_of_channels() {
        let (method, store) = oriented(Orientation::StudentQuery, 2);
        let (student, teacher) = (random("s", [2, 3, 4, 3]), random("t", [2, 6, 4, 3]));
        let rebuilt = rebuild(&method, &store, student, teacher.clone());
        let run =
            |map: &Tensor<4>, head: usize| map.clone().narrow(1, 3 * head, 3).reshape([2, 3, 12]);
        for head in 0..2 {
            let [q, k, v] = [&rebuilt.query, &teacher, &rebuilt.value].map(|map| run(map, head));
            let attention = softmax(q.swap_dims(1, 2).matmul(k), 2);
            let expected = attention.matmul(v.swap_dims(1, 2)).swap_dims(1, 2);
            assert_close(&numbers(&run(&rebuilt.map, head)), &numbers(&expected));
        }
    }

    #[test]
    fn gradient_reaches_the_student_and_both_embeddings_but_not_the_teacher() {
        for orientation in BOTH {
            let (mut method, store) = oriented(orientation, 1);
            let student = leaf(random("s", [2, 3, 4, 3]));
            let teacher = leaf(random("t", [2, 6, 4, 3]));
            let with = |feature: &Tensor<4>| {
                let mut outputs = outputs("x", 2, &[]);
                let feature = Feature::Map(feature.clone());
                outputs.features.insert("stage1".to_owned(), feature);
                outputs
            };
            let tracked = store.tracked();
            let term = terms(&mut method, &tracked, &with(&student), &with(&teacher)).remove(0);
            let mut gradients = term.value.backward();
            assert!(gradient(&student, &gradients).is_some());
            assert!(gradient(&teacher, &gradients).is_none());
            let arrived = tracked.gradients(&mut gradients);
            assert_eq!(arrived.iter().flatten().count(), 6);
        }
    }

    #[test]
    fn grids_of_tokens_and_maps_of_other_sizes_are_brought_together_or_refused() {
        for (student, teacher) in [
            (map("stage1", [3, 8, 8]), tokens("stage1", 6, [7, 7])),
            (map("stage1", [3, 8, 8]), tokens("stage1", 6, [14, 14])),
            (tokens("stage1", 4, [7, 7]), map("stage1", [6, 4, 4])),
        ] {
            let config = TatConfig::default();
            let (mut method, store) = make(config, student.clone(), teacher.clone()).unwrap();
            let student_outputs = outputs("s", 4, std::slice::from_ref(&student));
            let teacher_outputs = outputs("t", 4, std::slice::from_ref(&teacher));
            let found = terms(&mut method, &store, &student_outputs, &teacher_outputs);
            assert!(number(&found[0].value).is_finite());
            let config = TatConfig {
                resize: false,
                ..TatConfig::default()
            };
            let error = make(config, student, teacher).unwrap_err().to_string();
            assert!(error.contains("differ in size; set `resize`"), "{error}");
        }
    }

    #[test]
    fn the_last_stages_are_compared_by_default() {
        let student = [map("stage1", [2, 8, 8]), map("stage2", [2, 4, 4])];
        let teacher = [
            map("stage1", [2, 8, 8]),
            map("stage2", [2, 4, 4]),
            vector("pooled", 2),
        ];
        let (method, _) = build(&probe(&student, &teacher), |p, b| {
            Tat::new(TatConfig::default(), p, b)
        })
        .unwrap();
        assert_eq!(method.pairs(), [("stage2".to_owned(), "stage2".to_owned())]);
    }

    #[test]
    fn heads_that_do_not_divide_the_channels_are_refused() {
        for (heads, text) in [
            (0, "at least 1"),
            (4, "a divisor of the teacher's 6 channels"),
        ] {
            let config = TatConfig {
                heads: Some(heads),
                ..TatConfig::default()
            };
            let same = |channels| map("stage1", [channels, 4, 4]);
            let error = make(config, same(3), same(6)).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn one_position_whose_value_is_the_teachers_costs_nothing() {
        let same = || map("stage1", [2, 1, 1]);
        let (mut method, store) = make(TatConfig::default(), same(), same()).unwrap();
        let student = outputs("s", 4, &[same()]);
        let feature = student.feature("stage1").unwrap().to_map().unwrap();
        let value = rebuild(&method, &store, feature, random("t", [4, 2, 1, 1])).value;
        let mut teacher = outputs("t", 4, &[]);
        teacher
            .features
            .insert("stage1".to_owned(), Feature::Map(value));
        let loss = number(&terms(&mut method, &store, &student, &teacher)[0].value);
        assert_close(&[loss], &[0.0]);
    }
}
