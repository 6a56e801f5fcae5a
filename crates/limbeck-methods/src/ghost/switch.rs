//! The switch control machine: whether a layer's guidance is used for an image.

use burn::tensor::{
    Tensor,
    activation::{relu, sigmoid},
};
use limbeck_nn::{
    Builder, Pass,
    layer::{BatchNorm2d, Linear},
};

/// What decides for one layer.
#[derive(Debug)]
pub(super) struct Switch {
    query: Embedding,
    key: Embedding,
}

impl Switch {
    /// For the layer number `layer`, of so many channels in student and teacher.
    pub fn new(
        mut builder: Builder<'_>,
        layer: usize,
        [student, teacher]: [usize; 2],
        width: usize,
    ) -> Self {
        let mut embedding = |place: &str, channels| {
            let level = builder.sub(format_args!("{place}.{layer}"));
            Embedding::new(level, channels, width)
        };
        Self {
            query: embedding("linear_trans_t.query_layer", teacher),
            key: embedding("linear_trans_s.key_layer", student),
        }
    }

    /// Product of query and key over the root of their length, from means over positions `[B, C]`: `[B]`.
    pub fn logit(&self, pass: &mut Pass<'_>, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let query = self.query.forward(pass, teacher);
        let key = relu(self.key.forward(pass, student));
        let [batch, width] = key.dims();
        let products = (query * key).sum_dim(1).reshape([batch]);
        products.mul_scalar(1.0 / (width as f64).sqrt())
    }
}

/// A linear map and a batch norm of the mean over positions.
#[derive(Debug)]
struct Embedding {
    linear: Linear,
    norm: BatchNorm2d,
    width: usize,
}

impl Embedding {
    fn new(mut builder: Builder<'_>, channels: usize, width: usize) -> Self {
        Self {
            linear: Linear::new(builder.sub("linear"), channels, width),
            norm: BatchNorm2d::new(builder.sub("bn"), width),
            width,
        }
    }

    /// `[B, C]` → `[B, width]`.
    fn forward(&self, pass: &mut Pass<'_>, mean: Tensor<2>) -> Tensor<2> {
        let [batch, _] = mean.dims();
        let embedded = self.linear.forward(pass, mean);
        let embedded = embedded.reshape([batch, self.width, 1, 1]);
        self.norm
            .forward(pass, embedded)
            .reshape([batch, self.width])
    }
}

/// 1 where σ((logit − ln draw)/temperature) is more than a half, else 0, with the gradient of the former.
/// All `[B]`; `draws` are from Exp(1).
pub(super) fn decide(logit: Tensor<1>, draws: Tensor<1>, temperature: f64) -> Tensor<1> {
    let soft = sigmoid((logit - draws.log()).mul_scalar(1.0 / temperature));
    let constant = soft.clone().inner();
    let hard = constant
        .clone()
        .greater_elem(0.5)
        .float()
        .cast(constant.dtype());
    // The difference is 0 to the last bit.
    hard + (soft - constant)
}
