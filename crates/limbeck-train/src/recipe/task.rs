//! `[task]`: what is to be learnt.

use std::collections::BTreeMap;

use limbeck_data::ContinualSetting;
use limbeck_methods::TaskKind;
use serde::{Deserialize, Serialize};

/// The kinds of tasks, as recipes call them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskName {
    /// One class of each image.
    Classification,
    /// One class of each pixel.
    Segmentation,
    /// Boxes around objects.
    Detection,
    /// An embedding of each image.
    Pretraining,
}

impl From<TaskName> for TaskKind {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Classification => Self::Classification,
            TaskName::Segmentation => Self::Segmentation,
            TaskName::Detection => Self::Detection,
            TaskName::Pretraining => Self::Pretraining,
        }
    }
}

/// `[task]`: what is to be learnt. Everything but `kind`, `detection` and `frozen_norms` is of segmentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskRecipe {
    /// `classification`, `segmentation`, `detection` or `pretraining`. Where missing, what the method is for, else
    /// what the data has labels for; of pictures without labels, what the networks are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TaskName>,
    /// Weight of the loss of an auxiliary head, of networks that have one; 0 trains none. Default 0.4
    /// (PSPNet, section 5.2, and mmsegmentation).
    pub auxiliary_weight: f64,
    /// Weights of the classes in the loss: a list in their order, or a table by name in which those
    /// left out weigh 1. All weigh the same where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// To learn from hard pixels alone; all where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ohem: Option<OhemRecipe>,
    /// To learn the classes in steps, such as `15-1`: 15 besides background first, then one in each
    /// step; all at once where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continual: Option<String>,
    /// Read with `continual`: `overlapped` (default: all images that show a class of the step) or
    /// `disjoint` (those of them without a class of a later step).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<ContinualSetting>,
    /// Read with `continual`: factor of the learning rate in all steps but the first. 0.1 where missing
    /// (SATS' code, MiB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub later_rate: Option<f64>,
    /// Whether corner pixels keep their places where logits are brought to the size of masks. Default
    /// false, as in current PyTorch code; networks of before 2019 were trained with true.
    pub align_corners: bool,
    /// Whether batch norms keep their running statistics in training, and use them: for batches too
    /// small to have statistics of their own, of networks that start from trained weights. Default
    /// false.
    pub frozen_norms: bool,
    /// How boxes are learnt, of detection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection: Option<DetectionRecipe>,
}

impl Default for TaskRecipe {
    fn default() -> Self {
        Self {
            kind: None,
            auxiliary_weight: 0.4,
            class_weights: None,
            ohem: None,
            continual: None,
            setting: None,
            later_rate: None,
            align_corners: false,
            frozen_norms: false,
            detection: None,
        }
    }
}

/// `task.detection`: how boxes are learnt. Defaults are YOLOv5's for training from scratch
/// (`data/hyps/hyp.scratch.yaml` of its version 5.0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectionRecipe {
    /// Weight of 1 − CIoU of boxes. Default 0.05.
    pub box_gain: f64,
    /// Weight of the cross entropy of objectness, at 640 pixels; it grows with the area. Default 1.
    pub objectness_gain: f64,
    /// Weight of the cross entropy of classes, of 80; it grows with their number. Default 0.5.
    pub class_gain: f64,
    /// γ of focal loss. Default 0: none.
    pub focal_gamma: f64,
    /// Sides of a box that an anchor learns are less than so many times longer or shorter. Default 4.
    pub anchor_ratio: f64,
    /// Width and height in pixels of the anchors of each level, finest first, such as
    /// `[[[10, 13], [16, 30]], …]`. Where missing, those of the teacher or of the student's weights, else
    /// the network's own as far as they fit the boxes to train on, else some that do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchors: Option<Vec<Vec<[f64; 2]>>>,
}

impl Default for DetectionRecipe {
    fn default() -> Self {
        let limbeck_methods::detection::Gains {
            bounds,
            objectness,
            classes,
        } = Default::default();
        Self {
            box_gain: bounds,
            objectness_gain: objectness,
            class_gain: classes,
            focal_gamma: 0.0,
            anchor_ratio: 4.0,
            anchors: None,
        }
    }
}

/// Weights of the classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// In the order of the classes.
    InOrder(Vec<f64>),
    /// By name.
    ByName(BTreeMap<String, f64>),
}

impl ClassWeights {
    /// All weights, wherever they are.
    pub fn values(&self) -> Vec<f64> {
        match self {
            Self::InOrder(weights) => weights.clone(),
            Self::ByName(weights) => weights.values().copied().collect(),
        }
    }

    /// The weight of each of `classes`.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn of(&self, classes: &[String]) -> Result<Vec<f64>, String> {
        let weights = match self {
            Self::InOrder(weights) if weights.len() == classes.len() => weights.clone(),
            Self::InOrder(weights) => {
                return Err(format!(
                    "task.class_weights has {} weights, and there are {} classes ({})",
                    weights.len(),
                    classes.len(),
                    classes.join(", ")
                ));
            }
            Self::ByName(weights) => {
                if let Some(name) = weights.keys().find(|name| !classes.contains(name)) {
                    return Err(format!(
                        "task.class_weights names `{name}`, which is no class; the classes are {}",
                        classes.join(", ")
                    ));
                }
                let weight = |name: &String| weights.get(name).copied().unwrap_or(1.0);
                classes.iter().map(weight).collect()
            }
        };
        match weights.iter().any(|&weight| weight > 0.0) {
            true => Ok(weights),
            false => Err(
                "task.class_weights gives every class the weight 0: nothing would be learnt"
                    .to_owned(),
            ),
        }
    }
}

/// `task.ohem`: online hard example mining.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OhemRecipe {
    /// Greatest probability of its class that a pixel to learn from has. Default 0.7 (TorchSeg,
    /// mmsegmentation).
    pub threshold: f64,
    /// Least share of the pixels that is learnt from, those of the least probability. Default 0.0625
    /// (TorchSeg: a sixteenth).
    pub least: f64,
}

impl Default for OhemRecipe {
    fn default() -> Self {
        let limbeck_methods::Ohem { threshold, least } = limbeck_methods::Ohem::default();
        Self { threshold, least }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Vec<String> {
        ["sky", "road", "car"].map(str::to_owned).to_vec()
    }

    #[test]
    fn weights_by_name_leave_the_others_at_one() {
        let weights = ClassWeights::ByName(BTreeMap::from([("road".to_owned(), 0.5)]));
        assert_eq!(weights.of(&classes()).unwrap(), [1.0, 0.5, 1.0]);
        let weights = ClassWeights::InOrder(vec![1.0, 2.0, 3.0]);
        assert_eq!(weights.of(&classes()).unwrap(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn weights_of_other_classes_are_refused_with_the_classes() {
        let error = ClassWeights::InOrder(vec![1.0]).of(&classes()).unwrap_err();
        assert!(error.contains("1 weights") && error.contains("sky, road, car"));
        let weights = ClassWeights::ByName(BTreeMap::from([("tree".to_owned(), 0.5)]));
        assert!(weights.of(&classes()).unwrap_err().contains("`tree`"));
        let nothing = ClassWeights::InOrder(vec![0.0; 3]);
        assert!(nothing.of(&classes()).unwrap_err().contains("nothing"));
    }
}
