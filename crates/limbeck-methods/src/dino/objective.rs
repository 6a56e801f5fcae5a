//! DINO's loss between views of the same images, over any tokens of them.

use burn::tensor::{
    Int, Tensor, TensorData,
    activation::{log_softmax, softmax},
};
use limbeck_nn::layer::divergence;

use crate::MethodError;

/// Tokens of one view after the head. Only those that a pair compares need be there.
#[derive(Clone, Debug)]
pub struct ViewTokens {
    /// Which tokens, rising: 0 is the class token, then the patches row by row from 1.
    pub tokens: Vec<usize>,
    /// Their logits, `[B, n, K]`.
    pub logits: Tensor<3>,
}

/// One teacher's view and one of the student's, and the tokens that show the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewPair {
    /// Number of the teacher's view.
    pub teacher: usize,
    /// Number of the student's view, another one.
    pub student: usize,
    /// Tokens of the teacher's view, the class token first.
    pub teacher_tokens: Vec<usize>,
    /// Tokens of the student's view, as many.
    pub student_tokens: Vec<usize>,
}

/// The loss, which is the sum of its two parts.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Of class tokens, `[1]`.
    pub class_token: Tensor<1>,
    /// Of patches, `[1]`; 0 without any.
    pub patches: Tensor<1>,
}

impl ViewTokens {
    /// The logits `[B, n, K]` of these tokens, in their order.
    fn rows(&self, method: &'static str, wanted: &[usize]) -> Result<Tensor<3>, MethodError> {
        let at = places(method, &self.tokens, wanted)?;
        Ok(pick(&self.logits, at))
    }
}

/// Where each of `wanted` is in `tokens`.
fn places(
    method: &'static str,
    tokens: &[usize],
    wanted: &[usize],
) -> Result<Vec<usize>, MethodError> {
    let place = |token: &usize| {
        tokens.binary_search(token).map_err(|_| MethodError::Batch {
            method,
            reason: format!("token {token} is compared and the view has only {tokens:?}"),
        })
    };
    wanted.iter().map(place).collect()
}

/// Rows `at` of the second axis, without a copy where these are all of them.
fn pick(rows: &Tensor<3>, at: Vec<usize>) -> Tensor<3> {
    let [_, count, _] = rows.dims();
    if at.len() == count && at.iter().enumerate().all(|(i, &place)| i == place) {
        return rows.clone();
    }
    rows.clone().select(1, indices(&at, rows))
}

fn indices(numbers: &[usize], near: &Tensor<3>) -> Tensor<1, Int> {
    let numbers: Vec<i64> = numbers.iter().map(|&number| number as i64).collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [count]), &near.device())
}

/// The teacher's logits with the centre of each token taken away, over its temperature:
/// (t − c) / τ_t, constants. `centre` is `[T, K]` over all tokens of a view.
///
/// # Errors
/// Tokens or prototypes that the centre does not have.
pub fn sharpened(
    method: &'static str,
    teacher: &ViewTokens,
    centre: &Tensor<2>,
    temperature: f64,
) -> Result<ViewTokens, MethodError> {
    let ([_, count, prototypes], [rows, columns]) = (teacher.logits.dims(), centre.dims());
    let last = teacher.tokens.last().copied().unwrap_or(0);
    if count != teacher.tokens.len() || last >= rows || prototypes != columns {
        return Err(MethodError::Batch {
            method,
            reason: format!(
                "a view of {count} tokens up to number {last} with {prototypes} prototypes does \
                 not fit a centre of [{rows}, {columns}]"
            ),
        });
    }
    let centre = centre.clone().inner().unsqueeze::<3>();
    let centre = pick(&centre, teacher.tokens.clone());
    let logits = (teacher.logits.clone().inner() - centre).mul_scalar(1.0 / temperature);
    Ok(ViewTokens {
        tokens: teacher.tokens.clone(),
        logits,
    })
}

