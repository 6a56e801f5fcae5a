//! What distillation was worth: the paired difference between students and their baselines.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::results::Gain;

/// Mean of `students[i] − baselines[i]` with its 95 % interval, mean ± t · s/√n, where s is the
/// differences' standard deviation (divisor n − 1) and t the 97.5 % point of Student's t with
/// n − 1 degrees of freedom. Pairing by seed takes out what both trainings share. One pair has no
/// interval; equal differences have one of width zero.
///
/// `None` where there are no pairs or a value has no partner.
pub fn paired_gain(students: &[f64], baselines: &[f64]) -> Option<Gain> {
    if students.is_empty() || students.len() != baselines.len() {
        return None;
    }
    let count = students.len() as f64;
    let differences: Vec<f64> = students.iter().zip(baselines).map(|(s, b)| s - b).collect();
    // Equal differences would otherwise pick up rounding from the division.
    let mean = if differences.iter().all(|&d| d == differences[0]) {
        differences[0]
    } else {
        differences.iter().sum::<f64>() / count
    };
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    let ci95 = StudentsT::new(0.0, 1.0, count - 1.0).ok().map(|t| {
        let deviation = (squares / (count - 1.0)).sqrt();
        let half = t.inverse_cdf(0.975) * deviation / count.sqrt();
        [mean - half, mean + half]
    });
    Some(Gain {
        mean,
        ci95,
        resampled: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }

    #[test]
    fn three_pairs_have_the_interval_of_the_t_table() {
        // Differences 1, 2, 3: mean 2, s = 1, t(0.975; 2) = 4.302653 (any table of Student's t).
        let gain = paired_gain(&[71.0, 73.0, 72.0], &[70.0, 71.0, 69.0]).unwrap();
        close(gain.mean, 2.0);
        let [low, high] = gain.ci95.unwrap();
        close(low, 2.0 - 4.302_653 / 3.0_f64.sqrt());
        close(high, 2.0 + 4.302_653 / 3.0_f64.sqrt());
    }

    #[test]
    fn two_pairs_have_the_interval_of_one_degree_of_freedom() {
        // Differences 0, 1: mean 0.5, s = √½, t(0.975; 1) = 12.706205.
        let [low, high] = paired_gain(&[1.0, 2.0], &[1.0, 1.0]).unwrap().ci95.unwrap();
        close(high - low, 12.706_205);
        close(high + low, 1.0);
    }

    #[test]
    fn one_pair_has_a_mean_and_no_interval() {
        let gain = paired_gain(&[70.5], &[70.0]).unwrap();
        assert_eq!((gain.mean, gain.ci95), (0.5, None));
    }

    #[test]
    fn equal_differences_have_an_interval_of_width_zero() {
        let gain = paired_gain(&[1.1; 3], &[0.8; 3]).unwrap();
        assert_eq!(gain.ci95, Some([gain.mean, gain.mean]));
    }

    #[test]
    fn values_without_a_partner_have_no_gain() {
        assert_eq!(paired_gain(&[], &[]), None);
        assert_eq!(paired_gain(&[1.0, 2.0], &[1.0]), None);
    }
}
