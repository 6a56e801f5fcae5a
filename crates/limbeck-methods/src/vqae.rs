//! # vqae — Neural Discrete Representation Learning, as the owner's side of One to Transfer All
//!
//! An autoencoder whose latents are entries of a codebook learns to reconstruct images. It learns from
//! images alone, and needs no teacher. What it makes of an image of another world is the image as its
//! own world would draw it: the re-representer of `ota`, which the owner of a big network trains on the
//! images that the network has learnt from, and hands on in their place.
//!
//! ## Definition
//! L = mean |x̂ − x| + mean ‖sg(z) − e‖² + β mean ‖z − sg(e)‖²,  e = the code nearest to z
//!
//! z: latents `[B, D, H/f, W/f]` of the encoder; e: of the K codes the one with the least squared
//! distance, the first of several; x̂: what the decoder makes of e, through which gradients reach z as
//! they are (straight through); sg stops gradients. Means are over all numbers.
//!
//! ## Inputs and shapes
//! Images whose sides are multiples of f; the student `vq_autoencoder`, whose name tells f, D and K
//! (`vq_autoencoder_f8_d64_k512`). No labels are read.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `beta` | 0.25 | ≥ 0 | β; the paper, section 3.2 |
//! | `revive` | true | | ours; see below |
//!
//! ## Notes
//! The paper's reconstruction is a likelihood; the mean absolute error is that of VQ-GAN's code without
//! its perceptual loss and its critic, which are left out. Codes are drawn near zero, and one that no
//! latent chooses never learns. With `revive`, before each epoch, codes that none of 256 images of the
//! training part chooses are set to latents of these, evenly spread over them. `codes` is how many
//! different codes a step's images have chosen. What it predicts, for `[probe]` to judge, is the mean of
//! the latents before they are quantised. Cost: a forward and backward pass of encoder and decoder; of the
//! smallest one for 32×32 pixels 25 million multiply-accumulates an image.
//!
//! ## Reference
//! van den Oord, Vinyals, Kavukcuoglu. "Neural Discrete Representation Learning". NeurIPS 2017.
//! <https://arxiv.org/abs/1711.00937>
//! As a part of: Wang et al. "One to Transfer All". 2021. <https://arxiv.org/abs/2111.12386>

#[cfg(test)]
pub mod golden;
pub mod quantise;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use limbeck_nn::{Mode, Network, Pass, Taps, model::vq_autoencoder::VqAutoencoder};
use serde::{Deserialize, Serialize};

use self::quantise::{nearest, quantise};
use crate::{
    Act, Cast, Interlude, MethodError, Probe, Procedure, STUDENT, Scene, Stage, Term,
    criterion::require_weight,
};

/// Settings of [`Vqae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VqaeConfig {
    /// Factor of what draws latents to their codes.
    pub beta: f64,
    /// Whether codes that are not used are moved to where latents are.
    pub revive: bool,
}

impl Default for VqaeConfig {
    fn default() -> Self {
        Self {
            beta: 0.25,
            revive: true,
        }
    }
}

/// Images that tell which codes are used.
const SAMPLED: usize = 256;

/// An autoencoder with a codebook.
#[derive(Clone, Debug)]
pub struct Vqae {
    config: VqaeConfig,
}

impl Vqae {
    const ID: &'static str = "vqae";

    /// Finds the autoencoder in the cast.
    ///
    /// # Errors
    /// A student of another kind, a setting out of range.
    pub fn new(config: VqaeConfig, _probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_weight(Self::ID, "beta", config.beta)?;
        autoencoder(Self::ID, "student", cast.network(STUDENT)?)?;
        Ok(Self { config })
    }
}

/// `network`, which is `whose`, as an autoencoder.
///
/// # Errors
/// A network of another kind.
pub(crate) fn autoencoder<'a>(
    method: &'static str,
    whose: &str,
    network: &'a Network,
) -> Result<&'a VqAutoencoder, MethodError> {
    network.vq_autoencoder().ok_or_else(|| MethodError::Shape {
        method,
        feature: format!("the {whose} `{}`", network.name()),
        reason: "it has no codebook to quantise latents with; give a `vq_autoencoder`".to_owned(),
    })
}

