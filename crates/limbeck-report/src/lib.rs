//! What a run found ([`Results`], plain numbers and words) and the pages made of it: one self-contained HTML page per run, and one that compares several runs.
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
mod gain;
mod headline;
mod numbers;
mod page;
mod provenance;
mod results;
mod seeds;
mod segments;
mod side;
mod statistics;
mod summary;

pub use compare::{compare, compare_text};
pub use gain::paired_gain;
pub use headline::{Headline, Verdict, headline, verdict};
pub use page::render;
pub use results::{
    DataSummary, Disagreement, EpochRow, Evaluation, Gain, NetworkSummary, RECALL_NAME, Results,
    SeedResult,
};
