//! MiT, the pyramid of transformers.

use burn::tensor::Tensor;

use super::SegFormerConfig;
use crate::{
    Builder, Feature, Init, Pass,
    layer::{
        Conv2d, Conv2dConfig, DepthwiseTokens, LayerNorm, Linear, ReducedAttention,
        ReducedAttentionConfig, map_to_tokens, tokens_to_map,
    },
};

/// Released code: linear maps.
const INIT: Init = Init::TruncatedNormal(0.02);
/// Released code: norms of blocks and stages.
const EPSILON: f64 = 1e-6;
/// PyTorch's default, which the norms of the patch embeddings keep.
const EMBEDDING_EPSILON: f64 = 1e-5;

/// Four stages.
#[derive(Debug)]
pub(super) struct Encoder {
    stages: [Stage; 4],
}

/// Overlapping patches, blocks, a norm.
#[derive(Debug)]
struct Stage {
    patches: Conv2d,
    patch_norm: LayerNorm,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Encoder {
    pub(super) fn new(mut builder: Builder<'_>, channels: usize, config: &SegFormerConfig) -> Self {
        let last = config.depths.iter().sum::<usize>().saturating_sub(1).max(1);
        let mut number = 0;
        let stages = std::array::from_fn(|index| {
            let width = config.widths[index];
            let (stage, input) = (index + 1, index.checked_sub(1).map(|i| config.widths[i]));
            // Paper, section 3.1: 7×7 with stride 4, then 3×3 with stride 2.
            let [kernel, stride] = if index == 0 { [7, 4] } else { [3, 2] };
            let mut shape = Conv2dConfig::new(input.unwrap_or(channels), width, kernel)
                .stride(stride)
                .padding(kernel / 2)
                .bias()
                .kaiming_fan_out();
            shape.bias_init = Some(Init::Constant(0.0));
            let name = |part: &str| format!("patch_embed{stage}.{part}");
            let patches = Conv2d::new(builder.sub(name("proj")), shape);
            let patch_norm = LayerNorm::new(builder.sub(name("norm")), width, EMBEDDING_EPSILON);
            let blocks = (0..config.depths[index])
                .map(|i| {
                    let shape = BlockShape {
                        attention: ReducedAttentionConfig {
                            width,
                            heads: config.heads[index],
                            reduction: config.reductions[index],
                            init: INIT,
                        },
                        inner: config.mlp_ratio * width,
                        drop_path: config.drop_path * number as f64 / last as f64,
                    };
                    number += 1;
                    Block::new(builder.sub(format!("block{stage}.{i}")), shape)
                })
                .collect();
            let norm = LayerNorm::new(builder.sub(format!("norm{stage}")), width, EPSILON);
            Stage {
                patches,
                patch_norm,
                blocks,
                norm,
            }
        });
        Self { stages }
    }

    /// `[B, C, H, W]` → the maps of the stages.
    pub(super) fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> [Tensor<4>; 4] {
        let mut map = images;
        let mut number = 0;
        self.stages.each_ref().map(|stage| {
            number += 1;
            map = stage.forward(pass, map.clone(), number);
            map.clone()
        })
    }
}

impl Stage {
    /// `[B, C, H, W]` → `[B, D, H', W']`.
    fn forward(&self, pass: &mut Pass<'_>, map: Tensor<4>, number: usize) -> Tensor<4> {
        let map = self.patches.forward(pass, map);
        let [_, _, rows, columns] = map.dims();
        let grid = [rows, columns];
        let mut x = self.patch_norm.forward(pass, map_to_tokens(map));
        pass.tap(&format!("embed{number}"), || Feature::Tokens {
            tokens: x.clone(),
            prefix: 0,
            grid,
        });
        let attention = format!("attention{number}");
        for (index, block) in self.blocks.iter().enumerate() {
            let is_last = index + 1 == self.blocks.len();
            let (block, attention) = (*block, is_last.then(|| attention.clone()));
            x = pass.unit(x, move |pass, x| {
                block.forward(pass, x, grid, attention.as_deref())
            });
        }
        let map = tokens_to_map(self.norm.forward(pass, x), grid);
        pass.tap_map(&format!("stage{number}"), &map);
        map
    }
}

/// Shape of a [`Block`].
#[derive(Clone, Copy, Debug)]
struct BlockShape {
    attention: ReducedAttentionConfig,
    /// Neurons of the perceptron.
    inner: usize,
    /// Probability with which training omits each of the two branches.
    drop_path: f64,
}

/// Attention, then a perceptron with a depthwise convolution inside (Mix-FFN, equation 3), each
/// behind a layer norm and added to what it reads.
#[derive(Clone, Copy, Debug)]
struct Block {
    norm1: LayerNorm,
    attention: ReducedAttention,
    norm2: LayerNorm,
    fc1: Linear,
    depthwise: DepthwiseTokens,
    fc2: Linear,
    drop_path: f64,
}

impl Block {
    fn new(mut builder: Builder<'_>, shape: BlockShape) -> Self {
        let BlockShape {
            attention,
            inner,
            drop_path,
        } = shape;
        let width = attention.width;
        let zero = Some(Init::Constant(0.0));
        Self {
            norm1: LayerNorm::new(builder.sub("norm1"), width, EPSILON),
            attention: ReducedAttention::new(builder.sub("attn"), attention),
            norm2: LayerNorm::new(builder.sub("norm2"), width, EPSILON),
            fc1: Linear::with_init(builder.sub("mlp.fc1"), width, inner, INIT, zero),
            depthwise: DepthwiseTokens::new(builder.sub("mlp.dwconv.dwconv"), inner),
            fc2: Linear::with_init(builder.sub("mlp.fc2"), inner, width, INIT, zero),
            drop_path,
        }
    }

    /// Tokens `[B, N, D]` of a grid of rows and columns → the same shape.
    fn forward(
        &self,
        pass: &mut Pass<'_>,
        x: Tensor<3>,
        grid: [usize; 2],
        attention_tap: Option<&str>,
    ) -> Tensor<3> {
        let y = self.norm1.forward(pass, x.clone());
        let rate = self.drop_path;
        let x = self
            .attention
            .forward_onto(pass, y, x, grid, rate, attention_tap);
        let y = self.norm2.forward(pass, x.clone());
        let y = self.fc1.forward(pass, y);
        let y = self.depthwise.forward_gelu(pass, y, grid);
        self.fc2.forward_onto(pass, y, x, rate)
    }
}
