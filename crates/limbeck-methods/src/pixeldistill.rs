//! # pixeldistill — Pixel Distillation: Cost-flexible Distillation across Image Sizes and Heterogeneous Networks
//!
//! The student saves twice: it is a smaller network, and it sees a smaller image. The teacher sees
//! the large one. In one stage (ISRD) the student's first map is asked to give the large image
//! back, which makes it keep detail; in two stages (TAS) an assistant, the student's network on
//! large images, learns from the teacher first, and then the student from the assistant, whose
//! features it can be compared with because the architectures agree.
//!
//! ## Definition
//! L = (1 − alpha) · CE(z, y) + alpha · T²/B · Σ_b KL(softmax(u/T) ‖ softmax(z/T)) +
//! eta · mean |R(F) − I| + feature term
//!
//! z: the student's logits for small images, u: those of the teacher (`one_stage`) or of the
//! assistant (`two_stage`) for the large images I, constants, T: `temperature`. F: the student's
//! first map, what its first convolution gives out before anything follows. R: a 1×1 convolution
//! without bias to 3·s² channels, s = ⌈L/h⌉ for images of side L and maps of side h; each s²
//! channels become the pixels of a square; a PReLU with a slope for each colour; a crop to L×L.
//! The assistant is trained on large images with alpha, T and the teacher's u, and the student
//! starts from its numbers.
//!
//! Feature terms of `two_stage`, F_s and F_a the maps of student and assistant (constants):
//! `icfup`: mean over layers of mean (F_s, upsampled bilinearly with aligned corners, − F_a)²;
//! `attention`: Σ over stages of mean (A_s − A_a)², A the mean over channels of squares, flattened,
//! of norm one, the larger map first averaged to the smaller's size; `similarity`: 1/B² Σ (G_s −
//! G_a)², G = F Fᵀ over flattened images of the last stage with rows of norm one; `correlation`:
//! 1/(B·C) Σ (G_s − G_a)², G the products of the last stage's channels of norm one;
//! `super_resolution` (FSR): mean (W ∗ R(F) − W ∗ I)² + image_weight · mean |R(F) − I|, W the
//! assistant's first convolution, a constant.
//!
//! ## Inputs and shapes
//! Small images `[B, C, S, S]` and the same view large, `[B, C, L, L]` with L = ratio · S; logits
//! `[B, K]`, labels `[B]`. Layers are the first convolution and the ends of the stages (of the
//! blocks in a transformer), whose tokens are put back on their grid.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `form` | `one_stage` | `one_stage`, `two_stage` | second paper, first paper |
//! | `ratio` | 2 | ≥ 1 | papers: 2 and 4 |
//! | `alpha` | 0.9 | 0 to 1 | authors' code |
//! | `temperature` | 4 | > 0 | authors' code |
//! | `eta` | 10 | ≥ 0 | authors' settings: CUB 10 at ratio 2, 50 at ratio 4; Aircraft 20 at 4 |
//! | `feature` | `icfup` | `none`, `icfup`, `attention`, `similarity`, `correlation`, `super_resolution` | authors' code for `two_stage`; FSR: first paper |
//! | `feature_weight` | none | ≥ 0 | none is 1 for `icfup` (ours) and FSR (our reading), 1000, 3000 and 2.5 for the others (authors' code) |
//! | `image_weight` | 1 | ≥ 0 | our reading of FSR |
//! | `before_relu` | true | | authors' code: stages as they are before their last ReLU |
//! | `assistant_epochs` | none | ≥ 1 | none is as many as the recipe's |
//!
//! ## Notes
//! The small image is `augment.size`, which the student and its baseline have; a teacher that is
//! trained in the run is trained on large images, and one from a file has to take them. The small
//! image is the large one reduced bilinearly with antialiasing; to test, each size is made from
//! the image itself. The second paper's code takes the first map of ShuffleNets after its batch
//! norm; here it is before it in all networks. R makes as many colours as the images have. In two
//! stages, `eta` and the feature terms go together. AFP of the second paper is for detectors with
//! anchors, which there are none of here. The papers' texts could not be read: FSR and the
//! student's start are our reading. Cost: C·3·s² weights and 3·L²·C multiply-accumulates for R;
//! the forward pass of the teacher on large images is the most of a step. In use, the student
//! costs about ratio² less than on large images.
//!
//! ## Reference
//! Guo, Zhang, Han, Liu, Cheng, Han. "Cost-flexible Distillation across Image Sizes and
//! Heterogeneous Networks". TPAMI 46(12), 2024; first version "Pixel Distillation: A New Knowledge
//! Distillation Scheme for Low-Resolution Image Recognition". 2021.
//! <https://arxiv.org/abs/2112.09532>
//! Authors' code: <https://github.com/gyguo/PixelDistillation> (b63c8d1dd9d6, MIT).

