//! `[evaluate]`: how networks that segment and detectors are measured.

use serde::{Deserialize, Serialize};

/// How a picture is shown to a network that segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvaluateMode {
    /// At once, in its own size.
    #[default]
    Whole,
    /// Window by window.
    Sliding,
}

/// `[evaluate]`: how networks that segment and detectors are measured. Those that segment, always in the size of the masks as they are
/// stored, student, baseline and teacher alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateRecipe {
    /// `whole` (default) or `sliding`: windows of the size that was trained on, whose logits are
    /// averaged where they overlap.
    pub mode: EvaluateMode,
    /// Read by `sliding`: height and width of a window; `augment.size` where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<[usize; 2]>,
    /// Read by `sliding`: rows and columns from one window to the next; two thirds of a window where
    /// missing (mmsegmentation's 341 of 512).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<[usize; 2]>,
    /// Factors of the size in which a picture is shown; the probabilities are averaged. Default
    /// `[1.0]`; DeepLab's and mmsegmentation's are 0.5, 0.75, 1, 1.25, 1.5 and 1.75.
    pub scales: Vec<f64>,
    /// Whether it is shown mirrored too, in every size. Default false.
    pub flip: bool,
    /// Width of the band along boundaries that boundary IoU looks at, as a share of the diagonal.
    /// Default 0.02 (Cheng et al., "Boundary IoU", CVPR 2021, section 5.1).
    pub boundary: f64,
    /// Of detectors: least score of a box that is looked at. Default 0.001 (YOLOv5): average precision is of
    /// all scores.
    pub confidence: f64,
    /// Of detectors: overlap (IoU) above which two boxes of a class are taken for one. Default 0.6
    /// (YOLOv5).
    pub overlap: f64,
    /// Of detectors: boxes of an image at the most. Default 300 (YOLOv5).
    pub detections: usize,
}

impl Default for EvaluateRecipe {
    fn default() -> Self {
        Self {
            mode: EvaluateMode::Whole,
            window: None,
            stride: None,
            scales: vec![1.0],
            flip: false,
            boundary: 0.02,
            confidence: 0.001,
            overlap: 0.6,
            detections: 300,
        }
    }
}
