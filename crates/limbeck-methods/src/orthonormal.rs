//! Orthonormal bases of spans.

/// Directions whose singular value is at most this share of the greatest are not of the span.
const RANK_TOLERANCE: f64 = 1e-6;
/// A rest that is at most this share of the greatest column is rounding.
const ROUNDING: f64 = 1e-13;
/// Jacobi's rotations have long ended by then.
const SWEEPS: usize = 60;

/// An orthonormal basis of the span of `columns`, all of one length. Directions in which they
/// hardly extend are left out: those whose singular value is at most 1e-6 of the greatest.
pub(crate) fn orthonormal_basis<'a>(columns: impl Iterator<Item = &'a [f64]>) -> Vec<Vec<f64>> {
    let (basis, rows) = orthogonalise(columns);
    let (values, vectors) = left_singular(rows);
    let greatest = values.iter().copied().fold(0.0, f64::max);
    let is_kept = |value: f64| value > RANK_TOLERANCE * greatest;
    if values.iter().all(|&value| is_kept(value)) {
        return basis;
    }
    let kept = values
        .iter()
        .zip(vectors)
        .filter(|(value, _)| is_kept(**value));
    kept.map(|(_, vector)| combine(&basis, &vector)).collect()
}

/// Gram and Schmidt's method, twice over each column, which is enough for full precision: the
/// basis Q, and for each of its vectors the row of R with `column_j = Σ_i R_ij Q_i`.
fn orthogonalise<'a>(columns: impl Iterator<Item = &'a [f64]>) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let columns: Vec<&[f64]> = columns.collect();
    let greatest = columns.iter().map(|x| length(x)).fold(0.0, f64::max);
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for (j, column) in columns.iter().enumerate() {
        let mut rest = column.to_vec();
        for _ in 0..2 {
            for (q, row) in basis.iter().zip(&mut rows) {
                let along = dot(q, &rest);
                row[j] += along;
                rest.iter_mut().zip(q).for_each(|(x, q)| *x -= along * q);
            }
        }
        let left = length(&rest);
        if left > ROUNDING * greatest {
            rest.iter_mut().for_each(|x| *x /= left);
            basis.push(rest);
            let mut row = vec![0.0; columns.len()];
            row[j] = left;
            rows.push(row);
        }
    }
    (basis, rows)
}

/// Singular values of the matrix with these rows and their left vectors, by Jacobi's rotations
/// of pairs of rows until all are at right angles.
fn left_singular(mut rows: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let count = rows.len();
    let mut vectors: Vec<Vec<f64>> = (0..count)
        .map(|i| (0..count).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    for _ in 0..SWEEPS {
        let mut turned = false;
        for p in 0..count {
            for q in p + 1..count {
                let (a, b) = (dot(&rows[p], &rows[p]), dot(&rows[q], &rows[q]));
                let c = dot(&rows[p], &rows[q]);
                if c.abs() <= 1e-15 * (a * b).sqrt() {
                    continue;
                }
                turned = true;
                let ratio = (b - a) / (2.0 * c);
                let tangent = ratio.signum() / (ratio.abs() + (1.0 + ratio * ratio).sqrt());
                let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
                let turn = [cosine, cosine * tangent];
                rotate(&mut rows, p, q, turn);
                rotate(&mut vectors, p, q, turn);
            }
        }
        if !turned {
            break;
        }
    }
    (rows.iter().map(|row| length(row)).collect(), vectors)
}

/// `(x_p, x_q)` becomes `(c·x_p − s·x_q, s·x_p + c·x_q)`.
fn rotate(vectors: &mut [Vec<f64>], p: usize, q: usize, [cosine, sine]: [f64; 2]) {
    let (left, right) = vectors.split_at_mut(q);
    for (x, y) in left[p].iter_mut().zip(&mut right[0]) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

/// Σ_i weight_i · vector_i.
fn combine(vectors: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; vectors[0].len()];
    for (vector, weight) in vectors.iter().zip(weights) {
        sum.iter_mut()
            .zip(vector)
            .for_each(|(s, x)| *s += weight * x);
    }
    sum
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn length(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

#[cfg(test)]
mod tests {
    use limbeck_nn::Init;

    use super::*;

    fn basis(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
        orthonormal_basis(columns.iter().map(Vec::as_slice))
    }

    #[track_caller]
    fn assert_orthonormal(basis: &[Vec<f64>]) {
        for (i, x) in basis.iter().enumerate() {
            for (j, y) in basis.iter().enumerate() {
                let expected = f64::from(u8::from(i == j));
                assert!((dot(x, y) - expected).abs() < 1e-13);
            }
        }
    }

    fn random(name: &str) -> Vec<f64> {
        Init::Normal(1.0).draw(1, name, 12)
    }

    #[test]
    fn the_basis_is_orthonormal_and_spans_the_columns() {
        let columns: Vec<Vec<f64>> = ["a", "b", "c"].map(random).into();
        let basis = basis(&columns);
        assert_eq!(basis.len(), 3);
        assert_orthonormal(&basis);
        for column in &columns {
            let weights: Vec<f64> = basis.iter().map(|q| dot(q, column)).collect();
            let again = combine(&basis, &weights);
            assert!(again.iter().zip(column).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }

    #[test]
    fn directions_with_hardly_any_extent_are_left_out() {
        let (a, b) = (random("a"), random("b"));
        for (shift, rank) in [(0.0, 1), (1e-9, 1), (1e-3, 2)] {
            let near = combine(&[a.clone(), b.clone()], &[2.0, shift]);
            let basis = basis(&[a.clone(), near]);
            assert_eq!(basis.len(), rank, "{shift}");
            assert_orthonormal(&basis);
            assert!((dot(&basis[0], &a).abs() / length(&a) - 1.0).abs() < 0.5);
        }
    }

    #[test]
    fn more_columns_than_numbers_span_everything_and_zeros_nothing() {
        let columns: Vec<Vec<f64>> = (0..5)
            .map(|i| Init::Normal(1.0).draw(1, &i.to_string(), 3))
            .collect();
        let found = basis(&columns);
        assert_eq!(found.len(), 3);
        assert_orthonormal(&found);
        assert!(basis(&[vec![0.0; 4]]).is_empty());
    }
}
