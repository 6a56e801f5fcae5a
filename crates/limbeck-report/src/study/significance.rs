//! Whether gains are more than chance, and how many seeds it takes to see one.

use statrs::distribution::{ChiSquared, Continuous, ContinuousCDF, Normal, StudentsT};

/// Chance that is accepted of calling nothing a gain.
pub const LEVEL: f64 = 0.05;
/// Chance with which a gain of [`detectable`] size is seen.
pub const POWER: f64 = 0.8;
/// Steps of the integral in [`power`]: halving them changes no digit that is shown.
const STEPS: usize = 2000;

/// Two-sided p-value of the paired t-test: how likely differences with a mean so far from zero are
/// where there is no difference. `None` for fewer than two, or where one is not finite.
pub fn p_value(differences: &[f64]) -> Option<f64> {
    let count = differences.len() as f64;
    if differences.len() < 2 || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    if error == 0.0 {
        return Some(if mean == 0.0 { 1.0 } else { 0.0 });
    }
    let t = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
    Some((2.0 * t.sf((mean / error).abs())).min(1.0))
}

/// Holm's correction of p-values for all being looked at together: the chance that any of those at
/// or below 5 % is one by accident is at most that (Holm, "A simple sequentially rejective
/// multiple test procedure", 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![1.0; p_values.len()];
    let mut most = 0.0_f64;
    for (place, index) in order.into_iter().enumerate() {
        let factor = (p_values.len() - place) as f64;
        most = most.max((factor * p_values[index]).min(1.0));
        corrected[index] = most;
    }
    corrected
}

/// The smallest true gain that `seeds` paired seeds show with a chance of 80 % at 5 %, in
/// standard deviations of the differences between seeds; `None` for fewer than two.
pub fn detectable(seeds: usize) -> Option<f64> {
    if seeds < 2 {
        return None;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while power(seeds, high)? < POWER {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        match power(seeds, middle)? < POWER {
            true => low = middle,
            false => high = middle,
        }
    }
    Some(high)
}

/// The chance with which the paired t-test of `seeds` differences finds a true gain of `size`
/// standard deviations at [`LEVEL`], the noncentral t-distribution's: the integral over what the
/// deviation may turn out to be, w times the true one with (n − 1)·w² distributed as χ².
fn power(seeds: usize, size: f64) -> Option<f64> {
    let count = seeds as f64;
    let freedom = count - 1.0;
    let shift = size * count.sqrt();
    let limit = StudentsT::new(0.0, 1.0, freedom)
        .ok()?
        .inverse_cdf(1.0 - LEVEL / 2.0);
    let squares = ChiSquared::new(freedom).ok()?;
    let normal = Normal::new(0.0, 1.0).ok()?;
    // Behind it there is nothing in double precision.
    let end = 1.0 + 9.0 / freedom.sqrt();
    let width = end / STEPS as f64;
    let chances = (0..STEPS).map(|step| {
        let w = (step as f64 + 0.5) * width;
        let density = 2.0 * freedom * w * squares.pdf(freedom * w * w);
        density * (normal.cdf(shift - limit * w) + normal.cdf(-shift - limit * w))
    });
    Some(chances.sum::<f64>() * width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, allowed: f64) {
        assert!(
            (found - expected).abs() <= allowed * expected.abs().max(1.0),
            "{found} is not {expected}"
        );
    }
    /// `scipy.stats.ttest_1samp(differences, 0).pvalue`.
    #[test]
    fn p_values_are_scipys() {
        close(
            p_value(&[1.0, 2.0, 3.0]).unwrap(),
            0.074_179_900_227_448_54,
            1e-9,
        );
        close(
            p_value(&[0.5, -0.2, 0.1, 0.4]).unwrap(),
            0.295_228_936_599_531_3,
            1e-9,
        );
        let clear = p_value(&[4.2, 3.9, 5.1, 4.8, 4.4]).unwrap();
        assert!(
            (clear / 3.024_334_740_823_708e-5 - 1.0).abs() < 1e-6,
            "{clear}"
        );
        close(
            p_value(&[0.001, 0.002]).unwrap(),
            0.204_832_764_699_133_45,
            1e-9,
        );
    }

    #[test]
    fn differences_that_say_nothing_or_all_have_a_p_value_too() {
        assert_eq!(p_value(&[1.0]), None);
        assert_eq!(p_value(&[1.0, f64::NAN]), None);
        assert_eq!(p_value(&[0.0; 3]), Some(1.0));
        assert_eq!(p_value(&[0.5; 3]), Some(0.0));
    }

    #[test]
    fn holms_correction_is_that_of_an_example_worked_by_hand() {
        // 0.005 · 5, 0.01 · 4, 0.03 · 3, 0.04 · 2 which is less and stays, 0.2 · 1.
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005, 0.2]);
        for (found, expected) in corrected.iter().zip([0.04, 0.09, 0.09, 0.025, 0.2]) {
            close(*found, expected, 1e-12);
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    /// Where `scipy.stats.nct.sf(t.ppf(0.975, n − 1), n − 1, d·√n)` is 0.8.
    #[test]
    fn detectable_gains_are_scipys() {
        assert_eq!(detectable(1), None);
        for (seeds, expected) in [
            (2, 11.549_888),
            (3, 3.264_044),
            (4, 2.127_949),
            (5, 1.681_997),
            (8, 1.156_035),
            (20, 0.660_442),
        ] {
            close(detectable(seeds).unwrap(), expected, 1e-4);
        }
    }
}
