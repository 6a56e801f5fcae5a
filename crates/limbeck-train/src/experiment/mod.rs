//! A whole run: teacher, students, baselines, the test at the end, results and report.

mod execute;
mod plan;
mod series;
mod summary;

pub use execute::{RunEnd, execute};
pub use plan::{Plan, TeacherPlan, build, needs_teacher};
pub use series::Series;
