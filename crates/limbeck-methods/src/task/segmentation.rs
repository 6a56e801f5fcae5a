//! One class of each pixel.

use burn::tensor::{Bool, DType, Int, Tensor, TensorData, activation::log_softmax};
use limbeck_data::VOID;
use limbeck_nn::{
    Feature, Outputs, Taps, TaskKind,
    layer::{pixel_log_likelihood, resize_bilinear, resize_nearest},
};

use super::{Rows, Task};
use crate::{MethodError, Target, Term};

/// The tap of an auxiliary head's logits, `[B, K, h, w]`.
pub const AUXILIARY: &str = "auxiliary";

/// Semantic segmentation: the supervised loss is the cross entropy of each pixel that is not void,
/// with logits brought to the masks' size. The default is that and nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segmentation {
    /// Whether corner pixels keep their places where maps are resized.
    pub align_corners: bool,
    /// Share of each label that is spread over all classes, 0..1.
    pub label_smoothing: f64,
    /// Weight of the pixels of each class, `[K]`; empty where all weigh the same. The loss is
    /// divided by the sum of the weights of its pixels, as PyTorch's.
    pub class_weights: Vec<f64>,
    /// Learns from hard pixels alone, where it is on.
    pub ohem: Option<Ohem>,
    /// Weight of the same loss of the auxiliary head ([`AUXILIARY`]), where the network has one;
    /// 0 is off.
    pub auxiliary_weight: f64,
}

/// Online hard example mining: the loss is the mean over the pixels whose class has at most the
/// probability `threshold`, and over at least the share `least` of all that are not void, those of
/// the least probability. (Shrivastava, Gupta, Girshick. "Training Region-based Object Detectors
/// with Online Hard Example Mining". CVPR 2016; for pixels as `ProbOhemCrossEntropy2d` of TorchSeg.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ohem {
    /// Greatest probability of a hard pixel's class, 0..1.
    pub threshold: f64,
    /// Least share of the pixels that is learnt from, 0..1.
    pub least: f64,
}

impl Default for Ohem {
    /// 0.7, and 1/16 of the pixels: TorchSeg's and CIRKD's.
    fn default() -> Self {
        Self {
            threshold: 0.7,
            least: 0.0625,
        }
    }
}

impl Segmentation {
    /// The logits `[B, K, h, w]` of a prediction.
    fn logits(prediction: &Feature) -> Result<Tensor<4>, MethodError> {
        match prediction {
            Feature::Map(logits) => Ok(logits.clone()),
            other => Err(MethodError::Prediction {
                task: TaskKind::Segmentation,
                expected: "a map of logits for each image".to_owned(),
                found: format!("a {} for each", other.kind()),
            }),
        }
    }

    /// Masks `[B, H, W]` at `[height, width]`, by the nearest pixel.
    pub fn reduced(masks: &Tensor<3, Int>, [height, width]: [usize; 2]) -> Tensor<3, Int> {
        let [batch, ..] = masks.dims();
        let maps = masks.clone().float().unsqueeze_dim::<4>(1);
        resize_nearest(maps, [height, width])
            .reshape([batch, height, width])
            .int()
    }

