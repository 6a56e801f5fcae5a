//! # sharedhead — It's All in the Head: Representation Knowledge Distillation through Classifier Sharing
//!
//! Teacher and student share a classifier. Either the teacher's, frozen, judges the student's
//! embeddings too (TH-KD); or a student's is imposed on the teacher, which is then trained under
//! it, so that its embedding suits a student's capacity (SH-KD).
//!
//! ## Definition
//! z_s, z_t: embeddings, the teacher's detached; fc: student's classifier, h: teacher's, frozen;
//! KL(v) = T²/B Σ_b KL(softmax(h z_t/T) ‖ softmax(v/T)), T: `temperature`; γ, α, δ, β:
//! `ce_weight`, `kd_weight`, `head_weight`, `embedding_weight`; a: `head_share`. Where z_s is not
//! as long as z_t a linear map A, trained along, is applied to it before h and in the distances.
//!
//! `form = "teacher_head"`, `loss = "released"`: L = γ·CE(fc z_s, y) + α·KL(fc z_s) + δ·KL(h z_s) +
//! β·Σ_b ‖z_s/‖z_s‖ − z_t/‖z_t‖‖², the last a sum over the batch.
//! `loss = "paper"`: L = γ·[(1 − a)·CE(fc z_s, y) + a·CE(h z_s, y)] + α·[(1 − a)·KL(fc z_s) +
//! a·KL(h z_s)] + β/B Σ_b ‖z_s − z_t‖².
//!
//! `form = "student_head"` has three stages. `forerunner`: a network like the student learns by
//! γ·CE + α·KL from the given teacher. `teacher`: a fresh `teacher_model` gets the forerunner's
//! classifier, which stays as it is, and learns from the labels. `train`: the student learns by
//! γ·CE + α·KL from that teacher, plus the embeddings' distance of the loss. The first two go on
//! from their best epochs.
//!
//! ## Inputs and shapes
//! Student and teacher embeddings `pooled` `[B, D_s]`, `[B, D_t]`, logits `[B, K]`, labels `[B]` or
//! the shares of the classes `[B, K]`; the teacher ends with a linear map `[K, D_t]`, with or
//! without bias.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `form` | `teacher_head` | `teacher_head`, `student_head` | the paper's TH-KD and SH-KD |
//! | `loss` | `released` | `released`, `paper` | authors' CIFAR code; the paper |
//! | `temperature` | 4 | > 0 | authors' code |
//! | `ce_weight` | 1 | ≥ 0 | its README for TH-KD, resnet32x4 to resnet8x4 |
//! | `kd_weight` | 1.5 | ≥ 0 | same; 1 for SH-KD |
//! | `head_weight` | 0.02 | ≥ 0 | same; read by the released loss |
//! | `embedding_weight` | 0 | ≥ 0 | same: TH-KD alone has no such term |
//! | `head_share` | 0.5 | 0 to 1 | ours; read by the paper's loss |
//! | `adapter` | true | | ours: false refuses embeddings of different lengths |
//! | `initialise_head` | false | | authors' option: the student's classifier starts from the teacher's |
//! | `teacher_model` | none | zoo names | read by SH-KD, which needs one: the given teacher's |
//! | `forerunner_epochs` | none | ≥ 1 | the recipe's epochs |
//! | `teacher_epochs` | none | ≥ 1 | the recipe's epochs |
//!
//! ## Notes
//! The code weighs the cross entropy of the student's classifier alone and gives the teacher's a
//! small term of its own; the paper mixes both. At deployment the student's own classifier is
//! used, as the released commands validate. With an embedding weight of 0 the code drops the head's
//! term too when both are on; here each has its own weight. The distance of CRD is not part of
//! this method. Embeddings of length 0 are taken as far from all others without a gradient that
//! is not a number. Cost: TH-KD a product of K·D numbers an image and one forward pass of the
//! teacher; SH-KD the training of a student and of a teacher besides.
//!
//! ## Reference
//! Ben-Baruch, Karklinsky, Biton, Ben-Cohen, Lawen, Zamir. "It's All in the Head: Representation
//! Knowledge Distillation through Classifier Sharing". 2022. <https://arxiv.org/abs/2201.06945>
//! Authors' code: <https://github.com/Alibaba-MIIL/HeadSharingKD> (8e2738bf069c, BSD-2-Clause).

#[cfg(test)]
pub mod golden;
mod losses;
#[cfg(test)]
mod tests;

use limbeck_nn::{Taps, layer::Linear};
use serde::{Deserialize, Serialize};

