//! The report: one self-contained HTML page per run, and one that compares several runs.
//!
//! Pages load nothing from anywhere, follow the reader's light or dark scheme, fit a phone and a
//! wide screen, and print. Charts are inline SVG with real text.

mod axis;
mod calibration;
mod cautions;
mod chart;
mod classes;
mod compare;
mod comparison;
mod confusion;
mod curves;
mod disagreements;
mod headline;
mod numbers;
mod page;
mod provenance;
mod seeds;
mod segments;
mod side;
mod statistics;
mod summary;
mod write;

pub use compare::{compare, compare_text};
pub use headline::{Headline, Verdict, headline, verdict};
pub use page::render;
pub use write::write;
