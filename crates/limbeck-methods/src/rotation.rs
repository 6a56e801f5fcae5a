//! Images turned by quarter turns, for methods with self-supervision.

use burn::tensor::Tensor;

use crate::MethodError;

/// Views of each image: turned by 0, 90, 180 and 270 degrees.
pub(crate) const TURNS: usize = 4;

/// Every image `[B, C, S, S]` turned counter-clockwise by 0, 90, 180 and 270 degrees:
/// `[4·B, C, S, S]`, the four views of an image one after the other.
pub(crate) fn rotations(images: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let mut views = vec![images];
    for turn in 1..TURNS {
        let turned = quarter_turn(views[turn - 1].clone());
        views.push(turned);
    }
    Tensor::stack::<5>(views, 1).reshape([TURNS * batch, channels, height, width])
}

/// Turns by 90 degrees counter-clockwise: the last column becomes the first row.
pub(crate) fn quarter_turn(images: Tensor<4>) -> Tensor<4> {
    images.swap_dims(2, 3).flip([2])
}

/// Refuses images whose shape a quarter turn changes.
pub(crate) fn require_square(
    method: &'static str,
    height: usize,
    width: usize,
) -> Result<(), MethodError> {
    if height == width {
        return Ok(());
    }
    Err(MethodError::Shape {
        method,
        feature: format!("images of {height}×{width} pixels"),
        reason: "it turns them by 90 degrees; set augment.size to a square".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{numbers, random, tensor};

    #[test]
    fn four_quarter_turns_are_none() {
        let images = random("x", [2, 3, 4, 4]);
        let turned = (0..4).fold(images.clone(), |x, _| quarter_turn(x));
        assert_eq!(numbers(&turned), numbers(&images));
    }

    #[test]
    fn turns_are_counter_clockwise_and_follow_each_other() {
        let images = tensor((1..=8).map(f64::from).collect(), [2, 1, 2, 2]);
        let expected = [
            [1.0, 2.0, 3.0, 4.0],
            [2.0, 4.0, 1.0, 3.0],
            [4.0, 3.0, 2.0, 1.0],
            [3.0, 1.0, 4.0, 2.0],
        ];
        let second = expected.map(|view| view.map(|number| number + 4.0));
        let all: Vec<f64> = [expected, second].concat().concat();
        assert_eq!(numbers(&rotations(images)), all);
    }
}