mod features;
#[cfg(test)]
pub mod golden;
mod settings;
mod super_resolution;

use burn::tensor::Tensor;
use limbeck_nn::{
    InputShape, Network, Outputs, STEM_CONVOLUTION, Tap, TapKind, Taps, layer::FrozenConvolution,
    model, weights::adopt,
};

use crate::{
    Act, Cast, Images, Interlude, MethodError, Probe, Procedure, Questions, STUDENT, Scene, Stage,
    Term, criterion::require_teacher, pairs::map_shape, softmax::softened_kl,
};

pub use features::{attention_error, correlation_error, similarity_error, upsampled_error};
pub use settings::{PixelFeature, PixelForm, PixeldistillConfig};
pub use super_resolution::{HighResolution, SuperResolution, reconstruction_error};

/// A teacher of large images, a student of small ones.
#[derive(Debug)]
pub struct Pixeldistill {
    config: PixeldistillConfig,
    /// Makes the large image, where a term needs it.
    head: Option<SuperResolution>,
    /// Taps whose maps are compared, the first convolution in front.
    layers: Vec<String>,
    /// Height and width of the small images.
    size: [usize; 2],
}

/// The network of the student on large images.
const ASSISTANT: &str = "assistant";
/// What makes the large image.
const HEAD: &str = "super-resolution";

impl Pixeldistill {
    pub(super) const ID: &'static str = "pixeldistill";

    /// Adds the assistant and what makes the large image.
    ///
    /// # Errors
    /// A setting out of range, no teacher, images that are not square, or a student without a
    /// convolution.
    pub fn new(
        config: PixeldistillConfig,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        require_teacher(Self::ID, probe)?;
        config.check()?;
        let student = cast.network(STUDENT)?.clone();
        let input = student.input();
        let size = [input.height, input.width];
        let large = input.resized(images(&config).largest(size));
        let taps = student.taps();
        let two_stage = config.form == PixelForm::TwoStage;
        let resolves = two_stage && config.feature == PixelFeature::SuperResolution;
        let head = match config.eta > 0.0 || resolves {
            true => Some(head(&taps, large, probe.seed, cast)?),
            false => None,
        };
        if two_stage {
            let device = cast.device();
            let mut assistant =
                model::build(student.name(), large, probe.seed, device, cast.dtype())?;
            adopt(&mut assistant, &student)?;
            cast.add_network(ASSISTANT, assistant);
        }
        Ok(Self {
            layers: layers(&taps, config.before_relu),
            size,
            config,
            head,
        })
    }

