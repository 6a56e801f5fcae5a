//! Bicubic resampling of a grid.

/// Resizes one row-major grid of `from` `[rows, columns]` to `to`, bicubic with antialiasing.
///
/// This is `torch.nn.functional.interpolate(mode="bicubic", antialias=True, align_corners=False)`,
/// which follows Pillow: Keys' cubic kernel with a = −1/2 (R. Keys, "Cubic Convolution
/// Interpolation for Digital Image Processing", IEEE TASSP 1981), widened by the scale when
/// shrinking, cut off at the borders and normalised to a sum of 1. Each axis is resized by itself.
///
/// Returns `[to[0] · to[1]]` numbers. `values` must have `from[0] · from[1]`, none of the sizes
/// being 0; otherwise the result is empty.
pub fn resize_bicubic(values: &[f64], from: [usize; 2], to: [usize; 2]) -> Vec<f64> {
    let [rows, columns] = from;
    if rows.checked_mul(columns) != Some(values.len()) || values.is_empty() || to.contains(&0) {
        return Vec::new();
    }
    let wide = kernel(columns, to[1]);
    let mut stretched = Vec::with_capacity(rows * to[1]);
    for row in values.chunks_exact(columns) {
        stretched.extend(wide.iter().map(|mix| mix.apply(|column| row[column])));
    }
    let tall = kernel(rows, to[0]);
    let mut resized = Vec::with_capacity(to[0] * to[1]);
    for mix in &tall {
        resized.extend((0..to[1]).map(|column| mix.apply(|row| stretched[row * to[1] + column])));
    }
    resized
}

/// One output position as a weighted mean of input positions.
struct Mix {
    first: usize,
    weights: Vec<f64>,
}

impl Mix {
    fn apply(&self, value: impl Fn(usize) -> f64) -> f64 {
        self.weights
            .iter()
            .enumerate()
            .map(|(index, weight)| weight * value(self.first + index))
            .sum()
    }
}

/// The mixes of one axis. Positions are counted in input cells, a cell's centre lying at its
/// index plus a half.
fn kernel(input: usize, output: usize) -> Vec<Mix> {
    let scale = input as f64 / output as f64;
    let stretch = scale.max(1.0);
    // The kernel reaches two cells to either side.
    let reach = 2.0 * stretch;
    (0..output)
        .map(|position| {
            let centre = scale * (position as f64 + 0.5);
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(input);
            let mut weights: Vec<f64> = (first..end)
                .map(|cell| keys((cell as f64 + 0.5 - centre) / stretch))
                .collect();
            let sum: f64 = weights.iter().sum();
            for weight in &mut weights {
                *weight /= sum;
            }
            Mix { first, weights }
        })
        .collect()
}

/// Keys' kernel with a = −1/2.
fn keys(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}
