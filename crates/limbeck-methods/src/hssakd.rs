//! # hssakd — Knowledge Distillation Using Hierarchical Self-Supervision Augmented Distribution
//!
//! "Which class, and turned how far?" is a richer question than the class alone. A branch on each
//! stage of a network answers it; the student's branches copy the teacher's one to one, and the
//! student its classes. Teacher and student may also be two networks that learn together.
//!
//! ## Definition
//! Each image x_i gives four rows, 4i + j: turned counter-clockwise by j · 90 degrees, with the
//! joint class 4·y_i + j. z: logits of the classes, q^l: those of the 4·K joint classes from the
//! branch on stage l of L, z↑: the rows that are not turned.
//! KL_T(t ‖ s) = T² · mean over all rows of KL(softmax(t/T) ‖ softmax(s/T)), t detached.
//!
//! Student: L = CE(z↑, y) + Σ_l KL_T(q_t^l ‖ q_s^l) + KL_T(z_t ‖ z_s)
//!
//! - `form = "offline"`: first, on the frozen teacher, Σ_l CE(q_t^l, joint class) trains its
//!   branches; then the student learns.
//! - `form = "joint"`: first the teacher is a new network, trained from scratch with its branches by
//!   CE(z↑, y) + Σ_l CE(q_t^l, joint class); then the student learns. No `--teacher` is read.
//! - `form = "online"`: student and one peer learn at the same time, each by the student's loss with
//!   the other as the teacher plus Σ_l CE(q^l, joint class). No `--teacher` is read.
//!
//! Branch l < L: fresh copies of stages l+1 to L; branch L: one more stage like the last that keeps
//! the size; then the mean over positions and a linear map. Gradients of the branches train the
//! student too.
//!
//! ## Inputs and shapes
//! Square images `[B, C, S, S]`; maps `stage1` … `stageL` of both networks (tokens are put back on
//! their grid), the same L; logits `[4·B, K]`, joint logits `[4·B, 4·K]`; labels `[B]` or the shares
//! of the classes `[B, K]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `form` | `offline` | `offline`, `joint`, `online` | papers: HSAKD, HSAKD* and the online form |
//! | `network` | none | a name of the zoo | the teacher of `joint`, the peer of `online`; none is one like the student |
//! | `temperature` | 3 | > 0 | paper |
//! | `teacher_share` | 0.42 | > 0 | authors' code: 100 epochs for the branches beside 240; `joint` has 240, so 1 |
//! | `teacher_learning_rate` | 0.05 | > 0 | same; a tenth at 30, 60 and 90 % of the first stage of `offline`; `joint` follows the recipe |
//! | `block` | none | `basic`, `bottleneck`, `wide` | authors' code: the network's own; none is `wide` for WideResNets, `basic` for all others |
//! | `blocks` | none | ≥ 1 | blocks of each copied stage; none is as many as the network shows as taps `block0`, `block1`, …, or else 1 |
//! | `few_shot` | 1 | above 0, to 1 | paper: 0.25, 0.5 and 0.75 of the images of each class |
//!
//! ## Notes
//! The code has branches of the network's own kind of block for each family. Here they are residual
//! for all networks, with the widths and sizes of the copied stages: the same for ResNets (those of
//! bottlenecks ask for `block`) and WideResNets, whose branches end with a norm and ReLU; others for
//! MobileNet, ShuffleNet, VGG and ViT. No cross entropy trains the student's branches offline, as in the code. `joint` and the
//! first stage of `offline` go on from the last step. The terms `joint_accuracy` show how often the
//! deepest branch is right and weigh nothing. Cost: four images for each one in both networks, and
//! branches with about as many weights as the network, thrown away afterwards.
//! Transfer to detection: `--backbone RUN` starts a detector with the backbone of a student such as
//! `yolov5n_cls`.
//!
//! ## Reference
//! Yang, An, Cai, Xu. "Knowledge Distillation Using Hierarchical Self-Supervision Augmented
//! Distribution". IEEE TNNLS 2022. <https://arxiv.org/abs/2109.03075>; the form HSAKD in
//! "Hierarchical Self-supervised Augmented Knowledge Distillation". IJCAI 2021.
//! <https://arxiv.org/abs/2107.13715>
//! Authors' code: <https://github.com/winycg/HSAKD> (28c8dc2f5a1b, Apache-2.0).

