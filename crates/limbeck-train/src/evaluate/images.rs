//! Images in the size of the networks that classify them.

use limbeck_data::{Augment, Labelling, Part};
use limbeck_nn::{Network, Taps};
use limbeck_report::Evaluation;

use super::Forward;
use crate::{
    TrainError,
    metric::{self, Meter, PartAnswers, Seen},
    recipe::ChooseBy,
    sweep::{BATCH, Sweep},
};

/// Images in one size, or in two.
pub(super) struct ImageSet {
    images: Sweep,
    /// The same images in the teacher's size, where that is another one.
    large: Option<Sweep>,
    pub choose_by: ChooseBy,
}

impl ImageSet {
    pub fn new(
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
        })
    }

    pub fn part(&self) -> &Part {
        self.images.part()
    }

    /// The images of that size, where there are some; else those of the student.
    pub fn sized(&self, size: [usize; 2]) -> &Sweep {
        let large = self.large.as_ref();
        let large = large.filter(|large| large.size() == size);
        large.unwrap_or(&self.images)
    }

    /// The images in the teacher's size.
    pub fn largest(&self) -> &Sweep {
        self.large.as_ref().unwrap_or(&self.images)
    }

    /// What measures a network on this part.
    fn meter(&self) -> Box<dyn Meter> {
        metric::meter(self.images.part(), self.choose_by)
    }

    fn taps(&self) -> Taps {
        self.meter().taps()
    }

    pub fn run(
        &self,
        sweep: &Sweep,
        network: &Network,
        teacher: Option<&PartAnswers>,
        forward: &Forward<'_>,
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
        let mut meter = self.meter();
        let mut answers = PartAnswers::default();
        let unlabelled = sweep.part().labelling() == Labelling::None;
        for batch in sweep.batches(network.store.device(), network.store.dtype()) {
            let batch = batch?;
            let outputs = forward(batch.images, &batch.samples, &self.taps())?;
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
