//! What a detector learns from boxes.
//!
//! Of the n entries that [`assign`] gives a level, the box term is the mean of 1 − CIoU, and the class term the
//! binary cross entropy of all n·K numbers with the class as 1 − ε/2 and all others as ε/2 (none where K is 1).
//! The objectness of every cell and anchor is compared with the CIoU of the entry there, without gradient and
//! not below 0, and 0 where there is none; its mean is weighted by level. With focal loss (Lin et al., ICCV 2017),
//! as in YOLOv5, each cross entropy is multiplied by (t/4 + 3(1 − t)/4)·(1 − p_t)^γ, where
//! p_t = tp + (1 − t)(1 − p).

mod moving;
mod settings;
mod turned;

use burn::tensor::{
    Int, Tensor, TensorData,
    activation::{log_sigmoid, sigmoid},
};

pub use moving::MovingBoxes;
pub use settings::{DetectionLossConfig, Gains};

use super::{Anchors, Assigned, DetectionError, TargetBox, assign, ciou};

/// α of focal loss (`utils/loss.py`, `FocalLoss`).
const FOCAL_ALPHA: f64 = 0.25;

/// Added to nothing, but the least that a power with γ is taken of: its slope at 0 has no number where
/// γ is below 1.
const LEAST_BASE: f64 = 1e-12;

/// YOLOv5's loss of raw maps.
#[derive(Clone, Debug)]
pub struct DetectionLoss {
    config: DetectionLossConfig,
    anchors: Anchors,
}

/// The three parts of the loss, each `[1]` and times its gain.
#[derive(Clone, Debug)]
pub struct DetectionTerms {
    /// 1 − CIoU.
    pub bounds: Tensor<1>,
    /// Cross entropy of objectness.
    pub objectness: Tensor<1>,
    /// Cross entropy of classes.
    pub classes: Tensor<1>,
    /// Images in the batch.
    pub batch: usize,
}

impl DetectionTerms {
    /// The sum of the parts: `[1]`.
    pub fn sum(&self) -> Tensor<1> {
        self.bounds.clone() + self.objectness.clone() + self.classes.clone()
    }

    /// The sum of the parts, times the number of images: `[1]`.
    pub fn total(&self) -> Tensor<1> {
        self.sum().mul_scalar(self.batch as f64)
    }
}

impl DetectionLoss {
    /// The loss of a network with these anchors.
    ///
    /// # Errors
    /// [`DetectionError::Setting`] for a setting out of its range, and for other than one balance for each
    /// level.
    pub fn new(config: DetectionLossConfig, anchors: Anchors) -> Result<Self, DetectionError> {
        config.check(anchors.levels().len())?;
        Ok(Self { config, anchors })
    }

    /// What each level's cells learn of `targets`, for maps `[B, A, H, W, 5 + K]`.
    ///
    /// # Errors
    /// [`DetectionError::Shape`] where the maps do not fit the anchors, [`DetectionError::Row`] for a target
    /// of an image or class that there is not.
    pub fn assign(
        &self,
        raw: &[Tensor<5>],
        targets: &[TargetBox],
    ) -> Result<Vec<Vec<Assigned>>, DetectionError> {
        let [batch, classes] = self.anchors.check_maps(raw)?;
        for (index, target) in targets.iter().enumerate() {
            let of = |what, found, count| DetectionError::Row {
                what: "target",
                index,
                reason: format!("its {what} is {found}, not one of 0..{count}"),
            };
            if target.image >= batch {
                return Err(of("image", target.image, batch));
            }
            if target.class >= classes {
                return Err(of("class", target.class, classes));
            }
        }
        let grids: Vec<[usize; 2]> = raw
            .iter()
            .map(|map| {
                let [_, _, height, width, _] = map.dims();
                [height, width]
            })
            .collect();
        assign(&self.anchors, &grids, targets, self.config.anchor_ratio)
    }

