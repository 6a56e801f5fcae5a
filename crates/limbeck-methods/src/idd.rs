//! # idd — Distilling Inter-Class Distance for Semantic Segmentation
//!
//! A strong teacher keeps the classes apart in its feature space. The distances between the centres
//! of the classes of an image are computed in both networks, and the student's are pulled to the
//! teacher's. Which class a pixel has also depends on where it is: what a small head reads of the
//! positions out of the teacher's map, another head should find in the student's.
//!
//! ## Definition
//! L = task + distance_weight · L_d + position_weight · mean (P_s − P_t)² + mean (P_t − P)²
//!
//! F_s, F_t: maps of student and teacher (detached). For each image, μ_c is the mean of F over the
//! pixels of class c, for the classes that it has, and d_ij = ‖μ_i − μ_j‖, i < j.
//! L_d = 1/B Σ_b mean_ij (d^s_ij − d^t_ij)²; an image with fewer than two classes adds nothing. With
//! `normalize` = `mean` every d is divided by the mean over the image's pairs, in both networks.
//! P_s = head_s(F_s), P_t = head_t(F_t): 3×3 convolutions without padding, which itself would tell
//! where the border is, to two channels. P: x/(W − 1) and y/(H − 1) of each pixel, without the
//! outermost. P_t is detached in the first mean, so the last one alone trains the teacher's head.
//! With `position_maps` = `unit` the heads read F / r, r² = mean over pixels of ‖F_pixel‖², detached.
//!
//! ## Inputs and shapes
//! Student map `[B, C_s, H_s, W_s]`, brought to the teacher's size where it has another; teacher map
//! `[B, C_t, H, W]`; by default what the last classifiers read (`feature`), else the last stages.
//! Masks `[B, H', W']`, reduced to H×W by the nearest pixel; void belongs to no class.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `distance_weight` | 1 | ≥ 0 | ours; 0 reads no labels |
//! | `position_weight` | 1 | ≥ 0 | ours; 0 leaves the heads out |
//! | `normalize` | `none` | or `mean` | ours: `mean` for features of very different scale |
//! | `position_maps` | `unit` | or `raw` | ours: what the heads read, see below |
//! | `head_share` | 0.05 | 0 to 1 | ours: share of training in which the teacher's head learns alone |
//!
//! ## Notes
//! The authors have released no code: this follows the paper's abstract and the field's practice; the
//! weights, the heads, and that absent classes take no part (others let them sit at the origin) are
//! ours. The paper adds its terms to those of structured distillation: `skds+idd`, or `kd+idd` for
//! the pixels alone. A squared error of a 3×3 head bends with 9 · ‖F_pixel‖²: on the raw maps of a few
//! hundred channels it grows without bound under the rates that students train with (SGD at 0.01 on
//! CamVid, in the second epoch). Maps of unit length bound it by 18, which rates up to 0.2 with a
//! momentum of 0.9 follow; the student's pull no longer depends on the scale of its features either.
//! Distances have the unit of the features: L_d should start at a tenth to a half
//! of the cross entropy, which the table of terms shows; `distance_weight` brings it there, or
//! `normalize = "mean"`, which in a short run cost less (`docs/SEGMENTATION.md`). Where no image of a
//! batch has two classes L_d is 0. Cost: 18·C weights for each head, one weighted sum of
//! the pixels and at most K²/2 distances for each image.
//!
//! ## Reference
//! Zhang, Zhou, Tu. "Distilling Inter-Class Distance for Semantic Segmentation". IJCAI 2022,
//! pp. 1686–1692. <https://arxiv.org/abs/2205.03650>

#[cfg(test)]
pub mod golden;
#[cfg(test)]
mod tests;

use burn::tensor::{Device, Int, Tensor, TensorData};
use limbeck_data::VOID;
use limbeck_nn::{
    Builder, Pass, Taps,
    layer::{Conv2d, Conv2dConfig, energy_and_mean},
};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Progress, Segmentation, Step, Term,
    connector::{mean_squared_error, resize_map},
    criterion::{require_share, require_weight},
    dense::last_features,
    pairs::{Pair, resolve_pair},
};

/// Least squared distance whose root is taken: below it the root's slope has no bound.
const LEAST_SQUARE: f64 = 1e-12;

/// What distances are divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistanceScale {
    /// Nothing.
    #[default]
    None,
    /// Their mean over the image's pairs.
    Mean,
}

