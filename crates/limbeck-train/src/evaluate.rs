//! Measuring a network on one part of the data.

use burn::tensor::{Tensor, activation::softmax};
use limbeck_data::{Augment, Part};
use limbeck_methods::{Origin, Section, Teacher};
use limbeck_nn::{Feature, Network, Outputs, Taps};
use limbeck_report::Evaluation;

use crate::{
    TrainError,
    metric::{Evaluator, Recall},
    sweep::{BATCH, Sweep},
};

/// The tap that holds a network's embedding.
pub(crate) const EMBEDDING: &str = "pooled";

/// What was chosen for an image, and how surely.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Choice {
    /// The most probable class; the lowest index where several are equal.
    pub class: usize,
    /// Its probability.
    pub probability: f64,
}

/// A part of the data, prepared as networks see it when they are measured: no augmentation,
/// always in the same order.
pub struct EvaluationSet {
    images: Sweep,
    /// The same images in the teacher's size, where that is another one.
    large: Option<Sweep>,
    classes: usize,
    recall: bool,
    /// Which part of the data it is.
    section: Section,
}

impl EvaluationSet {
    /// `augment` gives size, channels and normalisation; whatever it does at random is left out.
    ///
    /// # Errors
    /// What the loader refuses.
    pub fn new(part: Part, augment: &Augment, workers: usize) -> Result<Self, TrainError> {
        Self::in_two_sizes(part, augment, augment, workers)
    }

    /// The same where the teacher, and perhaps others, see the images as `teacher` gives them, in
    /// another size: each network is shown the size that it takes.
    ///
    /// # Errors
    /// What the loader refuses.
    pub fn in_two_sizes(
        part: Part,
        augment: &Augment,
        teacher: &Augment,
        workers: usize,
    ) -> Result<Self, TrainError> {
        let classes = part.classes().len();
        let sweep = |augment: &Augment| Sweep::new(part.clone(), augment, BATCH, workers);
        let large = match teacher == augment {
            true => None,
            false => Some(sweep(teacher)?),
        };
        Ok(Self {
            images: sweep(augment)?,
            large,
            classes,
            recall: false,
            section: Section::Test,
        })
    }

    /// Says which part of the data it is; the test part by default.
    #[must_use]
    pub fn of(mut self, section: Section) -> Self {
        self.section = section;
        self
    }

    /// Measures recall too, of the networks' embeddings.
    #[must_use]
    pub fn with_recall(mut self) -> Self {
        self.recall = true;
        self
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.images.part().len()
    }

    /// Measures `network`; the agreement is with `teacher_choices`, one for each image in order.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn measure(
        &self,
        network: &Network,
        teacher_choices: Option<&[Choice]>,
    ) -> Result<(Evaluation, Vec<Choice>), TrainError> {
        let network = network.frozen();
        let size = [network.input().height, network.input().width];
        let large = self.large.as_ref();
        let large = large.filter(|large| large.size() == size);
        let sweep = large.unwrap_or(&self.images);
        self.run(sweep, &network, teacher_choices, |images, _| {
            Ok(network.evaluate(images, &self.taps()))
        })
    }

    /// Measures `teacher` on the images as the student of `network` sees them, or in its own size
    /// where the set has them in two.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn measure_teacher(
        &self,
        teacher: &dyn Teacher,
        network: &Network,
    ) -> Result<(Evaluation, Vec<Choice>), TrainError> {
        let sweep = self.large.as_ref().unwrap_or(&self.images);
        self.run(sweep, network, None, |images, samples| {
            let origin = Origin {
                section: self.section,
                view: 0,
                samples,
                share: None,
            };
            Ok(teacher.outputs_of(&origin, images, &self.taps())?)
        })
    }

    fn taps(&self) -> Taps {
        match self.recall {
            true => Taps::from_iter([EMBEDDING]),
            false => Taps::none(),
        }
    }

    fn run(
        &self,
        sweep: &Sweep,
        network: &Network,
        teacher_choices: Option<&[Choice]>,
        outputs: impl Fn(Tensor<4>, Vec<usize>) -> Result<Outputs, TrainError>,
    ) -> Result<(Evaluation, Vec<Choice>), TrainError> {
        let mut evaluator = Evaluator::new(self.classes);
        let mut choices = Vec::new();
        let mut recall = Recall::default();
        for batch in sweep.batches(network.store.device(), network.store.dtype()) {
            let batch = batch?;
            let outputs = outputs(batch.images, batch.samples)?;
            let embeddings = outputs.feature(EMBEDDING).and_then(Feature::to_vector);
            if let Some(embeddings) = embeddings.filter(|_| self.recall) {
                let width = embeddings.dims()[1];
                let values: Vec<f32> = embeddings.into_data().iter::<f32>().collect();
                for (embedding, &label) in values.chunks(width).zip(&batch.labels) {
                    recall.add(embedding, label);
                }
            }
            let logits = outputs.logits();
            let count = batch.labels.len();
            let start = choices.len();
            choices.extend(most_probable(&logits));
            let teacher: Option<Vec<usize>> = teacher_choices.map(|all| {
                let end = (start + count).min(all.len());
                all[start.min(end)..end].iter().map(|c| c.class).collect()
            });
            let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
            if let Some(broken) = values.iter().position(|value| !value.is_finite()) {
                let image = start + broken / (values.len() / count.max(1)).max(1);
                return Err(TrainError::OutputsNotFinite {
                    network: network.name().to_owned(),
                    image: sweep.part().name(image),
                    value: values[broken],
                });
            }
            evaluator.add(&values, &batch.labels, teacher.as_deref())?;
        }
        let mut evaluation = evaluator.finish();
        evaluation.recall = recall.percent()?;
        Ok((evaluation, choices))
    }
}

/// The choice for each row of `logits` `[B, K]`.
pub fn most_probable(logits: &Tensor<2>) -> Vec<Choice> {
    let [_, classes] = logits.dims();
    let probabilities: Vec<f64> = softmax(logits.clone(), 1)
        .into_data()
        .iter::<f64>()
        .collect();
    probabilities
        .chunks(classes)
        .map(|row| {
            let mut best = Choice {
                class: 0,
                probability: f64::NEG_INFINITY,
            };
            for (class, &probability) in row.iter().enumerate() {
                if probability > best.probability {
                    best = Choice { class, probability };
                }
            }
            best
        })
        .collect()
}