    /// The loss of raw maps `[B, A, H, W, 5 + K]`, finest level first. Without targets there is objectness
    /// alone.
    ///
    /// # Errors
    /// As [`DetectionLoss::assign`].
    pub fn terms(
        &self,
        raw: &[Tensor<5>],
        targets: &[TargetBox],
    ) -> Result<DetectionTerms, DetectionError> {
        self.sum_of_levels(raw, targets, None, |entries, picked, rows| {
            self.level(entries, picked, rows)
        })
    }

    /// The parts of all levels, each of which `level` makes of its entries, what is picked for them where
    /// there are any, and all rows `[n, 5 + K]`. `sides` are those of [`MovingBoxes`].
    fn sum_of_levels(
        &self,
        raw: &[Tensor<5>],
        targets: &[TargetBox],
        sides: Option<&Tensor<2>>,
        level: impl Fn(&[Assigned], Option<&Picked>, Tensor<2>) -> Level,
    ) -> Result<DetectionTerms, DetectionError> {
        if let Some(sides) = sides.filter(|sides| sides.dims() != [targets.len(), 4]) {
            return Err(DetectionError::Shape {
                what: "sides of boxes".to_owned(),
                expected: format!("[{}, 4]", targets.len()),
                found: format!("{:?}", sides.dims()),
            });
        }
        let assigned = self.assign(raw, targets)?;
        let [batch, _] = self.anchors.check_maps(raw)?;
        let zero = Tensor::zeros([1], (&raw[0].device(), raw[0].dtype()));
        let (mut bounds, mut objectness, mut classes) = (zero.clone(), zero.clone(), zero);
        for ((map, entries), balance) in raw.iter().zip(&assigned).zip(&self.config.balance) {
            let [_, anchors, height, width, numbers] = map.dims();
            let rows = map
                .clone()
                .reshape([batch * anchors * height * width, numbers]);
            let picked = Picked::new(map, &rows, entries, sides)?;
            let level = level(entries, picked.as_ref(), rows);
            if let Some((its_bounds, its_classes)) = level.of_entries {
                bounds = bounds + its_bounds;
                classes = classes + its_classes;
            }
            objectness = objectness + level.objectness.mul_scalar(*balance);
        }
        let gains = &self.config.gains;
        Ok(DetectionTerms {
            bounds: bounds.mul_scalar(gains.bounds),
            objectness: objectness.mul_scalar(gains.objectness),
            classes: classes.mul_scalar(gains.classes),
            batch,
        })
    }

    fn level(&self, entries: &[Assigned], picked: Option<&Picked>, rows: Tensor<2>) -> Level {
        let mut wanted = vec![0.0; rows.dims()[0]];
        let of_entries = picked.map(|picked| {
            let found = picked.overlap.clone().inner().into_data();
            let share = self.config.objectness_overlap;
            // Of several entries of a cell and anchor the last one counts.
            for (&place, overlap) in picked.places.iter().zip(found.iter::<f64>()) {
                wanted[place as usize] = 1.0 - share + share * overlap.max(0.0);
            }
            let bounds = mean(picked.overlap.clone().neg().add_scalar(1.0));
            (bounds, self.class_loss(&picked.rows, entries))
        });
        let weight = self.config.objectness_positive_weight;
        let wanted = table(&rows, wanted, 1);
        let objectness = self.cross_entropy(rows.narrow(1, 4, 1), wanted, weight);
        Level {
            of_entries,
            objectness,
        }
    }

    fn class_loss(&self, picked: &Tensor<2>, entries: &[Assigned]) -> Tensor<1> {
        let [count, numbers] = picked.dims();
        let classes = numbers - 5;
        if classes == 1 {
            return Tensor::zeros([1], (&picked.device(), picked.dtype()));
        }
        let half = 0.5 * self.config.label_smoothing;
        let mut wanted = vec![half; count * classes];
        for (row, entry) in wanted.chunks_mut(classes).zip(entries) {
            row[entry.class] = 1.0 - half;
        }
        let weight = self.config.class_positive_weight;
        let logits = picked.clone().narrow(1, 5, classes);
        self.cross_entropy(logits, table(picked, wanted, classes), weight)
    }

