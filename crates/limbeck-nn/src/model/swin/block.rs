//! What the stages are made of.

use burn::tensor::Tensor;
use limbeck_kernels::{layer_norm, token_patches};

use super::{EPSILON, INIT, linear, window::WindowAttention};
use crate::{
    Builder, Init, ParameterId, Pass, Role,
    layer::{LayerNorm, Perceptron, fill_grid},
};

/// Shape of a [`Block`].
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockShape {
    /// Length of a token.
    pub width: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
    /// Side of a window in tokens.
    pub window: usize,
    /// Tokens by which the windows are shifted down and right.
    pub shift: usize,
    /// Neurons of the perceptron.
    pub inner: usize,
    /// Probability with which training omits each of the two branches.
    pub drop_path: f64,
}

/// Attention in windows and a perceptron, each behind a layer norm and added to what it reads
/// (equation 3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    norm1: LayerNorm,
    attention: WindowAttention,
    norm2: LayerNorm,
    perceptron: Perceptron,
    drop_path: f64,
}

impl Block {
    pub(super) fn new(mut builder: Builder<'_>, shape: BlockShape) -> Self {
        let BlockShape {
            width,
            inner,
            drop_path,
            ..
        } = shape;
        Self {
            norm1: LayerNorm::new(builder.sub("norm1"), width, EPSILON),
            attention: WindowAttention::new(builder.sub("attn"), shape),
            norm2: LayerNorm::new(builder.sub("norm2"), width, EPSILON),
            perceptron: Perceptron::new(
                linear(builder.sub("mlp.fc1"), width, inner),
                linear(builder.sub("mlp.fc2"), inner, width),
            ),
            drop_path,
        }
    }

    /// Tokens `[B, N, D]` of a grid of rows and columns → the same shape.
    pub(super) fn forward(&self, pass: &mut Pass<'_>, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        let y = self.norm1.forward(pass, x.clone());
        let x = self
            .attention
            .forward_onto(pass, y, x, grid, self.drop_path);
        let y = self.norm2.forward(pass, x.clone());
        self.perceptron.forward_onto(pass, y, x, self.drop_path)
    }
}

/// Half as many rows and columns of tokens twice as long: the four tokens of each square side by side,
/// layer norm, linear map without bias (section 3.1). A last row or column alone gets a neighbour of
/// zeros.
///
/// `norm.weight` and `norm.bias` `[4D]` and `reduction.weight` `[2D, 4D]` have a square's tokens column
/// by column: top left, bottom left, top right, bottom right.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatchMerging {
    scale: ParameterId,
    shift: ParameterId,
    reduction: ParameterId,
    width: usize,
}

impl PatchMerging {
    /// From tokens of `width` numbers.
    pub(super) fn new(mut builder: Builder<'_>, width: usize) -> Self {
        let (square, output) = (4 * width, 2 * width);
        let mut norm = builder.sub("norm");
        let one = Init::Constant(1.0);
        let zero = Init::Constant(0.0);
        let scale = norm.parameter("weight", &[square], Role::NormScale, one);
        let shift = norm.parameter("bias", &[square], Role::NormShift, zero);
        let mut reduction = builder.sub("reduction");
        Self {
            scale,
            shift,
            reduction: reduction.parameter("weight", &[output, square], Role::Weight, INIT),
            width,
        }
    }

    /// Tokens `[B, N, D]` of a grid of rows and columns → `[B, N', 2D]` of a grid of half as many,
    /// rounded up.
    pub(super) fn forward(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        grid: [usize; 2],
    ) -> (Tensor<3>, [usize; 2]) {
        let merged = grid.map(|length| length.div_ceil(2));
        let [batch, _, width] = x.dims();
        let count = merged[0] * merged[1];
        let (squares, written) = (batch * count * 4 * width, batch * count * 2 * width);
        pass.count(0, squares);
        pass.count_layer(self.reduction, 4 * width * written, written);
        if pass.is_counting() {
            let shape = [batch, count, 2 * width];
            let zeros = Tensor::zeros(shape, (pass.device(), pass.dtype()));
            return (zeros, merged);
        }
        let x = fill_grid(x, grid, merged.map(|length| 2 * length));
        // Row by row, to which the parameters are brought: they are smaller.
        let x = token_patches(x, merged.map(|length| 2 * length), 2);
        let scale = self.row_by_row(pass.get::<1>(self.scale).unsqueeze());
        let shift = self.row_by_row(pass.get::<1>(self.shift).unsqueeze());
        let x = layer_norm(x, scale.squeeze_dim(0), shift.squeeze_dim(0), EPSILON);
        let x = pass.layer_input(self.reduction, x);
        let weight = self.row_by_row(pass.get(self.reduction));
        (limbeck_kernels::linear(x, weight, None), merged)
    }

    /// `[M, 4D]` with the tokens of a square column by column → the same with these row by row.
    fn row_by_row(&self, of_columns: Tensor<2>) -> Tensor<2> {
        let [rows, length] = of_columns.dims();
        of_columns
            .reshape([rows, 2, 2, self.width])
            .swap_dims(1, 2)
            .reshape([rows, length])
    }
}
