//! What is measured of a detector, image by image, in pixels of the images as they are.
//!
//! Crowds and difficult objects need not be found: COCO's measures let any number of detections lie in a
//! crowd, VOC's and YOLOv5's leave both out.

mod agreement;
mod confusion;
mod curves;
mod judged;
mod meter;
mod resampling;

pub use agreement::BoxAgreement;
pub use confusion::BoxConfusion;
pub(crate) use confusion::CONFIDENCE;
pub(crate) use judged::{Judged, judged};
pub use meter::BoxMeter;
pub(crate) use resampling::{ResampledClasses, gain_over_images};
