//! How much boxes overlap: IoU and what was made of it to learn from.
//!
//! Boxes are rows `[n, 4]` of centre x, centre y, width, height. A pair's IoU is I/U, with I the area of
//! the intersection and U that of the union. With C the smallest box around both, ρ the distance of the
//! centres and c the diagonal of C:
//!
//! - GIoU = IoU − (C − U)/C (Rezatofighi et al., CVPR 2019),
//! - DIoU = IoU − ρ²/c², CIoU = IoU − ρ²/c² − αv with v = 4/π² (atan w₂/h₂ − atan w₁/h₁)² and
//!   α = v/(v − IoU + 1) without gradient (Zheng et al., AAAI 2020).
//!
//! ε = 1e-7 is added where YOLOv5's `bbox_iou` adds it: to heights in areas and in the arctangent, to U, c²
//! and the area of C, and to α's denominator. Where two sides lie at the same place, each box has half of the
//! gradient, as in PyTorch.

use std::f64::consts::PI;

use burn::tensor::Tensor;

use super::DetectionError;

/// YOLOv5's, `utils/general.py`, `bbox_iou`.
const EPSILON: f64 = 1e-7;

/// IoU of each box of `a` with that of `b` in the same row, both `[n, 4]`: `[n]`, 0 to 1.
///
/// # Errors
/// [`DetectionError::Shape`] where these are not pairs of boxes.
pub fn iou(a: Tensor<2>, b: Tensor<2>) -> Result<Tensor<1>, DetectionError> {
    Ok(flat(Pair::new(a, b)?.iou))
}

/// GIoU of pairs, as [`iou`] takes them: `[n]`, −1 to 1.
///
/// # Errors
/// As [`iou`].
pub fn giou(a: Tensor<2>, b: Tensor<2>) -> Result<Tensor<1>, DetectionError> {
    let pair = Pair::new(a, b)?;
    let [width, height] = pair.around();
    let area = (width * height).add_scalar(EPSILON);
    Ok(flat(pair.iou - (area.clone() - pair.union) / area))
}

/// DIoU of pairs, as [`iou`] takes them: `[n]`, −1 to 1.
///
/// # Errors
/// As [`iou`].
pub fn diou(a: Tensor<2>, b: Tensor<2>) -> Result<Tensor<1>, DetectionError> {
    let pair = Pair::new(a, b)?;
    let distance = pair.distance();
    Ok(flat(pair.iou - distance))
}

/// CIoU of pairs, as [`iou`] takes them: `[n]`, −1.5 to 1.
///
/// # Errors
/// As [`iou`].
pub fn ciou(a: Tensor<2>, b: Tensor<2>) -> Result<Tensor<1>, DetectionError> {
    let pair = Pair::new(a, b)?;
    let distance = pair.distance();
    let angle = pair.b.angle() - pair.a.angle();
    let shape = (angle.clone() * angle).mul_scalar(4.0 / (PI * PI));
    let fixed = shape.clone().inner();
    let alpha = fixed.clone() / (fixed - pair.iou.clone().inner()).add_scalar(1.0 + EPSILON);
    Ok(flat(pair.iou - distance - shape * alpha))
}

/// Columns `[n, 1]` of one side of all pairs.
struct Sides {
    center: [Tensor<2>; 2],
    low: [Tensor<2>; 2],
    high: [Tensor<2>; 2],
    width: Tensor<2>,
    /// With ε.
    height: Tensor<2>,
}

impl Sides {
    fn new(boxes: &Tensor<2>) -> Self {
        let [x, y, width, height] = [0, 1, 2, 3].map(|i| boxes.clone().narrow(1, i, 1));
        let half = [&width, &height].map(|size| size.clone().mul_scalar(0.5));
        let [half_width, half_height] = half;
        Self {
            low: [
                x.clone() - half_width.clone(),
                y.clone() - half_height.clone(),
            ],
            high: [x.clone() + half_width, y.clone() + half_height],
            center: [x, y],
            width,
            height: height.add_scalar(EPSILON),
        }
    }

