//! Measuring a network on one part of the data.

use burn::tensor::Tensor;
use limbeck_data::{Augment, Labelling, Part};
use limbeck_methods::{Origin, Section, Teacher};
use limbeck_nn::{Network, Outputs, Taps};
use limbeck_report::Evaluation;

use crate::{
    TrainError,
    metric::{self, Choice, Meter, PartAnswers, Seen},
    recipe::ChooseBy,
    sweep::{BATCH, Sweep},
};

/// A part of the data, prepared as networks see it when they are measured: no augmentation,
/// always in the same order.
pub struct EvaluationSet {
    images: Sweep,
    /// The same images in the teacher's size, where that is another one.
    large: Option<Sweep>,
    choose_by: ChooseBy,
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
        let sweep = |augment: &Augment| Sweep::new(part.clone(), augment, BATCH, workers);
        let large = match teacher == augment {
            true => None,
            false => Some(sweep(teacher)?),
        };
        Ok(Self {
            images: sweep(augment)?,
            large,
            choose_by: ChooseBy::default(),
            section: Section::Test,
        })
    }

    /// Says which part of the data it is; the test part by default.
    #[must_use]
    pub fn of(mut self, section: Section) -> Self {
        self.section = section;
        self
    }

    /// Says what is measured first, and so what epochs are chosen by; the accuracy by default.
    #[must_use]
    pub fn chosen_by(mut self, measure: ChooseBy) -> Self {
        self.choose_by = measure;
        self
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.images.part().len()
    }

    /// Measures `network`; its answers are compared with those of the `teacher` on this part.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn measure(
        &self,
        network: &Network,
        teacher: Option<&PartAnswers>,
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
        let network = network.frozen();
        let size = [network.input().height, network.input().width];
        let large = self.large.as_ref();
        let large = large.filter(|large| large.size() == size);
        let sweep = large.unwrap_or(&self.images);
        self.run(sweep, &network, teacher, |images, _| {
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
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
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

    /// What measures a network on this part.
    fn meter(&self) -> Box<dyn Meter> {
        metric::meter(self.images.part(), self.choose_by)
    }

    fn taps(&self) -> Taps {
        self.meter().taps()
    }

    fn run(
        &self,
        sweep: &Sweep,
        network: &Network,
        teacher: Option<&PartAnswers>,
        outputs: impl Fn(Tensor<4>, Vec<usize>) -> Result<Outputs, TrainError>,
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
        let mut meter = self.meter();
        let mut answers = PartAnswers::default();
        let unlabelled = sweep.part().labelling() == Labelling::None;
        for batch in sweep.batches(network.store.device(), network.store.dtype()) {
            let batch = batch?;
            let outputs = outputs(batch.images, batch.samples)?;
            let (logits, first) = (outputs.logits(), answers.choices.len());
            let values: Vec<f32> = logits.to_data().iter::<f32>().collect();
            if let Some(broken) = values.iter().position(|value| !value.is_finite()) {
                let image = first + broken / logits.dims()[1].max(1);
                return Err(TrainError::OutputsNotFinite {
                    network: network.name().to_owned(),
                    image: sweep.part().name(image),
                    value: values[broken],
                });
            }
            meter.add(&Seen {
                outputs: &outputs,
                labels: &batch.labels,
                teacher,
                first,
            })?;
            answers.add(&logits, unlabelled);
        }
        Ok((meter.finish()?, answers))
    }
}

/// What `network` chooses for each image of `part`; `augment` as for [`EvaluationSet::new`].
///
/// # Errors
/// An image that cannot be read.
pub fn choices(
    network: &Network,
    part: Part,
    augment: &Augment,
) -> Result<Vec<Choice>, TrainError> {
    let network = network.frozen();
    let sweep = Sweep::new(part, augment, BATCH, 1)?;
    let mut answers = PartAnswers::default();
    for batch in sweep.batches(network.store.device(), network.store.dtype()) {
        let outputs = network.evaluate(batch?.images, &Taps::none());
        answers.add(&outputs.logits(), false);
    }
    Ok(answers.choices)
}