    /// The small and the large images of the batch.
    fn images(&self, scene: &Scene<'_>) -> Result<(Tensor<4>, Tensor<4>), MethodError> {
        let batch = scene.batch();
        let small = batch.images.clone();
        let large = match &batch.large {
            Some(large) => large.clone(),
            None => small.clone(),
        };
        let side = |images: &Tensor<4>| {
            let [_, _, height, width] = images.dims();
            [height, width]
        };
        let (found, wanted) = (side(&large), images(&self.config).largest(self.size));
        if side(&small) != self.size || found != wanted {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "needs small images of {:?} and large ones of {wanted:?} pixels, found {:?} \
                     and {found:?}",
                    self.size,
                    side(&small)
                ),
            });
        }
        Ok((small, large))
    }

    /// Whether the assistant is trained in `stage`.
    fn is_assistants(&self, stage: usize) -> bool {
        self.config.form == PixelForm::TwoStage && stage == 0
    }

    /// (1 − alpha) · task + alpha · divergence of the logits `[B, K]` of `student` from those of
    /// `target`.
    fn distil(
        &self,
        student: &Outputs,
        target: &Outputs,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let alpha = self.config.alpha;
        let kd = self.divergence(student.logits(), target.logits());
        let mut terms = scene.supervise(student, 1.0 - alpha)?;
        terms.push(Term::new("kd", kd, alpha));
        Ok(terms)
    }

    /// T²/B · Σ KL of the softened distributions of the student's `logits` from those of `target`,
    /// both `[B, K]`, before its weight: `[1]`.
    pub fn divergence(&self, logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        softened_kl(logits, target.inner(), self.config.temperature)
    }

    /// What is compared in two stages.
    fn feature(&self) -> PixelFeature {
        match self.config.form {
            PixelForm::OneStage => PixelFeature::None,
            PixelForm::TwoStage => self.config.feature,
        }
    }

    /// The taps that the feature term reads.
    fn compared(&self) -> &[String] {
        let last = self.layers.len().saturating_sub(1);
        match self.feature() {
            PixelFeature::None | PixelFeature::SuperResolution => &[],
            PixelFeature::Icfup => &self.layers,
            PixelFeature::Attention => &self.layers[self.layers.len().min(1)..],
            PixelFeature::Similarity | PixelFeature::Correlation => &self.layers[last..],
        }
    }

    /// The feature term on maps, before its weight; `None` where no maps are compared.
    fn compare(
        &self,
        student: &Outputs,
        assistant: &Outputs,
    ) -> Result<Option<Tensor<1>>, MethodError> {
        let error = match self.feature() {
            PixelFeature::None | PixelFeature::SuperResolution => return Ok(None),
            PixelFeature::Icfup => upsampled_error,
            PixelFeature::Attention => attention_error,
            PixelFeature::Similarity => similarity_error,
            PixelFeature::Correlation => correlation_error,
        };
        let compared = self.compared();
        let mut sum: Option<Tensor<1>> = None;
        for layer in compared {
            let part = error(map(student, layer)?, map(assistant, layer)?)?;
            sum = Some(match sum {
                Some(sum) => sum + part,
                None => part,
            });
        }
        Ok(match self.feature() {
            PixelFeature::Icfup => sum.map(|sum| sum.mul_scalar(1.0 / compared.len() as f64)),
            _ => sum,
        })
    }

    /// The terms on the large image made of the student's first map.
    fn resolve(
        &self,
        student: &Outputs,
        large: Tensor<4>,
        convolution: Option<FrozenConvolution>,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let Some(head) = &self.head else {
            return Ok(Vec::new());
        };
        let first = map(student, STEM_CONVOLUTION)?;
        let image = scene.modules(HEAD, |pass| head.forward(pass, first))?;
        let mut weight = self.config.eta;
        let mut terms = Vec::new();
        if let Some(convolution) = convolution {
            let both = HighResolution::new(&convolution, image.clone(), large.clone());
            weight += self.config.image_weight;
            terms.push(Term::new("feature", both.error(), self.feature_weight()));
        }
        let error = reconstruction_error(image, large);
        terms.push(Term::new("reconstruction", error, weight));
        Ok(terms)
    }

    fn feature_weight(&self) -> f64 {
        let own = self.config.feature.weight();
        self.config.feature_weight.unwrap_or(own)
    }
}

/// Small images, and the large ones that they are made from.
fn images(config: &PixeldistillConfig) -> Images {
    Images {
        enlarged: config.ratio,
        ..Images::default()
    }
}

/// The map of a tap, `[B, C, H, W]`.
fn map(outputs: &Outputs, tap: &str) -> Result<Tensor<4>, MethodError> {
    let feature = outputs.feature(tap).and_then(limbeck_nn::Feature::to_map);
    feature.ok_or_else(|| MethodError::Batch {
        method: Pixeldistill::ID,
        reason: format!("needs the map `{tap}`, which is not there"),
    })
}

