//! Errors of angles made of burn's own operations.

use burn::{
    backend::{Backend, TensorMetadata, tensor::FloatTensor},
    tensor::Shape,
};

use super::LENGTH_FLOOR;

/// Differences of all pairs of vectors as unit vectors.
struct Directions<B: Backend> {
    /// From the first to the second, `[B, B, D]`; zeros where the two are too close.
    units: FloatTensor<B>,
    /// One over the length, 0 where the two are too close, `[B, B, 1]`.
    inverse: FloatTensor<B>,
}

impl<B: Backend> Directions<B> {
    fn of(x: FloatTensor<B>) -> Self {
        let [count, width] = x.shape().dims();
        let to = B::float_reshape(x.clone(), Shape::new([1, count, width]));
        let from = B::float_reshape(x, Shape::new([count, 1, width]));
        let differences = B::float_sub(to, from);
        let squares = B::float_mul(differences.clone(), differences.clone());
        let squares = B::float_sum_dim(squares, 2);
        let floor = LENGTH_FLOOR * LENGTH_FLOOR;
        // The sign tells apart what is above the floor.
        let above = B::float_sign(B::float_add_scalar(squares.clone(), (-floor).into()));
        let above = B::float_clamp_min(above, 0.0.into());
        let lengths = B::float_sqrt(B::float_clamp_min(squares, floor.into()));
        let inverse = B::float_div(above, lengths);
        Self {
            units: B::float_mul(differences, inverse.clone()),
            inverse,
        }
    }

    fn cosines(&self) -> FloatTensor<B> {
        B::float_matmul(
            self.units.clone(),
            B::float_swap_dims(self.units.clone(), 1, 2),
        )
    }
}

/// The error, and its gradient with respect to `x`.
pub(super) fn angle_error<B: Backend>(
    x: FloatTensor<B>,
    target: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [count, width] = x.shape().dims();
    let own = Directions::<B>::of(x);
    let difference = B::float_sub(own.cosines(), Directions::<B>::of(target).cosines());
    // near · (size − near/2) is size²/2 below 1 and size − 1/2 above.
    let size = B::float_abs(difference.clone());
    let near = B::float_clamp_max(size.clone(), 1.0.into());
    let rest = B::float_sub(size, B::float_mul_scalar(near.clone(), 0.5.into()));
    let error = B::float_mean(B::float_mul(near, rest));
    let slopes = B::float_clamp(difference, (-1.0).into(), 1.0.into());
    // Of both sides of a product, which are alike.
    let factor = 2.0 / (count * count * count) as f64;
    let slopes = B::float_mul_scalar(slopes, factor.into());
    let of_units = B::float_matmul(slopes, own.units.clone());
    let along = B::float_sum_dim(B::float_mul(of_units.clone(), own.units.clone()), 2);
    let across = B::float_sub(of_units, B::float_mul(own.units, along));
    let of_differences = B::float_mul(across, own.inverse);
    let to = B::float_sum_dim(of_differences.clone(), 0);
    let from = B::float_sum_dim(of_differences, 1);
    let flat = |sum| B::float_reshape(sum, Shape::new([count, width]));
    (error, B::float_sub(flat(to), flat(from)))
}
