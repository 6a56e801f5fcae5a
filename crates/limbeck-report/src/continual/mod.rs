//! What was found where classes are learnt one group after the other, and its page.

mod page;
mod panels;
mod results;
mod ways;

pub use page::render_continual;
pub use results::{ContinualResults, FINE_TUNING, JOINT, Sequence, StepResult};
