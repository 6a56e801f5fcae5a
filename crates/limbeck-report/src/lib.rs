//! What a run found ([`Results`], plain numbers and words) and the pages made of it: one self-contained HTML page per run, also of classes that are learnt in steps ([`ContinualResults`]), and one that compares several runs.
//!
//! Pages load nothing from anywhere, follow the reader's light or dark scheme, fit a phone and a
//! wide screen, and print. Charts are inline SVG with real text.

mod axis;
mod box_drawing;
mod boxes_png;
mod cautions;
mod chart;
mod class_table;
mod classification;
mod compare;
mod comparison;
mod confusion;
mod continual;
mod curves;
mod data_page;
mod detection;
mod evaluation;
mod evidence;
mod file;
mod gain;
mod generated;
mod headline;
mod ink;
mod listed;
mod mask_png;
mod measure;
mod numbers;
mod old;
mod page;
mod palette;
mod picture;
mod pretraining;
mod prototypes;
mod provenance;
mod results;
mod section;
mod seeds;
mod segmentation;
mod segments;
mod side;
mod statistics;
mod study;
mod summary;
mod tile;
mod title;
mod version;

pub use boxes_png::boxes_png;
pub use compare::{compare, compare_text};
pub use continual::{ContinualResults, FINE_TUNING, JOINT, Sequence, StepResult, render_continual};
pub use data_page::{BoxCount, DataPage, DataPart, DataPicture, data_page};
pub use evaluation::{Classification, Confusion, Details, Detection, Evaluation, Segmentation};
pub use evidence::{EvidenceRow, evidence_of, evidence_table};
pub use file::{DETAILS_FILE, RESULTS_FILE, ResultsError, from_files, to_files};
pub use gain::paired_gain;
pub use headline::{Headline, Verdict, headline, verdict};
pub use mask_png::{MaskPngError, mask_png, overlay_png};
pub use measure::{AGREEMENT, Better, Measure};
pub use numbers::{count, counted};
pub use page::render;
pub use palette::Palette;
pub use pretraining::{
    EmbeddingMap, Neighbour, Neighbourhood, Plane, Pretrained, Reconstructed, Redrawn,
};
pub use prototypes::Prototype;
pub use results::{
    BASELINE, BoxKind, DataSummary, DetectedPicture, Disagreement, DrawnBox, DrawnMask, EpochRow,
    FewBits, Gain, GeneratedImage, NetworkSummary, Resampled, Results, SeedResult,
    SegmentedPicture, TRAIN, VALIDATION,
};
pub use statistics::{interval95, mean};
pub use study::{
    Coverage, NullDraw, NullExperiment, StudyCell, StudyResults, StudyRow, StudyRun, StudyTeacher,
    StudyVerdict, detectable, holm, p_value, study_csv, study_document, study_markdown, study_page,
    study_rows, study_status, what_seeds_show, widest_interval,
};
pub use version::{VERSION, Version};
