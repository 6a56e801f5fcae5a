//! A whole run: teacher, students, baselines, upper bounds, the test at the end, results and report.

mod anchors;
mod box_content;
mod cautions;
mod chosen_method;
mod detected;
mod disagreements;
mod execute;
mod fingerprint;
mod images;
mod made_images;
mod mask_content;
mod moved;
mod named_network;
mod plan;
mod pretrained;
mod quantised;
mod questions;
mod run;
mod run_length;
mod segmented;
mod series;
mod series_folder;
mod sharing;
mod stock;
mod summary;
mod task;
mod upper_bound;

pub use execute::{RunEnd, execute};
pub(crate) use images::check_images;
pub use moved::find_data;
pub use plan::Plan;
pub use run::run;
pub use series::Series;
pub use sharing::arrange;
pub use stock::{OwnTeacher, Stock};
pub(crate) use task::check_teacher;