    /// Cross entropy `[1]` of logits `[B, K, h, w]`, brought to the size of the masks `[B, H, W]`, over
    /// the pixels that are not void; 0, with gradients of 0, where all are.
    ///
    /// With weights w and smoothing ε, as PyTorch's `cross_entropy`:
    /// Σ (1 − ε) w_y (−log p_y) + ε/K Σ_k w_k (−log p_k), over Σ w_y.
    fn cross_entropy(
        &self,
        prediction: &Feature,
        masks: &Tensor<3, Int>,
    ) -> Result<Tensor<1>, MethodError> {
        let logits = Self::logits(prediction)?;
        let [batch, height, width] = masks.dims();
        let [images, classes, ..] = logits.dims();
        self.check([images, classes], masks)?;
        let logits = resize_bilinear(logits, [height, width], self.align_corners);
        let options = (&logits.device(), logits.dtype());
        let void: Tensor<3, Bool> = masks.clone().equal_elem(VOID);
        let index = masks.clone().mask_fill(void.clone(), 0);
        let known = void.bool_not().float().cast(options.1);
        let right = pixel_log_likelihood(logits.clone(), index.clone());
        let kept = match self.ohem {
            None => known,
            Some(ohem) => hard(ohem, &right.clone().inner(), known),
        };
        let table = (!self.class_weights.is_empty())
            .then(|| Tensor::<1>::from_data(TensorData::from(&self.class_weights[..]), options));
        let weights = match &table {
            None => kept.clone(),
            Some(table) => {
                let of_label = table.clone().select(0, index.flatten::<1>(0, 2));
                kept.clone() * of_label.reshape([batch, height, width])
            }
        };
        let whole = weights.clone().sum().into_scalar::<f64>();
        if whole <= 0.0 {
            return Ok(logits.sum().mul_scalar(0.0));
        }
        let smoothing = self.label_smoothing;
        let loss = (right * weights)
            .sum()
            .mul_scalar((smoothing - 1.0) / whole);
        if smoothing == 0.0 {
            return Ok(loss);
        }
        let table = table.unwrap_or_else(|| Tensor::ones([classes], options));
        let kept = kept.mul_scalar(smoothing / classes as f64 / whole);
        Ok(loss + spread(logits, table, kept))
    }

    /// Refuses logits of another number of images, or of fewer classes than masks or weights have.
    fn check(
        &self,
        [images, classes]: [usize; 2],
        masks: &Tensor<3, Int>,
    ) -> Result<(), MethodError> {
        let refuse = |expected: String, found: String| {
            Err(MethodError::Prediction {
                task: TaskKind::Segmentation,
                expected,
                found,
            })
        };
        let [batch, ..] = masks.dims();
        if images != batch {
            return refuse(
                format!("logits for each of {batch} masks"),
                format!("logits for {images} images"),
            );
        }
        let weights = self.class_weights.len();
        if weights != 0 && weights != classes {
            return refuse(
                format!("logits of {weights} classes, as there are class weights"),
                format!("{classes}"),
            );
        }
        let void = masks.clone().equal_elem(VOID);
        let largest = masks.clone().mask_fill(void, 0).max().into_scalar::<i64>();
        if largest >= classes as i64 {
            return refuse(
                format!("logits of {} classes, as the masks have", largest + 1),
                format!("{classes}"),
            );
        }
        Ok(())
    }

    /// Numbers of the rows of a batch's masks `[B, H, W]` that are not void, `[R]`.
    fn known(masks: &Tensor<3, Int>) -> Tensor<1, Int> {
        let known: Tensor<1, Bool> = masks.clone().flatten::<1>(0, 2).not_equal_elem(VOID);
        known.argwhere().flatten(0, 1)
    }
}

/// Σ s Σ_k w_k (−log p_k) `[1]` over the pixels of logits `[B, K, H, W]`, with the weights w of
/// classes, `[K]`, and the share s of each pixel, `[B, H, W]`.
fn spread(logits: Tensor<4>, weights: Tensor<1>, share: Tensor<3>) -> Tensor<1> {
    // The gradient is known: s (p Σ w − w). It is made here, of plain numbers, so that nothing of
    // the size of the logits but itself is kept for the backward pass.
    let log_p = log_softmax(logits.clone().inner(), 1);
    let classes = weights.dims()[0];
    let sum = weights.clone().sum().into_scalar::<f64>();
    let (weights, share) = (
        weights.reshape([1, classes, 1, 1]),
        share.unsqueeze_dim::<4>(1),
    );
    let value = ((log_p.clone() * weights.clone()).sum_dim(1) * share.clone()).sum();
    let slope = (log_p.exp().mul_scalar(sum) - weights) * share;
    let pull = (logits * slope).sum();
    pull.clone() - pull.inner() - value
}

