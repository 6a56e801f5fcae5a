//! Images mirrored and rolled, all of a batch alike.

use burn::tensor::Tensor;
use limbeck_data::Stream;

/// What is done to a batch in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter {
    flip: bool,
    /// Pixels downwards and to the right.
    roll: [isize; 2],
}

impl Jitter {
    /// Nothing is done.
    #[cfg(test)]
    pub const NONE: Self = Self {
        flip: false,
        roll: [0, 0],
    };

    /// Mirrored with probability `flip`, and rolled by up to `roll` pixels in each direction.
    pub fn draw(stream: &mut Stream, flip: f64, roll: usize) -> Self {
        let flip = stream.chance(flip);
        let mut by = || stream.below(2 * roll + 1) as isize - roll as isize;
        Self {
            flip,
            roll: [by(), by()],
        }
    }

    /// `[B, C, H, W]` → the same shape; what leaves on one side comes back on the other.
    pub fn apply(&self, images: Tensor<4>) -> Tensor<4> {
        let images = match self.flip {
            true => images.flip([3]),
            false => images,
        };
        let images = rolled(images, 2, self.roll[0]);
        rolled(images, 3, self.roll[1])
    }
}

fn rolled(images: Tensor<4>, axis: usize, by: isize) -> Tensor<4> {
    let length = images.dims()[axis];
    let by = by.rem_euclid(length.max(1) as isize) as usize;
    if by == 0 {
        return images;
    }
    let end = images.clone().narrow(axis, length - by, by);
    let begin = images.narrow(axis, 0, length - by);
    Tensor::cat(vec![end, begin], axis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{numbers, tensor};

    #[test]
    fn what_leaves_on_one_side_comes_back_on_the_other() {
        let images = tensor((0..6).map(f64::from).collect(), [1, 1, 2, 3]);
        let of = |flip, roll| numbers(&Jitter { flip, roll }.apply(images.clone()));
        assert_eq!(of(false, [0, 0]), [0., 1., 2., 3., 4., 5.]);
        assert_eq!(of(false, [0, 1]), [2., 0., 1., 5., 3., 4.]);
        assert_eq!(of(false, [-1, -2]), [5., 3., 4., 2., 0., 1.]);
        assert_eq!(of(true, [0, 0]), [2., 1., 0., 5., 4., 3.]);
        // Further than the image is high.
        assert_eq!(of(false, [5, 0]), of(false, [1, 0]));
    }

    #[test]
    fn nothing_happens_where_nothing_is_asked_for() {
        let mut stream = Stream::of_seed(3);
        assert_eq!(Jitter::draw(&mut stream, 0.0, 0), Jitter::NONE);
        let drawn: Vec<Jitter> = (0..200)
            .map(|_| Jitter::draw(&mut stream, 0.5, 2))
            .collect();
        let flips = drawn.iter().filter(|jitter| jitter.flip).count();
        assert!((60..140).contains(&flips), "{flips}");
        for by in -2..=2 {
            assert!(drawn.iter().any(|jitter| jitter.roll == [by, -by]));
        }
        assert!(
            drawn
                .iter()
                .all(|it| it.roll.iter().all(|by| by.abs() <= 2))
        );
    }
}
