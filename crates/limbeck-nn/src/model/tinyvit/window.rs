//! Attention in windows, with a bias for each distance.

use burn::tensor::{Int, Tensor, TensorData, activation::softmax};

use super::{EPSILON, linear};
use crate::{
    Builder, Init, ParameterId, Pass, Role,
    layer::{LayerNorm, Linear},
};

/// Self-attention among the tokens of each window. The norm lies inside: the zeros that fill up
/// the last windows become the norm's shift, and are attended to like tokens.
///
/// `attention_biases` `[heads, window²]`: what is added to the score of two tokens, by the number
/// of rows and columns between them, as in LeViT (Graham et al. ICCV 2021, section 4.5). `qkv`
/// gives query, key and value of the first head, then those of the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowAttention {
    biases: ParameterId,
    norm: LayerNorm,
    qkv: Linear,
    proj: Linear,
    heads: usize,
    window: usize,
}

impl WindowAttention {
    /// Biases start at 0.
    pub(super) fn new(mut builder: Builder<'_>, width: usize, heads: usize, window: usize) -> Self {
        let zero = Init::Constant(0.0);
        let shape = [heads, window * window];
        Self {
            biases: builder.parameter("attention_biases", &shape, Role::Token, zero),
            norm: LayerNorm::new(builder.sub("norm"), width, EPSILON),
            qkv: linear(builder.sub("qkv"), width, 3 * width),
            proj: linear(builder.sub("proj"), width, width),
            heads,
            window,
        }
    }

    /// Tokens `[B, N, D]` of a grid of rows and columns → the same shape.
    pub(super) fn forward(&self, pass: &mut Pass<'_>, x: Tensor<3>, grid: [usize; 2]) -> Tensor<3> {
        if grid == [self.window; 2] {
            return self.attend(pass, x);
        }
        let windows = Windows::new(x.dims(), grid, self.window);
        let y = self.attend(pass, windows.cut(x));
        windows.join(y)
    }

    /// `[B', N, D]` → the same shape; N is the window's number of tokens.
    fn attend(&self, pass: &mut Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let per_head = width / self.heads;
        let x = self.norm.forward(pass, x);
        let qkv = self
            .qkv
            .forward(pass, x)
            .reshape([batch, tokens, self.heads, 3, per_head])
            .permute([3, 0, 2, 1, 4]);
        let part = |index: usize| qkv.clone().narrow(0, index, 1).squeeze_dim::<4>(0);
        let (queries, keys, values) = (part(0), part(1), part(2));
        let queries = queries.mul_scalar(1.0 / (per_head as f64).sqrt());
        let scores = pass.matmul(queries, keys.transpose()) + self.bias(pass);
        let shares = match pass.is_training() {
            true => softmax_as_recorded(scores),
            false => softmax(scores, 3),
        };
        let mixed = pass
            .matmul(shares, values)
            .swap_dims(1, 2)
            .reshape([batch, tokens, width]);
        self.proj.forward(pass, mixed)
    }

    /// `[1, heads, N, N]`: the bias of every pair of tokens.
    fn bias(&self, pass: &Pass<'_>) -> Tensor<4> {
        let tokens = self.window * self.window;
        let indices = TensorData::new(distances(self.window), [tokens * tokens]);
        let indices = Tensor::<1, Int>::from_data(indices, pass.device());
        pass.get::<2>(self.biases)
            .select(1, indices)
            .reshape([1, self.heads, tokens, tokens])
    }
}

/// The softmax of the last axis by the operations that burn records gradients of. Where none are recorded
/// its own is another, whose last bits differ: a block that is computed again would not be the same.
fn softmax_as_recorded(scores: Tensor<4>) -> Tensor<4> {
    let largest = scores.clone().inner().max_dim(3);
    let exponentials = (scores - largest).exp();
    let sum = exponentials.clone().sum_dim(3);
    exponentials / sum
}

/// For each pair of tokens of a window, the place of their distance in `attention_biases`: rows
/// between them times `window`, plus columns between them.
fn distances(window: usize) -> Vec<i64> {
    let places = || (0..window).flat_map(move |row| (0..window).map(move |column| (row, column)));
    places()
        .flat_map(|(row, column)| {
            places().map(move |(other_row, other_column)| {
                (row.abs_diff(other_row) * window + column.abs_diff(other_column)) as i64
            })
        })
        .collect()
}

/// How a grid of tokens is cut into windows.
struct Windows {
    batch: usize,
    width: usize,
    grid: [usize; 2],
    window: usize,
    /// Windows below and beside each other.
    count: [usize; 2],
}

impl Windows {
    fn new([batch, _, width]: [usize; 3], grid: [usize; 2], window: usize) -> Self {
        Self {
            batch,
            width,
            grid,
            window,
            count: grid.map(|length| length.div_ceil(window)),
        }
    }

    /// `[B, N, D]` → `[B · windows, window², D]`, with zeros below and right of the grid.
    fn cut(&self, x: Tensor<3>) -> Tensor<3> {
        let Self {
            batch,
            width,
            grid: [rows, columns],
            window,
            count,
        } = *self;
        let mut x: Tensor<4> = x.reshape([batch, rows, columns, width]);
        let missing = [count[0] * window - rows, count[1] * window - columns];
        if missing != [0, 0] {
            x = x.pad([(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)], 0.0);
        }
        x.reshape([batch, count[0], window, count[1], window, width])
            .swap_dims(2, 3)
            .reshape([batch * count[0] * count[1], window * window, width])
    }

    /// The way back.
    fn join(&self, x: Tensor<3>) -> Tensor<3> {
        let Self {
            batch,
            width,
            grid: [rows, columns],
            window,
            count,
        } = *self;
        x.reshape([batch, count[0], count[1], window, window, width])
            .swap_dims(2, 3)
            .reshape([batch, count[0] * window, count[1] * window, width])
            .narrow(1, 0, rows)
            .narrow(2, 0, columns)
            .reshape([batch, rows * columns, width])
    }
}
