//! Images in their own size for networks that segment them.

use burn::tensor::{Tensor, TensorData};
use limbeck_data::{Augment, DataError, Labelling, Part, WholeImage, WholeImages};
use limbeck_methods::TaskKind;
use limbeck_nn::{Feature, Network, Taps};
use limbeck_report::Evaluation;

use super::Forward;
use crate::{
    TrainError,
    metric::{
        PartAnswers,
        pixels::{PixelMeter, Segmented},
    },
    segment::{RunLengths, Segmenter, choose},
};

/// Pixels of a forward pass at the most, unless one image has more: maps of a wide network stay in
/// memory.
const PIXELS: usize = 1 << 19;

/// Images in their own size.
pub(super) struct PixelSet {
    part: Part,
    augment: Augment,
    segmenter: Segmenter,
    boundary: f64,
    workers: usize,
}

impl PixelSet {
    pub fn new(
        part: Part,
        augment: &Augment,
        segmenter: Segmenter,
        boundary: f64,
        workers: usize,
    ) -> Result<Self, TrainError> {
        if part.is_empty() {
            return Err(TrainError::Data(DataError::EmptyPart {
                part: "measured",
                reason: "there is no image to measure on".to_owned(),
            }));
        }
        Ok(Self {
            part,
            augment: augment.clone(),
            segmenter,
            boundary,
            workers,
        })
    }

    pub fn part(&self) -> &Part {
        &self.part
    }

    /// Images that follow one another and have one size go through the network together.
    pub fn run(
        &self,
        network: &Network,
        teacher: Option<&PartAnswers>,
        forward: &Forward<'_>,
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
        let classes = network.input().classes;
        let named = self.part.classes().len();
        if self.part.labelling() == Labelling::Masks && named != classes {
            return Err(TrainError::Setting(format!(
                "`{}` tells {classes} classes apart, the masks have {named}",
                network.name()
            )));
        }
        let mut meter = PixelMeter::new(classes, self.boundary);
        let mut answers = PartAnswers::default();
        let mut waiting: Vec<WholeImage> = Vec::new();
        let mut close = |batch: Vec<WholeImage>, answers: &mut PartAnswers| {
            self.close(batch, network, teacher, forward, &mut meter, answers)
        };
        let images = WholeImages::new(self.part.clone(), self.augment.clone(), self.workers)?;
        for picture in images {
            let picture = picture?;
            let pixels = picture.shape[1] * picture.shape[2];
            let fits = waiting.first().is_none_or(|first| {
                first.shape == picture.shape && (waiting.len() + 1) * pixels <= PIXELS
            });
            if !fits {
                close(std::mem::take(&mut waiting), &mut answers)?;
            }
            waiting.push(picture);
        }
        if !waiting.is_empty() {
            close(waiting, &mut answers)?;
        }
        Ok((meter.finish(), answers))
    }

    /// Measures what a network chose for the images earlier, which is what [`PixelSet::run`] has given:
    /// to the same bits.
    pub fn recall(
        &self,
        chosen: &PartAnswers,
        classes: usize,
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
        let mut meter = PixelMeter::new(classes, self.boundary);
        let mut answers = chosen.clone();
        let images = WholeImages::new(self.part.clone(), self.augment.clone(), self.workers)?;
        for picture in images {
            let picture = picture?;
            let truth = picture.mask.as_ref();
            let [_, height, width] = picture.shape;
            let size = truth.map_or([height, width], |mask| [mask.height, mask.width]);
            let at = picture.position;
            let known = chosen.masks.get(at).zip(chosen.losses.get(at));
            let Some((mask, &loss)) = known.filter(|(mask, _)| mask.size() == size) else {
                return Err(TrainError::Setting(format!(
                    "what the teacher chose for `{}` is not stored, or in another size than its \
                     {height}×{width} pixels; build the cache anew with `limbeck cache build`",
                    self.part.name(at)
                )));
            };
            let pixels = meter.add(&Segmented {
                truth,
                chosen: &mask.mask(),
                teacher: None,
                loss,
            });
            if truth.is_some() {
                answers.pixels.push(pixels);
            }
        }
        Ok((meter.finish(), answers))
    }

    /// Measures images of one size.
    fn close(
        &self,
        batch: Vec<WholeImage>,
        network: &Network,
        teacher: Option<&PartAnswers>,
        forward: &Forward<'_>,
        meter: &mut PixelMeter,
        answers: &mut PartAnswers,
    ) -> Result<(), TrainError> {
        let Some(first) = batch.first() else {
            return Ok(());
        };
        let [channels, height, width] = first.shape;
        let samples: Vec<usize> = batch.iter().map(|picture| picture.sample).collect();
        let numbers: Vec<f32> = batch
            .iter()
            .flat_map(|picture| picture.image.iter().copied())
            .collect();
        let shape = [batch.len(), channels, height, width];
        let images = Tensor::<4>::from_data(
            TensorData::new(numbers, shape),
            (network.store.device(), network.store.dtype()),
        );
        let logits = self.segmenter.logits(images, &|images| {
            let outputs = forward(images, &samples, &Taps::none())?;
            match outputs.prediction {
                Feature::Map(logits) => Ok(logits),
                other => Err(TrainError::Setting(format!(
                    "`{}` is no network for {}: it gives a {} for each image, not a map of logits",
                    network.name(),
                    TaskKind::Segmentation,
                    other.kind()
                ))),
            }
        })?;
        let [_, classes, rows, columns] = logits.dims();
        let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
        for (picture, logits) in batch.iter().zip(values.chunks(classes * rows * columns)) {
            if let Some(value) = logits.iter().find(|value| !value.is_finite()) {
                return Err(TrainError::OutputsNotFinite {
                    network: network.name().to_owned(),
                    image: self.part.name(picture.position),
                    value: *value,
                });
            }
            let truth = picture.mask.as_ref();
            let size = truth.map_or([height, width], |mask| [mask.height, mask.width]);
            let shape = [classes, rows, columns];
            let align = self.segmenter.align_corners();
            let chosen = choose(logits, shape, size, align, truth);
            let taught = teacher.and_then(|teacher| teacher.masks.get(picture.position));
            let taught = taught.map(RunLengths::mask);
            let pixels = meter.add(&Segmented {
                truth,
                chosen: &chosen.mask,
                teacher: taught.as_ref(),
                loss: (chosen.loss, chosen.known),
            });
            answers.masks.push(RunLengths::of(&chosen.mask));
            answers.losses.push((chosen.loss, chosen.known));
            if truth.is_some() {
                answers.pixels.push(pixels);
            }
        }
        Ok(())
    }
}