pub use self::losses::{SharedHeadInputs, SharedHeadLosses};
use crate::{
    Act, Cast, Classifier, Interlude, MethodError, Probe, Procedure, Questions, STUDENT, Scene,
    Stage, Term, Trained,
    cast::member_seed,
    criterion::{require_at_least, require_teacher},
    pairs::{find_map, vector_of},
    softmax::softened_kl,
};

/// Whose classifier is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedHeadForm {
    /// The teacher's, which judges the student too.
    #[default]
    TeacherHead,
    /// A student's, under which the teacher is trained.
    StudentHead,
}

/// How the terms are weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedHeadLoss {
    /// As in the authors' code.
    #[default]
    Released,
    /// As in the paper.
    Paper,
}

/// Settings of [`SharedHead`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SharedHeadConfig {
    /// Whose classifier is shared.
    pub form: SharedHeadForm,
    /// How the terms are weighed.
    pub loss: SharedHeadLoss,
    /// Softens all distributions.
    pub temperature: f64,
    /// Factor of the cross entropy with the labels.
    pub ce_weight: f64,
    /// Factor of the divergence of the student's classifier, or of the mix of both.
    pub kd_weight: f64,
    /// Factor of the divergence of the teacher's classifier on the student's embedding.
    pub head_weight: f64,
    /// Factor of the distance of the embeddings.
    pub embedding_weight: f64,
    /// Share of the teacher's classifier in the paper's loss.
    pub head_share: f64,
    /// Whether embeddings may differ in length.
    pub adapter: bool,
    /// Whether the student's classifier starts from the teacher's.
    pub initialise_head: bool,
    /// The teacher that is trained under the student's classifier.
    pub teacher_model: Option<String>,
    /// Epochs of the forerunner; `None`: the recipe's.
    pub forerunner_epochs: Option<usize>,
    /// Epochs of the teacher; `None`: the recipe's.
    pub teacher_epochs: Option<usize>,
}

impl SharedHeadConfig {
    /// Whether a network besides the student learns from labels: the teacher under the student's head,
    /// or the head by itself.
    pub(crate) fn reads_labels(&self) -> bool {
        self.form == SharedHeadForm::StudentHead || self.loss == SharedHeadLoss::Paper
    }
}

impl Default for SharedHeadConfig {
    fn default() -> Self {
        Self {
            form: SharedHeadForm::TeacherHead,
            loss: SharedHeadLoss::Released,
            temperature: 4.0,
            ce_weight: 1.0,
            kd_weight: 1.5,
            head_weight: 0.02,
            embedding_weight: 0.0,
            head_share: 0.5,
            adapter: true,
            initialise_head: false,
            teacher_model: None,
            forerunner_epochs: None,
            teacher_epochs: None,
        }
    }
}

/// One classifier for teacher and student.
#[derive(Debug)]
pub struct SharedHead {
    config: SharedHeadConfig,
    losses: SharedHeadLosses,
    /// The given teacher's classifier, in the form that shares it.
    head: Option<Classifier>,
    /// From the student's embedding to the teacher's where they differ in length.
    adapter: Option<Linear>,
    /// State-dict names of the classifier of the teacher that is trained under the student's.
    shared: Vec<String>,
}

/// Names in the cast.
const ADAPTER: &str = "adapter";
const FORERUNNER: &str = "forerunner";
const TEACHER: &str = "teacher";

impl SharedHead {
    const ID: &'static str = "sharedhead";
    const EMBEDDING: &'static str = "pooled";

    /// Checks the settings and adds the `adapter`, or the `forerunner` and the `teacher`, to the
    /// cast.
    ///
    /// # Errors
    /// A setting out of range, no teacher, one without a linear classifier or with another number
    /// of classes, or embeddings that do not fit.
    pub fn new(
        config: SharedHeadConfig,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        let teacher = require_teacher(Self::ID, probe)?;
        require_at_least(
            Self::ID,
            "forerunner_epochs",
            config.forerunner_epochs.unwrap_or(1),
            1,
        )?;
        let epochs = config.teacher_epochs.unwrap_or(1);
        require_at_least(Self::ID, "teacher_epochs", epochs, 1)?;
        let losses = SharedHeadLosses::new(&config)?;
        let (_, [width, ..]) = find_map(Self::ID, "student", &probe.student, Self::EMBEDDING)?;
        let mut method = Self {
            losses,
            head: None,
            adapter: None,
            shared: Vec::new(),
            config,
        };
        match method.config.form {
            SharedHeadForm::TeacherHead => {
                find_map(Self::ID, "teacher", teacher, Self::EMBEDDING)?;
                method.take_head(width, probe, cast)?;
            }
            SharedHeadForm::StudentHead => method.shared = method.add_networks(probe, cast)?,
        }
        Ok(method)
    }

