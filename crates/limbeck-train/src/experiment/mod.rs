//! A whole run: teacher, students, baselines, the test at the end, results and report.

mod execute;
mod plan;
mod summary;

pub use execute::{RunEnd, execute};
pub use plan::{Plan, TeacherPlan, build, needs_teacher};
