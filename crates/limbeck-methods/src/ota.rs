//! # ota — One to Transfer All
//!
//! A big network of other classes, and ten pictures of each of one's own. First a copy of the big network
//! is fine-tuned, with a new head, on the pictures as a re-representer draws them, and then on the
//! pictures themselves (image re-representation fine-tuning). Then images are made by changing pixels
//! until the fine-tuned network sees in them what it sees in a picture that guides them (downstream
//! image-guided generation). The student learns from that network on both kinds of images.
//!
//! ## Definition
//! Fine-tuning: CE(N(R(x)), y), then CE(N(x), y), N the copy with a new head; R(x) = G(q(E(x))) with
//! encoder, quantisation and decoder of an autoencoder that `vqae` has trained where N comes from.
//!
//! Generation, over the numbers of x̂, N as it is in evaluation:
//! `ce_weight` · CE(N(x̂), ŷ) + `guide_weight` · 1/n Σ_l mean (F_l(x̂) − F_l(x))²
//! + `bn_weight` · Σ_l (‖μ_l(x̂) − m_l‖ + ‖v_l(x̂) − s_l‖) + `tv_weight` · TV(x̂) + `l2_weight` · mean x̂²
//!
//! F_l: the ends of N's n stages; μ, v: mean and biased variance, by channel, over batch and places, of
//! what each batch norm is given, m, s its running statistics; TV: the mean squared difference of
//! neighbours above each other plus that of neighbours beside each other. x̂ starts at x plus noise of
//! deviation `sigma`; `steps` of Adam at `image_rate`, each on x̂ and x mirrored and rolled alike, and x̂
//! is brought back to what pixels can be.
//!
//! Distillation: (1 − `alpha`) · CE(s, y) over real images + `alpha` · T² KL(N ‖ s) over real and made
//! ones, as many of these as of those in each step.
//!
//! ## Inputs and shapes
//! Images with labels; a teacher of the zoo for such images, of any classes. `represent` names a run of
//! `vqae`, or its weights file, for images of the same size and channels.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `represent` | none | a run or a file | the re-representer; none: R(x) = x |
//! | `mix` | 0 | 0 to 1 | share of R(x) in the second fine-tuning; ours |
//! | `finetune_epochs` | none | ≥ 1 | of each fine-tuning; none: the recipe's |
//! | `finetune_rate` | 1 | > 0 | the new head's learning rate, in the recipe's; ours |
//! | `second_rate` | 0.1 | > 0 | that of the second fine-tuning, in the first's; ours |
//! | `backbone_rate` | 0.1 | > 0 | that of the backbone, in the head's; ours |
//! | `per_image` | 4 | ≥ 0 | images made for each real one; ours; 0: none |
//! | `steps` | 100 | ≥ 1 | ours; 500 for large images |
//! | `image_rate` | 0.05 | > 0 | DeepInversion's code for small images |
//! | `start` | `image` | or `noise` | where x̂ starts |
//! | `sigma` | 0.5 | ≥ 0 | ours, of `image` |
//! | `other_class` | 0.2 | 0 to 1 | share with another ŷ than y; ours |
//! | `flip` | 0.5 | 0 to 1 | share of steps that mirror; 0 where mirrored images are of no class |
//! | `roll` | 2 | ≥ 0 | pixels in each direction |
//! | `ce_weight` | 1 | ≥ 0 | ours |
//! | `guide_weight` | 1 | ≥ 0 | ours |
//! | `bn_weight` | 0.1 | ≥ 0 | ours |
//! | `tv_weight` | 0.01 | ≥ 0 | ours |
//! | `l2_weight` | 0.001 | ≥ 0 | ours |
//! | `alpha` | 0.7 | 0 to 1 | ours; 0: made images have no part |
//! | `temperature` | 4 | > 0 | T |
//!
//! ## Notes
//! The report says what the parts are for and not how they are built, and there is no code: the objective,
//! all numbers and the order of the stages are a reading of it, after its sister report (INTERN,
//! arXiv:2111.08687, a VQ-GAN before the first of two fine-tunings) and DeepInversion (Yin et al., CVPR
//! 2020). R is applied to the images as the loader varies them, with the re-representer's own
//! normalisation, and clamped to what pixels can be; nothing is kept of it. The copy sees images
//! normalised as the student's are, which a note tells where the teacher's were not: with few
//! images say `augment.normalisation` as the teacher's run has it. Both fine-tunings start with a new
//! optimiser and run the recipe's schedule; from the second one the copy goes on with the weights that
//! `train.choose` says. An image with another ŷ is guided by the first half of the stages alone.
//! Networks without batch norms are held to the mean and variance of their stages' ends over up to 512
//! training images. One pass over the training part makes one image of each batch's images, so a last
//! batch that is not full is guided by other images in the next pass. Made images are kept as bytes, with N's
//! logits of these bytes, in memory and in checkpoints, as whole batches: a run that is killed makes the
//! batch at hand again. The teacher's own weights stay as they are, and it is asked nothing.
//!
//! `--baseline` is the student on the labels of the same few images; `per_image=0` is the distillation
//! without made images; leaving `represent` out is plain fine-tuning of as many steps. Cost: `per_image` ·
//! `steps` forward and backward passes of N and as many forward passes for each real image, which is the
//! most of it; fine-tuning passes of N; one of N and two of the student in each step of the distillation.
//!
//! ## Reference
//! Wang, Huang, Gao, Wu, Yin, Ding, Liang, Yan. "One to Transfer All: A Universal Transfer Framework for
//! Vision Foundation Model with Few Data". 2021. <https://arxiv.org/abs/2111.12386>