/// The mean over `pairs` of the mean over images and compared tokens of
/// −Σ_k softmax(t)_k log softmax(s / τ_s)_k. `teacher` holds what [`sharpened`] gives, by number of
/// the view; gradients reach `student` alone.
///
/// # Errors
/// Tokens that a pair compares and a view has not, or unequally many of them.
pub fn objective(
    method: &'static str,
    pairs: &[ViewPair],
    student: &[ViewTokens],
    teacher: &[ViewTokens],
    temperature: f64,
) -> Result<Objective, MethodError> {
    let entropies: Vec<Tensor<3>> = teacher.iter().map(|view| entropy(&view.logits)).collect();
    let mut sums: [Option<Tensor<1>>; 2] = [None, None];
    for pair in pairs {
        let count = pair.student_tokens.len();
        let (Some(own), Some(other), Some(entropy)) = (
            student.get(pair.student),
            teacher.get(pair.teacher),
            entropies.get(pair.teacher),
        ) else {
            return Err(unfit(method, pair));
        };
        if count == 0 || pair.teacher_tokens.len() != count {
            return Err(unfit(method, pair));
        }
        let at = places(method, &other.tokens, &pair.teacher_tokens)?;
        let entropy = pick(entropy, at.clone());
        let (own, other) = (
            own.rows(method, &pair.student_tokens)?,
            pick(&other.logits, at),
        );
        let batch = own.dims()[0];
        let share = 1.0 / (batch * count * pairs.len()) as f64;
        // The class token is one of the tokens that the mean is over.
        for (sum, (first, tokens)) in sums.iter_mut().zip([(0, 1), (1, count - 1)]) {
            if tokens == 0 {
                continue;
            }
            let rows = |x: &Tensor<3>| {
                let [batch, _, prototypes] = x.dims();
                let part = x.clone().narrow(1, first, tokens);
                part.reshape([batch * tokens, prototypes])
            };
            // The cross entropy is the divergence and the target's own entropy; the divergence
            // finds its gradient while a row is in the cache. It divides both sides by τ_s.
            let target = rows(&other).mul_scalar(temperature);
            let part = divergence(rows(&own), target, 1.0 / temperature) + rows(&entropy).sum();
            let part = part.mul_scalar(share);
            *sum = Some(match sum.take() {
                Some(sum) => sum + part,
                None => part,
            });
        }
    }
    let [class_token, patches] = sums;
    let Some(class_token) = class_token else {
        return Err(MethodError::Batch {
            method,
            reason: "two views or more are needed to compare".to_owned(),
        });
    };
    let patches = patches.unwrap_or_else(|| class_token.clone().inner().zeros_like());
    Ok(Objective {
        class_token,
        patches,
    })
}

fn unfit(method: &'static str, pair: &ViewPair) -> MethodError {
    MethodError::Batch {
        method,
        reason: format!(
            "{} tokens of the teacher's view {} cannot be compared with {} of the student's view {}",
            pair.teacher_tokens.len(),
            pair.teacher,
            pair.student_tokens.len(),
            pair.student
        ),
    }
}

/// −Σ_k p_k log p_k of softmax(logits) `[B, n, K]`: `[B, n, 1]`.
fn entropy(logits: &Tensor<3>) -> Tensor<3> {
    let log = log_softmax(logits.clone(), 2);
    (softmax(logits.clone(), 2) * log).sum_dim(2).neg()
}

/// Mean distribution `[K]` and mean entropy `[1]` of the class tokens of the teacher's sharpened
/// views.
pub fn class_outputs(teacher: &[ViewTokens]) -> Option<(Tensor<1>, Tensor<1>)> {
    let first = teacher
        .iter()
        .map(|view| view.logits.clone().narrow(1, 0, 1));
    let logits = Tensor::cat(first.collect(), 0);
    let [rows, _, prototypes] = logits.dims();
    if rows == 0 {
        return None;
    }
    let mean = softmax(logits.clone(), 2).mean_dim(0).reshape([prototypes]);
    Some((mean, entropy(&logits).mean()))
}

/// The centre `[T, K]` after a step: c ← m · c + (1 − m) · t, with the mean `t` `[T, K]` of the
/// teacher's logits over views and images.
pub fn moved_centre(centre: Tensor<2>, mean: Tensor<2>, momentum: f64) -> Tensor<2> {
    centre.mul_scalar(momentum) + mean.inner().mul_scalar(1.0 - momentum)
}

/// The teacher's temperature in epoch `epoch`, counted from 0: from `first` in equal steps to `last`
/// over the first `epochs`, then `last`.
pub fn teacher_temperature(epoch: usize, first: f64, last: f64, epochs: usize) -> f64 {
    match epoch < epochs {
        // As numpy's `linspace`, which ends with `last` and of one number gives the first.
        true => first + (last - first) * epoch as f64 / (epochs - 1).max(1) as f64,
        false => last,
    }
}

/// The teacher's momentum after `done` of `all` steps: half a cosine from `first` to 1.
pub fn teacher_momentum(first: f64, done: usize, all: usize) -> f64 {
    let share = done as f64 / all.max(1) as f64;
    1.0 - (1.0 - first) * ((std::f64::consts::PI * share).cos() + 1.0) / 2.0
}