/// What `network`, an autoencoder, makes of `images` `[B, C, H, W]`, as it is: the same shape, without
/// gradients.
///
/// # Errors
/// A network of another kind.
pub(crate) fn represented(
    method: &'static str,
    network: &Network,
    images: Tensor<4>,
) -> Result<Tensor<4>, MethodError> {
    let net = autoencoder(method, "re-representer", network)?;
    let mut pass = Pass::new(&network.store, Mode::Evaluate, Taps::none(), 0);
    let latent = net.encode(&mut pass, images.inner());
    let codes = quantise(latent, net.codebook(&pass)).codes;
    Ok(net.decode(&mut pass, codes))
}

impl Procedure for Vqae {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        vec![Stage::new("train", epochs, vec![Act::training([STUDENT])])]
    }

    fn sampled(&self) -> usize {
        if self.config.revive { SAMPLED } else { 0 }
    }

    fn begin_epoch(
        &mut self,
        _stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        let Some(sample) = interlude.held_out.filter(|_| self.config.revive) else {
            return Ok(());
        };
        let network = interlude.cast.network(STUDENT)?.clone();
        let net = autoencoder(Self::ID, "student", &network)?;
        let mut rows = Vec::new();
        sample.look(&mut |batch| {
            let mut pass = Pass::new(&network.store, Mode::Evaluate, Taps::none(), 0);
            let latent = net.encode(&mut pass, batch.images.clone());
            rows.push(limbeck_nn::Feature::Map(latent).to_rows());
            Ok(())
        })?;
        if rows.is_empty() {
            return Ok(());
        }
        let latents = Tensor::cat(rows, 0);
        let codebook = network.store.get::<2>(net.codebook_id());
        let chosen = nearest(latents.clone(), codebook.clone());
        let revived = revived(codebook, &latents, &chosen);
        let store = interlude.cast.store_mut(STUDENT)?;
        store.set(net.codebook_id(), revived);
        Ok(())
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let images = scene.batch().images.clone();
        let beta = self.config.beta;
        scene.parts(STUDENT, |network, pass| {
            let net = autoencoder(Self::ID, "student", network)?;
            let latent = net.encode(pass, images.clone());
            let quantised = quantise(latent, net.codebook(pass));
            let back = net.decode(pass, quantised.straight_through);
            let used: std::collections::BTreeSet<i64> = quantised.index.to_data().iter().collect();
            let used = Tensor::from_data([used.len() as f64], (pass.device(), pass.dtype()));
            Ok(vec![
                Term::new("reconstruction", (back - images).abs().mean(), 1.0),
                Term::new("codebook", quantised.codebook_loss, 1.0),
                Term::new("commitment", quantised.commitment_loss, beta),
                Term::new("codes", used, 0.0),
            ])
        })
    }
}

/// The codes `[K, D]`, flat, of which those that are not among `chosen` are latents `[R, D]`, evenly
/// spread over all of them.
fn revived(
    codebook: Tensor<2>,
    latents: &Tensor<2>,
    chosen: &Tensor<1, burn::tensor::Int>,
) -> Tensor<1> {
    let [codes, width] = codebook.dims();
    let [rows, _] = latents.dims();
    let mut is_used = vec![false; codes];
    for code in chosen.to_data().iter::<i64>() {
        if let Some(place) = usize::try_from(code).ok().and_then(|i| is_used.get_mut(i)) {
            *place = true;
        }
    }
    let unused: Vec<usize> = (0..codes).filter(|&code| !is_used[code]).collect();
    let (device, dtype) = (codebook.device(), codebook.dtype());
    let mut numbers: Vec<f64> = codebook.to_data().iter().collect();
    let latents: Vec<f64> = latents.to_data().iter().collect();
    for (place, &code) in unused.iter().enumerate() {
        let row = (2 * place + 1) * rows / (2 * unused.len());
        let from = &latents[row * width..(row + 1) * width];
        numbers[code * width..(code + 1) * width].copy_from_slice(from);
    }
    let data = burn::tensor::TensorData::new(numbers, [codes * width]);
    Tensor::from_data(data, (&device, dtype))
}
