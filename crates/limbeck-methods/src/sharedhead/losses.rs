//! The terms of shared classifiers.

use burn::tensor::Tensor;

use super::{SharedHead, SharedHeadConfig, SharedHeadLoss};
use crate::{
    MethodError, Supervision, Term,
    criterion::{require_positive, require_share, require_weight},
    softmax::softened_kl,
};

/// Added to squared lengths, so that the root has a gradient at 0: far below what single precision
/// resolves beside any embedding.
const SQUARED_LENGTH_FLOOR: f64 = 1e-24;

/// What the terms are made of. The teacher's are constants.
#[derive(Clone, Debug)]
pub struct SharedHeadInputs {
    /// Of the student's own classifier, `[B, K]`.
    pub logits: Tensor<2>,
    /// Of the teacher's classifier on the student's embedding, `[B, K]`; `None` where it takes no
    /// part.
    pub head_logits: Option<Tensor<2>>,
    /// The student's, as long as the teacher's, `[B, D]`.
    pub embedding: Tensor<2>,
    /// `[B, K]`.
    pub teacher_logits: Tensor<2>,
    /// `[B, D]`.
    pub teacher_embedding: Tensor<2>,
}

/// How the terms are weighed.
#[derive(Clone, Debug)]
pub struct SharedHeadLosses {
    loss: SharedHeadLoss,
    temperature: f64,
    ce_weight: f64,
    kd_weight: f64,
    head_weight: f64,
    embedding_weight: f64,
    head_share: f64,
}

impl SharedHeadLosses {
    /// Checks the settings.
    ///
    /// # Errors
    /// A temperature that is not positive, a negative weight, or a share outside 0 to 1.
    pub fn new(config: &SharedHeadConfig) -> Result<Self, MethodError> {
        let id = SharedHead::ID;
        require_positive(id, "temperature", config.temperature)?;
        require_weight(id, "ce_weight", config.ce_weight)?;
        require_weight(id, "kd_weight", config.kd_weight)?;
        require_weight(id, "head_weight", config.head_weight)?;
        require_weight(id, "embedding_weight", config.embedding_weight)?;
        require_share(id, "head_share", config.head_share)?;
        Ok(Self {
            loss: config.loss,
            temperature: config.temperature,
            ce_weight: config.ce_weight,
            kd_weight: config.kd_weight,
            head_weight: config.head_weight,
            embedding_weight: config.embedding_weight,
            head_share: config.head_share,
        })
    }

    /// Factor of the cross entropy of the student's own classifier, where the teacher's takes part.
    pub fn task_weight(&self) -> f64 {
        match self.loss {
            SharedHeadLoss::Released => self.ce_weight,
            SharedHeadLoss::Paper => self.ce_weight * (1.0 - self.head_share),
        }
    }

    /// The terms beside the student's own cross entropy: `kd`, its divergence; where the teacher's
    /// classifier takes part `head`, that one's divergence, and in the paper's loss `head_task`, its
    /// cross entropy; and `embedding`, the distance, where its weight is above 0.
    pub fn terms(
        &self,
        inputs: &SharedHeadInputs,
        supervision: Supervision<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let teacher = inputs.teacher_logits.clone().inner();
        let kl = |logits: Tensor<2>| softened_kl(logits, teacher.clone(), self.temperature);
        let own = kl(inputs.logits.clone());
        let mut terms = Vec::new();
        match (&inputs.head_logits, self.loss) {
            (None, _) => terms.push(Term::new("kd", own, self.kd_weight)),
            (Some(head), SharedHeadLoss::Released) => {
                terms.push(Term::new("kd", own, self.kd_weight));
                terms.push(Term::new("head", kl(head.clone()), self.head_weight));
            }
            (Some(head), SharedHeadLoss::Paper) => {
                let share = self.head_share;
                let task = supervision.loss(head.clone())?;
                terms.push(Term::new("head_task", task, self.ce_weight * share));
                terms.push(Term::new("kd", own, self.kd_weight * (1.0 - share)));
                terms.push(Term::new("head", kl(head.clone()), self.kd_weight * share));
            }
        }
        if self.embedding_weight > 0.0 {
            let value = self.distance(
                inputs.embedding.clone(),
                inputs.teacher_embedding.clone().inner(),
            );
            terms.push(Term::new("embedding", value, self.embedding_weight));
        }
        Ok(terms)
    }

    /// Distance of embeddings `[B, D]`, `[1]`: of their directions, squared and summed over the
    /// batch, or in the paper's loss of themselves, averaged over the batch.
    pub fn distance(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        match self.loss {
            SharedHeadLoss::Released => (direction(student) - direction(teacher)).square().sum(),
            SharedHeadLoss::Paper => {
                let [batch, _] = student.dims();
                let sum = (student - teacher).square().sum();
                sum.mul_scalar(1.0 / batch as f64)
            }
        }
    }

    /// What both classifiers say together in the paper, `[B, K]` from logits of the student's own
    /// and of the teacher's on the student's embedding.
    #[cfg(test)]
    pub fn mixed_probabilities(&self, logits: Tensor<2>, head_logits: Tensor<2>) -> Tensor<2> {
        use burn::tensor::activation::softmax;

        let share = self.head_share;
        softmax(logits, 1).mul_scalar(1.0 - share) + softmax(head_logits, 1).mul_scalar(share)
    }
}

/// Vectors of length 1.
fn direction(embedding: Tensor<2>) -> Tensor<2> {
    let squared = embedding.clone().square().sum_dim(1);
    embedding / squared.add_scalar(SQUARED_LENGTH_FLOOR).sqrt()
}