mod gallery;
mod generate;
#[cfg(test)]
pub mod golden;
mod jitter;
mod objective;
mod pixels;
mod recorded;
mod representer;
mod settings;
mod task_model;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use limbeck_nn::Taps;

pub use self::settings::{OtaConfig, OtaStart};
use self::{
    gallery::{Gallery, Guided},
    generate::Generator,
    pixels::PixelRange,
    recorded::Recorded,
    representer::Representer,
};
use crate::{
    Act, Cast, Interlude, MadeImage, MethodError, OptimizerChange, Probe, Procedure, Progress,
    STUDENT, Scene, Stage, State, Term, criterion::require_teacher, softmax::softened_kl,
};

/// The fine-tuned copy of the teacher, in the cast.
const TASK: &str = "task";
/// Images of which the statistics of a network without batch norms are taken at most.
const MOST_RECORDED: usize = 512;
/// Share of made images that are of their class for the fine-tuned network, below which it is told.
const FEW: f64 = 0.5;

/// What a stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Fine-tuning on re-represented images.
    First,
    /// Fine-tuning on the images.
    Second,
    /// Images are made.
    Generate,
    /// The student learns.
    Distil,
}

/// Fine-tuning, generation and distillation.
#[derive(Debug)]
pub struct Ota {
    config: OtaConfig,
    representer: Option<Representer>,
    generator: Generator,
    /// Statistics of a network without batch norms, once they are taken.
    recorded: Option<Recorded>,
    /// Whether these are wanted, and of how many images.
    records: usize,
    gallery: Gallery,
    notes: Vec<String>,
    is_told: bool,
}

impl Ota {
    const ID: &'static str = "ota";

