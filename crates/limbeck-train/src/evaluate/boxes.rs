//! Images letterboxed to the size of the detectors that look for objects in them.

use limbeck_data::{Augment, DataError, Part};
use limbeck_methods::{
    MethodError,
    detection::{Anchors, Kept, SuppressionConfig, detect},
};
use limbeck_nn::{Feature, Network, Taps};
use limbeck_report::Evaluation;

use super::Forward;
use crate::{
    TrainError,
    detect::{anchors_of, out_of_frame},
    metric::{PartAnswers, boxes::BoxMeter},
    recipe::EvaluateRecipe,
    sweep::Sweep,
};

/// Pixels of a forward pass at the most, unless one image has more: maps of a wide network stay in
/// memory.
const PIXELS: usize = 1 << 20;

/// Letterboxed images.
pub(super) struct BoxSet {
    images: Sweep,
    suppression: SuppressionConfig,
}

impl BoxSet {
    pub fn new(
        part: Part,
        augment: &Augment,
        evaluate: &EvaluateRecipe,
        workers: usize,
    ) -> Result<Self, TrainError> {
        if part.is_empty() {
            return Err(TrainError::Data(DataError::EmptyPart {
                part: "measured",
                reason: "there is no image to measure on".to_owned(),
            }));
        }
        let [height, width] = augment.size;
        let batch = (PIXELS / (height * width).max(1)).clamp(1, 100);
        Ok(Self {
            images: Sweep::new(part, augment, batch, workers)?,
            suppression: SuppressionConfig {
                confidence: evaluate.confidence,
                iou: evaluate.overlap,
                detections: evaluate.detections,
                ..SuppressionConfig::default()
            },
        })
    }

    pub fn part(&self) -> &Part {
        self.images.part()
    }

    /// Measures what `forward` gives, which are cells with the anchors of `anchored`.
    pub fn run(
        &self,
        network: &Network,
        anchored: &Network,
        teacher: Option<&PartAnswers>,
        forward: &Forward<'_>,
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
        let anchors = anchors_of(anchored)?.ok_or_else(|| not_a_detector(anchored, None))?;
        let mut answers = PartAnswers::default();
        let (device, dtype) = (network.store.device(), network.store.dtype());
        for batch in self.images.loaded() {
            let batch = batch?;
            let numbers = burn::tensor::TensorData::new(batch.images, batch.shape);
            let images = burn::tensor::Tensor::from_data(numbers, (device, dtype));
            let outputs = forward(images, &batch.samples, &Taps::none())?;
            let found = self.detected(network, &anchors, &outputs.prediction, &batch.indices)?;
            for (kept, frame) in found.into_iter().zip(&batch.frames) {
                answers.boxes.push(out_of_frame(kept, frame));
            }
        }
        let measured = self.measured(&answers, teacher, network.input().classes)?;
        Ok((measured, answers))
    }

    fn detected(
        &self,
        network: &Network,
        anchors: &Anchors,
        prediction: &Feature,
        positions: &[usize],
    ) -> Result<Vec<Vec<Kept>>, TrainError> {
        let Feature::Cells { cells, .. } = prediction else {
            return Err(not_a_detector(network, Some(prediction)));
        };
        let [_, rows, width] = cells.dims();
        let values: Vec<f32> = cells.to_data().iter::<f32>().collect();
        if let Some(broken) = values.iter().position(|value| !value.is_finite()) {
            let image = broken / (rows * width).max(1);
            return Err(TrainError::OutputsNotFinite {
                network: network.name().to_owned(),
                image: self.part().name(positions[image]),
                value: values[broken],
            });
        }
        let maps = prediction.level_maps().unwrap_or_default();
        Ok(detect(anchors, &maps, &self.suppression).map_err(MethodError::from)?)
    }

    fn measured(
        &self,
        answers: &PartAnswers,
        teacher: Option<&PartAnswers>,
        classes: usize,
    ) -> Result<Evaluation, TrainError> {
        let mut meter = BoxMeter::new(classes);
        for (position, found) in answers.boxes.iter().enumerate() {
            let truth = self.part().boxes(position)?;
            let teacher = teacher.and_then(|teacher| teacher.boxes.get(position));
            meter.add(&truth, found, teacher.map(Vec::as_slice));
        }
        Ok(meter.finish().map_err(MethodError::from)?)
    }
}

fn not_a_detector(network: &Network, found: Option<&Feature>) -> TrainError {
    TrainError::Setting(format!(
        "`{}` is no network for detection{}; `limbeck models` lists those that are",
        network.name(),
        found.map_or_else(String::new, |found| format!(
            ": it gives a {} for each image, not cells",
            found.kind()
        ))
    ))
}
