//! Whether what was computed is what the file says.

use std::collections::BTreeMap;

use super::case::{Case, Values};

/// How far a number may be from the file's: `absolute + relative · |expected| +
/// of_maximum · max |expected of that tensor|`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Share of the expected number.
    pub relative: f64,
    /// In the tensor's own unit.
    pub absolute: f64,
    /// Share of the greatest expected number of the tensor.
    pub of_maximum: f64,
}

impl Tolerance {
    /// For everything that is computed in f64 by sums, products and the usual functions.
    pub const TIGHT: Self = Self {
        relative: 1e-9,
        absolute: 1e-9,
        of_maximum: 0.0,
    };
    /// Where differences of nearly equal numbers lose digits, here or in the reference, or long
    /// chains of layers do.
    pub const USUAL: Self = Self {
        relative: 1e-6,
        ..Self::TIGHT
    };
}

/// Every way in which `found` differs from the outputs and gradients of `case`: one line for each
/// tensor, with the place where it is furthest off.
pub fn differences(
    case: &Case,
    found: &BTreeMap<String, Values>,
    tolerance: Tolerance,
) -> Vec<String> {
    case.tensors
        .iter()
        .filter(|(name, _)| name.starts_with("out.") || name.starts_with("grad."))
        .filter_map(|(name, expected)| match found.get(name) {
            None => Some(format!("`{name}` was not computed")),
            Some(found) => difference(name, expected, found, tolerance),
        })
        .collect()
}

fn difference(
    name: &str,
    expected: &Values,
    found: &Values,
    tolerance: Tolerance,
) -> Option<String> {
    if without_ones(&expected.shape) != without_ones(&found.shape) {
        return Some(format!(
            "`{name}` has shape {:?}, expected {:?}",
            found.shape, expected.shape
        ));
    }
    let finite = expected.numbers.iter().filter(|x| x.is_finite());
    let greatest = finite.fold(0.0, |m: f64, x| m.max(x.abs()));
    let excess = |(expected, found): (&f64, &f64)| {
        if expected == found || (expected.is_nan() && found.is_nan()) {
            return 0.0;
        }
        let allowed = tolerance.absolute
            + tolerance.relative * expected.abs()
            + tolerance.of_maximum * greatest;
        let excess = (expected - found).abs() / allowed;
        if excess.is_nan() {
            f64::INFINITY
        } else {
            excess
        }
    };
    let pairs = || expected.numbers.iter().zip(&found.numbers);
    let off = pairs().filter(|&pair| excess(pair) > 1.0).count();
    let (index, (expected_number, found_number)) = pairs()
        .enumerate()
        .max_by(|(_, a), (_, b)| excess(*a).total_cmp(&excess(*b)))?;
    (off > 0).then(|| {
        format!(
            "`{name}` at {:?}: found {found_number}, expected {expected_number}; {off} of {} numbers are off",
            position(index, &expected.shape),
            expected.numbers.len()
        )
    })
}

/// A scalar is `[]` there and `[1]` here.
fn without_ones(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&n| n != 1).collect()
}

fn position(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut position: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&n| {
            let along = index % n;
            index /= n;
            along
        })
        .collect();
    position.reverse();
    position
}

mod tests {
    use std::collections::HashMap;

    use super::*;

    fn values(numbers: &[f64]) -> Values {
        Values {
            shape: vec![numbers.len() / 2, 2],
            numbers: numbers.to_vec(),
        }
    }

    fn check(expected: &[f64], found: Option<&[f64]>) -> Vec<String> {
        let name = "out.x".to_owned();
        let case = Case {
            config: serde_json::Value::Null,
            metadata: HashMap::new(),
            tensors: [(name.clone(), values(expected))].into(),
        };
        let found = found.map(|numbers| (name, values(numbers)));
        differences(&case, &found.into_iter().collect(), Tolerance::USUAL)
    }

    #[test]
    fn equal_numbers_pass_and_rounding_is_forgiven() {
        assert!(check(&[1.0, 0.0, 3.0, 4.0], Some(&[1.0, 0.0, 3.000_001, 4.0])).is_empty());
        assert!(check(&[f64::INFINITY, 0.0], Some(&[f64::INFINITY, 1e-10])).is_empty());
    }

    #[test]
    fn a_wrong_number_is_named_with_its_place_and_both_values() {
        let lines = check(&[1.0, 2.0, 3.0, 4.0], Some(&[1.0, 2.0, 3.5, 4.0001]));
        assert_eq!(
            lines,
            ["`out.x` at [1, 0]: found 3.5, expected 3; 2 of 4 numbers are off"]
        );
    }

    #[test]
    fn nan_infinity_and_absence_are_never_forgiven() {
        assert_eq!(check(&[1.0, 2.0], Some(&[1.0, f64::NAN])).len(), 1);
        assert_eq!(check(&[1.0, 2.0], Some(&[f64::INFINITY, 2.0])).len(), 1);
        assert_eq!(check(&[f64::NAN, 2.0], Some(&[1.0, 2.0])).len(), 1);
        assert_eq!(check(&[1.0, 2.0], None), ["`out.x` was not computed"]);
        assert_eq!(
            check(&[1.0, 2.0], Some(&[1.0, 2.0, 3.0, 4.0])),
            ["`out.x` has shape [2, 2], expected [1, 2]"]
        );
    }
}
