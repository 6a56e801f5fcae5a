//! The parts of a vision transformer one by one, for what does not run it as a whole: masked
//! pre-training, crops of other sizes, heads on tokens.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};

use super::{Embedding, PROJECTIONS, VisionTransformer, VisionTransformerConfig, stage_ends};
use crate::{Feature, Pass, weights::resize_bicubic};

impl VisionTransformer {
    /// Its shape.
    pub fn config(&self) -> &VisionTransformerConfig {
        &self.config
    }

    /// Rows and columns of patches in images of the size that it is built for.
    pub fn grid(&self) -> [usize; 2] {
        self.grid
    }

    /// Rows and columns of patches in `images` `[B, C, H, W]`.
    pub fn grid_of(&self, images: &Tensor<4>) -> [usize; 2] {
        let [_, _, height, width] = images.dims();
        [height / self.config.patch, width / self.config.patch]
    }

    /// `[B, C, H, W]` → patches `[B, L, D]` row by row, with their positions added. Positions are
    /// resized, bicubically, for images of another size than the network is built for.
    pub fn patches(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Tensor<3> {
        let positions = self.positions_on(pass, self.grid_of(&images));
        self.patches.forward(pass, images, None) + positions
    }

    /// The positions of patches that form `grid`, `[1, L, D]`.
    fn positions_on(&self, pass: &Pass<'_>, grid: [usize; 2]) -> Tensor<3> {
        let own = self.grid[0] * self.grid[1];
        let positions = pass.get::<3>(self.positions);
        let positions = positions.narrow(1, self.config.prefix(), own);
        if grid == self.grid {
            return positions;
        }
        let mixes = resizing(self.grid, grid);
        let mixes = TensorData::new(mixes, [1, grid[0] * grid[1], own]);
        let mixes = Tensor::<3>::from_data(mixes, (pass.device(), pass.dtype()));
        mixes.matmul(positions)
    }

    /// Class and distillation token with their positions in front of `patches` `[B, n, D]`.
    pub fn with_prefix(&self, pass: &Pass<'_>, patches: Tensor<3>) -> Tensor<3> {
        let [batch, _, width] = patches.dims();
        let prefix = self.config.prefix();
        let positions = pass.get::<3>(self.positions).narrow(1, 0, prefix);
        let tokens = [Some(self.class_token), self.distillation_token];
        let tokens = tokens.into_iter().flatten();
        let tokens: Vec<Tensor<3>> = tokens.map(|token| pass.get::<3>(token)).collect();
        let prefix = (Tensor::cat(tokens, 1) + positions).expand([batch as i64, -1, width as i64]);
        Tensor::cat(vec![prefix, patches], 1)
    }

    /// Tokens `[B, N, D]` through `blocks`, counted from 0; patches among them form `grid`. Taps of
    /// these blocks are recorded.
    pub fn run_blocks(
        &self,
        pass: &mut Pass<'_>,
        tokens: Tensor<3>,
        blocks: Range<usize>,
        grid: [usize; 2],
    ) -> Tensor<3> {
        let (mut x, width) = (tokens, self.config.width);
        for index in blocks {
            let (block, prefix) = (self.blocks[index], self.config.prefix());
            x = pass.unit(x, move |pass, x| {
                block.forward_showing(pass, x, &format!("attention{index}"), |pass, qkv| {
                    for (place, name) in PROJECTIONS.iter().enumerate() {
                        pass.tap(&format!("{name}{index}"), || Feature::Tokens {
                            tokens: qkv.clone().narrow(2, place * width, width),
                            prefix,
                            grid,
                        });
                    }
                })
            });
            pass.tap(&format!("block{index}"), || self.feature_on(&x, grid));
            if let Some(stage) = stage_ends(self.blocks.len()).position(|end| end == index) {
                pass.tap(&format!("stage{}", stage + 1), || self.feature_on(&x, grid));
            }
        }
        x
    }

    /// The visible patches alone: `[B, C, H, W]` → `[B, P + n, D]`, class and distillation token in
    /// front, before the first block. `visible` `[B, n]` are numbers of patches, row by row from 0, in
    /// the order in which they come out; the pixels of others are not read.
    ///
    /// # Panics
    /// Where `visible` names a patch that there is not, on the CPU.
    pub fn visible_tokens(
        &self,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
        visible: &Tensor<2, Int>,
    ) -> Tensor<3> {
        let positions = self.positions_on(pass, self.grid_of(&images));
        let positions = gather_shared(positions, visible);
        let patches = self.patches.forward(pass, images, Some(visible));
        self.with_prefix(pass, patches + positions)
    }

    /// The last norm over all tokens `[B, N, D]`, where the network has one before its embedding;
    /// with the mean of patches as embedding there is none, and they come back as they are.
    pub fn normalise(&self, pass: &mut Pass<'_>, tokens: Tensor<3>) -> Tensor<3> {
        match self.config.embedding {
            Embedding::ClassToken => self.norm.forward(pass, tokens),
            Embedding::PatchMean => tokens,
        }
    }

    /// What the head would read, and all patches after the last norm: `[B, C, H, W]` →
    /// `[B, 1 + L, D]`. In front is the class token, or the embedding itself where that is the mean of
    /// patches; a distillation token is left out. Images may be of any size that patches cover.
    pub fn embedding_and_patches(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Tensor<3> {
        let grid = self.grid_of(&images);
        let patches = self.patches(pass, images);
        let x = self.with_prefix(pass, patches);
        let x = self.run_blocks(pass, x, 0..self.blocks.len(), grid);
        let prefix = self.config.prefix();
        let count = x.dims()[1] - prefix;
        let patches = x.clone().narrow(1, prefix, count);
        let first = match self.config.embedding {
            Embedding::ClassToken => x.narrow(1, 0, 1),
            Embedding::PatchMean => patches.clone().mean_dim(1),
        };
        self.norm
            .forward(pass, Tensor::cat(vec![first, patches], 1))
    }

    pub(super) fn feature_on(&self, tokens: &Tensor<3>, grid: [usize; 2]) -> Feature {
        Feature::Tokens {
            tokens: tokens.clone(),
            prefix: self.config.prefix(),
            grid,
        }
    }
}

/// Tokens number `chosen` `[B, n]` of each image of `tokens` `[B, L, D]`, in their order:
/// `[B, n, D]`.
pub fn gather_tokens(tokens: Tensor<3>, chosen: &Tensor<2, Int>) -> Tensor<3> {
    let [batch, count, width] = tokens.dims();
    let [_, kept] = chosen.dims();
    let device = chosen.device();
    let first = Tensor::<1, Int>::arange(0..batch as i64, &device).mul_scalar(count as i64);
    let rows = chosen.clone() + first.reshape([batch, 1]);
    tokens
        .reshape([batch * count, width])
        .select(0, rows.reshape([batch * kept]))
        .reshape([batch, kept, width])
}

/// The same of tokens `[1, L, D]` that all images share.
fn gather_shared(tokens: Tensor<3>, chosen: &Tensor<2, Int>) -> Tensor<3> {
    let [batch, kept] = chosen.dims();
    let tokens: Tensor<2> = tokens.squeeze_dim(0);
    let chosen = chosen.clone().reshape([batch * kept]);
    tokens
        .select(0, chosen)
        .reshape([batch as i64, kept as i64, -1])
}

/// The linear map that resizes a grid bicubically, `[to, from]` row-major.
fn resizing(from: [usize; 2], to: [usize; 2]) -> Vec<f64> {
    let (inputs, outputs) = (from[0] * from[1], to[0] * to[1]);
    let mut mixes = vec![0.0; outputs * inputs];
    for input in 0..inputs {
        let mut unit = vec![0.0; inputs];
        unit[input] = 1.0;
        for (output, value) in resize_bicubic(&unit, from, to).into_iter().enumerate() {
            mixes[output * inputs + input] = value;
        }
    }
    mixes
}
