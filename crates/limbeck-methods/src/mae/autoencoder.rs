//! What every masked autoencoder does: encode the patches that are seen, and reconstruct the others.

use burn::tensor::Tensor;
use limbeck_nn::{
    Network, Pass,
    layer::image_patches,
    model::vit::{Embedding, VisionTransformer, gather_tokens},
};

use super::{
    MaeConfig,
    decoder::{Decoder, DecoderConfig, POSITIONS},
    masking::{Masking, kept_of},
    pixels::{images_of, standardised, unstandardised},
    positions::sin_cos_positions,
};
use crate::{
    Act, Cast, MethodError, Probe, Reconstruction, STUDENT, Scene, Stage, Trained,
    connector::mean_squared_error, criterion::require_at_least, member_seed,
};

/// Name of the decoder in the cast.
pub const DECODER: &str = "decoder";
/// Name of the student's positions.
const STUDENT_POSITIONS: &str = "pos_embed";

/// Width from which on the decoder is MAE's own.
const LARGE: usize = 384;
/// MAE, table 1 and section 4: width, blocks and heads.
const OF_LARGE: [usize; 3] = [512, 8, 16];
/// Blocks for narrower students.
const BLOCKS_OF_SMALL: usize = 2;

/// The student as the encoder of a masked autoencoder, with its decoder.
#[derive(Clone, Debug)]
pub struct MaskedAutoencoder {
    method: &'static str,
    decoder: Decoder,
    /// Side of a patch in pixels.
    patch: usize,
    /// Patches of an image.
    patches: usize,
    /// Patches that are seen.
    kept: usize,
    norm_pix: bool,
}

/// What the encoder made of the patches that are seen.
pub struct Encoded {
    /// Tokens `[B, P + n, D]` after the blocks that were asked for.
    pub features: Vec<Tensor<3>>,
    /// Tokens after the last block, and the network's norm over tokens where it has one.
    pub tokens: Tensor<3>,
}

impl MaskedAutoencoder {
    /// Adds the decoder to the cast as [`DECODER`], and gives the student fixed positions.
    ///
    /// # Errors
    /// A student that is no vision transformer, images that are not square, settings out of range.
    pub fn new(
        method: &'static str,
        config: &MaeConfig,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        let network = cast.network(STUDENT)?;
        let encoder = transformer(method, network)?;
        let shape = *encoder.config();
        let (grid, prefix) = (encoder.grid(), shape.prefix());
        let patches = grid[0] * grid[1];
        let refuse = |reason: String| MethodError::Shape {
            method,
            feature: format!("the student `{}`", network.name()),
            reason,
        };
        if grid[0] != grid[1] {
            return Err(refuse(format!(
                "its images are {} by {} patches, and positions are those of a square; set \
                 augment.size to a square",
                grid[0], grid[1]
            )));
        }
        if !shape.width.is_multiple_of(4) {
            return Err(refuse(format!(
                "its width of {} is no multiple of 4, which sines and cosines of two directions take",
                shape.width
            )));
        }
        let kept = kept_of(patches, config.mask_ratio);
        if kept == 0 || kept >= patches || config.mask_ratio.is_nan() {
            return Err(MethodError::Setting {
                method,
                key: "mask_ratio",
                expected: format!(
                    "a share that leaves some of the {patches} patches to see and some to reconstruct"
                ),
                found: config.mask_ratio.to_string(),
            });
        }
        let [width, depth, heads] = match shape.width >= LARGE {
            true => OF_LARGE,
            false => [shape.width, BLOCKS_OF_SMALL, shape.heads],
        };
        let channels = network.input().channels;
        let settings = DecoderConfig {
            encoder_width: shape.width,
            norm: shape.embedding == Embedding::PatchMean,
            prefix,
            grid,
            width: config.decoder_width.unwrap_or(width),
            depth: config.decoder_depth.unwrap_or(depth),
            heads: config.decoder_heads.unwrap_or(heads),
            inner: 0,
            epsilon: shape.epsilon,
            patch: shape.patch,
            channels,
        };
        let settings = DecoderConfig {
            inner: (settings.width as f64 * shape.mlp_ratio) as usize,
            ..settings
        };
        check_decoder(method, settings)?;
        let seed = member_seed(probe.seed, 1);
        let decoder =
            cast.add_modules(DECODER, seed, |builder| Ok(Decoder::new(builder, settings)))?;
        decoder.settle(cast.store_mut(DECODER)?, settings, seed);
        let store = cast.store_mut(STUDENT)?;
        if let Some(positions) = store.find(STUDENT_POSITIONS) {
            store.set_values(positions, sin_cos_positions(shape.width, grid, prefix));
        }
        Ok(Self {
            method,
            decoder,
            patch: shape.patch,
            patches,
            kept,
            norm_pix: config.norm_pix,
        })
    }

    /// The one stage, which trains student and decoder, positions left as they are, and `more` members.
    pub fn stage(&self, epochs: usize, more: &[&str]) -> Stage {
        let fixed = [(STUDENT, STUDENT_POSITIONS), (DECODER, POSITIONS)];
        let fixed = fixed.map(|(member, positions)| Trained {
            member: member.to_owned(),
            fixed: vec![positions.to_owned()],
            ..Trained::default()
        });
        let more = Act::training(more.iter().copied()).trains;
        let act = Act {
            trains: fixed.into_iter().chain(more).collect(),
            ..Act::default()
        };
        Stage::new("train", epochs, vec![act])
    }

