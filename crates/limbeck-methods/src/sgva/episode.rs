//! What an episode's features cost, and what they say.

use burn::tensor::{
    Int, Tensor, TensorData,
    activation::{log_softmax, softmax},
};

use super::{FeatureAdapter, Sgva, SgvaConfig};
use crate::MethodError;

/// Means of the rows of each class, `[S, D]` → `[classes, D]`, not brought to length 1. `labels` `[S]`
/// are below `classes`.
///
/// # Errors
/// Labels that do not fit the rows, and a class without any.
pub fn prototypes(
    rows: Tensor<2>,
    labels: &[usize],
    classes: usize,
) -> Result<Tensor<2>, MethodError> {
    let [count, _] = rows.dims();
    let refuse = |reason: String| MethodError::Batch {
        method: Sgva::ID,
        reason,
    };
    if labels.len() != count {
        return Err(refuse(format!(
            "{count} images of support have {} labels",
            labels.len()
        )));
    }
    let mut members = vec![0usize; classes];
    for &label in labels {
        *members
            .get_mut(label)
            .ok_or_else(|| refuse(format!("class {label} is beyond the {classes} classes")))? += 1;
    }
    if let Some(empty) = members.iter().position(|&members| members == 0) {
        return Err(refuse(format!(
            "class {empty} of the episode has no image of support"
        )));
    }
    let mut shares = vec![0.0; classes * count];
    for (image, &label) in labels.iter().enumerate() {
        shares[label * count + image] = 1.0 / members[label] as f64;
    }
    let shares = TensorData::new(shares, [classes, count]);
    let shares = Tensor::<2>::from_data(shares, (&rows.device(), rows.dtype()));
    Ok(shares.matmul(rows))
}

/// `scale` times the products of rows and columns, `[B, D]` and `[N, D]` → `[B, N]`.
pub(super) fn similarities(rows: Tensor<2>, others: Tensor<2>, scale: f64) -> Tensor<2> {
    rows.matmul(others.transpose()).mul_scalar(scale)
}

/// λ·images + (1 − λ)·texts: logits `[B, N]` of both kinds.
pub fn fused_scores(images: Tensor<2>, texts: Tensor<2>, lambda: f64) -> Tensor<2> {
    images.mul_scalar(lambda) + texts.mul_scalar(1.0 - lambda)
}

/// Mean cross entropy of logits `[B, N]` with labels `[B]`; each image weighs (1 − probability)^γ.
fn focal_cross_entropy(logits: Tensor<2>, labels: &[usize], gamma: f64) -> Tensor<1> {
    let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    let data = TensorData::new(labels, [logits.dims()[0], 1]);
    let index = Tensor::<2, Int>::from_data(data, &logits.device());
    let own = log_softmax(logits, 1).gather(1, index);
    let weighed = match gamma > 0.0 {
        true => (own.clone().exp().neg().add_scalar(1.0)).powf_scalar(gamma) * own,
        false => own,
    };
    weighed.mean().neg()
}

/// Features of the classes that are learned together in one step.
#[derive(Clone, Debug)]
pub struct Episode<'a> {
    /// v of the query, `[Q, d]`, constant.
    pub query: Tensor<2>,
    /// t, `[C, d]`.
    pub texts: Tensor<2>,
    /// z of the query, `[Q, D]`.
    pub adapted_query: Tensor<2>,
    /// z of the support, `[S, D]`.
    pub adapted_support: Tensor<2>,
    /// Class of each image of the support among the episode's, `[S]`.
    pub support_labels: &'a [usize],
    /// Class of each image of the query among the episode's, `[Q]`.
    pub query_labels: &'a [usize],
    /// Class of each image of the query among all, `[Q]`.
    pub query_classes: &'a [usize],
    /// Number of classes of the episode.
    pub way: usize,
}

/// The losses, `[1]` each.
#[derive(Clone, Debug)]
pub struct EpisodeTerms {
    /// Adapted images with prototypes: trains the adapter.
    pub i2i: Tensor<1>,
    /// The frozen agreement with texts, distilled: trains the adapter.
    pub kd: Tensor<1>,
    /// Frozen images with texts: trains the texts.
    pub i2t: Tensor<1>,
}

impl EpisodeTerms {
    /// Their weighted sum; its gradients are those that each part is trained by.
    pub fn total(&self, config: &SgvaConfig) -> Tensor<1> {
        let Self { i2i, kd, i2t } = self.clone();
        i2i.mul_scalar(config.i2i_weight)
            + kd.mul_scalar(config.kd_weight)
            + i2t.mul_scalar(config.i2t_weight)
    }
}

impl Episode<'_> {
    /// The losses of the episode.
    ///
    /// # Errors
    /// A class without support, or labels that do not fit.
    pub fn terms(
        &self,
        config: &SgvaConfig,
        adapter: &FeatureAdapter,
    ) -> Result<EpisodeTerms, MethodError> {
        let count = self.query.dims()[0];
        let classes = self.texts.dims()[0];
        for (labels, below) in [(self.query_labels, self.way), (self.query_classes, classes)] {
            if labels.len() != count || labels.iter().any(|&label| label >= below) {
                return Err(MethodError::Batch {
                    method: Sgva::ID,
                    reason: format!(
                        "{count} images of query need as many labels below {below}, found {labels:?}"
                    ),
                });
            }
        }
        let (scale, soft) = (config.logit_scale, 1.0 / config.temperature);
        let centres = prototypes(self.adapted_support.clone(), self.support_labels, self.way)?;
        let with_images = similarities(self.adapted_query.clone(), centres, scale);
        let with_texts = similarities(self.query.clone(), self.texts.clone(), scale);
        let texts = self.texts.clone().inner();
        let projected = adapter.project(self.adapted_query.clone());
        let adapted_with_texts = similarities(projected, texts, scale);
        let target = softmax(with_texts.clone().inner().mul_scalar(soft), 1);
        let own = log_softmax(adapted_with_texts.mul_scalar(soft), 1);
        let gamma = config.focal_gamma;
        Ok(EpisodeTerms {
            i2i: focal_cross_entropy(with_images, self.query_labels, gamma),
            kd: (own * target).sum().mul_scalar(-1.0 / count as f64),
            i2t: focal_cross_entropy(with_texts, self.query_classes, gamma),
        })
    }
}
