//! The encoder and decoder that rebuild a teacher's map from a mix of both networks' tokens.

use burn::tensor::{Tensor, TensorData};
use limbeck_nn::{
    Builder, Init, ParameterId, Pass, Role,
    layer::{Conv2d, Conv2dConfig, LayerNorm, Linear, TransformerBlock, TransformerBlockConfig},
};

use super::{DpkConfig, DpkDistance};
use crate::{connector::mean_squared_error, hierarchical_context::hierarchical_context_loss};

/// Weights, tokens: ours, the field's standard.
const INIT: Init = Init::TruncatedNormal(0.02);
/// Added to variances in layer norms: ours, timm's.
const EPSILON: f64 = 1e-6;

/// Rebuilds one of the teacher's maps. State-dict names `patch_s`, `patch_t`, `pos`, `enc_s.*`,
/// `enc_t.*`, `dec.*`, `norm`, `head`.
#[derive(Debug)]
pub struct Prior {
    patch_student: Conv2d,
    patch_teacher: Conv2d,
    positions: ParameterId,
    encoder_student: Vec<TransformerBlock>,
    encoder_teacher: Vec<TransformerBlock>,
    decoder: Vec<TransformerBlock>,
    norm: LayerNorm,
    head: Linear,
    patch: usize,
    /// `[C, H, W]` of the map that is rebuilt.
    shape: [usize; 3],
    distance: DpkDistance,
}

/// The tokens of both networks.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// `[B, N, d]`.
    pub student: Tensor<3>,
    /// `[B, N, d]`.
    pub teacher: Tensor<3>,
}

/// What [`Prior::rebuild`] makes.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct RebuiltMap {
    /// Tokens of the teacher where the mask has a one, else of the student, `[B, N, d]`.
    pub hybrid: Tensor<3>,
    /// `[B, C_t, H, W]`.
    pub map: Tensor<4>,
}

impl Prior {
    /// For student maps of `channels` channels in the height and width of the teacher's map
    /// `shape` `[C, H, W]`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn new(
        mut builder: Builder<'_>,
        config: &DpkConfig,
        channels: usize,
        shape: [usize; 3],
    ) -> Result<Self, String> {
        let [teacher_channels, height, width] = shape;
        let patch = config.patch.unwrap_or_else(|| default_patch(height, width));
        if !height.is_multiple_of(patch) || !width.is_multiple_of(patch) {
            return Err(format!(
                "patches of {patch}×{patch} do not cover the teacher's map; set `patch` to a \
                 divisor of its height and width"
            ));
        }
        let heads = config.heads;
        let dim = config
            .dim
            .unwrap_or_else(|| default_dim(teacher_channels, heads));
        if !dim.is_multiple_of(heads) {
            return Err(format!(
                "tokens of {dim} numbers cannot be cut into {heads} heads; set `dim` to a \
                 multiple of `heads`"
            ));
        }
        let tokens = (height / patch) * (width / patch);
        let mut embed = |name, input| {
            let mut conv = Conv2dConfig::new(input, dim, patch).stride(patch).bias();
            conv.init = Some(INIT);
            conv.bias_init = Some(Init::Constant(0.0));
            Conv2d::new(builder.sub(name), conv)
        };
        let patch_student = embed("patch_s", channels);
        let patch_teacher = embed("patch_t", teacher_channels);
        let positions = builder.parameter("pos", &[1, tokens, dim], Role::Token, INIT);
        let block = TransformerBlockConfig {
            width: dim,
            heads,
            inner: config.mlp_ratio * dim,
            epsilon: EPSILON,
            init: INIT,
            drop_path: 0.0,
        };
        let mut blocks = |name: &str, depth| -> Vec<TransformerBlock> {
            (0..depth)
                .map(|i| TransformerBlock::new(builder.sub(format!("{name}.{i}")), block))
                .collect()
        };
        let encoder_student = blocks("enc_s", config.encoder_depth);
        let encoder_teacher = blocks("enc_t", config.encoder_depth);
        let decoder = blocks("dec", config.decoder_depth);
        let zero = Some(Init::Constant(0.0));
        let output = teacher_channels * patch * patch;
        Ok(Self {
            patch_student,
            patch_teacher,
            positions,
            encoder_student,
            encoder_teacher,
            decoder,
            norm: LayerNorm::new(builder.sub("norm"), dim, EPSILON),
            head: Linear::with_init(builder.sub("head"), dim, output, INIT, zero),
            patch,
            shape,
            distance: config.distance,
        })
    }

    /// Number N of tokens.
    pub fn tokens(&self) -> usize {
        let [_, height, width] = self.shape;
        (height / self.patch) * (width / self.patch)
    }

    /// Encodes the maps `[B, C_s, H, W]` and `[B, C_t, H, W]`; the teacher's is a constant.
    pub fn encode(&self, pass: &mut Pass<'_>, student: Tensor<4>, teacher: Tensor<4>) -> Tokens {
        let positions = pass.get::<3>(self.positions);
        let mut encode = |map: Tensor<4>, patch: &Conv2d, blocks: &[TransformerBlock]| {
            let map = patch.forward(pass, map);
            let [batch, dim, rows, columns] = map.dims();
            let tokens = map.reshape([batch, dim, rows * columns]).swap_dims(1, 2);
            let tokens = tokens + positions.clone();
            run(blocks, pass, tokens)
        };
        Tokens {
            student: encode(student, &self.patch_student, &self.encoder_student),
            teacher: encode(teacher.inner(), &self.patch_teacher, &self.encoder_teacher),
        }
    }

    /// The teacher's map from tokens of the teacher where `mask` `[B, N]` is 1 and of the student
    /// where it is 0.
    pub fn rebuild(&self, pass: &mut Pass<'_>, tokens: &Tokens, mask: &Tensor<2>) -> RebuiltMap {
        let [batch, count, _] = tokens.student.dims();
        let mask = mask.clone().reshape([batch, count, 1]);
        let rest = mask.clone().neg().add_scalar(1.0);
        let hybrid = tokens.teacher.clone() * mask + tokens.student.clone() * rest;
        let decoded = run(&self.decoder, pass, hybrid.clone());
        let decoded = self.norm.forward(pass, decoded);
        let tiles = self.head.forward(pass, decoded);
        let ([channels, height, width], patch) = (self.shape, self.patch);
        let map = tiles
            .reshape([batch, height / patch, width / patch, channels, patch, patch])
            .permute([0, 3, 1, 4, 2, 5])
            .reshape([batch, channels, height, width]);
        RebuiltMap { hybrid, map }
    }

    /// How far the rebuilt map is from the teacher's, which is a constant, `[1]`.
    pub fn distance(&self, rebuilt: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        match self.distance {
            DpkDistance::Mse => mean_squared_error(rebuilt, teacher.inner()),
            DpkDistance::Hcl => hierarchical_context_loss(rebuilt, teacher.inner()),
        }
    }
}

