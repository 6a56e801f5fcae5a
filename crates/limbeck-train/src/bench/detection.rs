//! How fast boxes are suppressed and measured.
//!
//! `bench/boxes.py` draws the same boxes.

use limbeck_methods::detection::{
    DetectionError, SuppressionConfig,
    average_precision::{Detection, GroundTruth, coco, voc, yolov5},
    suppress,
};

use super::stopwatch::Stopwatch;
use crate::TrainError;

/// Side of the images, in pixels.
const SIDE: f64 = 640.0;

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): numbers of any
/// place are made at once, which the other side needs.
struct Draws(u64);

impl Draws {
    /// From 0 to below 1, in steps of 2⁻²⁴.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    }

    fn below(&mut self, count: usize) -> usize {
        (count as f64 * self.share()) as usize
    }
}

/// `x` to the `exponent`, by multiplications alone: the same on every machine.
fn power(x: f64, exponent: usize) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * x)
}

/// Non-maximum suppression of one image's predictions.
#[derive(Clone, Copy, Debug)]
pub struct SuppressionBench {
    /// Boxes that a network gives out.
    pub predictions: usize,
    /// Classes, of each of which every box has a score.
    pub classes: usize,
    /// Longest side of a box, in pixels of an image of 640; the shortest is 3.
    pub longest: f64,
    /// Whether sure boxes are as frequent as unsure ones. Otherwise nearly all are unsure, as a network's are.
    pub crowded: bool,
    /// What is kept.
    pub config: SuppressionConfig,
    /// Timed runs.
    pub runs: usize,
}

/// A median, and what was found.
#[derive(Clone, Copy, Debug)]
pub struct SuppressionTimes {
    /// From predictions to the boxes that are kept.
    pub suppression_ms: f64,
    /// Boxes kept.
    pub kept: usize,
    /// Sum of their scores.
    pub scores: f64,
}

impl SuppressionBench {
    /// Measures on made-up predictions.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for a threshold that is none.
    pub fn run(&self) -> Result<SuppressionTimes, TrainError> {
        let (sure, of_class) = if self.crowded { (1, 1) } else { (100, 60) };
        let mut draws = Draws(1);
        let width = 5 + self.classes;
        let predictions: Vec<f64> = (0..self.predictions * width)
            .map(|index| match index % width {
                0 | 1 => SIDE * draws.share(),
                2 | 3 => 3.0 + (self.longest - 3.0) * draws.share(),
                4 => power(draws.share(), sure),
                _ => power(draws.share(), of_class),
            })
            // Networks give out single precision.
            .map(|number| f64::from(number as f32))
            .collect();
        let mut kept = Vec::new();
        let mut watch = Stopwatch::new();
        for _ in 0..self.runs {
            watch.measure(
                || (),
                |()| {
                    kept = suppress(&predictions, self.classes, &self.config).map_err(setting)?;
                    Ok(())
                },
            )?;
        }
        Ok(SuppressionTimes {
            suppression_ms: watch.median(),
            kept: kept.len(),
            scores: kept.iter().map(|kept| kept.score).sum(),
        })
    }
}

/// Average precision of the detections of a data set.
#[derive(Clone, Copy, Debug)]
pub struct PrecisionBench {
    /// Images.
    pub images: usize,
    /// Detections of each.
    pub detections: usize,
    /// Classes.
    pub classes: usize,
    /// Timed runs.
    pub runs: usize,
}

/// Medians, and what was found.
#[derive(Clone, Debug)]
pub struct PrecisionTimes {
    /// Objects that are there.
    pub objects: usize,
    /// COCO's measures.
    pub coco_ms: f64,
    /// YOLOv5's measures.
    pub yolov5_ms: f64,
    /// VOC's measures.
    pub voc_ms: f64,
    /// COCO's twelve numbers.
    pub twelve: [Option<f64>; 12],
}

impl PrecisionBench {
    /// Measures on made-up boxes.
    ///
    /// # Errors
    /// Never, so far: as of the other measurements.
    pub fn run(&self) -> Result<PrecisionTimes, TrainError> {
        let (truth, found) = self.scene();
        let classes = self.classes;
        let mut twelve = [None; 12];
        let mut watches = [(); 3].map(|()| Stopwatch::new());
        let [of_coco, of_yolov5, of_voc] = &mut watches;
        for _ in 0..self.runs {
            let prepare = || ();
            of_coco.measure(prepare, |()| {
                twelve = coco(&truth, &found, classes).map_err(setting)?.twelve();
                Ok(())
            })?;
            of_yolov5.measure(prepare, |()| {
                yolov5(&truth, &found, classes).map_err(setting)?;
                Ok(())
            })?;
            of_voc.measure(prepare, |()| {
                voc(&truth, &found, classes).map_err(setting)?;
                Ok(())
            })?;
        }
        let [coco_ms, yolov5_ms, voc_ms] = watches.map(Stopwatch::median);
        Ok(PrecisionTimes {
            objects: truth.len(),
            coco_ms,
            yolov5_ms,
            voc_ms,
            twelve,
        })
    }

    /// Up to thirteen objects an image, half of the detections near one of them, and some classes more
    /// frequent than others.
    fn scene(&self) -> (Vec<GroundTruth>, Vec<Detection>) {
        let mut draws = Draws(7);
        let (mut truth, mut found) = (Vec::new(), Vec::new());
        let frequent = |draws: &mut Draws| (self.classes as f64 * power(draws.share(), 2)) as usize;
        let boxed = |draws: &mut Draws| {
            let (x, y) = (500.0 * draws.share(), 350.0 * draws.share());
            let side = 4.0 + 200.0 * power(draws.share(), 2);
            [x, y, x + side, y + side * (0.5 + draws.share())]
        };
        for image in 0..self.images {
            let mut its = Vec::new();
            for _ in 0..draws.below(14) {
                let class = frequent(&mut draws);
                let mut object = GroundTruth::new(image, class, boxed(&mut draws));
                object.crowd = draws.share() < 0.01;
                object.area *= 0.7;
                its.push(object);
            }
            for index in 0..self.detections {
                let (class, bounds, score);
                if index % 2 == 0 && !its.is_empty() {
                    let object = &its[draws.below(its.len())];
                    let [left, top, right, bottom] = object.bounds;
                    let most = 0.3 * draws.share() * (right - left);
                    let [dx, dy] = [(); 2].map(|()| most * (draws.share() - 0.5));
                    bounds = [left + dx, top + dy, right + dx, bottom + dy];
                    let other = draws.share() < 0.2;
                    class = if other {
                        draws.below(self.classes)
                    } else {
                        object.class
                    };
                    score = 0.2 + 0.8 * draws.share();
                } else {
                    class = frequent(&mut draws);
                    bounds = boxed(&mut draws);
                    score = power(draws.share(), 4);
                }
                found.push(Detection {
                    image,
                    class,
                    score,
                    bounds,
                });
            }
            truth.extend(its);
        }
        (truth, found)
    }
}

fn setting(error: DetectionError) -> TrainError {
    TrainError::Setting(error.to_string())
}
