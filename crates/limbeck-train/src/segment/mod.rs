//! Pictures in, a class of each pixel out, in a size of one's own: how networks that segment are
//! measured and used.

mod choose;
mod picture_segmenter;
mod run_length;
mod segmenter;

pub use choose::{Chosen, choose};
pub use picture_segmenter::PictureSegmenter;
pub use run_length::RunLengths;
pub use segmenter::Segmenter;