    /// The slope of the diagonal, as an angle from the vertical.
    fn angle(&self) -> Tensor<2> {
        (self.width.clone() / self.height.clone()).atan()
    }
}

struct Pair {
    a: Sides,
    b: Sides,
    /// With ε.
    union: Tensor<2>,
    iou: Tensor<2>,
}

impl Pair {
    fn new(a: Tensor<2>, b: Tensor<2>) -> Result<Self, DetectionError> {
        if a.dims() != b.dims() || a.dims()[1] != 4 {
            return Err(DetectionError::Shape {
                what: "pairs of boxes".to_owned(),
                expected: "two of [n, 4]".to_owned(),
                found: format!("{:?} and {:?}", a.dims(), b.dims()),
            });
        }
        let (a, b) = (Sides::new(&a), Sides::new(&b));
        let [width, height] = [0, 1].map(|axis| {
            let end = lesser(&a.high[axis], &b.high[axis]);
            let start = greater(&a.low[axis], &b.low[axis]);
            (end - start).clamp_min(0.0)
        });
        let intersection = width * height;
        let areas = a.width.clone() * a.height.clone() + b.width.clone() * b.height.clone();
        let union = (areas - intersection.clone()).add_scalar(EPSILON);
        let iou = intersection / union.clone();
        Ok(Self { a, b, union, iou })
    }

    /// Width and height of the smallest box around both.
    fn around(&self) -> [Tensor<2>; 2] {
        [0, 1].map(|axis| {
            let end = greater(&self.a.high[axis], &self.b.high[axis]);
            end - lesser(&self.a.low[axis], &self.b.low[axis])
        })
    }

    /// ρ²/c².
    fn distance(&self) -> Tensor<2> {
        let square = |x: Tensor<2>| x.clone() * x;
        let [dx, dy] =
            [0, 1].map(|axis| square(self.b.center[axis].clone() - self.a.center[axis].clone()));
        let [width, height] = self.around().map(square);
        (dx + dy) / (width + height).add_scalar(EPSILON)
    }
}

fn flat(column: Tensor<2>) -> Tensor<1> {
    let [count, _] = column.dims();
    column.reshape([count])
}

/// The lesser of two numbers; of equal ones both have half of the gradient.
fn lesser(a: &Tensor<2>, b: &Tensor<2>) -> Tensor<2> {
    // 1 where a is the lesser, ½ where both are equal, 0 where b is.
    let share = (b.clone().inner() - a.clone().inner())
        .sign()
        .mul_scalar(0.5)
        .add_scalar(0.5);
    let rest = share.clone().neg().add_scalar(1.0);
    a.clone() * share + b.clone() * rest
}