/// What the position heads read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionMaps {
    /// Maps divided by the root mean square length of their pixels' vectors.
    #[default]
    Unit,
    /// Maps as they are.
    Raw,
}

/// Settings of [`Idd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IddConfig {
    /// Factor of the distances' differences.
    pub distance_weight: f64,
    /// Factor of the position maps' difference.
    pub position_weight: f64,
    /// What distances are divided by.
    pub normalize: DistanceScale,
    /// What the position heads read.
    pub position_maps: PositionMaps,
    /// Share of training in which the teacher's head learns alone.
    pub head_share: f64,
}

impl IddConfig {
    /// Whether classes of pixels are asked for.
    pub(crate) fn reads_labels(&self) -> bool {
        self.distance_weight > 0.0
    }
}

impl Default for IddConfig {
    fn default() -> Self {
        Self {
            distance_weight: 1.0,
            position_weight: 1.0,
            normalize: DistanceScale::None,
            position_maps: PositionMaps::Unit,
            head_share: 0.05,
        }
    }
}

/// Distances between the classes of an image, and where its pixels are.
#[derive(Debug)]
pub struct Idd {
    config: IddConfig,
    pair: Pair,
    classes: usize,
    heads: Option<Heads>,
}

/// What reads positions out of maps.
#[derive(Debug)]
struct Heads {
    student: Conv2d,
    teacher: Conv2d,
}

/// What the heads say, `[B, 2, H − 2, W − 2]` each.
#[derive(Clone, Debug)]
pub struct Positions {
    /// Gradients flow into student and its head.
    pub student: Tensor<4>,
    /// Gradients flow into the teacher's head.
    pub teacher: Tensor<4>,
    /// What is true.
    pub target: Tensor<4>,
}

/// The classes of one image.
struct Regions {
    /// Which of the classes that the image has each pixel is of; `None` of void.
    rows: Vec<Option<usize>>,
    /// Pixels of each class that the image has.
    pixels: Vec<usize>,
}

impl Regions {
    /// Both classes of each pair i < j, `[P (P − 1) / 2]` each.
    fn pairs(&self, device: &Device) -> [Tensor<1, Int>; 2] {
        let count = self.pixels.len() as i64;
        let pairs = || (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j)));
        let indices = |list: Vec<i64>| {
            let length = list.len();
            Tensor::from_data(TensorData::new(list, [length]), device)
        };
        [
            indices(pairs().map(|(i, _)| i).collect()),
            indices(pairs().map(|(_, j)| j).collect()),
        ]
    }
}

/// Which pixels are of which class of their image, `[B, H·W, P]` for images with P classes at most,
/// and the reciprocal of how many there are, `[B, 1, P]`.
struct Members {
    ones: Tensor<3>,
    shares: Tensor<3>,
}

impl Members {
    fn new(regions: &[Option<Regions>], positions: usize, like: &Tensor<4>) -> Self {
        let present = regions.iter().flatten().map(|regions| regions.pixels.len());
        let most = present.max().unwrap_or(1);
        let mut ones = vec![0f32; regions.len() * positions * most];
        let mut shares = vec![1.0; regions.len() * most];
        let images = ones.chunks_exact_mut(positions * most);
        let images = images.zip(shares.chunks_exact_mut(most)).zip(regions);
        for ((ones, shares), regions) in images {
            let Some(regions) = regions else { continue };
            for (classes, row) in ones.chunks_exact_mut(most).zip(&regions.rows) {
                if let &Some(row) = row {
                    classes[row] = 1.0;
                }
            }
            for (share, &pixels) in shares.iter_mut().zip(&regions.pixels) {
                *share = 1.0 / pixels as f64;
            }
        }
        let (device, dtype) = (like.device(), like.dtype());
        let ones = TensorData::new(ones, [regions.len(), positions, most]);
        let shares = TensorData::new(shares, [regions.len(), 1, most]);
        Self {
            ones: Tensor::from_data(ones, (&device, dtype)),
            shares: Tensor::from_data(shares, (&device, dtype)),
        }
    }

    /// Means of the classes' pixels: `[B, C, H, W]` → `[B, C, P]`.
    fn centres(&self, maps: &Tensor<4>) -> Tensor<3> {
        let [batch, channels, height, width] = maps.dims();
        let pixels = maps.clone().reshape([batch, channels, height * width]);
        pixels.matmul(self.ones.clone()) * self.shares.clone()
    }
}

impl Idd {
    const ID: &'static str = "idd";