mod branches;
#[cfg(test)]
pub mod golden;
mod joint;
#[cfg(test)]
mod tests;

pub use branches::{AuxiliaryBranches, BranchBlock, BranchPlan};
pub use joint::JointRows;

use burn::tensor::Tensor;
use limbeck_nn::{Outputs, Tap, TapKind, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, MethodError, Probe, Procedure, Progress, Questions, STUDENT, Scene, Stage, Term,
    criterion::{require_at_least, require_positive, require_teacher},
    member_seed,
    pairs::map_of,
    rotation::{TURNS, require_square, rotations},
};

const ID: &str = "hssakd";
/// The network that the student learns from, where it is in the cast.
const TEACHER: &str = "teacher";
/// Its branches.
const TEACHER_BRANCHES: &str = "teacher-branches";
/// The student's branches.
const STUDENT_BRANCHES: &str = "student-branches";
/// Names of the online form's other network and its branches.
const PEER: [&str; 2] = ["peer", "peer-branches"];
/// Shares of the first offline stage at which its learning rate is divided by ten.
const TEACHER_MILESTONES: [f64; 3] = [0.3, 0.6, 0.9];

/// Whom the student learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HssakdForm {
    /// A frozen teacher whose branches are trained first.
    #[default]
    Offline,
    /// A teacher that is trained first, together with its branches.
    Joint,
    /// A peer that learns at the same time.
    Online,
}

/// Settings of [`Hssakd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HssakdConfig {
    /// Whom the student learns from.
    pub form: HssakdForm,
    /// Zoo name of the other network where it is trained; like the student where missing.
    pub network: Option<String>,
    /// Softens all distributions.
    pub temperature: f64,
    /// Epochs of the teacher's stage as a share of the recipe's.
    pub teacher_share: f64,
    /// Learning rate at the beginning of the first stage of the offline form.
    pub teacher_learning_rate: f64,
    /// Kind of block in the branches of both networks; that of each network where missing.
    pub block: Option<BranchBlock>,
    /// Blocks of each copied stage; as many as the network has, if its taps tell, where missing.
    pub blocks: Option<usize>,
    /// Share of the images of each class that is trained on.
    pub few_shot: f64,
}

impl Default for HssakdConfig {
    fn default() -> Self {
        Self {
            form: HssakdForm::Offline,
            network: None,
            temperature: 3.0,
            teacher_share: 0.42,
            teacher_learning_rate: 0.05,
            block: None,
            blocks: None,
            few_shot: 1.0,
        }
    }
}

/// Classes and turns, learnt on every stage.
#[derive(Debug)]
pub struct Hssakd {
    config: HssakdConfig,
    student: Side,
    /// Teacher or peer.
    other: Side,
}

/// A network with its branches.
#[derive(Debug)]
struct Side {
    /// Name of the network in the cast; the offline teacher is in none.
    network: &'static str,
    /// Name of its branches in the cast.
    modules: &'static str,
    /// Ends of its stages.
    taps: Vec<String>,
    branches: AuxiliaryBranches,
}

impl Hssakd {
    /// Adds the branches of both networks to the cast, and in the forms `joint` and `online` the
    /// other network.
    ///
    /// # Errors
    /// A setting out of range; no teacher in the form `offline`; images that are not square;
    /// networks with different numbers of stages or classes, or with stages that no branch fits.
    pub fn new(config: HssakdConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        for (key, value) in [
            ("temperature", config.temperature),
            ("teacher_share", config.teacher_share),
            ("teacher_learning_rate", config.teacher_learning_rate),
        ] {
            require_positive(ID, key, value)?;
        }
        require_few_shot(config.few_shot)?;
        if let Some(blocks) = config.blocks {
            require_at_least(ID, "blocks", blocks, 1)?;
        }
        let (name, [network, modules], other_taps) = match config.form {
            HssakdForm::Offline => {
                let taps = require_teacher(ID, probe)?.to_vec();
                ("teacher", [TEACHER, TEACHER_BRANCHES], taps)
            }
            HssakdForm::Joint => {
                let taps = add_network(TEACHER, &config, probe, cast)?;
                ("teacher", [TEACHER, TEACHER_BRANCHES], taps)
            }
            HssakdForm::Online => ("peer", PEER, add_network(PEER[0], &config, probe, cast)?),
        };
        let input = cast.network(STUDENT)?.input();
        require_square(ID, input.height, input.width)?;
        require_classes(name, &other_taps, probe.classes)?;
        let mut side = |side, [network, modules]: [&'static str; 2], taps: &[Tap], seed| {
            let joint_classes = TURNS * probe.classes;
            let (plan, taps) =
                BranchPlan::of_taps(side, taps, config.block, config.blocks, joint_classes)?;
            let branches = cast.add_modules(modules, seed, |builder| {
                Ok(AuxiliaryBranches::new(builder, &plan))
            })?;
            Ok::<_, MethodError>(Side {
                network,
                modules,
                taps,
                branches,
            })
        };
        let student_names = [STUDENT, STUDENT_BRANCHES];
        let student = side("student", student_names, &probe.student, probe.seed)?;
        let other_seed = member_seed(probe.seed, 1);
        let other = side(name, [network, modules], &other_taps, other_seed)?;
        if student.taps.len() != other.taps.len() {
            return Err(MethodError::Pairs {
                method: ID.to_owned(),
                reason: format!(
                    "each branch of the student copies one of the {name}, so both need the same \
                     number of stages; the student has {}, the {name} {}",
                    student.taps.len(),
                    other.taps.len()
                ),
            });
        }
        Ok(Self {
            config,
            student,
            other,
        })
    }

