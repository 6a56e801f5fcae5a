//! All measures of a detector.

use limbeck_data::BoxLabel;
use limbeck_methods::detection::{
    DetectionError, Kept,
    average_precision::{Detection, GroundTruth, coco, voc, yolov5},
};
use limbeck_report::{Details, Evaluation, Measure};

use super::{BoxAgreement, BoxConfusion, curves::Curves};

/// Takes in images in their order and measures what was found in them.
#[derive(Debug)]
pub struct BoxMeter {
    classes: usize,
    images: usize,
    truth: Vec<GroundTruth>,
    found: Vec<Detection>,
    confusion: BoxConfusion,
    curves: Curves,
    agreement: BoxAgreement,
}

/// Boxes of the image of that number as they are measured.
pub(super) fn ground_truth(image: usize, labels: &[BoxLabel]) -> impl Iterator<Item = GroundTruth> {
    labels.iter().map(move |label| GroundTruth {
        area: f64::from(label.area),
        crowd: label.crowd,
        difficult: label.difficult,
        ..GroundTruth::new(image, label.class, label.corners.map(f64::from))
    })
}

/// What was found in the image of that number.
pub(super) fn detections(image: usize, found: &[Kept]) -> impl Iterator<Item = Detection> {
    found.iter().map(move |kept| Detection {
        image,
        class: kept.class,
        score: kept.score,
        bounds: kept.bounds,
    })
}

impl BoxMeter {
    /// Of a detector of so many classes.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            images: 0,
            truth: Vec::new(),
            found: Vec::new(),
            confusion: BoxConfusion::new(classes),
            curves: Curves::new(classes),
            agreement: BoxAgreement::default(),
        }
    }

    /// Takes in what is in the next image, what was found, surest first, and what the teacher found.
    pub fn add(&mut self, truth: &[BoxLabel], found: &[Kept], teacher: Option<&[Kept]>) {
        self.truth.extend(ground_truth(self.images, truth));
        self.found.extend(detections(self.images, found));
        self.confusion.add(truth, found);
        self.curves.add(truth, found);
        if let Some(teacher) = teacher {
            self.agreement.add(found, teacher);
        }
        self.images += 1;
    }

    /// What was measured: COCO's AP first.
    ///
    /// # Errors
    /// A class that there is not.
    pub fn finish(self) -> Result<Evaluation, DetectionError> {
        let coco = coco(&self.truth, &self.found, self.classes)?;
        let yolov5 = yolov5(&self.truth, &self.found, self.classes)?;
        let voc = voc(&self.truth, &self.found, self.classes)?;
        let mut measures = Vec::new();
        let mut take = |name: &str, title: &str, meaning: &str, value: Option<f64>| {
            let value = value.map(|value| 100.0 * value);
            measures.extend(value.map(|value| Measure::percent(name, title, meaning, value)));
        };
        take(
            "ap",
            "AP",
            "average precision over overlaps of 0.5 to 0.95 (COCO)",
            Some(coco.precision.unwrap_or(f64::NAN)),
        );
        take(
            "ap50",
            "AP50",
            "the same at an overlap of 0.5",
            coco.precision_50,
        );
        take(
            "ap75",
            "AP75",
            "the same at an overlap of 0.75",
            coco.precision_75,
        );
        for (i, (size, title)) in [
            ("small", "small"),
            ("medium", "medium-sized"),
            ("large", "large"),
        ]
        .into_iter()
        .enumerate()
        {
            let meaning = format!("AP of {title} objects: below 32², 96² pixels, and above");
            let name = format!("ap_{size}");
            take(
                &name,
                &format!("AP of {title} objects"),
                &meaning,
                coco.precision_by_size[i],
            );
        }
        for (i, count) in [1, 10, 100].into_iter().enumerate() {
            let meaning = "share of the objects found, over the same overlaps";
            let title = match count {
                1 => "recall with 1 box a class".to_owned(),
                _ => format!("recall with {count} boxes a class"),
            };
            take(&format!("ar{count}"), &title, meaning, coco.recall[i]);
        }
        for (i, (size, title)) in [
            ("small", "small"),
            ("medium", "medium-sized"),
            ("large", "large"),
        ]
        .into_iter()
        .enumerate()
        {
            let meaning = "share of them found, over the same overlaps";
            let name = format!("ar_{size}");
            take(
                &name,
                &format!("recall of {title} objects"),
                meaning,
                coco.recall_by_size[i],
            );
        }
        let meaning = "as PASCAL VOC counted until 2009, at 11 recalls";
        take("voc07", "AP50 of VOC 2007", meaning, voc.eleven_points);
        let meaning = "as PASCAL VOC counts, at all recalls";
        take("voc", "AP50 of VOC", meaning, voc.all_points);
        let meaning = "as YOLOv5 tells it";
        take(
            "yolov5_ap50",
            "AP50 of YOLOv5",
            meaning,
            yolov5.precision_50,
        );
        take("yolov5_ap", "AP of YOLOv5", meaning, yolov5.precision);
        measures.extend(self.agreement.measure());
        let of_class = |ap: &Option<[f64; 10]>| ap.map(|ap| 10.0 * ap.iter().sum::<f64>());
        let mut objects = vec![0; self.classes];
        for truth in self.truth.iter().filter(|it| !it.crowd && !it.difficult) {
            objects[truth.class] += 1;
        }
        Ok(Evaluation {
            measures,
            per_class: coco.classes.iter().map(of_class).collect(),
            details: Details::Detection(limbeck_report::Detection {
                per_class_50: (coco.classes.iter())
                    .map(|ap| ap.map(|ap| 100.0 * ap[0]))
                    .collect(),
                objects,
                curves: self.curves.finish(),
                confusion: self.confusion.counts(),
                intervals: Vec::new(),
            }),
        })
    }
}