    /// Finds the teacher's classifier and bridges the embeddings.
    fn take_head(
        &mut self,
        width: usize,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<(), MethodError> {
        let refuse = |feature: String, reason: &str| MethodError::Shape {
            method: Self::ID,
            feature,
            reason: reason.to_owned(),
        };
        let head = probe.teacher_classifier.clone().ok_or_else(|| {
            let reason = "it does not end with a linear map; choose another teacher";
            refuse("the teacher".to_owned(), reason)
        })?;
        let [classes, head_width] = head.weight.dims();
        if classes != probe.classes {
            let feature = format!("the teacher's classifier of {classes} classes");
            let reason = format!("the data has {}; choose a teacher for it", probe.classes);
            return Err(refuse(feature, &reason));
        }
        if width != head_width {
            let feature = format!(
                "the teacher's classifier: it reads {head_width} numbers, the student's embedding \
                 has {width}"
            );
            if !self.config.adapter {
                let reason = "set adapter = true to bridge them, or choose networks whose \
                              embeddings are equally long";
                return Err(refuse(feature, reason));
            }
            if self.config.initialise_head {
                let reason = "a student's classifier cannot start from it; set initialise_head = \
                              false";
                return Err(refuse(feature, reason));
            }
            let adapter = cast.add_modules(ADAPTER, probe.seed, |builder| {
                Ok(Linear::new(builder.sub("linear"), width, head_width))
            })?;
            self.adapter = Some(adapter);
        }
        self.head = Some(head);
        Ok(())
    }

    /// Adds the forerunner and the teacher that is trained under its classifier; gives the names
    /// of that teacher's classifier.
    fn add_networks(&self, probe: &Probe, cast: &mut Cast) -> Result<Vec<String>, MethodError> {
        let Some(model) = &self.config.teacher_model else {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "teacher_model",
                expected: "the zoo name of the network to train under the student's classifier, \
                           such as that of --teacher"
                    .to_owned(),
                found: "none".to_owned(),
            });
        };
        let student = cast.network(STUDENT)?.name().to_owned();
        cast.add_model(FORERUNNER, &student, member_seed(probe.seed, 1))?;
        cast.add_model(TEACHER, model, member_seed(probe.seed, 2))?;
        let shape = |member| -> Result<_, MethodError> {
            let classifier = Classifier::of(cast.network(member)?);
            Ok(classifier.map(|c| (c.weight.dims(), c.bias.is_some())))
        };
        let (own, teachers) = (shape(FORERUNNER)?, shape(TEACHER)?);
        if own.is_none() || own != teachers {
            let tell = |shape: Option<([usize; 2], bool)>| match shape {
                Some((shape, true)) => format!("{shape:?} with a bias"),
                Some((shape, false)) => format!("{shape:?} without a bias"),
                None => "none".to_owned(),
            };
            return Err(MethodError::Mismatch {
                method: Self::ID,
                student: format!("`{student}` (classifier {})", tell(own)),
                teacher: format!("`{model}` (classifier {})", tell(teachers)),
                reason: "a classifier can only be shared as it is; choose networks whose \
                         embeddings are equally long"
                    .to_owned(),
            });
        }
        let network = cast.network(TEACHER)?;
        let ids = Classifier::ids(network).into_iter();
        let ids = ids.flat_map(|(weight, bias)| [weight].into_iter().chain(bias));
        Ok(ids.map(|id| network.store.entry(id).name.clone()).collect())
    }

    fn play_teacher_head(&mut self, scene: &mut Scene<'_>) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let taps = Taps::from_iter([Self::EMBEDDING]);
        let teacher = scene.teacher_of_batch(Self::ID, &taps)?;
        let student = scene.train(STUDENT, batch.images.clone(), &taps)?;
        let mut embedding = vector_of(Self::ID, "student", &student, Self::EMBEDDING)?;
        if let Some(adapter) = &self.adapter {
            embedding = scene.modules(ADAPTER, |pass| adapter.forward(pass, embedding))?;
        }
        let head = self.head.as_ref();
        let inputs = SharedHeadInputs {
            logits: student.logits(),
            head_logits: head.map(|head| head.logits(embedding.clone())),
            embedding,
            teacher_logits: teacher.logits(),
            teacher_embedding: vector_of(Self::ID, "teacher", &teacher, Self::EMBEDDING)?,
        };
        let mut terms = scene.supervise(&student, self.losses.task_weight())?;
        terms.extend(self.losses.terms(&inputs, scene.supervision())?);
        Ok(terms)
    }

    /// The forerunner learns from the given teacher.
    fn play_forerunner(&self, scene: &mut Scene<'_>) -> Result<Vec<Term>, MethodError> {
        let images = scene.batch().images.clone();
        let teacher = scene.teacher_of_batch(Self::ID, &Taps::none())?;
        let logits = scene.train(FORERUNNER, images, &Taps::none())?.logits();
        let kd = softened_kl(logits.clone(), teacher.logits(), self.config.temperature);
        Ok(vec![
            Term::new("task", scene.task(logits)?, self.config.ce_weight),
            Term::new("kd", kd, self.config.kd_weight),
        ])
    }

    /// The student learns from the teacher that has the forerunner's classifier.
    fn play_student(&self, scene: &mut Scene<'_>) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let taps = Taps::from_iter([Self::EMBEDDING]);
        let teacher = scene.evaluate(TEACHER, batch.images.clone(), &taps)?;
        let student = scene.train(STUDENT, batch.images.clone(), &taps)?;
        let inputs = SharedHeadInputs {
            logits: student.logits(),
            head_logits: None,
            embedding: vector_of(Self::ID, "student", &student, Self::EMBEDDING)?,
            teacher_logits: teacher.logits(),
            teacher_embedding: vector_of(Self::ID, "teacher", &teacher, Self::EMBEDDING)?,
        };
        let mut terms = scene.supervise(&student, self.config.ce_weight)?;
        terms.extend(self.losses.terms(&inputs, scene.supervision())?);
        Ok(terms)
    }
}