    /// What the student and its branches, or another network that the act trains, predict.
    fn train(
        side: &Side,
        scene: &mut Scene<'_>,
        images: Tensor<4>,
    ) -> Result<JointRows, MethodError> {
        let outputs = scene.train(side.network, images, &side.wanted())?;
        let features = side.features(&outputs)?;
        let joint_logits =
            scene.modules(side.modules, |pass| side.branches.forward(pass, features))??;
        Ok(JointRows {
            logits: outputs.logits(),
            joint_logits,
        })
    }

    /// What the frozen teacher predicts, and its branches: in training if `trains`.
    fn teach(
        &self,
        scene: &mut Scene<'_>,
        images: Tensor<4>,
        trains: bool,
    ) -> Result<JointRows, MethodError> {
        let side = &self.other;
        let outputs = match self.config.form {
            HssakdForm::Offline => scene.teacher(ID, images, &side.wanted())?,
            _ => scene.evaluate(side.network, images, &side.wanted())?,
        };
        let outputs = outputs.detach();
        let features = side.features(&outputs)?;
        let joint_logits = match trains {
            true => scene.modules(side.modules, |pass| side.branches.forward(pass, features))??,
            false => scene
                .evaluate_modules(side.modules, |pass| side.branches.forward(pass, features))??,
        };
        Ok(JointRows {
            logits: outputs.logits(),
            joint_logits,
        })
    }

    /// The teacher's own stage.
    fn play_teacher(
        &self,
        scene: &mut Scene<'_>,
        images: Tensor<4>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let mut terms = Vec::new();
        let rows = match self.config.form {
            HssakdForm::Joint => {
                let rows = Self::train(&self.other, scene, images)?;
                terms.push(Term::new("task", scene.task(rows.upright())?, 1.0));
                rows
            }
            _ => self.teach(scene, images, true)?,
        };
        let joint = rows.joint_loss(scene.supervision())?;
        terms.push(Term::new("joint", joint, 1.0));
        let accuracy = rows.joint_accuracy(batch.target.classes(ID)?.0);
        terms.push(Term::new("joint_accuracy", accuracy, 0.0));
        Ok(terms)
    }

    /// The student's stage with a teacher.
    fn play_student(
        &self,
        scene: &mut Scene<'_>,
        images: Tensor<4>,
    ) -> Result<Vec<Term>, MethodError> {
        let teacher = self.teach(scene, images.clone(), false)?;
        let student = Self::train(&self.student, scene, images)?;
        let found = student.imitate(&teacher, self.config.temperature)?;
        Ok(vec![
            Term::new("task", scene.task(student.upright())?, 1.0),
            Term::new("kd", found.kd, 1.0),
            Term::new("joint_kd", found.joint_kd, 1.0),
            Term::new(
                "joint_accuracy",
                student.joint_accuracy(scene.batch().target.classes(ID)?.0),
                0.0,
            ),
        ])
    }

