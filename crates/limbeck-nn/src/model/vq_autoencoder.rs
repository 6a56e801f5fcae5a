//! Autoencoders whose latents are entries of a codebook (VQ-VAE), for the pre-training `vqae` and as
//! the re-representer of `ota`.
//!
//! van den Oord, Vinyals, Kavukcuoglu. "Neural Discrete Representation Learning". NeurIPS 2017: strided
//! convolutions and residual blocks (ReLU, 3×3, ReLU, 1×1) on both sides of a codebook. Widths are ours:
//! 2·D channels at the latents, half of them for each doubling of the size, at least 8; ups are nearest
//! neighbours and a 3×3 convolution. The name tells what the image is reduced by, the width of a latent
//! and the number of codes: `vq_autoencoder_f8_d64_k512`; `vq_autoencoder` is
//! `vq_autoencoder_f4_d32_k128`. It tells no classes apart: its prediction is its embedding, the mean
//! of the latents before they are quantised. State-dict names: `encoder.…`, `codebook`, `decoder.…`.
//! Taps: `stem`, a `stage` for each halving, `latent`, `pooled`.

mod config;

use burn::tensor::Tensor;

pub use config::VqAutoencoderConfig;

use super::{ImageSizes, ModelEntry};
use crate::{
    Architecture, Builder, Feature, Init, InputShape, NnError, ParameterId, Pass, Role, TaskKind,
    layer::{Conv2d, Conv2dConfig, global_avg_pool2d, relu, resize_nearest},
};

/// Residual blocks on each side, as in the paper.
const BLOCKS: usize = 2;
/// Fewest channels of a map.
const LEAST_CHANNELS: usize = 8;

/// The family's models.
pub static MODELS: &[ModelEntry] = &[ModelEntry {
    name: config::STEM,
    aliases: &["vq_autoencoder_f4_d32_k128"],
    family: "vq_autoencoder",
    task: TaskKind::Pretraining,
    size: 32,
    classes: 0,
    sizes: ImageSizes::MultipleOf(VqAutoencoderConfig::DEFAULT.factor),
    build: |builder, input| {
        let config = VqAutoencoderConfig::DEFAULT;
        Ok(Box::new(VqAutoencoder::new(builder, input, config)?))
    },
}];

/// Encoder, codebook and decoder.
#[derive(Debug)]
pub struct VqAutoencoder {
    config: VqAutoencoderConfig,
    stem: Conv2d,
    downs: Vec<Conv2d>,
    encoder_blocks: Vec<ResidualBlock>,
    to_latent: Conv2d,
    codebook: ParameterId,
    from_latent: Conv2d,
    decoder_blocks: Vec<ResidualBlock>,
    ups: Vec<Conv2d>,
    to_image: Conv2d,
}

/// ReLU, 3×3, ReLU, 1×1, added to what came in.
#[derive(Clone, Copy, Debug)]
struct ResidualBlock {
    inner: Conv2d,
    outer: Conv2d,
}

impl ResidualBlock {
    fn new(mut builder: Builder<'_>, channels: usize) -> Self {
        let inner = Conv2dConfig::new(channels, channels, 3).padding(1).bias();
        let outer = Conv2dConfig::new(channels, channels, 1).bias();
        Self {
            inner: Conv2d::new(builder.sub("conv1"), inner),
            outer: Conv2d::new(builder.sub("conv2"), outer),
        }
    }

    fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let hidden = relu(self.inner.forward(pass, relu(x.clone())));
        x + self.outer.forward(pass, hidden)
    }
}

