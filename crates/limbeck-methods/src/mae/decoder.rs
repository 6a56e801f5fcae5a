//! What makes pixels of the patches that were not seen.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Init, ParameterId, Pass, Role, Store,
    layer::{LayerNorm, Linear, TransformerBlock, TransformerBlockConfig, linear},
    model::vit::gather_tokens,
};

use super::{masking::Masking, positions::sin_cos_positions};

/// Name of the decoder's positions, which are not learnt.
pub const POSITIONS: &str = "decoder_pos_embed";

/// Shape of a [`Decoder`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Length of the encoder's tokens.
    pub encoder_width: usize,
    /// Whether the encoder's tokens want a norm first.
    pub norm: bool,
    /// Number of tokens in front of the patches.
    pub prefix: usize,
    /// Rows and columns of patches.
    pub grid: [usize; 2],
    /// Length of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; they divide the width.
    pub heads: usize,
    /// Neurons of a block's perceptron.
    pub inner: usize,
    /// Added to variances in layer norms.
    pub epsilon: f64,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Numbers of a pixel.
    pub channels: usize,
}

/// Tokens of the seen patches and a learnt token for each masked one, through transformer blocks:
/// `decoder_embed`, `mask_token`, `decoder_pos_embed`, `decoder_blocks.{i}`, `decoder_norm` and
/// `decoder_pred`, as in the authors' code; and `norm` for encoders that have none over their tokens.
#[derive(Clone, Debug)]
pub struct Decoder {
    norm: Option<LayerNorm>,
    embed: Linear,
    mask_token: ParameterId,
    positions: ParameterId,
    blocks: Vec<TransformerBlock>,
    last_norm: LayerNorm,
    pred: Linear,
    config: DecoderConfig,
}

/// The authors' code: class, mask token.
const TOKEN: Init = Init::Normal(0.02);

impl Decoder {
    /// Makes the parameters. [`Decoder::settle`] then gives them the numbers to start from.
    pub fn new(builder: &mut Builder<'_>, config: DecoderConfig) -> Self {
        let width = config.width;
        let block = TransformerBlockConfig {
            width,
            heads: config.heads,
            inner: config.inner,
            epsilon: config.epsilon,
            init: Init::Constant(0.0),
            drop_path: 0.0,
        };
        let places = config.prefix + config.grid[0] * config.grid[1];
        let norm = |builder: Builder<'_>, width| LayerNorm::new(builder, width, config.epsilon);
        Self {
            norm: config
                .norm
                .then(|| norm(builder.sub("norm"), config.encoder_width)),
            embed: Linear::new(builder.sub("decoder_embed"), config.encoder_width, width),
            mask_token: builder.parameter("mask_token", &[1, 1, width], Role::Token, TOKEN),
            positions: builder.parameter(
                POSITIONS,
                &[1, places, width],
                Role::Token,
                Init::Constant(0.0),
            ),
            blocks: (0..config.depth)
                .map(|i| TransformerBlock::new(builder.sub(format!("decoder_blocks.{i}")), block))
                .collect(),
            last_norm: norm(builder.sub("decoder_norm"), width),
            pred: Linear::new(
                builder.sub("decoder_pred"),
                width,
                config.patch * config.patch * config.channels,
            ),
            config,
        }
    }

    /// Positions as they stay; linear maps drawn uniformly in ±√(6 / (inputs + outputs)) from `seed`,
    /// their biases zero (Glorot and Bengio 2010; authors' code).
    pub fn settle(&self, store: &mut Store, config: DecoderConfig, seed: u64) {
        for id in store.ids() {
            let entry = store.entry(id);
            let numbers = match (entry.role, &entry.shape[..]) {
                (Role::Weight, &[outputs, inputs]) => {
                    let bound = (6.0 / (inputs + outputs) as f64).sqrt();
                    Init::Uniform(bound).draw(seed, &entry.name, inputs * outputs)
                }
                (Role::Bias, &[outputs]) => vec![0.0; outputs],
                _ => continue,
            };
            store.set_values(id, numbers);
        }
        let positions = sin_cos_positions(config.width, config.grid, config.prefix);
        store.set_values(self.positions, positions);
    }

    /// The encoder's last tokens `[B, P + n, D]` → pixels of the masked patches
    /// `[B, L − n, C · p · p]`, in the order of [`Masking::masked`].
    ///
    /// Nothing is made of what was seen: no loss reads it. Tokens stand in the order in which they
    /// come, seen ones before masked ones, as their positions tell where they belong; of the last
    /// block none but the masked ones are needed.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        mut tokens: Tensor<3>,
        masking: &Masking,
    ) -> Tensor<3> {
        if let Some(norm) = &self.norm {
            tokens = norm.forward(pass, tokens);
        }
        let x = self.embed.forward(pass, tokens);
        let [batch, seen, width] = x.dims();
        let [_, masked] = masking.masked.dims();
        let mask_token = pass.get::<3>(self.mask_token);
        let mask_token = mask_token.expand([batch, masked, width]);
        let x = Tensor::cat(vec![x, mask_token], 1) + self.positions_of(pass, masking);
        let Some((last, blocks)) = self.blocks.split_last() else {
            return x;
        };
        let x = blocks.iter().fold(x, |x, block| block.forward(pass, x, ""));
        let x = last.forward_of(pass, x, seen..seen + masked);
        let x = self.last_norm.forward(pass, x);
        self.pixels(pass, x)
    }

    /// `[B, n, D]` → pixels `[B, n, C · p · p]`. `decoder_pred` has the channels of a pixel side by side, as
    /// in the authors' files; putting its rows into the order of patches is less work than their pixels.
    fn pixels(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let DecoderConfig {
            patch,
            channels,
            width,
            ..
        } = self.config;
        let places = patch * patch;
        let weight = self.pred.weight(pass).reshape([places, channels, width]);
        let weight = weight.swap_dims(0, 1).reshape([channels * places, width]);
        let bias = self.pred.bias(pass).map(|bias| {
            let bias = bias.reshape([places, channels]).swap_dims(0, 1);
            bias.reshape([channels * places])
        });
        linear(x, weight, bias)
    }

    /// Positions of prefix, seen and masked patches, `[B, P + L, D]`.
    fn positions_of(&self, pass: &Pass<'_>, masking: &Masking) -> Tensor<3> {
        let positions = pass.get::<3>(self.positions);
        let [_, all, width] = positions.dims();
        let [batch, _] = masking.visible.dims();
        let all = positions.expand([batch, all, width]);
        let prefix = all.clone().narrow(1, 0, self.config.prefix);
        let order = Tensor::cat(vec![masking.visible.clone(), masking.masked.clone()], 1);
        let patches = gather_tokens(all, &order.add_scalar(self.config.prefix as i64));
        Tensor::cat(vec![prefix, patches], 1)
    }
}
