//! The student and a discriminator in turns.

use burn::tensor::{Tensor, activation::relu};

use super::{Skds, SkdsConfig, discriminator::Discriminator};
use crate::{
    Act, Cast, Criterion, MethodError, Probe, Procedure, Progress, Questions, STUDENT, Scene,
    Stage, Step, Term,
    dense::{logit_maps, require_logit_maps},
};

/// The discriminator in the cast.
const DISCRIMINATOR: &str = "discriminator";

/// The student learns from pixels, pairs and the discriminator, then the discriminator from both
/// networks' scores of the same images.
#[derive(Debug)]
pub struct SkdsStages {
    criterion: Skds,
    discriminator: Discriminator,
    /// Scores `[B, K, h, w]` of teacher and student in the student's act, constants.
    judged: Option<[Tensor<4>; 2]>,
}

impl SkdsStages {
    /// Adds the discriminator; `None` where the settings ask for none.
    ///
    /// # Errors
    /// As [`Skds::new`].
    pub fn new(
        config: SkdsConfig,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Option<Self>, MethodError> {
        if config.holistic_weight == 0.0 {
            return Ok(None);
        }
        let criterion = Skds::assemble(config, probe)?;
        let [classes, ..] = require_logit_maps(Skds::ID, probe)?;
        let discriminator = cast.add_modules(DISCRIMINATOR, probe.seed, |builder| {
            Ok(Discriminator::new(builder, classes))
        })?;
        Ok(Some(Self {
            criterion,
            discriminator,
            judged: None,
        }))
    }

    /// mean max(0, 1 − D(u)) + mean max(0, 1 + D(z)), `[1]`.
    fn discriminate(&mut self, scene: &mut Scene<'_>) -> Result<Tensor<1>, MethodError> {
        let Some([teacher, student]) = self.judged.take() else {
            return Err(MethodError::Batch {
                method: Skds::ID,
                reason: "the discriminator learns after the student, not alone".to_owned(),
            });
        };
        let discriminator = &self.discriminator;
        let real = scene.modules(DISCRIMINATOR, |pass| {
            discriminator.judge(pass, teacher, |says| relu(says.neg().add_scalar(1.0)))
        })?;
        let fake = scene.modules(DISCRIMINATOR, |pass| {
            discriminator.judge(pass, student, |says| relu(says.add_scalar(1.0)))
        })?;
        Ok(real + fake)
    }
}

impl Procedure for SkdsStages {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let acts = vec![Act::training([STUDENT]), Act::training([DISCRIMINATOR])];
        vec![Stage::new("train", epochs, acts)]
    }

    fn play(
        &mut self,
        _stage: usize,
        act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let weight = self.criterion.config.holistic_weight;
        if act == 1 {
            let value = self.discriminate(scene)?;
            return Ok(vec![Term::new("discriminator", value, weight)]);
        }
        let batch = scene.batch();
        let needs = self.criterion.needs();
        let teacher = scene.teacher_of_batch(Skds::ID, &needs.teacher)?;
        let student = scene.train(STUDENT, batch.images.clone(), &needs.student)?;
        let step = Step {
            student: &student,
            teacher: Some(&teacher),
            supervision: scene.supervision(),
            indices: &batch.indices,
            progress: scene.progress(),
        };
        let more = self.criterion.compare(&step)?;
        let (own, others) = logit_maps(Skds::ID, &step)?;
        self.judged = Some([others, own.clone().inner()]);
        let discriminator = &self.discriminator;
        let judged = scene.modules(DISCRIMINATOR, |pass| {
            discriminator.judge(pass, own, |says| says)
        })?;
        let mut terms = scene.supervise(&student, 1.0)?;
        terms.extend(more);
        terms.push(Term::new("holistic", judged.neg(), weight));
        Ok(terms)
    }

    fn learning_rate(&self, _stage: usize, act: usize, _progress: Progress, recipe: f64) -> f64 {
        match act {
            0 => recipe,
            _ => recipe * self.criterion.config.discriminator_rate,
        }
    }

    fn questions(&self) -> Questions {
        Questions {
            taps: self.criterion.needs().teacher,
            // The discriminator judges maps of both.
            logits: true,
            beyond: None,
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.criterion.pairs()
    }
}
