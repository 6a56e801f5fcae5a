//! The projection that ends a frozen image encoder, and the way back.

use burn::tensor::{DType, Device, Tensor, TensorData};
use nalgebra::DMatrix;

use super::Sgva;
use crate::MethodError;

/// Singular values up to this share of the greatest do not count: rounding of single precision.
const RANK_TOLERANCE: f64 = 1e-6;

/// Features before an encoder's last linear map from those behind it.
#[derive(Clone, Debug)]
pub struct VisualProjection {
    /// P, `[D, d]`.
    matrix: Tensor<2>,
    /// pinv(P), `[d, D]`.
    inverse: Tensor<2>,
    /// b, `[1, d]`.
    bias: Option<Tensor<2>>,
    rank: usize,
}

impl VisualProjection {
    /// Of the numbers of P, row-major, `[lifted, width]`: `f = u·P` and, with a `bias` `[width]`, `+ b`.
    ///
    /// # Errors
    /// Counts that do not fit, numbers that are not finite, and a matrix of zeros.
    pub fn new(
        matrix: &[f64],
        [lifted, width]: [usize; 2],
        bias: Option<&[f64]>,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, MethodError> {
        let refuse = |reason: String| MethodError::Batch {
            method: Sgva::ID,
            reason,
        };
        if lifted.checked_mul(width) != Some(matrix.len()) || matrix.is_empty() {
            return Err(refuse(format!(
                "the projection [{lifted}, {width}] has {} numbers",
                matrix.len()
            )));
        }
        if let Some(bias) = bias.filter(|bias| bias.len() != width) {
            return Err(refuse(format!(
                "the projection leads to {width} numbers and its bias has {}",
                bias.len()
            )));
        }
        let all = matrix.iter().chain(bias.unwrap_or_default());
        if let Some(odd) = all.clone().find(|number| !number.is_finite()) {
            return Err(refuse(format!("the projection holds {odd}")));
        }
        let decomposed = DMatrix::from_row_slice(lifted, width, matrix).svd(true, true);
        let least = RANK_TOLERANCE * decomposed.singular_values.max();
        let rank = decomposed.rank(least);
        if rank == 0 {
            return Err(refuse("the projection is all zeros".to_owned()));
        }
        let inverse = decomposed
            .pseudo_inverse(least)
            .map_err(|reason| refuse(format!("the projection has no pseudo-inverse: {reason}")))?;
        // nalgebra keeps columns; the transposed matrix's columns are these rows.
        let inverse = inverse.transpose().as_slice().to_vec();
        let tensor = |numbers: Vec<f64>, shape: [usize; 2]| {
            Tensor::from_data(TensorData::new(numbers, shape), (device, dtype))
        };
        Ok(Self {
            matrix: tensor(matrix.to_vec(), [lifted, width]),
            inverse: tensor(inverse, [width, lifted]),
            bias: bias.map(|bias| tensor(bias.to_vec(), [1, width])),
            rank,
        })
    }

    /// D, the width before the projection.
    pub fn lifted_width(&self) -> usize {
        self.matrix.dims()[0]
    }

    /// d, the width behind it.
    pub fn width(&self) -> usize {
        self.matrix.dims()[1]
    }

    /// Its rank: where that is below [`VisualProjection::width`], lifted features lose part of what was
    /// known.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// `[B, d]` → `[B, D]`.
    pub fn lift(&self, features: Tensor<2>) -> Tensor<2> {
        let features = match &self.bias {
            Some(bias) => features - bias.clone(),
            None => features,
        };
        features.matmul(self.inverse.clone())
    }

    /// `[B, D]` → `[B, d]`.
    pub fn project(&self, lifted: Tensor<2>) -> Tensor<2> {
        let projected = lifted.matmul(self.matrix.clone());
        match &self.bias {
            Some(bias) => projected + bias.clone(),
            None => projected,
        }
    }
}