/// Copies the numbers of a classifier into a network's.
fn impose(classifier: &Classifier, cast: &mut Cast, member: &str) -> Result<(), MethodError> {
    let Some((weight, bias)) = Classifier::ids(cast.network(member)?) else {
        return Ok(());
    };
    let store = cast.store_mut(member)?;
    store.set(weight, classifier.weight.clone().flatten(0, 1));
    if let (Some(id), Some(bias)) = (bias, &classifier.bias) {
        store.set(id, bias.clone());
    }
    Ok(())
}

impl Procedure for SharedHead {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        if self.config.form == SharedHeadForm::TeacherHead {
            let adapter = self.adapter.is_some().then_some(ADAPTER);
            let act = Act::training([STUDENT].into_iter().chain(adapter));
            return vec![Stage::new("train", epochs, vec![act])];
        }
        let first = |member: &str, wanted: Option<usize>, act| Stage {
            student: member.to_owned(),
            keeps_best: true,
            ..Stage::new(member, wanted.unwrap_or(epochs), vec![act])
        };
        let under_the_head = Act {
            trains: vec![Trained {
                member: TEACHER.to_owned(),
                fixed: self.shared.clone(),
                ..Trained::default()
            }],
            ..Act::default()
        };
        vec![
            first(
                FORERUNNER,
                self.config.forerunner_epochs,
                Act::training([FORERUNNER]),
            ),
            first(TEACHER, self.config.teacher_epochs, under_the_head),
            Stage::new("train", epochs, vec![Act::training([STUDENT])]),
        ]
    }

    fn begin_stage(
        &mut self,
        stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        let cast = &mut *interlude.cast;
        match (self.config.form, stage) {
            (SharedHeadForm::TeacherHead, _) if self.config.initialise_head => {
                if let Some(head) = &self.head {
                    impose(head, cast, STUDENT)?;
                }
            }
            (SharedHeadForm::StudentHead, 1) => {
                if let Some(head) = Classifier::of(cast.network(FORERUNNER)?) {
                    impose(&head, cast, TEACHER)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn play(
        &mut self,
        stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        match (self.config.form, stage) {
            (SharedHeadForm::TeacherHead, _) => self.play_teacher_head(scene),
            (SharedHeadForm::StudentHead, 0) => self.play_forerunner(scene),
            (SharedHeadForm::StudentHead, 1) => {
                let images = scene.batch().images.clone();
                let logits = scene.train(TEACHER, images, &Taps::none())?.logits();
                Ok(vec![Term::new("task", scene.task(logits)?, 1.0)])
            }
            (SharedHeadForm::StudentHead, _) => self.play_student(scene),
        }
    }

    fn questions(&self) -> Questions {
        match self.config.form {
            SharedHeadForm::TeacherHead => Questions {
                taps: Taps::from_iter([Self::EMBEDDING]),
                logits: true,
                beyond: None,
            },
            _ => Questions::default(),
        }
    }
}
