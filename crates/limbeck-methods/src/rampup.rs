//! A weight that rises over the first epochs.

/// `exp(−5 (1 − min(e, R)/R)²)` with the epoch e counted from 0 and R = `length` in epochs: from
/// e⁻⁵ to 1, and 1 throughout where `length` is 0. From Laine and Aila, "Temporal Ensembling for
/// Semi-Supervised Learning", ICLR 2017, section 2.1.
pub(crate) fn rampup(epoch: usize, length: usize) -> f64 {
    if length == 0 {
        return 1.0;
    }
    let left = 1.0 - epoch.min(length) as f64 / length as f64;
    (-5.0 * left * left).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_from_exp_minus_5_to_1_and_stays_there() {
        assert_eq!(rampup(0, 80), (-5f64).exp());
        for epoch in 0..80 {
            assert!(rampup(epoch, 80) < rampup(epoch + 1, 80));
        }
        assert_eq!((rampup(80, 80), rampup(300, 80)), (1.0, 1.0));
    }

    #[test]
    fn without_a_length_it_is_1_from_the_start() {
        assert_eq!(rampup(0, 0), 1.0);
    }
}
