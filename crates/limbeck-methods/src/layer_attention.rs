//! Attention between the layers of two networks: how well a student layer fits a teacher layer.

use burn::tensor::{Tensor, activation::relu};
use limbeck_nn::{
    Builder, Init, ParameterId, Pass, Role,
    layer::{BatchNorm2d, Linear},
};

/// A linear map and batch norm over vectors: `linear.*`, `bn.*`.
#[derive(Debug)]
struct LinearNorm {
    linear: Linear,
    bn: BatchNorm2d,
}

impl LinearNorm {
    fn new(mut builder: Builder<'_>, input: usize, output: usize) -> Self {
        Self {
            linear: Linear::new(builder.sub("linear"), input, output),
            bn: BatchNorm2d::new(builder.sub("bn"), output),
        }
    }

    /// `[B, I]` → `[B, O]`.
    fn forward(&self, pass: &mut Pass<'_>, x: Tensor<2>) -> Tensor<2> {
        let y = self.linear.forward(pass, x);
        let [rows, width] = y.dims();
        let y = self.bn.forward(pass, y.reshape([rows, width, 1, 1]));
        y.reshape([rows, width])
    }
}

/// Descriptors of all layers of both networks and their products; names as in AFD's code.
#[derive(Debug)]
pub(crate) struct LayerAttention {
    width: usize,
    teacher: Vec<LinearNorm>,
    student: Vec<LinearNorm>,
    bilinear: LinearNorm,
    teacher_bias: ParameterId,
    student_bias: ParameterId,
}

impl LayerAttention {
    /// For layers with these channels, and descriptors of `width` numbers.
    pub fn new(
        builder: &mut Builder<'_>,
        student: &[usize],
        teacher: &[usize],
        width: usize,
    ) -> Self {
        let mut each = |name: &str, channels: &[usize]| {
            let made = channels.iter().enumerate().map(|(i, &channels)| {
                LinearNorm::new(builder.sub(format!("{name}.{i}")), channels, width)
            });
            made.collect::<Vec<_>>()
        };
        let queries = each("linear_trans_t.query_layer", teacher);
        let keys = each("linear_trans_s.key_layer", student);
        let bilinear = LinearNorm::new(
            builder.sub("linear_trans_s.bilinear"),
            width,
            width * teacher.len(),
        );
        let mut bias = |name, layers: usize| {
            let xavier = Init::Normal((2.0 / (layers + width) as f64).sqrt());
            builder.parameter(name, &[layers, width], Role::Weight, xavier)
        };
        Self {
            width,
            teacher: queries,
            student: keys,
            bilinear,
            teacher_bias: bias("p_t", teacher.len()),
            student_bias: bias("p_s", student.len()),
        }
    }

    /// m of all student layers with all teacher layers, from the means over positions of their maps,
    /// `[B, C]` each: `[B, S, J]`.
    pub fn scores(
        &self,
        pass: &mut Pass<'_>,
        student: &[Tensor<2>],
        teacher: &[Tensor<2>],
    ) -> Tensor<3> {
        let [batch, ..] = student[0].dims();
        let (layers, targets, width) = (student.len(), teacher.len(), self.width);
        let mut describe = |means: &[Tensor<2>], norms: &[LinearNorm]| {
            let vectors = means.iter().zip(norms).map(|(mean, norm)| {
                let described = norm.forward(pass, mean.clone());
                described.reshape([batch, 1, width])
            });
            Tensor::cat(vectors.collect(), 1)
        };
        let queries = describe(teacher, &self.teacher);
        let keys = relu(describe(student, &self.student));
        let keys = keys.reshape([batch * layers, width]);
        let products = self
            .bilinear
            .forward(pass, keys)
            .reshape([batch, layers, targets, width])
            * queries.reshape([batch, 1, targets, width]);
        let products = products.sum_dim(3).reshape([batch, layers, targets]);
        let student_bias = pass.get::<2>(self.student_bias);
        let teacher_bias = pass.get::<2>(self.teacher_bias);
        let bias = student_bias.matmul(teacher_bias.transpose());
        (products + bias.reshape([1, layers, targets])).mul_scalar(1.0 / (width as f64).sqrt())
    }
}