    /// Makes the heads, `student.*` and `teacher.*`.
    ///
    /// # Errors
    /// A setting out of range, no teacher, layers that are not there or do not fit.
    pub fn new(
        config: IddConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "distance_weight", config.distance_weight)?;
        require_weight(Self::ID, "position_weight", config.position_weight)?;
        require_share(Self::ID, "head_share", config.head_share)?;
        if config.distance_weight == 0.0 && config.position_weight == 0.0 {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "distance_weight",
                expected: "above 0 where `position_weight` is 0".to_owned(),
                found: "0".to_owned(),
            });
        }
        let pair = resolve_pair(Self::ID, probe, last_features)?;
        let [channels, height, width] = pair.teacher_shape;
        let reads_positions = config.position_weight > 0.0;
        if reads_positions && (height < 3 || width < 3) {
            let reason = "a head without padding needs maps of at least 3×3; name other layers \
                          with `pairs` in [method], or set `position_weight` to 0";
            return Err(pair.mismatch(Self::ID, reason.to_owned()));
        }
        let mut head = |name, channels| {
            Conv2d::new(builder.sub(name), Conv2dConfig::new(channels, 2, 3).bias())
        };
        let heads = reads_positions.then(|| Heads {
            student: head("student", pair.student_shape[0]),
            teacher: head("teacher", channels),
        });
        Ok(Self {
            config,
            pair,
            classes: probe.classes,
            heads,
        })
    }

    /// The classes of each image of masks `[B, H, W]`; `None` for an image with fewer than two.
    ///
    /// # Errors
    /// A class beyond those that the networks know.
    fn regions(
        &self,
        masks: &Tensor<3, Int>,
        [height, width]: [usize; 2],
    ) -> Result<Vec<Option<Regions>>, MethodError> {
        let ids: Vec<i64> = masks.to_data().iter::<i64>().collect();
        let images = ids.chunks(height * width);
        images.map(|ids| self.regions_of(ids)).collect()
    }

    fn regions_of(&self, ids: &[i64]) -> Result<Option<Regions>, MethodError> {
        let mut counts = vec![0usize; self.classes];
        for &id in ids.iter().filter(|&&id| id != i64::from(VOID)) {
            let count = usize::try_from(id).ok().and_then(|id| counts.get_mut(id));
            *count.ok_or_else(|| MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "a pixel has the class {id}, but the networks know {} (0 to {})",
                    self.classes,
                    self.classes - 1
                ),
            })? += 1;
        }
        let mut rows = vec![None; self.classes];
        let mut pixels = Vec::new();
        for (row, &count) in rows.iter_mut().zip(&counts) {
            if count > 0 {
                *row = Some(pixels.len());
                pixels.push(count);
            }
        }
        let row = |&id: &i64| usize::try_from(id).ok().and_then(|id| *rows.get(id)?);
        Ok((pixels.len() >= 2).then(|| Regions {
            rows: ids.iter().map(row).collect(),
            pixels,
        }))
    }

    /// Distances between the classes of an image, pair by pair, from the centres of all `[B, C, P]`.
    fn distances(
        &self,
        centres: &Tensor<3>,
        image: usize,
        [first, second]: &[Tensor<1, Int>; 2],
    ) -> Tensor<1> {
        let [_, channels, most] = centres.dims();
        let centres = centres.clone().narrow(0, image, 1);
        let centres = centres.reshape([channels, most]);
        let apart = centres.clone().select(1, first.clone()) - centres.select(1, second.clone());
        let squares: Tensor<1> = apart.square().sum_dim(0).squeeze_dim(0);
        let distances = squares.clamp_min(LEAST_SQUARE).sqrt();
        match self.config.normalize {
            DistanceScale::None => distances,
            DistanceScale::Mean => distances.clone() / distances.mean(),
        }
    }

    /// L_d of maps `[B, C_s, H, W]` and `[B, C_t, H, W]` and masks `[B, H', W']`, `[1]`.
    ///
    /// # Errors
    /// A class beyond those that the networks know.
    fn distance_term(
        &self,
        student: &Tensor<4>,
        teacher: &Tensor<4>,
        masks: &Tensor<3, Int>,
    ) -> Result<Tensor<1>, MethodError> {
        let [batch, _, height, width] = teacher.dims();
        let masks = Segmentation::reduced(masks, [height, width]);
        let regions = self.regions(&masks, [height, width])?;
        let members = Members::new(&regions, height * width, teacher);
        let [own, other] = [student, teacher].map(|maps| members.centres(maps));
        let terms = regions.iter().enumerate().filter_map(|(image, regions)| {
            let pairs = regions.as_ref()?.pairs(&own.device());
            let of = |centres: &Tensor<3>| self.distances(centres, image, &pairs);
            Some(mean_squared_error(of(&own), of(&other)))
        });
        let sum = terms.reduce(|sum, term| sum + term);
        Ok(match sum {
            Some(sum) => sum.mul_scalar(1.0 / batch as f64),
            // Without any pair the gradient is zero too.
            None => own.sum().mul_scalar(0.0),
        })
    }

    /// What the heads read out of maps `[B, C_s, H, W]` and `[B, C_t, H, W]`; `None` where there are
    /// none.
    fn positions(
        &self,
        pass: &mut Pass<'_>,
        student: Tensor<4>,
        teacher: Tensor<4>,
    ) -> Option<Positions> {
        let heads = self.heads.as_ref()?;
        let target = ramps(&teacher);
        let mut read = |head: &Conv2d, maps: Tensor<4>| match self.config.position_maps {
            PositionMaps::Unit => {
                let scale = unit_scale(&maps);
                head.forward_scaled(pass, maps, scale)
            }
            PositionMaps::Raw => head.forward(pass, maps),
        };
        Some(Positions {
            student: read(&heads.student, student),
            teacher: read(&heads.teacher, teacher),
            target,
        })
    }

    /// Factor of the position maps' difference by now.
    fn position_weight(&self, progress: Progress) -> f64 {
        let all = (progress.epochs * progress.steps) as f64;
        let done = (progress.epoch * progress.steps + progress.step) as f64;
        match done < self.config.head_share * all {
            true => 0.0,
            false => self.config.position_weight,
        }
    }
}

