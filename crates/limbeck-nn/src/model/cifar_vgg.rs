//! VGGs with batch norm for 32×32 images, in the layout of RepDistiller and mdistiller.
//!
//! Simonyan, Zisserman. "Very Deep Convolutional Networks for Large-Scale Image Recognition".
//! ICLR 2015, table 1; `vgg8` is RepDistiller's. State-dict names: `block{0..4}.{i}`, `classifier`.
//! `stem` is the output of `block0`, the stages are `block1` to `block4`: a half, a quarter and
//! twice an eighth of the size (for images of 64 pixels the last one is a sixteenth).

use burn::tensor::Tensor;

use super::{ImageSizes, ModelEntry, averaged::averaged, residual::stage_taps};
use crate::{
    Architecture, Builder, Feature, Init, InputShape, NnError, Pass, TaskKind,
    layer::{ClassHead, Conv2dConfig, ConvNorm, global_avg_pool2d, max_pool2d},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(8);

/// Images of this height are pooled once more, before the last block.
const POOLED_ONCE_MORE: usize = 64;

macro_rules! entry {
    ($name:literal, $convolutions:expr, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "cifar_vgg",
            task: TaskKind::Classification,
            size: 32,
            classes: 100,
            sizes: SIZES,
            build: |builder, input| Ok(Box::new(Vgg::new(builder, input, $convolutions)?)),
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!("vgg8", [1, 1, 1, 1, 1], &["vgg8_bn"]),
    entry!("vgg11", [1, 1, 2, 2, 2], &["vgg11_bn"]),
    entry!("vgg13", [2, 2, 2, 2, 2], &["vgg13_bn"]),
    entry!("vgg16", [2, 2, 3, 3, 3], &["vgg16_bn"]),
    entry!("vgg19", [2, 2, 4, 4, 4], &["vgg19_bn"]),
];

/// A VGG.
#[derive(Debug)]
pub struct Vgg {
    blocks: Vec<Vec<ConvNorm>>,
    classifier: ClassHead,
}

impl Vgg {
    /// `convolutions` in each of the five blocks of 64, 128, 256, 512 and 512 channels.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        convolutions: [usize; 5],
    ) -> Result<Self, NnError> {
        SIZES.check("vgg", input)?;
        if input.height == POOLED_ONCE_MORE && input.width < 16 {
            return Err(NnError::Unsupported {
                model: "vgg".to_owned(),
                reason: format!(
                    "found images of {}×{} pixels, at this height it needs a width of at least 16",
                    input.height, input.width
                ),
            });
        }
        let mut channels = input.channels;
        let mut blocks = Vec::new();
        for (index, (count, width)) in convolutions
            .into_iter()
            .zip([64, 128, 256, 512, 512])
            .enumerate()
        {
            let mut builder = builder.sub(format!("block{index}"));
            let mut block = Vec::new();
            for i in 0..count {
                let mut config = Conv2dConfig::new(channels, width, 3)
                    .padding(1)
                    .bias()
                    .kaiming_fan_out();
                config.bias_init = Some(Init::Constant(0.0));
                // Convolution, norm and ReLU have a number each.
                block.push(ConvNorm::new(&mut builder, 3 * i, 3 * i + 1, config));
                channels = width;
            }
            blocks.push(block);
        }
        let classifier = ClassHead::with_init(
            builder.sub("classifier"),
            channels,
            input.classes,
            Init::Normal(0.01),
            Some(Init::Constant(0.0)),
        );
        Ok(Self { blocks, classifier })
    }
}

impl Architecture for Vgg {
    fn tap_names(&self) -> Vec<String> {
        stage_taps(self.blocks.len() - 1)
    }

    fn head_names(&self) -> &[&str] {
        &["classifier."]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let [_, _, height, _] = images.dims();
        let mut x = images;
        for (index, block) in self.blocks.iter().enumerate() {
            if (1..=3).contains(&index) || (index == 4 && height == POOLED_ONCE_MORE) {
                x = max_pool2d(pass, x, 2, 2, 0);
            }
            let block = block.clone();
            x = pass.unit(x, move |pass, x| {
                let layers = block.iter().enumerate();
                layers.fold(x, |x, (i, layer)| {
                    let ends = i + 1 == block.len() && index > 0;
                    let preact = ends.then(|| format!("stage{index}.preact"));
                    layer.forward_relu_tapped(pass, x, preact.as_deref())
                })
            });
            match index {
                0 => pass.tap_map("stem", &x),
                _ => pass.tap_map(&format!("stage{index}"), &x),
            }
        }
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.classifier.forward(pass, pooled))
    }

    fn head_tap(&self) -> Option<String> {
        Some(format!("stage{}", self.blocks.len() - 1))
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let logits = self.classifier.forward(pass, averaged(feature)?);
        Some(Feature::Vector(logits))
    }
}
