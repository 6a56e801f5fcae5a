//! Pictures in, a class of each pixel out, in a size of one's own: how networks that segment are
//! measured and used.

mod choose;
mod run_length;
mod segmenter;

pub use choose::{Chosen, choose};
pub use run_length::RunLengths;
pub use segmenter::Segmenter;
