//! Normalised images and bytes.

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_data::Normalisation;

/// What normalised pixels can be, and how they become bytes. One number a channel, `[1, C, 1, 1]`.
#[derive(Clone, Debug)]
pub struct PixelRange {
    mean: Tensor<4>,
    deviation: Tensor<4>,
}

impl PixelRange {
    /// Of images of so many channels that are normalised so; a channel that is not named is not.
    pub fn new(
        normalisation: &Normalisation,
        channels: usize,
        device: &Device,
        dtype: DType,
    ) -> Self {
        let of = |values: &[f64], missing: f64| {
            let values: Vec<f64> = (0..channels)
                .map(|channel| values.get(channel).copied().unwrap_or(missing))
                .collect();
            Tensor::<4>::from_data(
                TensorData::new(values, [1, channels, 1, 1]),
                (device, dtype),
            )
        };
        Self {
            mean: of(&normalisation.mean, 0.0),
            deviation: of(&normalisation.std, 1.0),
        }
    }

    /// Where its numbers are.
    pub fn device(&self) -> Device {
        self.mean.device()
    }

    /// Their element type.
    pub fn dtype(&self) -> DType {
        self.mean.dtype()
    }

    /// Normalised `images` `[B, C, H, W]` with every number brought to what a pixel from 0 to 1 can be.
    pub fn clamp(&self, images: Tensor<4>) -> Tensor<4> {
        let shape = images.dims();
        let least = self.mean.clone().neg() / self.deviation.clone();
        let greatest = (self.mean.clone().neg() + 1.0) / self.deviation.clone();
        images
            .max_pair(least.expand(shape))
            .min_pair(greatest.expand(shape))
    }

    /// Normalised `images` as pixels from 0 to 1.
    pub fn plain(&self, images: Tensor<4>) -> Tensor<4> {
        images * self.deviation.clone() + self.mean.clone()
    }

    /// Pixels from 0 to 1, normalised.
    pub fn normalised(&self, plain: Tensor<4>) -> Tensor<4> {
        (plain - self.mean.clone()) / self.deviation.clone()
    }

    /// Normalised `images` as bytes, image by image, channel by channel.
    pub fn bytes(&self, images: &Tensor<4>) -> Vec<u8> {
        let plain = self.plain(images.clone().inner());
        let byte = |value: f64| (255.0 * value).round().clamp(0.0, 255.0) as u8;
        plain.to_data().iter::<f64>().map(byte).collect()
    }

    /// Bytes as normalised images of `shape` `[B, C, H, W]`.
    pub fn images(&self, bytes: &[u8], shape: [usize; 4]) -> Tensor<4> {
        let numbers: Vec<f64> = bytes.iter().map(|&byte| f64::from(byte) / 255.0).collect();
        let options = (&self.device(), self.dtype());
        self.normalised(Tensor::from_data(TensorData::new(numbers, shape), options))
    }
}
