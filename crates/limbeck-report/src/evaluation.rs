//! What was measured of a network on one part of the data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::{Better, Measure};

/// What was measured of a network on one part of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// All measures. The first is what epochs are chosen by and networks are compared by.
    pub measures: Vec<Measure>,
    /// For each class, in percent, what the task calls right in it; `None` for a class without
    /// images. Empty where the data has no classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_class: Vec<Option<f64>>,
    /// What the task's section of the page shows.
    #[serde(default, skip_serializing_if = "Details::is_none")]
    pub details: Details,
}

impl Evaluation {
    /// What epochs are chosen by and networks are compared by.
    pub fn first(&self) -> Option<&Measure> {
        self.measures.first()
    }

    /// Value of the first measure, turned so that more is better; NaN where nothing was measured.
    pub fn score(&self) -> f64 {
        self.first().map_or(f64::NAN, Measure::score)
    }

    /// What equal epochs are chosen by, less being better: the first such measure that is not the
    /// first of all, such as a loss; 0 where there is none.
    pub fn cost(&self) -> f64 {
        let mut others = self.measures.iter().skip(1);
        let cost = others.find(|measure| measure.better == Better::Lower);
        cost.map_or(0.0, |measure| measure.value)
    }

    /// The measure of that name.
    pub fn measure(&self, name: &str) -> Option<&Measure> {
        self.measures.iter().find(|measure| measure.name == name)
    }

    /// Its value.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.measure(name).map(|measure| measure.value)
    }
}

/// What the page shows of a task besides its measures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Details {
    /// Nothing.
    #[default]
    None,
    /// Of a classifier.
    Classification(Classification),
    /// Of a segmentation network.
    Segmentation(Segmentation),
    /// Of a detector.
    Detection(Detection),
}

impl Details {
    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Those of a classifier.
    pub fn classification(&self) -> Option<&Classification> {
        match self {
            Self::Classification(details) => Some(details),
            Self::None | Self::Segmentation(_) | Self::Detection(_) => None,
        }
    }

    /// Which classes are taken for which, where that was counted; of a detector's, the last is background.
    pub fn confusion(&self) -> Option<&Confusion> {
        match self {
            Self::None => None,
            Self::Detection(details) => Some(&details.confusion),
            Self::Classification(details) => Some(&details.confusion),
            Self::Segmentation(details) => Some(&details.confusion),
        }
    }

    /// Those of a segmentation network.
    pub fn segmentation(&self) -> Option<&Segmentation> {
        match self {
            Self::Segmentation(details) => Some(details),
            Self::None | Self::Classification(_) | Self::Detection(_) => None,
        }
    }

    /// Those of a detector.
    pub fn detection(&self) -> Option<&Detection> {
        match self {
            Self::Detection(details) => Some(details),
            Self::None | Self::Classification(_) | Self::Segmentation(_) => None,
        }
    }
}

/// How a classifier chooses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// For each bin of confidence: images, mean confidence, share right (both in 0..1).
    pub calibration: Vec<(u64, f64, f64)>,
    /// Which classes are taken for which.
    pub confusion: Confusion,
}

/// How a segmentation network labels pixels. Pixels that are void count nowhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Segmentation {
    /// Which classes are taken for which, in pixels of the images' own size.
    pub confusion: Confusion,
    /// 95 % interval of each class's IoU, in percent, over images or blocks of images that belong
    /// together; `None` for a class that has none. Empty where none were taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Option<[f64; 2]>>,
    /// Boundary IoU of each class, in percent; `None` for a class that does not occur. Empty where it
    /// was not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boundary: Vec<Option<f64>>,
    /// Images in which each class occurs. Empty where they were not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<u64>,
}

/// How a detector finds objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// AP at an overlap of 0.5 of each class, in percent; `None` for a class without objects.
    pub per_class_50: Vec<Option<f64>>,
    /// Objects of each class that are to be found.
    pub objects: Vec<u64>,
    /// Of each class, recall and precision (both in 0..1) at an overlap of 0.5: the greatest precision at
    /// any recall as high, at recalls of 0, 0.01, … as far as they go. Empty for a class without objects.
    pub curves: Vec<Vec<[f64; 2]>>,
    /// Which classes are taken for which, of boxes with a score of 0.25 or more that overlap by more than
    /// 0.45. The last class is background: objects that were not found, and boxes where nothing is.
    pub confusion: Confusion,
    /// 95 % interval of each class's AP, in percent, over images or blocks of images that belong together;
    /// `None` for a class that has none. Empty where none were taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Option<[f64; 2]>>,
}

/// For each right class, the images (or pixels) that were given each class, those without any left
/// out: `confusion[right class][chosen class]`. A classifier of many classes confuses few of them.
pub type Confusion = Vec<BTreeMap<usize, u64>>;