    /// Adds the copy of the teacher to the cast as [`TASK`].
    ///
    /// # Errors
    /// A setting out of range, no teacher or one without numbers, one that is not of the zoo or does not
    /// take the student's images, a re-representer that cannot be read or is for other images, images
    /// without labels.
    pub fn new(config: OtaConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_teacher(Self::ID, probe)?;
        config.check()?;
        probe.training.labels(Self::ID)?;
        let input = cast.network(STUDENT)?.input();
        let normalisation = &probe.training.normalisation;
        let range = PixelRange::new(normalisation, input.channels, cast.device(), cast.dtype());
        let representer = match &config.represent {
            None => None,
            Some(file) => Some(Representer::read(file, input, &range, cast)?),
        };
        let task = task_model::of_teacher(probe, input, cast)?;
        let norms = task.fewest_normalised().is_some();
        let records = match norms || config.bn_weight == 0.0 || config.per_image == 0 {
            true => 0,
            false => probe.training.images.min(MOST_RECORDED),
        };
        let mut notes = Vec::new();
        if representer.is_none() {
            notes.push(
                "ota: no re-representer (method.ota.represent), so the network is fine-tuned on the \
                 images as they are, twice"
                    .to_owned(),
            );
        }
        if let Some(teacher) = &probe.teacher_network
            && teacher.normalisation != *normalisation
        {
            notes.push(format!(
                "ota: the teacher's images were normalised otherwise (mean {:.3?}, std {:.3?}) than this \
                 run's (mean {:.3?}, std {:.3?}), which its copy sees; augment.normalisation sets them alike",
                teacher.normalisation.mean,
                teacher.normalisation.std,
                normalisation.mean,
                normalisation.std
            ));
        }
        let generator = Generator::new(&config, &task, range)?;
        let shape = [input.channels, input.height, input.width];
        let made = config.per_image * probe.training.images;
        if made > 0 {
            notes.push(format!(
                "ota: about {made} images are made, {} MB in memory and in each checkpoint",
                (4 * made * shape.iter().product::<usize>() / 3).div_ceil(1_000_000)
            ));
        }
        cast.add_network(TASK, task);
        Ok(Self {
            config,
            representer,
            generator,
            recorded: None,
            records,
            gallery: Gallery::new(shape, input.classes),
            notes,
            is_told: false,
        })
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::First, Part::Second];
        if self.config.per_image > 0 {
            parts.push(Part::Generate);
        }
        parts.push(Part::Distil);
        parts
    }

    fn part(&self, stage: usize) -> Part {
        self.parts().get(stage).copied().unwrap_or(Part::Distil)
    }

    /// A step of fine-tuning; `share` of the images are re-represented.
    fn fine_tune(&self, scene: &mut Scene<'_>, share: f64) -> Result<Vec<Term>, MethodError> {
        let mut images = scene.batch().images.clone();
        if let Some(representer) = self.representer.as_ref().filter(|_| share > 0.0) {
            let drawn = representer.represent(images.clone())?;
            images = match share < 1.0 {
                false => drawn,
                true => {
                    let mut stream = scene.stream();
                    let [batch, ..] = images.dims();
                    let chosen: Vec<f64> = (0..batch)
                        .map(|_| f64::from(u8::from(stream.chance(share))))
                        .collect();
                    let options = (&images.device(), images.dtype());
                    let chosen = Tensor::<1>::from_data(chosen.as_slice(), options);
                    let chosen = chosen.reshape([batch, 1, 1, 1]);
                    images.clone() + (drawn - images) * chosen
                }
            };
        }
        let outputs = scene.train(TASK, images, &Taps::none())?;
        scene.supervise_labelled(&outputs, 1.0)
    }

    /// Makes an image for each of the batch.
    fn generate(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let labels = batch.target.classes(Self::ID)?.0;
        let labels: Vec<usize> = labels.to_data().iter::<i64>().map(|y| y as usize).collect();
        let mut stream = scene.stream();
        let network = scene.cast().network(TASK)?;
        let images = batch.images.clone();
        let classes = network.input().classes;
        let guided = Guided::new(images, labels, classes, &self.config, &mut stream);
        let recorded = self.recorded.as_ref();
        let made = self
            .generator
            .run(network, recorded, &guided, &mut stream)?;
        let bytes = self.generator.range.bytes(&made.images);
        let shown = self.generator.range.images(&bytes, made.images.dims());
        let logits = network.evaluate(shown, &Taps::none()).logits();
        let agreed = self.gallery.add(
            bytes,
            &logits,
            &guided,
            self.generator.range.bytes(&guided.images),
        );
        let options = (&logits.device(), logits.dtype());
        let mut terms = made.objective.terms(&self.config);
        terms.push(Term::new(
            "of_class",
            Tensor::from_data([agreed], options),
            0.0,
        ));
        Ok(terms)
    }

    /// A step of the student.
    fn distil(&self, scene: &mut Scene<'_>) -> Result<Vec<Term>, MethodError> {
        let images = scene.batch().images.clone();
        let [real, ..] = images.dims();
        let answers = scene
            .evaluate(TASK, images.clone(), &Taps::none())?
            .logits();
        let (mut seen, mut taught) = (images, answers);
        if self.config.alpha > 0.0 && self.gallery.count() > 0 {
            let drawn = self.gallery.draw(real, &mut scene.stream());
            let options = (&seen.device(), seen.dtype());
            let bytes = self.gallery.bytes_of(&drawn);
            let [_, channels, height, width] = seen.dims();
            let shape = [drawn.len(), channels, height, width];
            let made = self.generator.range.images(&bytes, shape);
            let logits = self.gallery.logits_of(&drawn, options);
            seen = Tensor::cat(vec![seen, made], 0);
            taught = Tensor::cat(vec![taught, logits], 0);
        }
        let logits = scene.train(STUDENT, seen, &Taps::none())?.logits();
        let task = scene.task(logits.clone().narrow(0, 0, real))?;
        let kd = softened_kl(logits, taught, self.config.temperature);
        Ok(vec![
            Term::new("task", task, 1.0 - self.config.alpha),
            Term::new("kd", kd, self.config.alpha),
        ])
    }
}

