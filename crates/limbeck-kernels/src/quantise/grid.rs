//! Which levels there are.

/// Equally spaced numbers, 0 among them: `code / per_unit` for whole codes from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Levels in a unit: the inverse of their distance.
    pub per_unit: f64,
    /// Code of the least level, at most 0.
    pub first: i32,
    /// Code of the greatest level, at least 0.
    pub last: i32,
    /// The least and the greatest number whose gradient passes.
    pub passes: [f64; 2],
}

impl Levels {
    /// 2^bits levels from `low` to `high`, which are moved apart to 0 where it is not between them, and
    /// together by up to half a step so that 0 is a level. The gradient passes up to half a step beyond
    /// the ends, as in PyTorch's `fake_quantize`. `None` where there is nothing between the ends, or
    /// they are not finite.
    pub fn covering([low, high]: [f64; 2], bits: u32) -> Option<Self> {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let last_code = f64::from((1u32 << bits.min(16)) - 1);
        let per_unit = last_code / (high - low);
        // In single precision neither the distance of two levels nor its inverse may vanish.
        let fits = |x: f64| x.is_finite() && (x as f32).is_normal();
        if !fits(per_unit) || !fits(1.0 / per_unit) {
            return None;
        }
        let zero = (-low * per_unit).round_ties_even().clamp(0.0, last_code);
        let (first, last) = (-zero, last_code - zero);
        Some(Self {
            per_unit,
            first: first as i32,
            last: last as i32,
            passes: [(first - 0.5) / per_unit, (last + 0.5) / per_unit],
        })
    }

    /// 2^bits levels from 0 to 1, without gradient beyond: DoReFa's activations.
    ///
    /// Zhou et al. "DoReFa-Net". 2016, equation 10.
    pub fn unit(bits: u32) -> Self {
        let last = (1i32 << bits.min(16)) - 1;
        Self {
            per_unit: f64::from(last),
            first: 0,
            last,
            passes: [0.0, 1.0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_level_and_the_ends_are_within_half_a_step() {
        for (range, bits) in [
            ([-1.0, 3.0], 2),
            ([0.2, 3.0], 4),
            ([-5.0, -1.0], 8),
            ([-0.3, 0.4], 1),
        ] {
            let levels = Levels::covering(range, bits).unwrap();
            let [low, high] = [range[0].min(0.0), range[1].max(0.0)];
            let step = 1.0 / levels.per_unit;
            assert!(levels.first <= 0 && levels.last >= 0);
            assert_eq!(levels.last - levels.first, (1 << bits) - 1);
            assert!((f64::from(levels.first) * step - low).abs() <= 0.5001 * step);
            assert!((f64::from(levels.last) * step - high).abs() <= 0.5001 * step);
        }
    }

    #[test]
    fn there_are_no_levels_where_there_is_no_range() {
        for range in [
            [0.0, 0.0],
            [0.0, f64::NAN],
            [f64::NEG_INFINITY, 1.0],
            [0.0, 1e-44],
        ] {
            assert_eq!(Levels::covering(range, 8), None, "{range:?}");
        }
    }
}
