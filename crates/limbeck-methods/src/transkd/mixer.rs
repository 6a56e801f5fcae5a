//! Tokens mixed with all others by attention and with their neighbours by convolution.

use burn::tensor::{
    Tensor,
    activation::{sigmoid, softmax},
};
use limbeck_nn::{Builder, Init, ParameterId, Pass, Role, layer::Linear};

use super::TransKd;
use crate::MethodError;

/// Tokens that a convolution sees.
const KERNEL: usize = 3;
/// What both ways weigh at first; the released code leaves it to chance.
const FIRST_SHARE: f64 = 0.5;

/// Attention `attn4`, gated convolutions `conv1` and `conv2`, and the shares of both ways.
#[derive(Debug)]
pub struct Mixer {
    qkv: Linear,
    proj: Linear,
    heads: usize,
    value: TokenConvolution,
    gate: TokenConvolution,
    global_share: ParameterId,
    local_share: ParameterId,
    residual: bool,
}

/// A convolution along the tokens, `weight` `[O, I, 3]`, `bias` `[O]`, as PyTorch's `Conv1d` has them.
#[derive(Clone, Copy, Debug)]
struct TokenConvolution {
    weight: ParameterId,
    bias: ParameterId,
}

impl Mixer {
    /// For tokens of `width` numbers.
    ///
    /// # Errors
    /// Heads that do not divide `width`.
    pub fn new(
        builder: &mut Builder<'_>,
        width: usize,
        heads: usize,
        residual: bool,
    ) -> Result<Self, MethodError> {
        if !width.is_multiple_of(heads) {
            return Err(MethodError::Setting {
                method: TransKd::ID,
                key: "heads",
                expected: format!("a divisor of the {width} channels of the student's last stage"),
                found: heads.to_string(),
            });
        }
        let default = Init::pytorch_default(width);
        let mut attention = builder.sub("attn4");
        let qkv = Linear::with_init(attention.sub("qkv"), width, 3 * width, default, None);
        let proj = Linear::new(attention.sub("proj"), width, width);
        let value = TokenConvolution::new(builder.sub("conv1"), width);
        let gate = TokenConvolution::new(builder.sub("conv2"), width);
        let mut share =
            |name| builder.parameter(name, &[1], Role::Weight, Init::Constant(FIRST_SHARE));
        Ok(Self {
            qkv,
            proj,
            heads,
            value,
            gate,
            global_share: share("atten_weight"),
            local_share: share("conv_weight"),
            residual,
        })
    }

    /// `[B, N, C]` → `[B, N, C]`.
    pub fn forward(&self, pass: &mut Pass<'_>, tokens: Tensor<3>) -> Tensor<3> {
        let global = self.attend(pass, tokens.clone());
        let seen = neighbours(tokens.clone());
        let local = self.value.forward(pass, seen.clone()) * sigmoid(self.gate.forward(pass, seen));
        let share = |id| pass.get::<1>(id).reshape([1, 1, 1]);
        let mixed = global * share(self.global_share) + local * share(self.local_share);
        match self.residual {
            true => mixed + tokens,
            false => mixed,
        }
    }

    fn attend(&self, pass: &mut Pass<'_>, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, count, width] = tokens.dims();
        let each = width / self.heads;
        // [B, N, 3 · C] -> 3 of [B, heads, N, C / heads]
        let qkv = self
            .qkv
            .forward(pass, tokens)
            .reshape([batch, count, 3, self.heads, each])
            .permute([2, 0, 3, 1, 4]);
        let part = |index: usize| {
            qkv.clone()
                .narrow(0, index, 1)
                .reshape([batch, self.heads, count, each])
        };
        let scale = 1.0 / (each as f64).sqrt();
        let scores = pass.matmul(part(0).mul_scalar(scale), part(1).transpose());
        let mixed = pass.matmul(softmax(scores, 3), part(2));
        let mixed = mixed.swap_dims(1, 2).reshape([batch, count, width]);
        self.proj.forward(pass, mixed)
    }
}

impl TokenConvolution {
    fn new(mut builder: Builder<'_>, width: usize) -> Self {
        let init = Init::pytorch_default(width * KERNEL);
        let shape = [width, width, KERNEL];
        Self {
            weight: builder.parameter("weight", &shape, Role::Weight, init),
            bias: builder.parameter("bias", &[width], Role::Bias, init),
        }
    }

    /// Of what [`neighbours`] gives, `[B, N, 3 · I]` → `[B, N, O]`.
    fn forward(&self, pass: &mut Pass<'_>, seen: Tensor<3>) -> Tensor<3> {
        let [batch, count, columns] = seen.dims();
        let weight = pass.get::<3>(self.weight);
        let [outputs, ..] = weight.dims();
        let weight = weight.permute([2, 1, 0]).reshape([columns, outputs]);
        let flat = pass.matmul(seen.reshape([batch * count, columns]), weight);
        let bias = pass.get::<1>(self.bias).reshape([1, 1, outputs]);
        flat.reshape([batch, count, outputs]) + bias
    }
}

/// Each token between its neighbours, zeros beyond the ends: `[B, N, C]` → `[B, N, 3 · C]`.
fn neighbours(tokens: Tensor<3>) -> Tensor<3> {
    let [batch, count, width] = tokens.dims();
    let nothing = Tensor::zeros([batch, 1, width], (&tokens.device(), tokens.dtype()));
    let padded = Tensor::cat(vec![nothing.clone(), tokens, nothing], 1);
    let shifted = (0..KERNEL).map(|shift| padded.clone().narrow(1, shift, count));
    Tensor::cat(shifted.collect(), 2)
}
