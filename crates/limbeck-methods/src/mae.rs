//! # mae — Masked Autoencoders Are Scalable Vision Learners
//!
//! Most patches of an image are hidden; the student encodes those that are left, and a small decoder
//! reconstructs the pixels of the hidden ones. It learns from images alone, needs no teacher, and is
//! delivered without the decoder and without a head: what it predicts is its embedding.
//!
//! ## Definition
//! L = 1/|M| Σ_{m ∈ M} 1/N ‖p_m − x_m‖²
//!
//! M: the masked patches of all images of the batch, N numbers each (pixels times channels); x_m: their
//! pixels as the student's images have them, with `norm_pix` less the patch's mean and over its
//! deviation; p_m: what the decoder says. Of the L patches of an image the ⌊L·(1 − `mask_ratio`)⌋
//! with the least uniform noise are seen. The encoder is the student over these and its class token;
//! the decoder reads its tokens, a learnt token in every masked place, and positions.
//!
//! ## Inputs and shapes
//! Square images `[B, C, H, W]`; a vision transformer whose width is a multiple of 4. No labels are read.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `mask_ratio` | 0.75 | leaves a patch to see and one to reconstruct | the paper, figure 5 |
//! | `norm_pix` | false | | the paper, table 1d, has both; DMAE's script false |
//! | `decoder_width` | none | a multiple of 4 and of the heads | none: 512 for students of width 384 and more (the paper, table 1b), else the student's width |
//! | `decoder_depth` | none | ≥ 1 | none: 8 for these (table 1a), else 2 |
//! | `decoder_heads` | none | ≥ 1 | none: 16 for these (authors' code), else the student's |
//!
//! ## Notes
//! Positions of student and decoder are sines and cosines in two dimensions; they are put into the
//! student's `pos_embed` before the first step, whatever was there, and stay. Students with the mean of
//! their patches as embedding have no norm over tokens: one of the decoder's takes its place (`norm`) and
//! is thrown away with it; their `fc_norm`, behind the mean, is not trained. The student starts as it
//! comes, from weights or drawn as the zoo draws it; the decoder's linear maps are drawn by Glorot's
//! rule. The decoder predicts the masked patches alone: the authors' code predicts all and weighs those that
//! were seen by zero. The network's drop path rests, as the authors' encoder has none while it is
//! pre-trained. It is the baseline of `dmae`. Cost: with three quarters masked a quarter of the student's
//! forward and backward pass, and the decoder's over all patches, which for small students is the greater
//! part. The page shows six test images as they are reconstructed after the
//! last step; they lie in the job's folder too (`reconstructions.png`).
//!
//! ## Reference
//! He, Chen, Xie, Li, Dollár, Girshick. "Masked Autoencoders Are Scalable Vision Learners". CVPR 2022.
//! <https://arxiv.org/abs/2111.06377>
//! Authors' code: <https://github.com/facebookresearch/mae> (CC-BY-NC 4.0, not copied).

pub mod autoencoder;
mod decoder;
#[cfg(test)]
pub mod golden;
pub mod masking;
mod pixels;
mod positions;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::{Cast, MethodError, Probe, Procedure, Reconstruction, Scene, Stage, Term};
use autoencoder::MaskedAutoencoder;
#[cfg(test)]
pub use positions::sin_cos_positions;

/// Settings of [`Mae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaeConfig {
    /// Share of patches that are not seen.
    pub mask_ratio: f64,
    /// Whether pixels are brought to mean 0 and deviation 1 within their patch.
    pub norm_pix: bool,
    /// Length of the decoder's tokens; by the student's width where missing.
    pub decoder_width: Option<usize>,
    /// Its blocks.
    pub decoder_depth: Option<usize>,
    /// Its attention heads.
    pub decoder_heads: Option<usize>,
}

impl Default for MaeConfig {
    fn default() -> Self {
        Self {
            mask_ratio: 0.75,
            norm_pix: false,
            decoder_width: None,
            decoder_depth: None,
            decoder_heads: None,
        }
    }
}

/// A masked autoencoder.
#[derive(Clone, Debug)]
pub struct Mae {
    autoencoder: MaskedAutoencoder,
}

impl Mae {
    const ID: &'static str = "mae";

    /// Adds the decoder to the cast.
    ///
    /// # Errors
    /// A student that is no vision transformer, images that are not square, settings out of range.
    pub fn new(config: MaeConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        let autoencoder = MaskedAutoencoder::new(Self::ID, &config, probe, cast)?;
        Ok(Self { autoencoder })
    }
}

impl Procedure for Mae {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        vec![self.autoencoder.stage(epochs, &[])]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let masking = self.autoencoder.draw(scene);
        let encoded = self.autoencoder.encode(scene, &masking, &[])?;
        let prediction = self.autoencoder.decode(scene, encoded.tokens, &masking)?;
        let images = scene.batch().images.clone();
        let error = self.autoencoder.error(images, prediction, &masking);
        Ok(vec![Term::new("reconstruction", error, 1.0)])
    }

    fn reconstruct(&self, scene: &mut Scene<'_>) -> Result<Option<Reconstruction>, MethodError> {
        Ok(Some(self.autoencoder.reconstruct(scene)?))
    }
}
