//! What the shapes of a state dict tell of the images and classes that it is for.

use burn::tensor::{DType, Device};

use super::head::{classes_of, is_head};
use super::names::in_network_names;
use super::position::{leading_tokens, patch_grid};
use super::prefix::prefix_of;
use super::{StateDict, WeightsError, yolov5};
use crate::model::{self, NamedModel};

/// What the shapes of a state dict tell of the images and classes that it is for; `None` where
/// they do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToldInput {
    /// Colour channels: those of the first convolution.
    pub channels: Option<usize>,
    /// Height and width: those of a positional embedding, a square. Convolutional networks take
    /// images of any size, so their weights do not tell it.
    pub size: Option<[usize; 2]>,
    /// Number of classes: that of the classifier.
    pub classes: Option<usize>,
}

/// The name of the network that `state` is of, where names and shapes tell it: YOLOv5's do.
pub fn told_model(state: &StateDict) -> Option<String> {
    yolov5::told_model(state)
}

/// What `state` tells when it is of the network `model`.
///
/// # Errors
/// A model that cannot be built for the images that it is meant for.
pub fn told_input(model: &NamedModel, state: &StateDict) -> Result<ToldInput, WeightsError> {
    let published = model.published_input();
    let network = model::blank(&model.name, published, &Device::flex(), DType::F32)?;
    let store = &network.store;
    let state = &*in_network_names(state, store);
    let prefix = prefix_of(state, store);
    let shape = |name: &str| Some(state.get(&format!("{prefix}{name}"))?.shape());
    let mut told = ToldInput::default();
    for entry in store.entries() {
        let Some(found) = shape(&entry.name) else {
            continue;
        };
        if let (None, [out, _, height, width], [own, own_channels, own_height, own_width]) =
            (told.channels, found, entry.shape.as_slice())
            && (out, height, width) == (own, own_height, own_width)
        {
            // A stem may take every pixel of a square as a channel.
            told.channels = Some(found[1] * published.channels / own_channels.max(&1));
        }
        if is_head(&entry.name, &entry.shape, published.classes) && told.classes.is_none() {
            told.classes = found
                .first()
                .and_then(|&rows| classes_of(&entry.name, rows));
        }
        if entry.name == "pos_embed"
            && let [1, tokens, _] = found
            && let Some([height, width]) = patch_grid(store, "")
        {
            let patches = tokens.saturating_sub(leading_tokens("", |name| shape(name).is_some()));
            let side = patches.isqrt();
            told.size = (side > 0 && side * side == patches)
                .then(|| [side.saturating_mul(height), side.saturating_mul(width)]);
        }
    }
    Ok(told)
}
