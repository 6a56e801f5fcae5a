//! What detectors find in pictures.

mod anchors;
mod picture_detector;

pub use anchors::anchors_of;
pub use picture_detector::PictureDetector;
pub(crate) use picture_detector::out_of_frame;
