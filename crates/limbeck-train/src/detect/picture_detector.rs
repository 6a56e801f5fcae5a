//! A trained detector that looks for objects in pictures.

use burn::tensor::{Tensor, TensorData};
use limbeck_data::{Augment, Image, Letterbox};
use limbeck_methods::{
    MethodError,
    detection::{Anchors, Kept, SuppressionConfig, detect},
};
use limbeck_nn::{Network, Taps, TaskKind};

use super::anchors_of;
use crate::{TrainError, model_source::LoadedModel};

/// A trained network that finds objects in pictures of any size.
#[derive(Clone, Debug)]
pub struct PictureDetector {
    network: Network,
    augment: Augment,
    anchors: Anchors,
    suppression: SuppressionConfig,
}

/// Boxes as they lie in the picture of a frame, without those that lie in its padding alone.
pub(crate) fn out_of_frame(kept: Vec<Kept>, frame: &Letterbox) -> Vec<Kept> {
    let back = |kept: Kept| {
        let bounds = frame.back(kept.bounds.map(|at| at as f32)).map(f64::from);
        let is_inside = bounds[2] > bounds[0] && bounds[3] > bounds[1];
        is_inside.then_some(Kept { bounds, ..kept })
    };
    kept.into_iter().filter_map(back).collect()
}

impl PictureDetector {
    /// Of a model from a file, which tells how pictures were prepared; its boxes are kept as `suppression`
    /// says.
    ///
    /// # Errors
    /// A network for another task, or one whose file does not tell its normalisation.
    pub fn new(model: &LoadedModel, suppression: SuppressionConfig) -> Result<Self, TrainError> {
        let network = model.network.deployed();
        let Some(anchors) = anchors_of(&network)? else {
            return Err(TrainError::Setting(format!(
                "`{}` is no network for {}",
                network.name(),
                TaskKind::Detection
            )));
        };
        Ok(Self {
            augment: model.augment()?,
            network,
            anchors,
            suppression,
        })
    }

    /// The boxes that are found in `image`, in its pixels, surest first.
    ///
    /// # Errors
    /// Outputs that are not finite; `name` names the image then.
    pub fn boxes(&self, image: &Image, name: &str) -> Result<Vec<Kept>, TrainError> {
        let mut numbers = vec![0.0; self.augment.numbers()];
        let frame = self.augment.apply_framed(image.clone(), &mut numbers);
        let [height, width] = self.augment.size;
        let images = Tensor::<4>::from_data(
            TensorData::new(numbers, [1, self.augment.channels, height, width]),
            (self.network.store.device(), self.network.store.dtype()),
        );
        let prediction = self.network.evaluate(images, &Taps::none()).prediction;
        let values = prediction.to_rows().into_data();
        if let Some(value) = values.iter::<f32>().find(|value| !value.is_finite()) {
            return Err(TrainError::OutputsNotFinite {
                network: self.network.name().to_owned(),
                image: name.to_owned(),
                value,
            });
        }
        let maps = prediction.level_maps().unwrap_or_default();
        let found = detect(&self.anchors, &maps, &self.suppression).map_err(MethodError::from)?;
        let found = found.into_iter().next().unwrap_or_default();
        Ok(out_of_frame(found, &frame))
    }
}
