//! Limits the size of gradients.

use burn::tensor::Tensor;
use limbeck_kernels::sum_of_squares;

/// Scales all gradients down so that the Euclidean norm over all of them together, of several
/// stores, is at most `max_norm`; smaller ones stay as they are. Returns the norm before.
///
/// Semantics of PyTorch's `clip_grad_norm_`: the factor is min(1, max_norm / (norm + 1e-6)).
/// Squares are summed in double precision, one gradient after the other. If the norm is not
/// finite, nothing is scaled: the caller sees it in the return value and stops.
pub fn clip_global_norm(gradients: &mut [Vec<Option<Tensor<1>>>], max_norm: f64) -> f64 {
    let present = || gradients.iter().flatten().flatten();
    let squares: f64 = present().cloned().map(sum_of_squares).sum();
    let norm = squares.sqrt();
    let factor = max_norm / (norm + 1e-6);
    if factor < 1.0 && norm.is_finite() {
        for gradient in gradients.iter_mut().flatten().flatten() {
            gradient.inplace(|gradient| gradient.mul_scalar(factor));
        }
    }
    norm
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::*;

    fn gradient(values: &[f64], dtype: DType) -> Option<Tensor<1>> {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Some(Tensor::from_data(data, (&Device::flex(), dtype)))
    }

    fn values(gradient: &Option<Tensor<1>>) -> Vec<f64> {
        gradient.as_ref().unwrap().to_data().iter().collect()
    }

    #[test]
    fn the_norm_goes_over_all_stores_and_is_brought_down_to_the_limit() {
        for dtype in [DType::F32, DType::F64] {
            let mut gradients = vec![
                vec![gradient(&[2.0, 4.0], dtype), None],
                vec![gradient(&[4.0], dtype), gradient(&[8.0], dtype)],
            ];
            assert_eq!(clip_global_norm(&mut gradients, 5.0), 10.0);
            // 5 / (10 + 1e-6), by hand.
            let factor = 0.499_999_95;
            for (found, expected) in [
                (&gradients[0][0], vec![2.0 * factor, 4.0 * factor]),
                (&gradients[1][1], vec![8.0 * factor]),
            ] {
                for (found, expected) in values(found).iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
                }
            }
            assert!(gradients[0][1].is_none());
        }
    }

    #[test]
    fn small_gradients_stay_as_they_are() {
        let mut gradients = vec![vec![gradient(&[0.3, 0.4], DType::F64)]];
        assert!((clip_global_norm(&mut gradients, 1.0) - 0.5).abs() < 1e-15);
        assert_eq!(values(&gradients[0][0]), [0.3, 0.4]);
    }

    #[test]
    fn a_sum_that_single_precision_cannot_hold_is_still_exact() {
        // 1 + 2²⁴ summed in f32 would lose the 1.
        let mut gradients = vec![vec![
            gradient(&[4096.0], DType::F32),
            gradient(&[1.0], DType::F32),
        ]];
        let norm = clip_global_norm(&mut gradients, 1e9);
        assert_eq!(norm, 16_777_217.0_f64.sqrt());
    }

    #[test]
    fn a_norm_that_is_not_finite_is_returned_and_nothing_is_scaled() {
        let mut gradients = vec![vec![
            gradient(&[f64::NAN], DType::F32),
            gradient(&[3.0], DType::F32),
        ]];
        assert!(clip_global_norm(&mut gradients, 1.0).is_nan());
        assert_eq!(values(&gradients[0][1]), [3.0]);
    }
}
