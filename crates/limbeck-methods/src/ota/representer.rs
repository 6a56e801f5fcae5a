//! Images as another world would draw them.

use std::path::Path;

use burn::tensor::Tensor;
use limbeck_data::Normalisation;
use limbeck_nn::{InputShape, Network, weights::ModelFile};

use super::{Ota, pixels::PixelRange};
use crate::{
    Cast, MethodError,
    vqae::{autoencoder, represented},
};

/// A trained autoencoder with its normalisation, between two of the run's.
#[derive(Clone, Debug)]
pub struct Representer {
    network: Network,
    own: PixelRange,
    run: PixelRange,
}

impl Representer {
    /// From its weights `file`, for images of `input` that are normalised as `run` says.
    ///
    /// # Errors
    /// A file that cannot be read or is not an autoencoder's, and one for other images.
    pub fn read(
        file: &str,
        input: InputShape,
        run: &PixelRange,
        cast: &Cast,
    ) -> Result<Self, MethodError> {
        let refuse = |reason: String| MethodError::Configuration {
            method: Ota::ID.to_owned(),
            reason: format!("represent: {reason}"),
        };
        let found = ModelFile::read(Path::new(file)).map_err(|error| refuse(error.to_string()))?;
        let network = found
            .network(cast.device(), cast.dtype())
            .map_err(|error| refuse(error.to_string()))?;
        let normalisation = match &found.metadata.normalisation {
            Some(told) => Normalisation::new(&told.mean, &told.std),
            None => Normalisation::identity(input.channels),
        };
        Self::of(network, &normalisation, input, run)
    }

    /// `network`, which sees images that are normalised by `normalisation`.
    ///
    /// # Errors
    /// A network of another kind, or for other images than those of `input`.
    pub fn of(
        network: Network,
        normalisation: &Normalisation,
        input: InputShape,
        run: &PixelRange,
    ) -> Result<Self, MethodError> {
        autoencoder(Ota::ID, "re-representer", &network)?;
        let made_for = network.input();
        if made_for.headless() != input.headless() {
            return Err(MethodError::Shape {
                method: Ota::ID,
                feature: format!("the re-representer `{}`", network.name()),
                reason: format!(
                    "it was trained on {} channels of {}×{} pixels, and this run's images have {} of \
                     {}×{}; train it on such images, or set augment.size and augment.channels",
                    made_for.channels,
                    made_for.height,
                    made_for.width,
                    input.channels,
                    input.height,
                    input.width
                ),
            });
        }
        Ok(Self {
            own: PixelRange::new(normalisation, input.channels, &run.device(), run.dtype()),
            run: run.clone(),
            network,
        })
    }

    /// The run's `images` `[B, C, H, W]`, normalised as its images are, re-represented: the same.
    ///
    /// # Errors
    /// None that a network that was accepted gives.
    pub fn represent(&self, images: Tensor<4>) -> Result<Tensor<4>, MethodError> {
        let shown = self.own.normalised(self.run.plain(images));
        let drawn = represented(Ota::ID, &self.network, shown)?;
        Ok(self.run.clamp(self.run.normalised(self.own.plain(drawn))))
    }
}
