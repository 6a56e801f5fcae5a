//! # dmae — Masked Autoencoders Enable Efficient Knowledge Distillers
//!
//! The student is pre-trained as a masked autoencoder (`mae`), and one of its middle blocks is drawn to
//! a middle block of a bigger vision transformer that was pre-trained before, over the same visible
//! patches. The teacher sees these alone and goes no deeper than its block, so that the step is cheap.
//!
//! ## Definition
//! L = L_rec + weight · Σ_j D(u(F_t), u(h_j(F_s)))
//!
//! L_rec: the loss of `mae`; F_s: the student's tokens after its block s, F_t: the teacher's after its
//! block t, a constant, for each pair [s, t] of `blocks`; h_j: the pair's head; u: tokens over their
//! lengths; D: the mean of absolute differences, with `distance = "mse"` of squared ones. With
//! `head = "none"` there is neither h nor u.
//!
//! ## Inputs and shapes
//! Square images `[B, C, H, W]`, two vision transformers with as many patches along a side; class token
//! and visible patches `[B, 1 + n, D]` are compared, a distillation token is not. No labels are read.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `mask_ratio` | 0.75 | leaves a patch to see and one to reconstruct | authors' script; 0.95 and 0.98 in the paper's table 4 |
//! | `norm_pix` | false | | authors' script |
//! | `decoder_width` | none | a multiple of 4 and of the heads | as in `mae` |
//! | `decoder_depth` | none | ≥ 1 | as in `mae` |
//! | `decoder_heads` | none | ≥ 1 | as in `mae` |
//! | `blocks` | none | `[[student, teacher], …]`, from 0 | none: the block at ¾ of the depth of each, as in the paper: 8 of 12 and 17 of 24 |
//! | `head` | `fc` | `fc`, `mlp`, `none` | authors' script; `none` where widths agree |
//! | `distance` | `l1` | `l1`, `mse` | authors' script |
//! | `weight` | 1 | ≥ 0 | the paper, equation 4; the code has none |
//!
//! ## Notes
//! The authors' code runs the teacher to its end and through its decoder and uses neither; here it stops
//! at the block. A student that starts as a copy of its teacher, without heads, has nothing to align. The
//! inner width of `mlp` heads is the teacher's (ours). The baseline is `mae` with the same settings, and
//! a teacher that is not there yet is trained by it first. Any vision transformer may be the teacher, also
//! a classifier; it sees the images as it was trained to see them, and its grid has to have as many
//! patches. Cost: `mae`'s, and the teacher's blocks up to the deepest one over the visible patches, once
//! for each pair; heads of D·D' + D' numbers. As of `mae`, the page shows six test images reconstructed.
//!
//! ## Reference
//! Bai, Wang, Xiao, Wei, Wang, Yuille, Zhou, Xie. "Masked Autoencoders Enable Efficient Knowledge
//! Distillers". CVPR 2023. <https://arxiv.org/abs/2208.12256>
//! Authors' code: <https://github.com/UCSC-VLAA/DMAE> (a0f4959e848f, CC-BY-NC 4.0, not copied).

mod alignment;
#[cfg(test)]
pub mod golden;
mod sides;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{
    Cast, MethodError, Probe, Procedure, Questions, Reconstruction, Scene, Stage, Term,
    criterion::require_weight,
    mae::{MaeConfig, autoencoder::MaskedAutoencoder, masking::Masking},
    member_seed,
};
use alignment::Alignment;
pub use alignment::{AlignmentDistance, AlignmentHead};
use sides::{Pair, pairs_of, without_distillation};

/// Settings of [`Dmae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DmaeConfig {
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
    /// Pairs `[student, teacher]` of blocks that are aligned, counted from 0.
    pub blocks: Option<Vec<[usize; 2]>>,
    /// What the student's tokens go through first.
    pub head: AlignmentHead,
    /// How tokens are compared.
    pub distance: AlignmentDistance,
    /// Factor of the alignment.
    pub weight: f64,
}

impl Default for DmaeConfig {
    fn default() -> Self {
        let MaeConfig {
            mask_ratio,
            norm_pix,
            decoder_width,
            decoder_depth,
            decoder_heads,
        } = MaeConfig::default();
        Self {
            mask_ratio,
            norm_pix,
            decoder_width,
            decoder_depth,
            decoder_heads,
            blocks: None,
            head: AlignmentHead::Fc,
            distance: AlignmentDistance::L1,
            weight: 1.0,
        }
    }
}

impl DmaeConfig {
    /// What the masked autoencoder is told.
    fn autoencoder(&self) -> MaeConfig {
        MaeConfig {
            mask_ratio: self.mask_ratio,
            norm_pix: self.norm_pix,
            decoder_width: self.decoder_width,
            decoder_depth: self.decoder_depth,
            decoder_heads: self.decoder_heads,
        }
    }
}

