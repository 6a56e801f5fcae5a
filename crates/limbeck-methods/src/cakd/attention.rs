//! The teacher's relations between positions, asked of the student's map.

use burn::tensor::{Tensor, TensorData, activation::softmax};
use limbeck_nn::{
    Builder, Init, Pass,
    layer::{Conv2d, Conv2dConfig, Linear},
};

use super::tokens;
use limbeck_data::Stream;

use crate::connector::mean_squared_error;

/// Queries, keys and values, each `[B, N, D]`.
#[derive(Clone, Debug)]
pub struct Projections {
    /// `[B, N, D]`.
    pub queries: Tensor<3>,
    /// `[B, N, D]`.
    pub keys: Tensor<3>,
    /// `[B, N, D]`.
    pub values: Tensor<3>,
}

impl Projections {
    /// The same as constants.
    fn detach(&self) -> Self {
        Self {
            queries: self.queries.clone().inner(),
            keys: self.keys.clone().inner(),
            values: self.values.clone().inner(),
        }
    }

    /// softmax(Q Kᵀ/√D) V, `[B, N, D]`.
    pub(super) fn attend(self) -> Tensor<3> {
        let [_, _, width] = self.queries.dims();
        let scores = self.queries.matmul(self.keys.transpose());
        let scale = 1.0 / (width as f64).sqrt();
        softmax(scores.mul_scalar(scale), 2).matmul(self.values)
    }
}

/// Partially cross attention as in the paper: three 3×3 convolutions `q`, `k`, `v` with bias.
#[derive(Debug)]
pub struct CrossAttention {
    convolutions: [Conv2d; 3],
}

/// What [`CrossAttention::compare`] finds.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct AttentionErrors {
    /// The student's partially crossed attention, `[B, N, D]`.
    pub student: Tensor<3>,
    /// The teacher's attention, `[B, N, D]`.
    pub teacher: Tensor<3>,
    /// Mean squared difference of the two, `[1]`.
    pub attention: Tensor<1>,
    /// Mean squared difference of V Vᵀ/√D, `[1]`.
    pub values: Tensor<1>,
}

impl CrossAttention {
    /// From maps of `channels` to tokens of length `width`.
    pub fn new(builder: &mut Builder<'_>, channels: usize, width: usize) -> Self {
        let config = Conv2dConfig::new(channels, width, 3).padding(1).bias();
        Self {
            convolutions: ["q", "k", "v"].map(|name| Conv2d::new(builder.sub(name), config)),
        }
    }

    /// `[B, C, rows, columns]` → projections of N = rows · columns positions, row by row.
    pub fn project(&self, pass: &mut Pass<'_>, map: &Tensor<4>) -> Projections {
        let [queries, keys, values] = self
            .convolutions
            .map(|convolution| tokens(convolution.forward(pass, map.clone())));
        Projections {
            queries,
            keys,
            values,
        }
    }

    /// Compares with the teacher's projections. Where `masks` (of queries, keys and values, each
    /// `[B, N, D]`) are 1, the teacher's numbers stand in for the student's; the products of
    /// values are the student's own.
    pub fn compare(
        student: &Projections,
        teacher: &Projections,
        masks: [Tensor<3>; 3],
    ) -> AttentionErrors {
        let teacher = teacher.detach();
        let [_, _, width] = student.values.dims();
        let scale = 1.0 / (width as f64).sqrt();
        let products = |values: &Tensor<3>| {
            let values = values.clone();
            values.clone().matmul(values.transpose()).mul_scalar(scale)
        };
        let values = mean_squared_error(products(&teacher.values), products(&student.values));
        let [queries, keys, mixed_values] = masks;
        let mix = |mask: Tensor<3>, teacher: &Tensor<3>, student: &Tensor<3>| {
            let rest = mask.clone().neg().add_scalar(1.0);
            mask * teacher.clone() + rest * student.clone()
        };
        let mixed = Projections {
            queries: mix(queries, &teacher.queries, &student.queries),
            keys: mix(keys, &teacher.keys, &student.keys),
            values: mix(mixed_values, &teacher.values, &student.values),
        };
        let (student, teacher) = (mixed.attend(), teacher.attend());
        AttentionErrors {
            attention: mean_squared_error(teacher.clone(), student.clone()),
            student,
            teacher,
            values,
        }
    }