impl VqAutoencoder {
    /// Makes the parameters; the codebook is uniform in ±1/K, as in the authors' code.
    ///
    /// # Errors
    /// Images that cannot be halved often enough, settings out of range, a number of classes.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        config: VqAutoencoderConfig,
    ) -> Result<Self, NnError> {
        config.check()?;
        let name = config.to_string();
        if input.classes > 0 {
            return Err(NnError::Unsupported {
                model: name,
                reason:
                    "it reconstructs images and tells no classes apart; train it with --method \
                         vqae"
                        .to_owned(),
            });
        }
        ImageSizes::MultipleOf(config.factor).check(&name, input)?;
        let halvings = config.factor.ilog2() as usize;
        let channels =
            |level: usize| ((2 * config.width) >> (halvings - level)).max(LEAST_CHANNELS);
        let wide = channels(halvings);
        let conv = |builder: Builder<'_>, from, to| {
            Conv2d::new(builder, Conv2dConfig::new(from, to, 3).padding(1).bias())
        };
        let blocks = |builder: &mut Builder<'_>| -> Vec<ResidualBlock> {
            (0..BLOCKS)
                .map(|i| ResidualBlock::new(builder.sub(format!("blocks.{i}")), wide))
                .collect()
        };
        let mut encoder = builder.sub("encoder");
        let stem = conv(encoder.sub("stem"), input.channels, channels(0));
        let downs = (0..halvings)
            .map(|i| {
                let config = Conv2dConfig::new(channels(i), channels(i + 1), 3);
                let config = config.padding(1).stride(2).bias();
                Conv2d::new(encoder.sub(format!("downs.{i}")), config)
            })
            .collect();
        let encoder_blocks = blocks(&mut encoder);
        let to_latent = Conv2d::new(
            encoder.sub("to_latent"),
            Conv2dConfig::new(wide, config.width, 1).bias(),
        );
        // As little pulled towards zero as a table of tokens.
        let codebook = builder.parameter(
            "codebook",
            &[config.codes, config.width],
            Role::Token,
            Init::Uniform(1.0 / config.codes as f64),
        );
        let mut decoder = builder.sub("decoder");
        let from_latent = conv(decoder.sub("from_latent"), config.width, wide);
        let decoder_blocks = blocks(&mut decoder);
        let ups = (0..halvings)
            .map(|i| {
                let level = halvings - i;
                let builder = decoder.sub(format!("ups.{i}"));
                conv(builder, channels(level), channels(level - 1))
            })
            .collect();
        let to_image = conv(decoder.sub("to_image"), channels(0), input.channels);
        Ok(Self {
            config,
            stem,
            downs,
            encoder_blocks,
            to_latent,
            codebook,
            from_latent,
            decoder_blocks,
            ups,
            to_image,
        })
    }

    /// Its settings.
    pub fn config(&self) -> &VqAutoencoderConfig {
        &self.config
    }

    /// Images `[B, C, H, W]` → latents `[B, D, H / f, W / f]`.
    pub fn encode(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Tensor<4> {
        let mut x = relu(self.stem.forward(pass, images));
        pass.tap_map("stem", &x);
        for (i, down) in self.downs.iter().enumerate() {
            x = relu(down.forward(pass, x));
            pass.tap_map(&format!("stage{}", i + 1), &x);
        }
        for &block in &self.encoder_blocks {
            x = pass.unit(x, move |pass, x| block.forward(pass, x));
        }
        let latent = self.to_latent.forward(pass, relu(x));
        pass.tap_map("latent", &latent);
        latent
    }

    /// The codes `[K, D]`.
    pub fn codebook(&self, pass: &Pass<'_>) -> Tensor<2> {
        pass.get(self.codebook)
    }

    /// Where the codes are in the store.
    pub fn codebook_id(&self) -> ParameterId {
        self.codebook
    }

    /// Quantised latents `[B, D, H / f, W / f]` → images `[B, C, H, W]`.
    pub fn decode(&self, pass: &mut Pass<'_>, quantised: Tensor<4>) -> Tensor<4> {
        let mut x = self.from_latent.forward(pass, quantised);
        for &block in &self.decoder_blocks {
            x = pass.unit(x, move |pass, x| block.forward(pass, x));
        }
        let mut x = relu(x);
        for up in &self.ups {
            let [_, _, height, width] = x.dims();
            let larger = resize_nearest(x, [2 * height, 2 * width]);
            x = relu(up.forward(pass, larger));
        }
        self.to_image.forward(pass, x)
    }
}

impl Architecture for VqAutoencoder {
    fn tap_names(&self) -> Vec<String> {
        let stages = (1..=self.downs.len()).map(|stage| format!("stage{stage}"));
        let ends = ["latent", "pooled"].map(str::to_owned);
        std::iter::once("stem".to_owned())
            .chain(stages)
            .chain(ends)
            .collect()
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let pooled = global_avg_pool2d(self.encode(pass, images));
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(pooled)
    }

    fn vq_autoencoder(&self) -> Option<&VqAutoencoder> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{Mode, Network, Taps, model};

    fn input(side: usize, classes: usize) -> InputShape {
        InputShape {
            channels: 3,
            height: side,
            width: side,
            classes,
        }
    }

    fn build(name: &str, input: InputShape) -> Result<Network, NnError> {
        model::build(name, input, 3, &Device::flex(), DType::F32)
    }

    #[test]
    fn images_come_back_in_their_size_from_latents_that_are_reduced_by_the_factor() {
        for (name, latent) in [
            ("vq_autoencoder", [2, 32, 4, 4]),
            ("vq_autoencoder_f8_d6_k5", [2, 6, 2, 2]),
        ] {
            let network = build(name, input(16, 0)).unwrap();
            let net = network.vq_autoencoder().unwrap();
            let mut pass = Pass::new(&network.store, Mode::Evaluate, Taps::none(), 0);
            let images = Tensor::ones([2, 3, 16, 16], &Device::flex());
            let z = net.encode(&mut pass, images);
            assert_eq!(z.dims(), latent);
            assert_eq!(net.decode(&mut pass, z).dims(), [2, 3, 16, 16]);
            let codes = net.codebook(&pass);
            assert_eq!(codes.dims(), [net.config().codes, net.config().width]);
            let greatest = codes.abs().max().into_scalar::<f64>();
            assert!(greatest <= 1.0 / net.config().codes as f64);
        }
    }

    #[test]
    fn names_tell_the_settings_and_what_does_not_fit_is_refused_in_a_sentence() {
        let found = model::find("VQ-autoencoder_f8_d64_k512").unwrap();
        assert_eq!(found.name, "vq_autoencoder_f8_d64_k512");
        assert_eq!(found.task, TaskKind::Pretraining);
        let whole = model::find("vq_autoencoder_f4_d32_k128").unwrap();
        assert_eq!(whole.name, "vq_autoencoder");
        for (name, side, classes, words) in [
            ("vq_autoencoder", 30, 0, "multiples of 4"),
            ("vq_autoencoder", 32, 10, "--method vqae"),
            ("vq_autoencoder_f3_d32_k128", 32, 0, "power of two"),
            ("vq_autoencoder_f4_d0_k128", 32, 0, "at least 1"),
            ("vq_autoencoder_f4_d32_k1", 32, 0, "at least 2"),
            ("vq_autoencoder_f4_k8", 32, 0, "_f4_d32_k128"),
        ] {
            let error = build(name, input(side, classes)).unwrap_err().to_string();
            assert!(error.contains(words), "{name}: {error}");
        }
    }
}
