//! Which rows the teacher is trusted with.

use burn::tensor::{Int, Tensor, TensorData};

use crate::softmax::softened_kl;

/// Which turned rows are kept, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Place of the right answer in each of the 3·B turned rows, 0 for the first.
    pub ranks: Vec<usize>,
    /// Kept rows among the turned ones, ascending.
    pub kept: Vec<usize>,
}

/// Ranks turned rows by the place of the right answer among `scores` `[R, n]` in descending order
/// and keeps all with the right answer first, and the best `ratio` of the others.
pub(super) fn select(scores: &Tensor<2>, right: impl Fn(usize) -> usize, ratio: f64) -> Selection {
    let [rows, width] = scores.dims();
    let scores: Vec<f64> = scores.to_data().iter().collect();
    let ranks: Vec<usize> = (0..rows)
        .map(|row| {
            let row_scores = &scores[row * width..(row + 1) * width];
            let answer = right(row);
            let own = row_scores[answer];
            let before =
                |(place, &score): (usize, &f64)| score > own || (score == own && place < answer);
            row_scores
                .iter()
                .enumerate()
                .filter(|&it| before(it))
                .count()
        })
        .collect();
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by_key(|&row| ranks[row]);
    let right_rows = ranks.iter().filter(|&&rank| rank == 0).count();
    let wrong_rows = ((rows - right_rows) as f64 * ratio) as usize;
    let mut kept = order[..right_rows + wrong_rows].to_vec();
    kept.sort_unstable();
    Selection { ranks, kept }
}

/// T² times the mean divergence over the kept rows; 0 without any.
pub(super) fn kept_kl(
    student: Tensor<2>,
    teacher: Tensor<2>,
    kept: &[usize],
    temperature: f64,
) -> Tensor<1> {
    let device = teacher.device();
    if kept.is_empty() {
        return Tensor::zeros([1], (&device, teacher.dtype()));
    }
    let indices: Vec<i64> = kept.iter().map(|&row| row as i64).collect();
    let indices: Tensor<1, Int> =
        Tensor::from_data(TensorData::new(indices, [kept.len()]), &device);
    softened_kl(
        student.select(0, indices.clone()),
        teacher.select(0, indices),
        temperature,
    )
}
