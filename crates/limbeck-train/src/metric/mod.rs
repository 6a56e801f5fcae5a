//! What is measured of a network.
//!
//! A [`Meter`] sees all images of a part, batch by batch, and gives an
//! [`Evaluation`](limbeck_report::Evaluation): that of classifiers feeds every [`Metric`] one image at
//! a time, that of data without labels compares with the teacher. In any order and any grouping of the
//! images, what is measured is what it would be all at once.
//!
//! The class that a network chooses is the one with the greatest logit, the first of equals. A row
//! of logits that holds a NaN, that holds +∞, or whose logits are all −∞ is no distribution: it
//! chooses no class, is wrong in every metric, agrees with nobody, has confidence 0 and a loss of
//! NaN, which the mean loss then shows. `−∞` among other logits is a class of probability 0.

mod agreement;
mod answers;
pub mod boxes;
mod calibration;
mod classification;
mod confusion;
mod error;
mod mean_loss;
mod meter;
pub mod pixels;
mod prediction;
mod recall;
pub(crate) mod resampling;
mod top_k;
mod without_labels;

pub use agreement::Agreement;
pub use answers::{Choice, PartAnswers};
pub use calibration::{BINS, Calibration};
pub use classification::{Answer, ClassificationMeter, Found, Metric};
pub use confusion::Confusion;
pub use error::MetricError;
pub use mean_loss::MeanLoss;
pub use meter::{Meter, Seen};
pub use prediction::Prediction;
pub(crate) use recall::EMBEDDING;
pub use recall::{NEIGHBOURS, Recall};
pub use top_k::TopK;
pub use without_labels::WithoutLabels;

use limbeck_data::{Labelling, Part};
use limbeck_methods::TaskKind;
use limbeck_report::Measure;

use crate::recipe::ChooseBy;

/// What measures networks on the images of `part`, by what is known of them.
pub(crate) fn meter(part: &Part, choose_by: ChooseBy) -> Box<dyn Meter> {
    match part.labelling() {
        Labelling::None | Labelling::Masks | Labelling::Boxes => Box::new(WithoutLabels::default()),
        Labelling::Classes => Box::new(ClassificationMeter::new(part.classes().len(), choose_by)),
    }
}

/// Every metric of a classifier, in the order in which they are told. The first is what epochs are
/// chosen by.
fn classifier_metrics(classes: usize, choose_by: ChooseBy) -> Vec<Box<dyn Metric>> {
    let mut metrics: Vec<Box<dyn Metric>> = Vec::new();
    if choose_by == ChooseBy::Recall {
        metrics.push(Box::new(Recall::default()));
    }
    metrics.push(Box::new(TopK::new(1, classes)));
    // Of five classes, the five most probable are all.
    if classes > 5 {
        metrics.push(Box::new(TopK::new(5, classes)));
    }
    metrics.push(Box::new(MeanLoss::default()));
    metrics.push(Box::new(Calibration::default()));
    metrics.push(Box::new(Agreement::default()));
    metrics.push(Box::new(Confusion::new(classes)));
    metrics
}

/// What is measured of the images that a student trains on: `right` of `all` images, or pixels, as it
/// saw them.
pub(crate) fn while_training(task: TaskKind, right: usize, all: usize) -> Measure {
    let (right, all) = (right as u64, all as u64);
    match task {
        TaskKind::Classification | TaskKind::Detection | TaskKind::Pretraining => {
            TopK::counted(right, all).measure()
        }
        TaskKind::Segmentation => pixels::counted(right, all),
    }
}

/// `part` of `whole` in percent; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    100.0 * part as f64 / whole as f64
}
