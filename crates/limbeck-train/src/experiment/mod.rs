//! A whole run: teacher, students, baselines, the test at the end, results and report.

mod cautions;
mod data;
mod execute;
mod plan;
mod questions;
mod series;
mod sharing;
mod summary;
mod teacher_plan;
mod teaching;

pub(crate) use data::{input_shape, open_data};
pub use execute::{RunEnd, execute};
pub use plan::{Plan, build, needs_teacher};
pub use series::Series;
pub use sharing::{arrange, clear};
pub use teacher_plan::TeacherPlan;
pub(crate) use teacher_plan::load_teacher;