    /// Mean binary cross entropy of `logits` `[n, m]` with `wanted` (0 to 1, alike), whose share of 1 counts
    /// `positive_weight` times: `[1]`.
    fn cross_entropy(
        &self,
        logits: Tensor<2>,
        wanted: Tensor<2>,
        positive_weight: f64,
    ) -> Tensor<1> {
        let rest = wanted.clone().neg().add_scalar(1.0);
        // −ln σ(x) = softplus(−x), and −ln(1 − σ(x)) is x more.
        let positive = log_sigmoid(logits.clone()).neg();
        let weight = wanted.clone().mul_scalar(positive_weight) + rest.clone();
        let losses = rest.clone() * logits.clone() + weight * positive;
        if self.config.focal_gamma == 0.0 {
            return mean(losses);
        }
        let p = sigmoid(logits);
        let balance =
            wanted.clone().mul_scalar(FOCAL_ALPHA) + rest.clone().mul_scalar(1.0 - FOCAL_ALPHA);
        let wrong = wanted * p.clone().neg().add_scalar(1.0) + rest * p;
        let focus = wrong
            .clamp_min(LEAST_BASE)
            .powf_scalar(self.config.focal_gamma);
        mean(losses * balance * focus)
    }
}

struct Level {
    /// Box and class terms, where anything is assigned.
    of_entries: Option<(Tensor<1>, Tensor<1>)>,
    objectness: Tensor<1>,
}

/// What is predicted where a level's entries are.
struct Picked {
    /// Row of each entry.
    places: Vec<i64>,
    /// `[n, 5 + K]`.
    rows: Tensor<2>,
    /// CIoU of each with its box, `[n]`.
    overlap: Tensor<1>,
}

impl Picked {
    /// Of the level's `rows`, which are those of `map` `[B, A, H, W, 5 + K]`; `None` without entries.
    fn new(
        map: &Tensor<5>,
        rows: &Tensor<2>,
        entries: &[Assigned],
        sides: Option<&Tensor<2>>,
    ) -> Result<Option<Self>, DetectionError> {
        if entries.is_empty() {
            return Ok(None);
        }
        let [_, anchors, height, width, _] = map.dims();
        let place = |a: &Assigned| {
            let plane = a.image * anchors + a.anchor;
            ((plane * height + a.cell[0]) * width + a.cell[1]) as i64
        };
        let places: Vec<i64> = entries.iter().map(place).collect();
        let index = TensorData::new(places.clone(), [places.len()]);
        let picked = rows
            .clone()
            .select(0, Tensor::<1, Int>::from_data(index, &map.device()));
        let wanted = match sides {
            Some(sides) => moving::in_cells(sides, entries, [height, width]),
            None => table(rows, columns(entries, |a| a.bounds), 4),
        };
        let anchors = table(rows, columns(entries, |a| a.anchor_size), 2);
        Ok(Some(Self {
            overlap: ciou(predicted(&picked, &anchors), wanted)?,
            rows: picked,
            places,
        }))
    }
}

/// Rows of `width` numbers, where and of the type that `like` is.
fn table(like: &Tensor<2>, values: Vec<f64>, width: usize) -> Tensor<2> {
    let shape = [values.len() / width, width];
    let options = (&like.device(), like.dtype());
    Tensor::from_data(TensorData::new(values, shape), options)
}

/// Boxes of raw rows `[n, 5 + K]` in cells, from the cell's corner; anchors `[n, 2]`.
fn predicted(rows: &Tensor<2>, anchors: &Tensor<2>) -> Tensor<2> {
    let twice = sigmoid(rows.clone().narrow(1, 0, 4)).mul_scalar(2.0);
    let center = twice.clone().narrow(1, 0, 2).sub_scalar(0.5);
    let side = twice.narrow(1, 2, 2);
    Tensor::cat(vec![center, side.clone() * side * anchors.clone()], 1)
}

fn columns<const N: usize>(entries: &[Assigned], of: fn(&Assigned) -> [f64; N]) -> Vec<f64> {
    entries.iter().flat_map(of).collect()
}

/// Mean whose gradient is not rounded to single precision, as that of a division by a number is.
fn mean<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    tensor.sum().mul_scalar(1.0 / count as f64)
}

#[cfg(test)]
mod tests;
