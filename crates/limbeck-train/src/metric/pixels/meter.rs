//! All that is measured of a network that segments.

use limbeck_data::Mask;
use limbeck_report::{Details, Evaluation, Segmentation};

use super::{
    BoundaryIou, ClassPixels, PixelAgreement, PixelConfusion, PixelLoss, mean_accuracy, mean_iou,
    pixel_accuracy,
};

/// What a network made of a picture, all masks in one size.
pub struct Segmented<'a> {
    /// The right mask; `None` where it is not known.
    pub truth: Option<&'a Mask>,
    /// What the network chose.
    pub chosen: &'a Mask,
    /// What the teacher chose, where there is one.
    pub teacher: Option<&'a Mask>,
    /// Cross entropies of the pixels, added, and the number of those that are not void.
    pub loss: (f64, u64),
}

/// Measures a network picture by picture.
#[derive(Clone, Debug)]
pub struct PixelMeter {
    /// By the right masks.
    confusion: PixelConfusion,
    boundary: BoundaryIou,
    loss: PixelLoss,
    agreement: PixelAgreement,
    /// By the teacher's masks, where there are no right ones.
    likeness: PixelConfusion,
    /// Pictures in which each class is.
    images: Vec<u64>,
}

impl PixelMeter {
    /// No pictures of `classes` classes so far; `boundary` as for [`BoundaryIou::new`].
    pub fn new(classes: usize, boundary: f64) -> Self {
        Self {
            confusion: PixelConfusion::new(classes),
            boundary: BoundaryIou::new(classes, boundary),
            loss: PixelLoss::default(),
            agreement: PixelAgreement::default(),
            likeness: PixelConfusion::new(classes),
            images: vec![0; classes],
        }
    }

    /// Takes in a picture, and gives the pixels of the classes that are in it or were chosen.
    pub fn add(&mut self, seen: &Segmented<'_>) -> Vec<ClassPixels> {
        let truth = seen.truth.map(|mask| mask.ids.as_slice());
        if let Some(teacher) = seen.teacher {
            self.agreement.add(&seen.chosen.ids, &teacher.ids, truth);
        }
        let Some(right) = seen.truth else {
            if let Some(teacher) = seen.teacher {
                self.likeness.add(&teacher.ids, &seen.chosen.ids);
            }
            return Vec::new();
        };
        self.boundary.add(right, seen.chosen);
        self.loss.add(seen.loss.0, seen.loss.1);
        let mut counts = PixelConfusion::new(self.confusion.classes());
        counts.add(&right.ids, &seen.chosen.ids);
        self.confusion.merge(&counts);
        let mut classes = counts.by_class();
        classes.retain(|pixels| pixels.union() > 0);
        for pixels in classes.iter().filter(|pixels| pixels.there > 0) {
            self.images[pixels.class] += 1;
        }
        classes
    }

    /// What was measured, mean IoU first; without right masks, agreement with the teacher first.
    pub fn finish(self) -> Evaluation {
        let agreement = self.agreement.measure();
        if self.confusion.pixels() == 0 {
            let mut measures: Vec<_> = agreement.into_iter().collect();
            if !measures.is_empty() {
                let mut likeness = mean_iou(&self.likeness.by_class());
                likeness.name = "miou_with_teacher".to_owned();
                likeness.title = "mean IoU with the teacher".to_owned();
                likeness.meaning = "the teacher's masks taken for right".to_owned();
                likeness.chance = None;
                measures.push(likeness);
            }
            return Evaluation {
                measures,
                ..Evaluation::default()
            };
        }
        let classes = self.confusion.by_class();
        let mut measures = vec![
            mean_iou(&classes),
            pixel_accuracy(&classes),
            mean_accuracy(&classes),
            self.boundary.measure(),
        ];
        measures.extend(self.loss.measure());
        measures.extend(agreement);
        Evaluation {
            measures,
            per_class: classes.iter().map(ClassPixels::iou).collect(),
            details: Details::Segmentation(Segmentation {
                confusion: self.confusion.table(),
                intervals: Vec::new(),
                boundary: self.boundary.per_class(),
                images: self.images,
            }),
        }
    }
}

/// Names of the classes that neither are in any picture nor were chosen: they have no part in a mean.
pub(crate) fn absent_classes<'a>(evaluation: &Evaluation, classes: &'a [String]) -> Vec<&'a str> {
    let all = classes.iter().zip(&evaluation.per_class);
    all.filter(|(_, iou)| iou.is_none())
        .map(|(name, _)| name.as_str())
        .collect()
}
