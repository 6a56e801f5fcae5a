//! Images of the training part that no step trains on.

use burn::tensor::{DType, Device};
use limbeck_data::{Augment, DataError, Part};
use limbeck_methods::{Batch, HeldOut, MethodError};

use crate::sweep::Sweep;

/// Held-out images in batches, not augmented.
pub struct HeldOutImages {
    images: Sweep,
    device: Device,
    dtype: DType,
}

impl HeldOutImages {
    /// Over `part`, in batches of `batch` images.
    ///
    /// # Errors
    /// An empty part, or settings out of range.
    pub fn new(
        part: Part,
        augment: &Augment,
        batch: usize,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, DataError> {
        Ok(Self {
            images: Sweep::new(part, augment, batch, 1)?,
            device: device.clone(),
            dtype,
        })
    }
}

impl HeldOut for HeldOutImages {
    fn look(
        &self,
        look: &mut dyn FnMut(&Batch) -> Result<(), MethodError>,
    ) -> Result<(), MethodError> {
        for batch in self.images.loaded() {
            let batch = batch.map_err(|error| MethodError::HeldOut {
                reason: error.to_string(),
            })?;
            look(&Batch::on_device(batch, &self.device, self.dtype))?;
        }
        Ok(())
    }
}