    /// Masks of the shape of `like`, each number 1 with probability one half.
    pub(super) fn draw_masks(like: &Tensor<3>, random: &mut Stream) -> [Tensor<3>; 3] {
        let shape = like.dims();
        let count: usize = shape.iter().product();
        std::array::from_fn(|_| {
            let mut numbers = Vec::with_capacity(count);
            while numbers.len() < count {
                let bits = random.bits();
                let left = (count - numbers.len()).min(64);
                numbers.extend((0..left).map(|bit| f64::from(((bits >> bit) & 1) as u8)));
            }
            let options = (&like.clone().inner().device(), like.dtype());
            Tensor::from_data(TensorData::new(numbers, shape), options)
        })
    }
}

/// The released code's projector: one linear map without bias, `to_qkv`, to queries, keys and
/// values of as many channels, cut into heads.
#[derive(Debug)]
pub struct GramAttention {
    projection: Linear,
    heads: usize,
}

/// Products of queries with keys and of values with themselves, means over heads, `[B, N, N]`.
#[derive(Clone, Debug)]
pub struct Relations {
    /// Queries with keys, divided by the root of a head's width.
    pub attention: Tensor<3>,
    /// Values with values.
    pub values: Tensor<3>,
}

impl GramAttention {
    /// For maps of `channels`, which `heads` divides.
    pub fn new(builder: &mut Builder<'_>, channels: usize, heads: usize) -> Self {
        let init = Init::pytorch_default(channels);
        let level = builder.sub("to_qkv");
        Self {
            projection: Linear::with_init(level, channels, 3 * channels, init, None),
            heads,
        }
    }

    /// `[B, C, rows, columns]` → relations of positions, both divided by the root of a head's
    /// width.
    pub fn relate(&self, pass: &mut Pass<'_>, map: Tensor<4>) -> Relations {
        let [_, channels, ..] = map.dims();
        let projected = self.projection.forward(pass, tokens(map));
        let part = |place: usize| projected.clone().narrow(2, place * channels, channels);
        let projections = Projections {
            queries: part(0),
            keys: part(1),
            values: part(2),
        };
        let scale = (self.heads as f64 / channels as f64).sqrt();
        let mut relations = Relations::of(&projections, self.heads);
        relations.values = relations.values.mul_scalar(scale);
        relations
    }
}

impl Relations {
    /// Of projections whose heads lie side by side. The mean over heads of the products of each
    /// is the product over all channels, divided by the number of heads. Queries with keys are
    /// divided by the root of a head's width, values with values are not.
    pub fn of(projections: &Projections, heads: usize) -> Self {
        let [_, _, width] = projections.queries.dims();
        let scale = (heads as f64 / width as f64).sqrt();
        let product = |left: &Tensor<3>, right: &Tensor<3>, factor: f64| {
            let product = left.clone().matmul(right.clone().transpose());
            product.mul_scalar(factor / heads as f64)
        };
        let Projections {
            queries,
            keys,
            values,
        } = projections;
        Self {
            attention: product(queries, keys, scale),
            values: product(values, values, 1.0),
        }
    }

    /// Without the rows and columns of the first `prefix` tokens, which are no patches.
    pub fn patches(&self, prefix: usize) -> Self {
        let cut = |map: &Tensor<3>| {
            let count = map.dims()[1] - prefix;
            map.clone()
                .narrow(1, prefix, count)
                .narrow(2, prefix, count)
        };
        Self {
            attention: cut(&self.attention),
            values: cut(&self.values),
        }
    }

    /// Mean squared differences from `teacher`, a constant: of the attention, of the values.
    pub fn errors(&self, teacher: &Self) -> [Tensor<1>; 2] {
        let error = |own: &Tensor<3>, other: &Tensor<3>| {
            mean_squared_error(own.clone(), other.clone().inner())
        };
        [
            error(&self.attention, &teacher.attention),
            error(&self.values, &teacher.values),
        ]
    }
}
