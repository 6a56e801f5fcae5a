//! The arithmetic of object detection: overlap of boxes, anchors, assignment, decoding, loss, suppression
//! and average precision.
//!
//! All of it is that of YOLOv5 5.0 (ultralytics/yolov5, tag v5.0) as SSDA-YOLO uses it (Zhou, Jiang and
//! Lu, "SSDA-YOLO: Semi-supervised domain adaptive YOLO for cross-domain object detection", CVIU 2023),
//! but for COCO's and VOC's measures. What gradients flow through works on tensors; all else on plain
//! numbers in f64. A network's raw output is a list of maps, one for each level of [`Anchors`], finest
//! first, each `[B, A, H, W, 5 + K]`: A anchors, H×W cells, and for each x, y, w, h, objectness and K
//! classes before their sigmoids.

mod adaptation;
mod anchors;
mod assignment;
mod auto_anchors;
pub mod average_precision;
mod boxes;
mod decode;
mod detect;
mod error;
#[cfg(test)]
pub mod golden;
mod loss;
mod suppression;

pub use adaptation::{
    AdaptationConfig, AdaptationMaps, AdaptationTerms, PSEUDO_LABELS, adapt, pseudo_labels,
};
pub use anchors::{AnchorLevel, Anchors};
pub use assignment::{Assigned, TargetBox, assign};
pub use auto_anchors::{GOOD_RECALL, best_possible_recall, fit_anchors};
pub use boxes::{ciou, diou, giou, iou};
pub use decode::decode;
pub use detect::detect;
pub use error::DetectionError;
pub use loss::{DetectionLoss, DetectionLossConfig, DetectionTerms, Gains, MovingBoxes};
pub use suppression::{Kept, SuppressionConfig, suppress};
