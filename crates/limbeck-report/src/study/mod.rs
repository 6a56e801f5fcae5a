//! Studies: what methods are worth over many trainings, as a page, a table and files.

mod again;
mod axes;
mod choices;
mod classes;
mod curves;
mod document;
mod draws;
mod forest;
mod found;
mod front;
mod gains;
mod null;
mod others;
mod page;
mod row;
mod scatter;
mod significance;
mod sizes;
mod sorting;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod trade;
mod words;

pub use document::study_document;
pub use found::{StudyCell, StudyResults, StudyRun, StudyTeacher};
pub use null::{Coverage, NullDraw, NullExperiment};
pub use page::study_page;
pub use row::{StudyRow, StudyVerdict, study_rows, widest_interval};
pub use significance::{detectable, holm, p_value};
pub use text::{study_csv, study_markdown, study_status, what_seeds_show};