/// Of the `known` pixels `[B, H, W]` (1, else 0) those that are hard: with the log-probabilities
/// `right` of their classes, of the same shape.
fn hard(ohem: Ohem, right: &Tensor<3>, known: Tensor<3>) -> Tensor<3> {
    let numbers = |tensor: &Tensor<3>| tensor.to_data().iter::<f64>().collect::<Vec<f64>>();
    let counted = numbers(&known);
    let mut all: Vec<f64> = (numbers(right).into_iter().zip(counted))
        .filter_map(|(right, known)| (known > 0.0).then_some(right))
        .collect();
    let least = (ohem.least * all.len() as f64).ceil() as usize;
    let mut limit = ohem.threshold.ln();
    if let Some(last) = least.min(all.len()).checked_sub(1) {
        let (_, kth, _) = all.select_nth_unstable_by(last, f64::total_cmp);
        limit = limit.max(*kth);
    }
    let hard = right.clone().lower_equal_elem(limit);
    known.mask_fill(hard.bool_not(), 0.0)
}

impl Task for Segmentation {
    fn kind(&self) -> TaskKind {
        TaskKind::Segmentation
    }

    fn taps(&self) -> Taps {
        match self.auxiliary_weight > 0.0 {
            true => Taps::from_iter([AUXILIARY]),
            false => Taps::none(),
        }
    }

    fn terms(&self, outputs: &Outputs, target: &Target) -> Result<Vec<Term>, MethodError> {
        let Target::Masks(masks) = target else {
            return Ok(Vec::new());
        };
        let value = self.cross_entropy(&outputs.prediction, masks)?;
        let mut terms = vec![Term::new("task", value, 1.0)];
        if self.auxiliary_weight > 0.0
            && let Some(logits) = outputs.feature(AUXILIARY)
        {
            let value = self.cross_entropy(logits, masks)?;
            terms.push(Term::new(AUXILIARY, value, self.auxiliary_weight));
        }
        Ok(terms)
    }

    /// The student's grid: the teacher's logits are resized to it, masks reduced to it.
    fn rows(
        &self,
        student: &Feature,
        teacher: Option<&Feature>,
        target: &Target,
    ) -> Result<Rows, MethodError> {
        let student = Self::logits(student)?;
        let [_, classes, height, width] = student.dims();
        let teacher = teacher.map(Self::logits).transpose()?;
        let teacher = match teacher {
            Some(logits) if logits.dims()[1] != classes => {
                return Err(MethodError::Prediction {
                    task: self.kind(),
                    expected: format!("a teacher of {classes} classes, as the student's"),
                    found: format!("{}", logits.dims()[1]),
                });
            }
            Some(logits) => Some(resize_bilinear(logits, [height, width], self.align_corners)),
            None => None,
        };
        let rows = |logits: Tensor<4>| Feature::Map(logits).to_rows();
        let Target::Masks(masks) = target else {
            return Ok(Rows {
                student: rows(student),
                teacher: teacher.map(rows),
                labels: None,
            });
        };
        let masks = Self::reduced(masks, [height, width]);
        let known = Self::known(&masks);
        if known.dims() == [0] {
            let nothing = |logits| rows(logits).narrow(0, 0, 1).mul_scalar(0.0);
            return Ok(Rows {
                student: nothing(student),
                teacher: teacher.map(nothing),
                labels: Some(masks.flatten::<1>(0, 2).narrow(0, 0, 1).zeros_like()),
            });
        }
        let labels = masks.flatten::<1>(0, 2).select(0, known.clone());
        Ok(Rows {
            student: rows(student).select(0, known.clone()),
            teacher: teacher.map(|logits| rows(logits).select(0, known)),
            labels: Some(labels),
        })
    }

    fn count_right(&self, prediction: &Feature, target: &Target) -> Option<[usize; 2]> {
        let Target::Masks(masks) = target else {
            return None;
        };
        let logits = Self::logits(prediction).ok()?.inner();
        let [_, _, height, width] = logits.dims();
        let masks = Self::reduced(masks, [height, width]);
        let chosen = logits.argmax(1).squeeze_dim::<3>(1).cast(DType::I64);
        let right = chosen.equal(masks.clone().cast(DType::I64)).into_data();
        let right = right.iter::<bool>().filter(|&right| right).count();
        let void = masks.equal_elem(VOID).into_data();
        let known = void.iter::<bool>().filter(|&void| !void).count();
        Some([right, known])
    }
}

#[cfg(test)]
mod tests;