/// What brings the root mean square length of the pixels' vectors of maps `[B, C, H, W]` to one,
/// `[1, 1, 1, 1]`, without a gradient; maps of zeros stay what they are.
fn unit_scale(maps: &Tensor<4>) -> Tensor<4> {
    let channels = maps.dims()[1] as f64;
    let energy = energy_and_mean(maps.clone().inner()).energy;
    let square = energy.mean().mul_scalar(channels);
    let length = square.clamp_min(LEAST_SQUARE).sqrt();
    length.recip().reshape([1, 1, 1, 1])
}

/// x/(W − 1) and y/(H − 1) of all pixels of maps `[B, C, H, W]` but the outermost:
/// `[B, 2, H − 2, W − 2]`.
fn ramps(like: &Tensor<4>) -> Tensor<4> {
    let [batch, _, height, width] = like.dims();
    let rows = 1..height - 1;
    let columns = || 1..width - 1;
    let x = rows
        .clone()
        .flat_map(|_| columns().map(|x| x as f64 / (width - 1) as f64));
    let y = rows
        .clone()
        .flat_map(|y| columns().map(move |_| y as f64 / (height - 1) as f64));
    let numbers: Vec<f64> = x.chain(y).collect();
    let shape = [1, 2, height - 2, width - 2];
    let options = (&like.device(), like.dtype());
    Tensor::<4>::from_data(TensorData::new(numbers, shape), options).expand([
        batch,
        2,
        height - 2,
        width - 2,
    ])
}

impl Criterion for Idd {
    fn needs(&self) -> Needs {
        Needs {
            student: Taps::from_iter([&self.pair.student.name]),
            teacher: Taps::from_iter([&self.pair.teacher.name]),
            logits: false,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let teacher = self.pair.teacher_map(Self::ID, &step.teacher(Self::ID)?)?;
        let student = self.pair.student_map(Self::ID, step.student)?;
        let [.., height, width] = teacher.dims();
        let student = resize_map(student, [height, width]);
        let mut terms = Vec::new();
        if self.config.reads_labels() {
            let masks = step.supervision.target.masks(Self::ID)?;
            let value = self.distance_term(&student, &teacher, masks)?;
            terms.push(Term::new("distance", value, self.config.distance_weight));
        }
        if let Some(found) = self.positions(pass, student, teacher) {
            let known = found.teacher.clone().inner();
            let value = mean_squared_error(found.student, known);
            let weight = self.position_weight(step.progress);
            terms.push(Term::new("position", value, weight));
            let value = mean_squared_error(found.teacher, found.target);
            terms.push(Term::new("teacher_position", value, 1.0));
        }
        Ok(terms)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        vec![self.pair.names()]
    }
}
