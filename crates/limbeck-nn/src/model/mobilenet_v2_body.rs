//! MobileNetV2 up to its last block, with and without dilation.
//!
//! A dilated stage keeps the size and spreads its kernels instead; its first block still spreads
//! them as the stage before did (VainF's `network/backbone/mobilenetv2.py`).

use burn::tensor::Tensor;

use super::inverted_residual::{InvertedResidual, InvertedShape};
use crate::{
    Builder, Pass,
    layer::{Activation, Conv2dConfig, ConvNorm},
};

/// `(expansion, output channels, blocks, stride of the first)`.
const GROUPS: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
const STEM_CHANNELS: usize = 32;

/// Indices in `features` of the blocks that end a stage.
const STAGE_ENDS: [usize; 4] = [3, 6, 13, 17];

/// `features.0` to `features.17`. Taps: these, `stem`, `stageN` and `stageN.preact`, which are the
/// same, since blocks end without activation.
#[derive(Debug)]
pub(crate) struct MobileNetV2Body {
    first: ConvNorm,
    blocks: Vec<InvertedResidual>,
    /// Output channels of each block.
    widths: Vec<usize>,
}

impl MobileNetV2Body {
    /// Makes the parameters at the builder's level and width; the last `dilated` of the four stages
    /// keep the size.
    pub(crate) fn new(builder: &mut Builder<'_>, channels: usize, dilated: usize) -> Self {
        let mut input = builder.channels(STEM_CHANNELS);
        let config = Conv2dConfig::new(channels, input, 3)
            .stride(2)
            .padding(1)
            .kaiming_fan_out();
        let first = ConvNorm::new(builder, "features.0.0", "features.0.1", config);
        let mut blocks = Vec::new();
        let mut widths = Vec::new();
        let mut dilation = 1;
        // Stages begin where the size is halved; the stem's half comes before the first.
        let mut stage = 0;
        for (expansion, output, count, stride) in GROUPS {
            let output = builder.channels(output);
            let before = dilation;
            stage += stride - 1;
            let is_dilated = stage + dilated > STAGE_ENDS.len();
            if is_dilated {
                dilation *= stride;
            }
            for i in 0..count {
                let shape = InvertedShape {
                    input,
                    output,
                    expansion,
                    stride: if i == 0 && !is_dilated { stride } else { 1 },
                    dilation: if i == 0 { before } else { dilation },
                };
                let names: &[(&str, &str)] = match expansion {
                    1 => &[("0.0", "0.1"), ("1", "2")],
                    _ => &[("0.0", "0.1"), ("1.0", "1.1"), ("2", "3")],
                };
                let builder = builder.sub(format!("features.{}.conv", blocks.len() + 1));
                let block = InvertedResidual::new(builder, shape, names, Activation::Relu6);
                blocks.push(block);
                widths.push(output);
                input = output;
            }
        }
        Self {
            first,
            blocks,
            widths,
        }
    }

    /// Number of blocks.
    pub(crate) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Output channels of the four stages.
    pub(crate) fn stage_widths(&self) -> [usize; 4] {
        STAGE_ENDS.map(|end| self.widths[end - 1])
    }

    /// Names of all taps in forward order.
    pub(crate) fn tap_names(&self) -> Vec<String> {
        let mut names = vec!["features.0".to_owned(), "stem".to_owned()];
        for index in 1..=self.blocks.len() {
            names.push(format!("features.{index}"));
            if let Some(stage) = stage_ending(index) {
                names.push(format!("stage{stage}.preact"));
                names.push(format!("stage{stage}"));
            }
        }
        names
    }

    /// `[B, C, H, W]` → the last stage's map; `see` is shown what each stage gives out, by its
    /// number from 1.
    pub(crate) fn forward(
        &self,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
        see: &mut dyn FnMut(usize, &Tensor<4>),
    ) -> Tensor<4> {
        let first = &self.first;
        let mut x = first.forward_with(pass, images, None, Activation::Relu6);
        pass.tap_map("features.0", &x);
        pass.tap_map("stem", &x);
        for (index, block) in (1..).zip(&self.blocks) {
            let block = block.clone();
            x = pass.unit(x, move |pass, x| block.forward(pass, x));
            pass.tap_map(&format!("features.{index}"), &x);
            if let Some(stage) = stage_ending(index) {
                pass.tap_map(&format!("stage{stage}.preact"), &x);
                pass.tap_map(&format!("stage{stage}"), &x);
                see(stage, &x);
            }
        }
        x
    }
}

/// The number, from 1, of the stage that ends with the block of this index.
fn stage_ending(index: usize) -> Option<usize> {
    let stage = STAGE_ENDS.iter().position(|&end| end == index)?;
    Some(stage + 1)
}