    /// The online form's stage.
    fn play_both(
        &self,
        scene: &mut Scene<'_>,
        images: Tensor<4>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let student = Self::train(&self.student, scene, images.clone())?;
        let peer = Self::train(&self.other, scene, images)?;
        let mut terms = Vec::new();
        for (rows, other, suffix) in [(&student, &peer, ""), (&peer, &student, ".peer")] {
            let found = rows.imitate(other, self.config.temperature)?;
            let joint = rows.joint_loss(scene.supervision())?;
            let accuracy = rows.joint_accuracy(batch.target.classes(ID)?.0);
            for (name, value, weight) in [
                ("task", scene.task(rows.upright())?, 1.0),
                ("joint", joint, 1.0),
                ("kd", found.kd, 1.0),
                ("joint_kd", found.joint_kd, 1.0),
                ("joint_accuracy", accuracy, 0.0),
            ] {
                terms.push(Term::new(&format!("{name}{suffix}"), value, weight));
            }
        }
        Ok(terms)
    }
}

impl Side {
    fn wanted(&self) -> Taps {
        Taps::from_iter(&self.taps)
    }

    fn features(&self, outputs: &Outputs) -> Result<Vec<Tensor<4>>, MethodError> {
        let taps = self.taps.iter();
        taps.map(|tap| map_of(ID, self.network, outputs, tap))
            .collect()
    }
}

/// Adds the other network of the forms that train one, and gives its taps.
fn add_network(
    name: &str,
    config: &HssakdConfig,
    probe: &Probe,
    cast: &mut Cast,
) -> Result<Vec<Tap>, MethodError> {
    let own = cast.network(STUDENT)?.name().to_owned();
    let model = config.network.as_deref().unwrap_or(&own);
    cast.add_model(name, model, member_seed(probe.seed, 1))?;
    Ok(cast.network(name)?.taps())
}

fn require_few_shot(share: f64) -> Result<(), MethodError> {
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    Err(MethodError::Setting {
        method: ID,
        key: "few_shot",
        expected: "a number above 0, to 1".to_owned(),
        found: share.to_string(),
    })
}

fn require_classes(name: &str, taps: &[Tap], classes: usize) -> Result<(), MethodError> {
    let logits = taps.iter().find(|tap| tap.name == "logits");
    match logits.map(|tap| &tap.kind) {
        Some(TapKind::Vector(found)) if *found != classes => Err(MethodError::Shape {
            method: ID,
            feature: format!("the {name}'s logits of {found} classes"),
            reason: format!(
                "the data has {classes}, and joint classes must agree; use a {name} for the same \
                 classes"
            ),
        }),
        _ => Ok(()),
    }
}

impl Procedure for Hssakd {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let [student, other] = [&self.student, &self.other].map(|s| [s.network, s.modules]);
        let share = (self.config.teacher_share * epochs as f64).round() as usize;
        let teacher_epochs = share.max(1);
        let learn = Stage::new("student", epochs, vec![Act::training(student)]);
        match self.config.form {
            HssakdForm::Offline => {
                let act = Act::training([self.other.modules]);
                vec![Stage::new("branches", teacher_epochs, vec![act]), learn]
            }
            HssakdForm::Joint => {
                let mut teacher = Stage::new("teacher", teacher_epochs, vec![Act::training(other)]);
                teacher.student = TEACHER.to_owned();
                vec![teacher, learn]
            }
            HssakdForm::Online => {
                let everybody = [student, other].concat();
                vec![Stage::new("train", epochs, vec![Act::training(everybody)])]
            }
        }
    }

    fn play(
        &mut self,
        stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let images = rotations(scene.batch().images.clone());
        match (self.config.form, stage) {
            (HssakdForm::Online, _) => self.play_both(scene, images),
            (_, 0) => self.play_teacher(scene, images),
            _ => self.play_student(scene, images),
        }
    }

    fn learning_rate(&self, stage: usize, _act: usize, progress: Progress, recipe: f64) -> f64 {
        if stage > 0 || self.config.form != HssakdForm::Offline {
            return recipe;
        }
        let done = progress.epoch as f64 / progress.epochs as f64;
        let reached = TEACHER_MILESTONES.iter().filter(|&&at| done >= at).count();
        self.config.teacher_learning_rate * 0.1_f64.powi(reached as i32)
    }

    fn held_out(&self) -> f64 {
        1.0 - self.config.few_shot
    }

    fn questions(&self) -> Questions {
        match self.config.form {
            HssakdForm::Offline => Questions {
                taps: self.other.wanted(),
                logits: true,
                beyond: Some("rotated images"),
            },
            _ => Questions::default(),
        }
    }
}