impl Procedure for Ota {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let finetune = self.config.finetune_epochs.unwrap_or(epochs);
        let tunes = || {
            let mut act = Act::training([TASK]);
            act.optimizer = OptimizerChange {
                head_factor: Some(1.0 / self.config.backbone_rate),
                fresh: true,
                ..OptimizerChange::default()
            };
            vec![act]
        };
        let of_task = |stage: Stage| Stage {
            student: TASK.to_owned(),
            ..stage
        };
        let stage = |part| match part {
            Part::First => {
                let name = match self.representer {
                    Some(_) => "re-represented",
                    None => "first",
                };
                of_task(Stage::new(name, finetune, tunes()))
            }
            Part::Second => Stage {
                keeps_best: true,
                ..of_task(Stage::new("real", finetune, tunes()))
            },
            Part::Generate => of_task(Stage::new(
                "generate",
                self.config.per_image,
                vec![Act::default()],
            )),
            Part::Distil => Stage::new("distil", epochs, vec![Act::training([STUDENT])]),
        };
        self.parts().into_iter().map(stage).collect()
    }

    fn begin_stage(
        &mut self,
        stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        if self.part(stage) != Part::Generate {
            return Ok(());
        }
        self.gallery.clear();
        if let Some(images) = interlude.held_out.filter(|_| self.records > 0) {
            let network = interlude.cast.network(TASK)?;
            self.recorded = Some(Recorded::of(network, &self.generator.taps, images)?);
        }
        Ok(())
    }

    fn sampled(&self) -> usize {
        self.records
    }

    fn play(
        &mut self,
        stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        match self.part(stage) {
            Part::First => self.fine_tune(scene, 1.0),
            Part::Second => self.fine_tune(scene, self.config.mix),
            Part::Generate => self.generate(scene),
            Part::Distil => self.distil(scene),
        }
    }

    fn learning_rate(&self, stage: usize, _act: usize, _progress: Progress, recipe: f64) -> f64 {
        let backbone = recipe * self.config.finetune_rate * self.config.backbone_rate;
        match self.part(stage) {
            Part::First => backbone,
            Part::Second => backbone * self.config.second_rate,
            Part::Generate => self.config.image_rate,
            Part::Distil => recipe,
        }
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn warnings(&mut self) -> Vec<String> {
        match self.gallery.share_of_class() {
            Some(share) if share < FEW && !std::mem::replace(&mut self.is_told, true) => {
                vec![format!(
                    "ota: the fine-tuned network sees {:.0} % of the images made so far as the class that \
                     they are made for; more method.ota.steps, or a smaller guide_weight, bring them \
                     closer",
                    100.0 * share
                )]
            }
            _ => Vec::new(),
        }
    }

    fn asks_teacher(&self) -> bool {
        false
    }

    fn made_images(&self) -> Vec<MadeImage> {
        self.gallery.shown()
    }

    fn state(&self) -> State {
        let (device, dtype) = (&self.generator.range.device(), self.generator.range.dtype());
        let mut state = self.gallery.state((device, dtype));
        if let Some(recorded) = &self.recorded {
            recorded.save(&mut state);
        }
        state
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        self.recorded = Recorded::load(&mut state);
        self.gallery.load(state)
    }
}
