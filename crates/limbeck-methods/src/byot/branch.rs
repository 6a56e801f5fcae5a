//! The classifiers that are attached to a student's stages.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Pass,
    layer::{
        BatchNorm2d, Conv2dConfig, ConvNorm, Linear, gated, global_avg_pool2d, resize_bilinear,
    },
};

use crate::{Probe, separable_conv::SeparableConv};

/// A classifier on the end of a stage.
#[derive(Debug)]
pub struct Branch {
    body: Body,
    fc: Linear,
    width: usize,
}

/// From the stage's map to the one whose mean over positions is classified.
#[derive(Debug)]
enum Body {
    /// 1×1, reducing, 1×1; names `bottleneck.{0,1,3,4,6,7}`.
    Bottleneck([ConvNorm; 3]),
    /// Names `attention.{0,1}` and `scala.0`, `scala.1`, ….
    Attentive {
        attention: SeparableConv,
        norm: BatchNorm2d,
        scala: Vec<SeparableConv>,
    },
}

/// What a branch gives out.
#[derive(Clone, Debug)]
pub struct BranchOutput {
    /// `[B, D]`.
    pub feature: Tensor<2>,
    /// `[B, K]`.
    pub logits: Tensor<2>,
}

impl Branch {
    /// The conference form's: from a map `[C, H, W]` of shape `from` to the height and width of
    /// `last`, with `width` channels.
    ///
    /// # Errors
    /// Why there is none.
    pub fn bottleneck(
        mut builder: Builder<'_>,
        from: [usize; 3],
        last: [usize; 3],
        width: usize,
        probe: &Probe,
    ) -> Result<Self, String> {
        let ([input, height, columns], [_, last_height, last_columns]) = (from, last);
        if !height.is_multiple_of(last_height) || !columns.is_multiple_of(last_columns) {
            return Err(format!(
                "its height and width must be multiples of the last stage's {last_height}×\
                 {last_columns}; use images of another size or form = \"journal\""
            ));
        }
        if !width.is_multiple_of(4) {
            return Err(format!(
                "the branch narrows to a quarter of the embedding, whose width {width} is not \
                 divisible by 4; choose another student or form = \"journal\""
            ));
        }
        refuse_single_values(probe.batch * last_height * last_columns)?;
        let middle = width / 4;
        let mut reduce = Conv2dConfig::new(middle, middle, 1);
        reduce.kernel = [height / last_height, columns / last_columns];
        reduce.stride = reduce.kernel;
        let mut layer = |conv, norm, config: Conv2dConfig| {
            let config = config.bias().kaiming_fan_out();
            ConvNorm::new(&mut builder, conv, norm, config)
        };
        let body = Body::Bottleneck([
            layer(
                "bottleneck.0",
                "bottleneck.1",
                Conv2dConfig::new(input, middle, 1),
            ),
            layer("bottleneck.3", "bottleneck.4", reduce),
            layer(
                "bottleneck.6",
                "bottleneck.7",
                Conv2dConfig::new(middle, width, 1),
            ),
        ]);
        Ok(Self {
            body,
            fc: Linear::new(builder.sub("fc"), width, probe.classes),
            width,
        })
    }

    /// The journal form's: from a map `[C, H, W]` of shape `from` through as many separable
    /// convolutions as there are `deeper` stages, each to that stage's width.
    ///
    /// # Errors
    /// Why there is none.
    pub fn attentive(
        mut builder: Builder<'_>,
        from: [usize; 3],
        deeper: &[[usize; 3]],
        probe: &Probe,
    ) -> Result<Self, String> {
        let [input, height, columns] = from;
        let halved = |side: usize| side.div_ceil(1 << (deeper.len().min(31)));
        refuse_single_values(probe.batch * halved(height) * halved(columns))?;
        let attention = SeparableConv::new(builder.sub("attention.0"), input, input);
        let norm = BatchNorm2d::new(builder.sub("attention.1"), input);
        let mut width = input;
        let mut scala = Vec::new();
        for (i, [next, ..]) in deeper.iter().enumerate() {
            let level = builder.sub(format!("scala.{i}"));
            scala.push(SeparableConv::new(level, width, *next));
            width = *next;
        }
        Ok(Self {
            body: Body::Attentive {
                attention,
                norm,
                scala,
            },
            fc: Linear::new(builder.sub("fc"), width, probe.classes),
            width,
        })
    }

    /// Length of the feature.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Feature and logits from the stage's map `[B, C, H, W]`.
    pub fn forward(&self, pass: &mut Pass<'_>, map: Tensor<4>) -> BranchOutput {
        let map = match &self.body {
            Body::Bottleneck(layers) => {
                let run = |x, layer: &ConvNorm| layer.forward_relu(pass, x);
                layers.iter().fold(map, run)
            }
            Body::Attentive {
                attention,
                norm,
                scala,
            } => {
                let [_, _, height, width] = map.dims();
                let x = attention.forward(pass, map.clone());
                let x = norm.forward_relu(pass, x);
                let mask = resize_bilinear(x, [height, width], false);
                let run = |x, layer: &SeparableConv| layer.forward(pass, x);
                scala.iter().fold(gated(map, mask), run)
            }
        };
        let feature = global_avg_pool2d(map);
        BranchOutput {
            logits: self.fc.forward(pass, feature.clone()),
            feature,
        }
    }
}

/// Batch norm has nothing to compare a single value with.
fn refuse_single_values(values: usize) -> Result<(), String> {
    match values {
        1 => Err("batch norm over a 1×1 map needs at least 2 images a step".to_owned()),
        _ => Ok(()),
    }
}
