//! Measuring a network on one part of the data.

mod boxes;
mod embedded;
mod images;
mod pixels;

use std::sync::Arc;

use burn::tensor::Tensor;
use limbeck_data::{Augment, Part, Scaled};
use limbeck_methods::{Origin, Section, TaskKind, Teacher};
use limbeck_nn::{Network, Outputs, Taps, weights::SegmentationFacts};
use limbeck_report::Evaluation;

use boxes::BoxSet;
use embedded::EmbeddedSet;
pub use embedded::Specimens;
use images::ImageSet;
use pixels::PixelSet;

use crate::{
    TrainError,
    metric::{Choice, EMBEDDING, PartAnswers},
    model_source::LoadedModel,
    recipe::{ChooseBy, EvaluateRecipe, ProbeRecipe},
    represent::Glimpse,
    segment::Segmenter,
    sweep::{BATCH, Sweep},
};

/// A part of the data, prepared as networks see it when they are measured: no augmentation,
/// always in the same order.
pub struct EvaluationSet {
    images: Images,
    /// Which part of the data it is.
    section: Section,
}

/// How images are shown, which is a matter of what is to be said of them.
enum Images {
    /// In the network's size: what is in them.
    Fitted(ImageSet),
    /// In their own size: what each of their pixels belongs to.
    Own(Box<PixelSet>),
    /// In the network's size: what they are like.
    Embedded(Box<EmbeddedSet>),
    /// Letterboxed to the network's size: which objects are where in them.
    Boxed(Box<BoxSet>),
}

/// What gives outputs for images `[B, C, H, W]` with these numbers in their source.
type Forward<'a> = dyn Fn(Tensor<4>, &[usize], &Taps) -> Result<Outputs, TrainError> + 'a;