    /// Draws which patches of the scene's images are seen.
    pub fn draw(&self, scene: &mut Scene<'_>) -> Masking {
        let images = &scene.batch().images;
        let count = images.dims()[0] * self.patches;
        let mut stream = scene.stream();
        let noise: Vec<f64> = (0..count).map(|_| stream.unit()).collect();
        self.masking_of(&noise, scene)
    }

    /// The same where `noise` `[B, L]` has been drawn.
    pub fn masking_of(&self, noise: &[f64], scene: &Scene<'_>) -> Masking {
        let cast = scene.cast();
        Masking::of_noise(noise, self.patches, self.kept, cast.device(), cast.dtype())
    }

    /// Shows the student the patches that are seen; its tokens after each of `blocks`, counted from 0
    /// and ascending, are given besides.
    ///
    /// # Errors
    /// A student that is no vision transformer.
    pub fn encode(
        &self,
        scene: &mut Scene<'_>,
        masking: &Masking,
        blocks: &[usize],
    ) -> Result<Encoded, MethodError> {
        let images = scene.batch().images.clone();
        scene.parts(STUDENT, |network, pass| {
            self.encoded(network, pass, images, masking, blocks)
        })
    }

    /// The same in one pass over `network`, the student.
    fn encoded(
        &self,
        network: &Network,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
        masking: &Masking,
        blocks: &[usize],
    ) -> Result<Encoded, MethodError> {
        let encoder = transformer(self.method, network)?;
        pass.keep_branches();
        // Taps of blocks, which tell rows from columns, are not read.
        let grid = [1, self.kept];
        let mut tokens = encoder.visible_tokens(pass, images, &masking.visible);
        let mut features = Vec::with_capacity(blocks.len());
        let mut done = 0;
        for &block in blocks {
            tokens = encoder.run_blocks(pass, tokens, done..block + 1, grid);
            features.push(tokens.clone());
            done = block + 1;
        }
        let depth = encoder.config().depth;
        tokens = encoder.run_blocks(pass, tokens, done..depth, grid);
        let tokens = encoder.normalise(pass, tokens);
        Ok(Encoded { features, tokens })
    }

    /// Pixels of the masked patches `[B, L − n, C · p · p]` from the encoder's last tokens.
    ///
    /// # Errors
    /// No decoder in the cast.
    pub fn decode(
        &self,
        scene: &mut Scene<'_>,
        tokens: Tensor<3>,
        masking: &Masking,
    ) -> Result<Tensor<3>, MethodError> {
        scene.modules(DECODER, |pass| self.decoder.forward(pass, tokens, masking))
    }

    /// The scene's images with a part hidden, drawn as in training, and reconstructed as in evaluation,
    /// without drop path. What was learnt standardised gets the mean and the deviation of its patch back.
    ///
    /// # Errors
    /// A student that is no vision transformer, no decoder in the cast.
    pub fn reconstruct(&self, scene: &mut Scene<'_>) -> Result<Reconstruction, MethodError> {
        let masking = self.draw(scene);
        let images = scene.batch().images.clone();
        let [batch, channels, height, width] = images.dims();
        let encoded = scene.evaluate_parts(STUDENT, |network, pass| {
            self.encoded(network, pass, images.clone(), &masking, &[])
        })?;
        let prediction = scene.evaluate_modules(DECODER, |pass| {
            self.decoder.forward(pass, encoded.tokens, &masking)
        })?;
        let pixels = image_patches(images, self.patch, None);
        let prediction = match self.norm_pix {
            true => unstandardised(prediction, gather_tokens(pixels.clone(), &masking.masked)),
            false => prediction,
        };
        let seen = gather_tokens(pixels, &masking.visible);
        let made = gather_tokens(Tensor::cat(vec![seen, prediction], 1), &masking.restore);
        let hidden: Tensor<3> = masking.mask.unsqueeze_dim(2);
        let places = self.patch * self.patch;
        let hidden = hidden.expand([batch, self.patches, places]);
        let size = [height, width];
        Ok(Reconstruction {
            images: images_of(made, self.patch, channels, size),
            hidden: images_of(hidden, self.patch, 1, size),
            standardised: self.norm_pix,
        })
    }

    /// How far the `prediction` of [`MaskedAutoencoder::decode`] is from the masked patches of `images`,
    /// `[1]`.
    pub fn error(&self, images: Tensor<4>, prediction: Tensor<3>, masking: &Masking) -> Tensor<1> {
        let pixels = image_patches(images, self.patch, Some(&masking.masked));
        let pixels = match self.norm_pix {
            true => standardised(pixels),
            false => pixels,
        };
        mean_squared_error(prediction, pixels)
    }
}

/// The student as a vision transformer.
fn transformer<'a>(
    method: &'static str,
    network: &'a Network,
) -> Result<&'a VisionTransformer, MethodError> {
    network.transformer().ok_or_else(|| MethodError::Shape {
        method,
        feature: format!("the student `{}`", network.name()),
        reason: "it masks patches of a vision transformer; choose one as the student, such as \
                 vit_nano_patch4 or deit_tiny_patch16_224"
            .to_owned(),
    })
}

fn check_decoder(method: &'static str, config: DecoderConfig) -> Result<(), MethodError> {
    let DecoderConfig {
        width,
        depth,
        heads,
        ..
    } = config;
    require_at_least(method, "decoder_depth", depth, 1)?;
    require_at_least(method, "decoder_heads", heads, 1)?;
    if width > 0 && width.is_multiple_of(4) && width.is_multiple_of(heads) {
        return Ok(());
    }
    Err(MethodError::Setting {
        method,
        key: "decoder_width",
        expected: format!("a multiple of 4 and of the decoder's {heads} heads"),
        found: width.to_string(),
    })
}
