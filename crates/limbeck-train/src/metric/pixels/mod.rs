//! What is measured of a network that segments, picture by picture.
//!
//! Pixels that are void in the right mask count nowhere: neither as what is there nor as what was
//! chosen. A class that neither is there nor was chosen in any picture is absent: it has no IoU and no
//! part in a mean.

mod agreement;
mod boundary_iou;
mod confusion;
mod loss;
mod mean_accuracy;
mod mean_iou;
mod meter;
mod pixel_accuracy;
mod resampling;

pub use agreement::PixelAgreement;
pub use boundary_iou::BoundaryIou;
pub use confusion::{ClassPixels, PixelConfusion};
pub use loss::PixelLoss;
pub use mean_accuracy::mean_accuracy;
pub use mean_iou::{mean_iou, mean_of};
pub(crate) use meter::absent_classes;
pub use meter::{PixelMeter, Segmented};
pub(crate) use pixel_accuracy::counted;
pub use pixel_accuracy::pixel_accuracy;
pub(crate) use resampling::{class_intervals, gain_over_images};