fn run(blocks: &[TransformerBlock], pass: &mut Pass<'_>, tokens: Tensor<3>) -> Tensor<3> {
    // Nobody taps a method's attention.
    blocks
        .iter()
        .fold(tokens, |tokens, block| block.forward(pass, tokens, ""))
}

/// 1 for maps up to 8×8, 2 up to 16×16, 4 beyond, as far as it divides both sides: ours.
fn default_patch(height: usize, width: usize) -> usize {
    let wanted = match height.max(width) {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    };
    let fits = |&patch: &usize| height.is_multiple_of(patch) && width.is_multiple_of(patch);
    [4, 2, 1]
        .into_iter()
        .filter(|&patch| patch <= wanted)
        .find(fits)
        .unwrap_or(1)
}

/// 256, or the teacher's channels if there are fewer, in whole heads: ours.
fn default_dim(channels: usize, heads: usize) -> usize {
    (channels.min(256) / heads).max(1) * heads
}

/// Ones for the `⌊ratio · N + 0.5⌋` smallest numbers of each row of `noise`, flat `[B · N]`, zeros
/// for the others, `[B, N]` on the device of `like` with its element type.
pub fn teacher_mask(noise: &[f64], tokens: usize, ratio: f64, like: &Tensor<4>) -> Tensor<2> {
    let chosen = ((ratio * tokens as f64 + 0.5).floor() as usize).min(tokens);
    let mut mask = vec![0.0; noise.len()];
    for (row, mask) in noise
        .chunks_exact(tokens)
        .zip(mask.chunks_exact_mut(tokens))
    {
        let mut order: Vec<usize> = (0..tokens).collect();
        order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
        for &token in &order[..chosen] {
            mask[token] = 1.0;
        }
    }
    let shape = [noise.len() / tokens, tokens];
    let options = (&like.device().inner(), like.dtype());
    Tensor::from_data(TensorData::new(mask, shape), options)
}
