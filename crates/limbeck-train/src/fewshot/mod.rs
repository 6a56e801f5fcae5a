//! What a few images of each class are worth, from stored features: zero-shot, prototypes, a linear
//! probe and `sgva` on the same draws of shots.

mod error;
mod features;
mod projection;
mod results;
mod run;
mod shots;
mod texts;
mod train;

pub use error::FewshotError;
pub use features::FeatureSet;
pub use projection::read_projection;
pub use results::{Estimate, FewshotResults, ShotsRow};
pub use run::{Request, run};
pub use shots::{Draw, Drawing};
pub use texts::TextVectors;