/// The first convolution, then all blocks of a transformer, or the ends of the stages.
fn layers(taps: &[Tap], before_relu: bool) -> Vec<String> {
    let numbered = |prefix: &'static str| {
        taps.iter()
            .map(|tap| tap.name.as_str())
            .filter(move |name| {
                let number = name.strip_prefix(prefix);
                number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            })
    };
    let is_transformer = taps
        .iter()
        .any(|tap| tap.name == "block0" && matches!(tap.kind, TapKind::Tokens { .. }));
    let prefix = if is_transformer { "block" } else { "stage" };
    let ends = numbered(prefix).map(|name| {
        let preact = format!("{name}.preact");
        match before_relu && taps.iter().any(|tap| tap.name == preact) {
            true => preact,
            false => name.to_owned(),
        }
    });
    [STEM_CONVOLUTION.to_owned()]
        .into_iter()
        .chain(ends)
        .collect()
}

fn head(
    taps: &[Tap],
    large: InputShape,
    seed: u64,
    cast: &mut Cast,
) -> Result<SuperResolution, MethodError> {
    let first = taps.iter().find(|tap| tap.name == STEM_CONVOLUTION);
    let Some(shape) = first.and_then(|tap| map_shape(&tap.kind)) else {
        return Err(MethodError::Shape {
            method: Pixeldistill::ID,
            feature: "the student".to_owned(),
            reason: "it has no convolution to make the large image from; set `eta` to 0".to_owned(),
        });
    };
    if large.height != large.width {
        return Err(MethodError::Shape {
            method: Pixeldistill::ID,
            feature: format!("images of {}×{}", large.height, large.width),
            reason: "the image that is made is square; set augment.size to a square".to_owned(),
        });
    }
    cast.add_modules(HEAD, seed, |builder| {
        SuperResolution::new(builder, shape, large.channels, large.height)
    })
}

impl Procedure for Pixeldistill {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let images = images(&self.config);
        let learners = [STUDENT]
            .into_iter()
            .chain(self.head.as_ref().map(|_| HEAD));
        let student = |name| Stage {
            images,
            ..Stage::new(name, epochs, vec![Act::training(learners.clone())])
        };
        match self.config.form {
            PixelForm::OneStage => vec![student("train")],
            PixelForm::TwoStage => {
                let epochs = self.config.assistant_epochs.unwrap_or(epochs);
                let acts = vec![Act::training([ASSISTANT])];
                let assistant = Stage {
                    images,
                    student: ASSISTANT.to_owned(),
                    keeps_best: true,
                    ..Stage::new(ASSISTANT, epochs, acts)
                };
                vec![assistant, student(STUDENT)]
            }
        }
    }

    fn play(
        &mut self,
        stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let (small, large) = self.images(scene)?;
        if self.is_assistants(stage) {
            let target = scene.teacher(Self::ID, large.clone(), &Taps::none())?;
            let assistant = scene.train(ASSISTANT, large, &Taps::none())?;
            return self.distil(&assistant, &target, scene);
        }
        let compared = Taps::from_iter(self.compared());
        let mut wanted = compared.clone();
        if self.head.is_some() {
            wanted.merge(&Taps::from_iter([STEM_CONVOLUTION]));
        }
        let student = scene.train(STUDENT, small, &wanted)?;
        let source = match self.config.form {
            PixelForm::OneStage => scene.teacher(Self::ID, large.clone(), &compared)?,
            PixelForm::TwoStage => scene.evaluate(ASSISTANT, large.clone(), &compared)?,
        };
        let feature = self.compare(&student, &source)?;
        let mut terms = self.distil(&student, &source, scene)?;
        terms.extend(feature.map(|value| Term::new("feature", value, self.feature_weight())));
        let convolution = match self.feature() {
            PixelFeature::SuperResolution => scene.cast().network(ASSISTANT)?.first_convolution(),
            _ => None,
        };
        terms.extend(self.resolve(&student, large, convolution, scene)?);
        Ok(terms)
    }

    fn begin_stage(
        &mut self,
        stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        if self.config.form == PixelForm::TwoStage && !self.is_assistants(stage) {
            let mut student: Network = interlude.cast.network(STUDENT)?.clone();
            adopt(&mut student, interlude.cast.network(ASSISTANT)?)?;
            interlude.cast.add_network(STUDENT, student);
        }
        Ok(())
    }

    fn questions(&self) -> Questions {
        Questions {
            taps: Taps::from_iter(self.compared()),
            logits: true,
            beyond: Some("the images in a larger size"),
        }
    }
}

#[cfg(test)]
mod tests;
