//! Gradients by finite differences.

/// The gradient of Σ `gradient`·`function(x)` with respect to each number of `x`, by central
/// differences: good to about 1e-9 of the function's curvature.
pub fn differences(function: impl Fn(&[f64]) -> Vec<f64>, x: &[f64], gradient: &[f64]) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    (0..x.len())
        .map(|i| {
            let at = |offset: f64| {
                let mut x = x.to_vec();
                x[i] += offset;
                let y = function(&x);
                assert_eq!(y.len(), gradient.len());
                y.iter().zip(gradient).map(|(y, g)| y * g).sum::<f64>()
            };
            (at(STEP) - at(-STEP)) / (2.0 * STEP)
        })
        .collect()
}