/// The greater of two numbers; of equal ones both have half of the gradient.
fn greater(a: &Tensor<2>, b: &Tensor<2>) -> Tensor<2> {
    lesser(&a.clone().neg(), &b.clone().neg()).neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gradient, leaf, numbers, random, tensor};

    /// Boxes of sides between about 0.3 and 3, a unit or so apart.
    fn boxes(name: &str, count: usize) -> Tensor<2> {
        let center = random(name, [count, 2]);
        let size = random(&format!("{name} size"), [count, 2]).mul_scalar(0.5);
        Tensor::cat(vec![center, size.exp()], 1)
    }

    fn values(f: fn(Tensor<2>, Tensor<2>) -> Result<Tensor<1>, DetectionError>) -> Vec<f64> {
        numbers(&f(boxes("a", 64), boxes("b", 64)).unwrap())
    }

    #[test]
    fn each_penalty_lowers_the_overlap_within_its_bounds() {
        let [plain, hulls, distances, shapes] = [iou, giou, diou, ciou].map(values);
        let penalised = hulls.iter().zip(&distances).zip(&shapes);
        for (&iou, ((&giou, &diou), &ciou)) in plain.iter().zip(penalised) {
            assert!((0.0..=1.0).contains(&iou));
            // ε makes the union of a box in another greater than the box around both.
            assert!(giou <= iou + 1e-6 && giou > -1.0);
            assert!(diou <= iou && ciou <= diou && 1.0 - ciou < 2.5);
        }
        assert!(plain.iter().any(|&x| x > 0.1) && plain.contains(&0.0));
    }

    #[test]
    fn a_box_overlaps_itself_wholly() {
        for f in [iou, giou, diou, ciou] {
            let found = numbers(&f(boxes("a", 8), boxes("a", 8)).unwrap());
            assert!(found.iter().all(|x| (x - 1.0).abs() < 1e-5), "{found:?}");
        }
    }

    #[test]
    fn known_pairs() {
        // Halves of one another; two squares a side apart, whose hull is three squares.
        let a = tensor(vec![0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 1.0, 1.0], [2, 4]);
        let b = tensor(vec![0.5, 0.0, 1.0, 2.0, 2.0, 0.0, 1.0, 1.0], [2, 4]);
        let close = |found: Tensor<1>, expected: [f64; 2]| {
            for (found, expected) in numbers(&found).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found}, {expected}");
            }
        };
        close(iou(a.clone(), b.clone()).unwrap(), [0.5, 0.0]);
        close(giou(a.clone(), b.clone()).unwrap(), [0.5, -1.0 / 3.0]);
        let distances = [0.25 / 8.0, 4.0 / 10.0];
        close(diou(a, b).unwrap(), [0.5 - distances[0], -distances[1]]);
    }

    #[test]
    fn the_gradient_of_ciou_takes_alpha_as_given() {
        let (a, b) = (boxes("a", 5), boxes("b", 5));
        let tracked = leaf(a.clone());
        let found = ciou(tracked.clone(), b.clone()).unwrap().sum().backward();
        let found = gradient(&tracked, &found).unwrap();
        // CIoU with α held fast, by differences.
        let alpha: Vec<f64> = {
            let angle = |x: &Tensor<2>| Sides::new(x).angle();
            let angle = angle(&b) - angle(&a);
            let v = (angle.clone() * angle).mul_scalar(4.0 / (PI * PI));
            let iou = iou(a.clone(), b.clone()).unwrap().reshape([5, 1]);
            numbers(&(v.clone() / (v - iou).add_scalar(1.0 + EPSILON)))
        };
        let value = |a: Vec<f64>| -> f64 {
            let a = tensor(a, [5, 4]);
            let angle = Sides::new(&b).angle() - Sides::new(&a).angle();
            let v = numbers(&(angle.clone() * angle).mul_scalar(4.0 / (PI * PI)));
            let diou = numbers(&diou(a, b.clone()).unwrap());
            (0..5).map(|i| diou[i] - alpha[i] * v[i]).sum()
        };
        let start = numbers(&a);
        for (i, found) in found.iter().enumerate() {
            let moved = |by: f64| {
                let mut moved = start.clone();
                moved[i] += by;
                value(moved)
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((found - expected).abs() < 1e-7, "{i}: {found}, {expected}");
        }
    }

    #[test]
    fn equal_sides_share_the_gradient() {
        let [a, b] = ["a", "b"].map(|_| leaf(tensor(vec![1.0, 2.0], [2, 1])));
        let gradients = lesser(&a, &b).sum().backward();
        for side in [&a, &b] {
            assert_close(&gradient(side, &gradients).unwrap(), &[0.5, 0.5]);
        }
    }

    #[test]
    fn no_pairs_and_wrong_shapes() {
        let none = iou(boxes("a", 2).narrow(0, 0, 1), boxes("b", 2)).map(|_| ());
        assert!(none.is_err());
        assert!(ciou(random("a", [2, 3]), random("b", [2, 3])).is_err());
    }
}
