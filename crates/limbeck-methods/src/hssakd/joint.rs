//! The joint task: which class, and turned how far.

use burn::tensor::{Int, Tensor, TensorData, s};

use crate::{MethodError, Supervision, Target, rotation::TURNS, softmax::softened_kl};

use super::ID;

/// What a network and its branches predict for the 4·B rows of a batch: rows 4·i + j show image i
/// turned j times.
#[derive(Clone, Debug)]
pub struct JointRows {
    /// Of classes, `[4·B, K]`.
    pub logits: Tensor<2>,
    /// Of classes and turns, from each branch, `[4·B, 4·K]`; class k turned j times is 4·k + j.
    pub joint_logits: Vec<Tensor<2>>,
}

/// What a student learns from another's rows, before the weights.
#[derive(Clone, Debug)]
pub struct Imitation {
    /// Divergence of the classes over all rows, `[1]`.
    pub kd: Tensor<1>,
    /// Divergences of the joint classes over all rows, summed over the branches, `[1]`.
    pub joint_kd: Tensor<1>,
}

impl JointRows {
    /// Logits of the rows that are not turned, `[B, K]`.
    pub fn upright(&self) -> Tensor<2> {
        self.logits.clone().slice(s![..;TURNS as isize, ..])
    }

    /// Σ over the branches of the supervised loss with class and turn for classes, `[1]`.
    ///
    /// # Errors
    /// Rows that are not four for each label, or branches of other than four outputs a class.
    pub fn joint_loss(&self, supervision: Supervision<'_>) -> Result<Tensor<1>, MethodError> {
        let (labels, shares) = supervision.target.classes(ID)?;
        self.check(Some(labels.dims()[0]))?;
        let joint = Supervision {
            task: supervision.task,
            target: &Target::Classes {
                labels: joint_labels(labels),
                shares: shares.map(joint_shares),
            },
        };
        let losses = self.joint_logits.iter();
        let losses = losses.map(|logits| joint.loss(logits.clone()));
        let losses = losses.collect::<Result<Vec<_>, _>>()?;
        Ok(sum(losses.into_iter(), &self.logits))
    }

    /// Share of the rows whose class and turn the deepest branch gets right, `[1]`.
    pub fn joint_accuracy(&self, labels: &Tensor<1, Int>) -> Tensor<1> {
        let Some(deepest) = self.joint_logits.last() else {
            return Tensor::zeros([1], (&labels.device(), self.logits.dtype()));
        };
        let deepest = deepest.clone().inner();
        let (dtype, [rows, _]) = (deepest.dtype(), deepest.dims());
        let chosen = deepest.argmax(1).reshape([rows]);
        let labels = joint_labels(labels).cast(chosen.dtype());
        chosen.equal(labels).float().cast(dtype).mean()
    }

    /// The divergences from `teacher`, which is detached: with softening T, T² times the mean over
    /// all rows.
    ///
    /// # Errors
    /// Another number of rows, classes or branches.
    pub fn imitate(&self, teacher: &Self, temperature: f64) -> Result<Imitation, MethodError> {
        self.check(None)?;
        let shape = |rows: &Self| (rows.logits.dims(), rows.joint_logits.len());
        let (own, others) = (shape(self), shape(teacher));
        let alike = |(a, b): (&Tensor<2>, &Tensor<2>)| a.dims() == b.dims();
        let pairs = || self.joint_logits.iter().zip(&teacher.joint_logits);
        if own != others || !pairs().all(alike) {
            return Err(MethodError::Batch {
                method: ID,
                reason: format!(
                    "both sides need the same rows, classes and branches; found logits {:?} and {} \
                     branches of the student, {:?} and {} of the teacher",
                    own.0, own.1, others.0, others.1
                ),
            });
        }
        let towards = |student: &Tensor<2>, teacher: &Tensor<2>| {
            softened_kl(student.clone(), teacher.clone().inner(), temperature)
        };
        let joint = pairs().map(|(student, teacher)| towards(student, teacher));
        Ok(Imitation {
            kd: towards(&self.logits, &teacher.logits),
            joint_kd: sum(joint, &self.logits),
        })
    }

    fn check(&self, images: Option<usize>) -> Result<(), MethodError> {
        let [rows, classes] = self.logits.dims();
        let refuse = |reason| Err(MethodError::Batch { method: ID, reason });
        if !rows.is_multiple_of(TURNS) || images.is_some_and(|images| rows != TURNS * images) {
            let labels = images.map_or(String::new(), |images| format!(" for {images} labels"));
            return refuse(format!(
                "each image gives {TURNS} rows; found {rows} rows{labels}"
            ));
        }
        let expected = [rows, TURNS * classes];
        match self.joint_logits.iter().find(|q| q.dims() != expected) {
            Some(found) => refuse(format!(
                "branches give out {expected:?} where the network gives {:?}; found {:?}",
                [rows, classes],
                found.dims()
            )),
            None => Ok(()),
        }
    }
}

/// The sum; zero without any.
fn sum(parts: impl Iterator<Item = Tensor<1>>, like: &Tensor<2>) -> Tensor<1> {
    let total = parts.reduce(|a, b| a + b);
    total.unwrap_or_else(|| Tensor::zeros([1], (&like.device().without_autodiff(), like.dtype())))
}

/// Class and turn of each row, 4·y + j: `[B]` → `[4·B]`.
pub fn joint_labels(labels: &Tensor<1, Int>) -> Tensor<1, Int> {
    let [images] = labels.dims();
    let turns: Vec<i64> = (0..TURNS as i64).collect();
    let turns = Tensor::<1, Int>::from_data(TensorData::new(turns, [TURNS]), &labels.device());
    let turns = turns.cast(labels.dtype()).reshape([1, TURNS]);
    let first = labels.clone().mul_scalar(TURNS as i64);
    let rows = first.reshape([images, 1]).expand([images, TURNS]) + turns.expand([images, TURNS]);
    rows.reshape([images * TURNS])
}

/// Shares of classes and turns of each row, for shares of the classes `[B, K]`: `[4·B, 4·K]`.
pub fn joint_shares(shares: &Tensor<2>) -> Tensor<2> {
    let [images, classes] = shares.dims();
    let turns = Tensor::<2>::eye(TURNS, &shares.device()).cast(shares.dtype());
    let turns = turns.reshape([1, TURNS, 1, TURNS]);
    let shares = shares.clone().reshape([images, 1, classes, 1]);
    let shape = [images, TURNS, classes, TURNS];
    let joint = shares.expand(shape) * turns.expand(shape);
    joint.reshape([images * TURNS, classes * TURNS])
}

/// What a branch says about classes alone: the sum of its four logits for each, `[R, 4·K]` →
/// `[R, K]`.
///
/// # Errors
/// Columns that are not four for each class.
#[cfg(test)]
pub fn class_scores(joint_logits: Tensor<2>) -> Result<Tensor<2>, MethodError> {
    let [rows, columns] = joint_logits.dims();
    if !columns.is_multiple_of(TURNS) {
        return Err(MethodError::Batch {
            method: ID,
            reason: format!("joint logits have {TURNS} columns a class, found {columns} columns"),
        });
    }
    let classes = columns / TURNS;
    let scores = joint_logits.reshape([rows, classes, TURNS]).sum_dim(2);
    Ok(scores.reshape([rows, classes]))
}
