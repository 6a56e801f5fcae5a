//! Positions that are not learnt.

/// Sines and cosines of the places of patches in two dimensions, `[prefix + rows · columns, width]`,
/// row-major; the first `prefix` rows, of tokens that are no patches, are zeros. `width` is a multiple
/// of 4.
///
/// Of the patch in row y and column x: sin(x·ω_i), cos(x·ω_i), sin(y·ω_i), cos(y·ω_i), a quarter of the
/// width each, with ω_i = 10000^(−i/(width/4)).
///
/// He et al. "Masked Autoencoders Are Scalable Vision Learners". CVPR 2022, section 3 and appendix A.1;
/// Chen, Xie, He. "An Empirical Study of Training Self-Supervised Vision Transformers". ICCV 2021.
pub fn sin_cos_positions(width: usize, [rows, columns]: [usize; 2], prefix: usize) -> Vec<f64> {
    /// Vaswani et al. 2017, section 3.5.
    const LONGEST: f64 = 10_000.0;
    let quarter = width / 4;
    let frequency = |i: usize| LONGEST.powf(-(i as f64) / quarter as f64);
    let mut table = vec![0.0; prefix * width];
    for place in 0..rows * columns {
        for along in [place % columns, place / columns] {
            let angle = |i: usize| along as f64 * frequency(i);
            table.extend((0..quarter).map(|i| angle(i).sin()));
            table.extend((0..quarter).map(|i| angle(i).cos()));
        }
    }
    table
}