/// Name of the heads in the cast.
const HEADS: &str = "heads";

/// A masked autoencoder that follows another one.
#[derive(Clone, Debug)]
pub struct Dmae {
    weight: f64,
    autoencoder: MaskedAutoencoder,
    /// By the student's block, ascending.
    pairs: Vec<Pair>,
    alignment: Alignment,
    has_heads: bool,
}

/// What one step computes.
struct Compared {
    /// Pixels of the masked patches, `[B, L − n, C · p · p]`.
    #[cfg(test)]
    prediction: Tensor<3>,
    /// `[1]`.
    reconstruction: Tensor<1>,
    /// Of each pair: the student's tokens, the teacher's, and how far they are apart.
    pairs: Vec<(Tensor<3>, Tensor<3>, Tensor<1>)>,
}

impl Dmae {
    const ID: &'static str = "dmae";

    /// Adds decoder and heads to the cast.
    ///
    /// # Errors
    /// No teacher, networks that are no vision transformers or cut images into different grids, blocks
    /// that are not there, widths that differ without a head, settings out of range.
    pub fn new(config: DmaeConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_weight(Self::ID, "weight", config.weight)?;
        let pairs = pairs_of(Self::ID, &config, probe, cast)?;
        let autoencoder = MaskedAutoencoder::new(Self::ID, &config.autoencoder(), probe, cast)?;
        let widths: Vec<(usize, usize)> = pairs.iter().map(|pair| pair.widths).collect();
        let alignment = cast.add_modules(HEADS, member_seed(probe.seed, 2), |builder| {
            let mut builder = builder.sub("aligned_feature_projection_heads");
            let (head, distance) = (config.head, config.distance);
            Ok(Alignment::new(&mut builder, head, distance, &widths))
        })?;
        Ok(Self {
            weight: config.weight,
            autoencoder,
            pairs,
            alignment,
            has_heads: config.head != AlignmentHead::None,
        })
    }

    /// One step with these patches visible.
    fn compare(&self, scene: &mut Scene<'_>, masking: &Masking) -> Result<Compared, MethodError> {
        let blocks: Vec<usize> = self.pairs.iter().map(|pair| pair.blocks[0]).collect();
        let encoded = self.autoencoder.encode(scene, masking, &blocks)?;
        let prediction = self.autoencoder.decode(scene, encoded.tokens, masking)?;
        let images = scene.batch().images.clone();
        let reconstruction = self
            .autoencoder
            .error(images.clone(), prediction.clone(), masking);
        let mut pairs = Vec::with_capacity(self.pairs.len());
        for (index, (pair, student)) in self.pairs.iter().zip(encoded.features).enumerate() {
            let block = pair.blocks[1];
            let visible = &masking.visible;
            let teacher = scene.teacher_of_patches(Self::ID, images.clone(), visible, block)?;
            let student = without_distillation(student, pair.prefixes[0]);
            let teacher = without_distillation(teacher, pair.prefixes[1]);
            let sides = (student.clone(), teacher.clone());
            let apart = scene.modules(HEADS, |pass| {
                self.alignment.forward(pass, index, sides.0, sides.1)
            })?;
            pairs.push((student, teacher, apart));
        }
        Ok(Compared {
            #[cfg(test)]
            prediction,
            reconstruction,
            pairs,
        })
    }
}

impl Procedure for Dmae {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let heads: &[&str] = match self.has_heads {
            true => &[HEADS],
            false => &[],
        };
        vec![self.autoencoder.stage(epochs, heads)]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let masking = self.autoencoder.draw(scene);
        let compared = self.compare(scene, &masking)?;
        let mut terms = vec![Term::new("reconstruction", compared.reconstruction, 1.0)];
        for (pair, (_, _, apart)) in self.pairs.iter().zip(compared.pairs) {
            let [student, teacher] = pair.blocks;
            let name = format!("align.{student}-{teacher}");
            terms.push(Term::new(&name, apart, self.weight));
        }
        Ok(terms)
    }

    fn reconstruct(&self, scene: &mut Scene<'_>) -> Result<Option<Reconstruction>, MethodError> {
        Ok(Some(self.autoencoder.reconstruct(scene)?))
    }

    fn questions(&self) -> Questions {
        Questions {
            beyond: Some("the visible patches alone"),
            ..Questions::default()
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let name = |block: usize| format!("block{block}");
        let pairs = self.pairs.iter();
        pairs
            .map(|pair| (name(pair.blocks[0]), name(pair.blocks[1])))
            .collect()
    }
}
