//! Drawing an image in the style of another: maps that need no training, keep every pixel in its place and
//! so leave boxes and masks valid.

mod fourier;
mod statistics;

use serde::{Deserialize, Serialize};

pub use fourier::swap_amplitudes;
pub use statistics::take_statistics;

use crate::Image;

/// Which map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StyleMap {
    /// The other image's amplitudes of low frequencies (Yang and Soatto, "FDA: Fourier Domain Adaptation for
    /// Semantic Segmentation", CVPR 2020).
    #[default]
    Fourier,
    /// The other image's mean and deviation of each colour (Reinhard et al., "Color Transfer between
    /// Images", 2001, without its change of colour space).
    Statistics,
}

impl StyleMap {
    /// `image` in the style of `other`, which may have another size. `share` is read by
    /// [`StyleMap::Fourier`].
    #[must_use]
    pub fn apply(self, image: &Image, other: &Image, share: f64) -> Image {
        match self {
            Self::Fourier => swap_amplitudes(image, other, share),
            Self::Statistics => take_statistics(image, other),
        }
    }
}
