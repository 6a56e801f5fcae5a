//! Whether embeddings of different images differ.

use super::Embeddings;

/// A [`spread`] below this is a collapse: embeddings without a common direction have one of 1, and
/// what falls below a hundredth of that is the same for all images as far as a linear map on it can
/// tell (Chen, He. "Exploring Simple Siamese Representation Learning". CVPR 2021, figure 2: 0 of a
/// collapsed run, near 1 of all others).
pub const COLLAPSED: f64 = 0.01;

/// Mean over the numbers of an embedding of their standard deviations over images, of unit vectors,
/// times √D: 1 where all directions are taken alike, 0 where all images have the same embedding. NaN
/// of less than two images.
pub fn spread(embeddings: &Embeddings) -> f64 {
    let (count, width) = (embeddings.len(), embeddings.width);
    if count < 2 || width == 0 {
        return f64::NAN;
    }
    let (mut sums, mut squares) = (vec![0.0; width], vec![0.0; width]);
    for row in embeddings.values.chunks(width) {
        let norm: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
        let norm = norm.sqrt().max(f64::MIN_POSITIVE);
        for (place, &value) in row.iter().enumerate() {
            let value = f64::from(value) / norm;
            sums[place] += value;
            squares[place] += value * value;
        }
    }
    let count = count as f64;
    let deviations = sums.iter().zip(&squares).map(|(sum, square)| {
        let mean = sum / count;
        (square / count - mean * mean).max(0.0).sqrt()
    });
    (width as f64).sqrt() * deviations.sum::<f64>() / width as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32]) -> f64 {
        spread(&Embeddings {
            width: 2,
            values: values.to_vec(),
            labels: Vec::new(),
        })
    }

    #[test]
    fn equal_directions_are_a_collapse_and_opposite_ones_are_not() {
        assert!(of(&[1.0, 2.0, 2.0, 4.0, 0.5, 1.0]) < COLLAPSED);
        assert!((of(&[1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0]) - 1.0).abs() < 1e-6);
        assert!(of(&[1.0, 0.0]).is_nan());
    }
}
