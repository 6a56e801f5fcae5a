//! How often an image of the same class is among the nearest embeddings.

use burn::tensor::Tensor;

use crate::MethodError;

/// Queries whose distances are held at once.
const BLOCK: usize = 256;

/// Recall@K for each K of `ks`: the share (0..1) of embeddings `[N, D]` that have another one of
/// their class among the K nearest others, by squared distance, lower places first among equals.
///
/// # Errors
/// [`MethodError::Recall`] for a K of 0, or one that there are not as many others for; for
/// embeddings that are not finite, and for labels that are not as many.
pub fn recall_at(
    embeddings: &Tensor<2>,
    labels: &[i64],
    ks: &[usize],
) -> Result<Vec<f64>, MethodError> {
    let [count, width] = embeddings.dims();
    let refuse = |reason: String| Err(MethodError::Recall { reason });
    if labels.len() != count {
        return refuse(format!(
            "there are {count} embeddings and {} labels",
            labels.len()
        ));
    }
    if let Some(k) = ks.iter().find(|&&k| k == 0 || k >= count) {
        return refuse(format!(
            "K must be at least 1 and below the number of images, found {k} of {count} images"
        ));
    }
    let embeddings = embeddings.clone().inner();
    let squares = embeddings.clone().square().sum_dim(1);
    let mut hits = vec![0usize; ks.len()];
    for start in (0..count).step_by(BLOCK) {
        let end = (start + BLOCK).min(count);
        let queries = embeddings.clone().slice([start..end, 0..width]);
        let own = squares.clone().slice([start..end, 0..1]);
        let products = queries.matmul(embeddings.clone().transpose());
        let distances = own + squares.clone().transpose() - products.mul_scalar(2.0);
        let distances: Vec<f64> = distances.into_data().iter::<f64>().collect();
        if !distances.iter().all(|distance| distance.is_finite()) {
            return refuse("the embeddings are not finite".to_owned());
        }
        for (query, row) in (start..end).zip(distances.chunks(count)) {
            let Some(rank) = rank_of_the_first(query, row, labels) else {
                continue;
            };
            for (hits, &k) in hits.iter_mut().zip(ks) {
                *hits += usize::from(rank < k);
            }
        }
    }
    Ok(hits
        .iter()
        .map(|&hits| hits as f64 / count as f64)
        .collect())
}

/// How many others are nearer to `query` than the nearest one of its class.
fn rank_of_the_first(query: usize, distances: &[f64], labels: &[i64]) -> Option<usize> {
    let others = || (0..distances.len()).filter(|&i| i != query);
    let same = others().filter(|&i| labels[i] == labels[query]);
    let first = same.min_by(|&a, &b| distances[a].total_cmp(&distances[b]))?;
    let is_nearer = |&i: &usize| {
        distances[i] < distances[first] || (distances[i] == distances[first] && i < first)
    };
    Some(others().filter(is_nearer).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{random, tensor};

    #[test]
    fn the_first_of_the_class_decides() {
        // On a line: classes 0 1 1 0 at 0, 1, 3, 7.
        let x = tensor(vec![0.0, 1.0, 3.0, 7.0], [4, 1]);
        let found = recall_at(&x, &[0, 1, 1, 0], &[1, 2, 3]).unwrap();
        // Nearest others: 0 → 1, 2, 3; 1 → 0, 2, 3; 2 → 1; 3 → 2, 1, 0.
        assert_eq!(found, [0.25, 0.5, 1.0]);
        let alone = recall_at(&x, &[0, 1, 2, 3], &[3]).unwrap();
        assert_eq!(alone, [0.0]);
    }

    #[test]
    fn blocks_give_what_the_whole_gives() {
        let count = BLOCK + 9;
        let x = random("x", [count, 2]);
        let labels: Vec<i64> = (0..count as i64).map(|i| i % 7).collect();
        let found = recall_at(&x, &labels, &[1]).unwrap()[0];
        let numbers = crate::testing::numbers(&x);
        let distance = |i: usize, j: usize| {
            let along = |at: usize| numbers[2 * i + at] - numbers[2 * j + at];
            along(0).powi(2) + along(1).powi(2)
        };
        let right = (0..count).filter(|&i| {
            let others = (0..count).filter(|&j| j != i);
            let nearest = others.min_by(|&a, &b| distance(i, a).total_cmp(&distance(i, b)));
            labels[nearest.unwrap()] == labels[i]
        });
        assert_eq!(found, right.count() as f64 / count as f64);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let x = random("x", [4, 2]);
        let refused =
            |x: &Tensor<2>, labels: &[i64], k| recall_at(x, labels, &[k]).unwrap_err().to_string();
        assert!(refused(&x, &[0, 0, 1, 1], 4).contains("found 4 of 4 images"));
        assert!(refused(&x, &[0, 0, 1, 1], 0).contains("found 0"));
        assert!(refused(&x, &[0, 0, 1], 1).contains("3 labels"));
        let nan = x.mul_scalar(f64::NAN);
        assert!(refused(&nan, &[0, 0, 1, 1], 1).contains("not finite"));
    }
}
