//! Names of the zoo.

use burn::tensor::{DType, Device};

use super::cifar_resnet;
use crate::{Architecture, Builder, InputShape, Network, NnError};

/// Makes the parameters of a model and its architecture.
pub type Build = fn(&mut Builder<'_>, InputShape) -> Result<Box<dyn Architecture>, NnError>;

/// A model of the zoo.
#[derive(Clone, Copy, Debug)]
pub struct ModelEntry {
    /// Zoo name, such as `resnet8x4`.
    pub name: &'static str,
    /// Family: the file in `model/` that it is in.
    pub family: &'static str,
    /// Height and width that the published numbers are for.
    pub size: usize,
    /// Class count that the published numbers are for.
    pub classes: usize,
    /// Builds it.
    pub build: Build,
}

/// All models, family by family.
pub static MODELS: &[&[ModelEntry]] = &[cifar_resnet::MODELS];

/// The entry called `name`.
///
/// # Errors
/// [`NnError::UnknownModel`] with the nearest name.
pub fn find(name: &str) -> Result<&'static ModelEntry, NnError> {
    MODELS
        .iter()
        .flat_map(|family| family.iter())
        .find(|entry| entry.name == name)
        .ok_or_else(|| NnError::UnknownModel {
            name: name.to_owned(),
            nearest: None,
        })
}

/// Builds the model called `name` with freshly drawn numbers.
///
/// # Errors
/// An unknown name, or an input that the family does not take.
pub fn build(
    name: &str,
    input: InputShape,
    seed: u64,
    device: &Device,
    dtype: DType,
) -> Result<Network, NnError> {
    let entry = find(name)?;
    Network::new(name, input, seed, device, dtype, entry.build)
}