impl EvaluationSet {
    /// For classifiers. `augment` gives size, channels and normalisation; whatever it does at random
    /// is left out.
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
        let images = ImageSet::new(part, augment, teacher, workers)?;
        Ok(Self {
            images: Images::Fitted(images),
            section: Section::Test,
        })
    }

    /// For networks that segment, which see images in their own size as `segmenter` says and are
    /// measured in that of the masks. `augment` gives channels and normalisation. `boundary` is the
    /// share of the diagonal that boundaries are wide
    /// ([`BoundaryIou`](crate::metric::pixels::BoundaryIou)).
    ///
    /// # Errors
    /// A part without images.
    pub fn of_pixels(
        part: Part,
        augment: &Augment,
        segmenter: Segmenter,
        boundary: f64,
        workers: usize,
    ) -> Result<Self, TrainError> {
        let pixels = PixelSet::new(part, augment, segmenter, boundary, workers)?;
        Ok(Self {
            images: Images::Own(Box::new(pixels)),
            section: Section::Test,
        })
    }

    /// For networks that predict an embedding: by those of the images of `train`, as `probe` says.
    /// `augment` as for [`EvaluationSet::new`].
    ///
    /// # Errors
    /// What the loader refuses.
    pub fn of_embeddings(
        part: Part,
        train: &Part,
        augment: &Augment,
        probe: &ProbeRecipe,
        workers: usize,
    ) -> Result<Self, TrainError> {
        let set = EmbeddedSet::new(part, train, augment, probe, workers)?;
        Ok(Self {
            images: Images::Embedded(Box::new(set)),
            section: Section::Test,
        })
    }

    /// For detectors, by boxes in pixels of the images as they are: those of networks that see them
    /// letterboxed to the size of `augment`, suppressed as `evaluate` says.
    ///
    /// # Errors
    /// What the loader refuses.
    pub fn of_boxes(
        part: Part,
        augment: &Augment,
        evaluate: &EvaluateRecipe,
        workers: usize,
    ) -> Result<Self, TrainError> {
        let set = BoxSet::new(part, augment, evaluate, workers)?;
        Ok(Self {
            images: Images::Boxed(Box::new(set)),
            section: Section::Test,
        })
    }

    /// For a model from a file, on images as it was trained on: of one that segments, in their own size
    /// as `evaluate` says.
    ///
    /// # Errors
    /// What the loader refuses, and a model whose file does not tell its normalisation.
    pub fn of_model(
        mut part: Part,
        model: &LoadedModel,
        evaluate: &EvaluateRecipe,
        workers: usize,
    ) -> Result<Self, TrainError> {
        let augment = model.augment()?;
        if model.network.task() == Some(TaskKind::Detection) {
            return Self::of_boxes(part, &augment, evaluate, workers);
        }
        if model.network.task() != Some(TaskKind::Segmentation) {
            return Self::new(part, &augment, workers);
        }
        let SegmentationFacts {
            scale,
            align_corners,
        } = model.segmentation;
        if scale != 1.0 {
            part.source = Arc::new(Scaled::new(Arc::clone(&part.source), scale, false)?);
        }
        let segmenter = Segmenter::new(evaluate, augment.size, align_corners);
        Self::of_pixels(part, &augment, segmenter, evaluate.boundary, workers)
    }

    /// Says which part of the data it is; the test part by default.
    #[must_use]
    pub fn of(mut self, section: Section) -> Self {
        self.section = section;
        self
    }

    /// Says what is measured first of a classifier, and so what epochs are chosen by; the accuracy by
    /// default.
    #[must_use]
    pub fn chosen_by(mut self, measure: ChooseBy) -> Self {
        if let Images::Fitted(images) = &mut self.images {
            images.choose_by = measure;
        }
        self
    }

    /// What the networks that it measures are for.
    pub fn task(&self) -> TaskKind {
        match &self.images {
            Images::Fitted(_) => TaskKind::Classification,
            Images::Own(_) => TaskKind::Segmentation,
            Images::Embedded(_) => TaskKind::Pretraining,
            Images::Boxed(_) => TaskKind::Detection,
        }
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        match &self.images {
            Images::Fitted(images) => images.part().len(),
            Images::Own(pixels) => pixels.part().len(),
            Images::Embedded(images) => images.part().len(),
            Images::Boxed(images) => images.part().len(),
        }
    }

    /// Measures `network`; its answers are compared with those of the `teacher` on this part.
    ///
    /// # Errors
    /// An image that cannot be read, or outputs that are not finite.
    pub fn measure(
        &self,
        network: &Network,
        teacher: Option<&PartAnswers>,
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
        let network = network.frozen();
        let forward = |images, _: &[usize], taps: &Taps| Ok(network.evaluate(images, taps));
        match &self.images {
            Images::Fitted(images) => {
                let input = network.input();
                let sweep = images.sized([input.height, input.width]);
                images.run(sweep, &network, teacher, &forward)
            }
            Images::Own(pixels) => pixels.run(&network, teacher, &forward),
            Images::Boxed(images) => images.run(&network, &network, teacher, &forward),
            Images::Embedded(images) => {
                let (measured, glimpse) = images.run(&network, self.is_shown())?;
                Ok((measured, glimpsed(glimpse)))
            }
        }
    }

    /// What a teacher of `classes` classes that segments reaches by what it chose for the images
    /// earlier: what [`EvaluationSet::measure_teacher`] has given then, to the bit.
    ///
    /// # Errors
    /// An image that cannot be read, or for which nothing was chosen; images to classify.
    pub fn measure_chosen(
        &self,
        chosen: &PartAnswers,
        classes: usize,
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
        match &self.images {
            Images::Own(pixels) => pixels.recall(chosen, classes),
            Images::Fitted(_) | Images::Boxed(_) | Images::Embedded(_) => Err(TrainError::Setting(
                "stored masks tell nothing of images that are not segmented".to_owned(),
            )),
        }
    }

    /// Which part of the data it is.
    pub fn section(&self) -> Section {
        self.section
    }

    /// Whether the embeddings of its images are looked at, which takes place once, at the end.
    fn is_shown(&self) -> bool {
        self.section == Section::Test
    }

    /// Which images are shown by their embeddings; `None` where networks predict something else.
    pub fn specimens(&self) -> Option<Specimens<'_>> {
        match &self.images {
            Images::Embedded(images) => Some(images.specimens()),
            Images::Fitted(_) | Images::Own(_) | Images::Boxed(_) => None,
        }
    }

    /// Measures `teacher` on the images as the student of `network` sees them, or in its own size
    /// where the set has them in two.
    ///
    /// # Errors
    /// An image that cannot be read, or outputs that are not finite.
    pub fn measure_teacher(
        &self,
        teacher: &dyn Teacher,
        network: &Network,
    ) -> Result<(Evaluation, PartAnswers), TrainError> {
        let forward = |images, samples: &[usize], taps: &Taps| {
            let origin = Origin {
                section: self.section,
                view: 0,
                samples: samples.to_vec(),
                share: None,
            };
            Ok(teacher.outputs_of(&origin, images, taps)?)
        };
        match &self.images {
            Images::Fitted(images) => images.run(images.largest(), network, None, &forward),
            Images::Own(pixels) => pixels.run(network, None, &forward),
            Images::Boxed(images) => images.run(network, network, None, &forward),
            Images::Embedded(images) => {
                let taps = Taps::from_iter([EMBEDDING]);
                let embed = |images, samples: &[usize]| forward(images, samples, &taps);
                let (measured, glimpse) =
                    images.run_teacher(teacher.name(), self.is_shown(), &embed)?;
                Ok((measured, glimpsed(glimpse)))
            }
        }
    }
}

/// Answers of a network that predicts embeddings.
fn glimpsed(glimpse: Option<Glimpse>) -> PartAnswers {
    PartAnswers {
        glimpse,
        ..PartAnswers::default()
    }
}

/// What `network`, a classifier, chooses for each image of `part`; `augment` as for
/// [`EvaluationSet::new`].
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
