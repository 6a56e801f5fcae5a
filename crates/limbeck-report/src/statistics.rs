//! Mean and interval over seeds.

use crate::gain::paired_gain;

/// Mean of the finite values; `None` if there are none.
pub fn mean(values: &[f64]) -> Option<f64> {
    let finite = finite(values);
    (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64)
}

/// 95 % interval of the mean of the finite values by Student's t with n − 1 degrees of freedom;
/// `None` for fewer than two.
pub fn interval95(values: &[f64]) -> Option<[f64; 2]> {
    // The formula of paired differences, here to zero.
    let finite = finite(values);
    paired_gain(&finite, &vec![0.0; finite.len()])?.ci95
}

fn finite(values: &[f64]) -> Vec<f64> {
    values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// t(0.975; 2) = 4.302653 (tables of Student's t); mean 2, standard error 1/sqrt(3).
    #[test]
    fn the_interval_is_that_of_students_t() {
        let [low, high] = interval95(&[1.0, 2.0, 3.0]).unwrap();
        let half = 4.302_653 / 3f64.sqrt();
        assert!((low - (2.0 - half)).abs() < 1e-5, "{low}");
        assert!((high - (2.0 + half)).abs() < 1e-5, "{high}");
    }

    #[test]
    fn one_value_has_a_mean_and_no_interval() {
        assert_eq!(mean(&[4.0]), Some(4.0));
        assert_eq!(interval95(&[4.0]), None);
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn values_that_are_not_finite_are_left_out() {
        assert_eq!(mean(&[1.0, f64::NAN, 3.0]), Some(2.0));
        assert_eq!(interval95(&[1.0, f64::INFINITY]), None);
    }
}
