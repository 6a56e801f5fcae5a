//! What is measured of a classifier, image by image.
//!
//! Every metric takes images one at a time in any order, in any grouping, and gives the same as if
//! it had taken them all at once. All of them are fed by an [`Evaluator`].
//!
//! The class that a network chooses is the one with the greatest logit, the first of equals. A row
//! of logits that holds a NaN, that holds +∞, or whose logits are all −∞ is no distribution: it
//! chooses no class, is wrong in every metric, agrees with nobody, has confidence 0 and a loss of
//! NaN, which the mean loss then shows. `−∞` among other logits is a class of probability 0.

mod agreement;
mod calibration;
mod confusion;
mod evaluator;
mod mean_loss;
mod prediction;
mod recall;
mod top_k;

pub use agreement::Agreement;
pub use calibration::{BINS, Calibration};
pub use confusion::Confusion;
pub use evaluator::{Evaluator, MetricError};
pub use mean_loss::MeanLoss;
pub use prediction::Prediction;
pub use recall::{NEIGHBOURS, Recall};
pub use top_k::TopK;

/// `part` of `whole` in percent; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    100.0 * part as f64 / whole as f64
}
