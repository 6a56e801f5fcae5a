//! A trained network that segments pictures.

use burn::tensor::{Tensor, TensorData};
use limbeck_data::{Augment, Image, Mask, resize};
use limbeck_nn::{Feature, Network, Taps, TaskKind};

use super::{Segmenter, choose};
use crate::{TrainError, model_source::LoadedModel, recipe::EvaluateRecipe};

/// A trained network that says of each pixel of a picture what it belongs to.
#[derive(Clone, Debug)]
pub struct PictureSegmenter {
    network: Network,
    augment: Augment,
    scale: f64,
    segmenter: Segmenter,
}

impl PictureSegmenter {
    /// Of a model from a file, which tells how pictures were prepared; shown to it as `evaluate` says.
    ///
    /// # Errors
    /// A network for another task, or one whose file does not tell its normalisation.
    pub fn new(model: &LoadedModel, evaluate: &EvaluateRecipe) -> Result<Self, TrainError> {
        let network = model.network.deployed();
        if network.task() != Some(TaskKind::Segmentation) {
            return Err(TrainError::Setting(format!(
                "`{}` is no network for {}",
                network.name(),
                TaskKind::Segmentation
            )));
        }
        let augment = model.augment()?;
        let align_corners = model.segmentation.align_corners;
        Ok(Self {
            segmenter: Segmenter::new(evaluate, augment.size, align_corners),
            scale: model.segmentation.scale,
            network,
            augment,
        })
    }

    /// The class of each pixel of `image`, in its own size.
    ///
    /// # Errors
    /// Outputs that are not finite; `name` names the image then.
    pub fn mask(&self, image: &Image, name: &str) -> Result<Mask, TrainError> {
        let size = [image.height, image.width];
        let seen = match self.scale {
            1.0 => image.clone(),
            scale => {
                let [height, width] =
                    size.map(|side| ((side as f64 * scale).round() as usize).max(1));
                resize(image, height, width)
            }
        };
        let (numbers, [height, width]) = self.augment.whole(seen);
        let images = Tensor::<4>::from_data(
            TensorData::new(numbers, [1, self.augment.channels, height, width]),
            (self.network.store.device(), self.network.store.dtype()),
        );
        let logits = self.segmenter.logits(images, &|images| match self
            .network
            .evaluate(images, &Taps::none())
            .prediction
        {
            Feature::Map(logits) => Ok(logits),
            other => Err(TrainError::Setting(format!(
                "`{}` gives a {} for each image, not a map of logits",
                self.network.name(),
                other.kind()
            ))),
        })?;
        let [_, classes, rows, columns] = logits.dims();
        let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(TrainError::OutputsNotFinite {
                network: self.network.name().to_owned(),
                image: name.to_owned(),
                value: *value,
            });
        }
        let align_corners = self.segmenter.align_corners();
        Ok(choose(&values, [classes, rows, columns], size, align_corners, None).mask)
    }
}
