//! A whole run: teacher, students, baselines, the test at the end, results and report.

mod data;
mod execute;
mod plan;
mod series;
mod sharing;
mod summary;

pub(crate) use data::{input_shape, open_data};
pub use execute::{RunEnd, execute};
pub(crate) use plan::load_teacher;
pub use plan::{Plan, TeacherPlan, build, needs_teacher};
pub use series::Series;
pub use sharing::{arrange, clear};
