//! The contract of a method that compares what student and teacher give out.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Int, Tensor};
use limbeck_nn::{Outputs, Pass, Tap, Taps};

use crate::{
    Classifier, Images, MethodError, Normalisation, Rows, Supervision, TaskKind, TeacherNetwork,
};

/// What a method is built for: the nets' taps with their shapes, found by running them once.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Taps of the student, in forward order, `logits` last.
    pub student: Vec<Tap>,
    /// Taps of the teacher, in forward order, `logits` last; `None` without a teacher.
    pub teacher: Option<Vec<Tap>>,
    /// Number of classes.
    pub classes: usize,
    /// Images per step.
    pub batch: usize,
    /// `(student tap, teacher tap)` chosen by the user; `None` leaves the choice to the method.
    pub pairs: Option<Vec<(String, String)>>,
    /// Seed of what the method's modules are drawn from.
    pub seed: u64,
    /// Where tensors live.
    pub device: Device,
    /// Element type of tensors.
    pub dtype: DType,
    /// What there is to learn from.
    pub training: TrainingPart,
    /// The teacher's last linear map, where it has one.
    pub teacher_classifier: Option<Classifier>,
    /// The network behind the teacher; `None` where its numbers are not at hand, as of stored outputs.
    pub teacher_network: Option<TeacherNetwork>,
}

/// The images that a method trains on.
#[derive(Clone, Debug, Default)]
pub struct TrainingPart {
    /// Number of images, before anything is held out.
    pub images: usize,
    /// Class of each image, by its position in the part (see [`Step::indices`]); `None` where images
    /// have no labels.
    pub labels: Option<Vec<i64>>,
    /// How they are normalised.
    pub normalisation: Normalisation,
}

/// What a method reads. Logits are always there.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Taps of the student.
    pub student: Taps,
    /// Taps of the teacher.
    pub teacher: Taps,
    /// Whether it compares the student's logits with the teacher's class by class, so that both have
    /// to tell the same classes apart.
    pub logits: bool,
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Epoch, counted from 0.
    pub epoch: usize,
    /// Number of epochs.
    pub epochs: usize,
    /// Step within the epoch, counted from 0.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
}

/// One training step as a method sees it.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// What the student gave out; gradients flow into it.
    pub student: &'a Outputs,
    /// What the teacher gave out; carries no gradient.
    pub teacher: Option<&'a Outputs>,
    /// The task, and what is known of the images. Terms that are supervised losses come from it.
    pub supervision: Supervision<'a>,
    /// Position of each image in the training part, `[B]`.
    pub indices: &'a [usize],
    /// How far training is.
    pub progress: Progress,
}

/// One part of a method's loss.
#[derive(Clone, Debug)]
pub struct Term {
    /// Such as `kd`, `tckd`, `hint`; shown in progress and logs. A method gives the same names at
    /// every step.
    pub name: String,
    /// Scalar `[1]`, before its weight.
    pub value: Tensor<1>,
    /// Factor in the total loss.
    pub weight: f64,
}

impl Term {
    /// A term.
    pub fn new(name: &str, value: Tensor<1>, weight: f64) -> Self {
        Self {
            name: name.to_owned(),
            value,
            weight,
        }
    }
}

/// What a method remembers from step to step, by name: shape and numbers, flat.
pub type State = BTreeMap<String, (Vec<usize>, Tensor<1>)>;

/// A method that compares what student and teacher give out for a batch.
///
/// It holds no numbers of its modules: those are in the store that it was built into, as those of
/// an architecture are in a network's (see [`crate::Method`]).
///
/// The total loss of a step is `task_weight · task loss + Σ weight · value` over the terms.
pub trait Criterion: Send + std::fmt::Debug {
    /// What it reads.
    fn needs(&self) -> Needs;

    /// Factor of the supervised loss.
    fn task_weight(&self) -> f64 {
        1.0
    }

    /// What it wants of the images; views, partners and the batch before are given to procedures
    /// alone.
    fn images(&self) -> Images {
        Images::default()
    }

    /// The terms of one step. `pass` is a training pass over the store that the method was built
    /// into, or over a tracked copy of it; methods without modules ignore it.
    ///
    /// # Errors
    /// A batch that the method cannot use.
    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError>;

    /// Called before the first step of each epoch.
    fn start_epoch(&mut self) {}

    /// State besides the modules: part of checkpoints.
    fn state(&self) -> State {
        State::new()
    }

    /// Takes back what [`Criterion::state`] gave.
    ///
    /// # Errors
    /// [`MethodError::State`] where it does not fit.
    fn load_state(&mut self, _state: State) -> Result<(), MethodError> {
        Ok(())
    }

    /// Layer pairs `(student tap, teacher tap)` that are compared, for the user to see.
    fn pairs(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

impl Probe {
    /// Whether the student segments, by the kind of its logits.
    pub(crate) fn segments(&self) -> bool {
        let logits = self.student.last().map(|tap| TaskKind::of(&tap.kind));
        logits == Some(Some(TaskKind::Segmentation))
    }
}

impl TrainingPart {
    /// Images of these classes, in the order of their positions.
    pub fn labelled(labels: Vec<i64>) -> Self {
        Self {
            images: labels.len(),
            labels: Some(labels),
            ..Self::default()
        }
    }

    /// Images of which no classes are known.
    pub fn unlabelled(images: usize) -> Self {
        Self {
            images,
            ..Self::default()
        }
    }

    /// Class of each image, for the method called `method`.
    ///
    /// # Errors
    /// [`MethodError::NoLabels`].
    pub fn labels(&self, method: &str) -> Result<&[i64], MethodError> {
        self.labels.as_deref().ok_or_else(|| MethodError::NoLabels {
            reader: format!("method `{method}`"),
        })
    }
}

impl Step<'_> {
    /// What the teacher gave out, cut off from any gradient graph.
    ///
    /// # Errors
    /// [`MethodError::NoTeacher`].
    pub fn teacher(&self, method: &'static str) -> Result<Outputs, MethodError> {
        match self.teacher {
            Some(teacher) => Ok(teacher.detach()),
            None => Err(MethodError::NoTeacher { method }),
        }
    }

    /// Class of each image, `[B]`; under mixing, the class with the greater share.
    ///
    /// # Errors
    /// [`MethodError::NoLabels`].
    pub fn labels(&self, method: &'static str) -> Result<&Tensor<1, Int>, MethodError> {
        Ok(self.supervision.target.classes(method)?.0)
    }

    /// Logits `[R, K]` of student and teacher wherever they predict, the teacher's cut off from any
    /// gradient graph.
    ///
    /// # Errors
    /// [`MethodError::NoTeacher`]; predictions that the task cannot compare.
    pub fn rows(&self, method: &'static str) -> Result<(Tensor<2>, Tensor<2>), MethodError> {
        let (student, teacher, _) = self.compared(method)?;
        Ok((student, teacher))
    }

    /// [`Step::rows`] with the class of each, `[R]`; under mixing, the one with the greater share.
    ///
    /// # Errors
    /// As [`Step::rows`], and [`MethodError::NoLabels`].
    pub fn labelled_rows(
        &self,
        method: &'static str,
    ) -> Result<(Tensor<2>, Tensor<2>, Tensor<1, Int>), MethodError> {
        let (student, teacher, labels) = self.compared(method)?;
        let labels = labels.ok_or_else(|| MethodError::NoLabels {
            reader: format!("method `{method}`"),
        })?;
        Ok((student, teacher, labels))
    }

    fn compared(
        &self,
        method: &'static str,
    ) -> Result<(Tensor<2>, Tensor<2>, Option<Tensor<1, Int>>), MethodError> {
        let Supervision { task, target } = self.supervision;
        let teacher = self.teacher.map(|teacher| &teacher.prediction);
        let Rows {
            student,
            teacher,
            labels,
        } = task.rows(&self.student.prediction, teacher, target)?;
        let teacher = teacher.ok_or(MethodError::NoTeacher { method })?;
        Ok((student, teacher.inner(), labels))
    }
}

/// The teacher's taps.
pub(crate) fn require_teacher<'a>(
    method: &'static str,
    probe: &'a Probe,
) -> Result<&'a [Tap], MethodError> {
    probe
        .teacher
        .as_deref()
        .ok_or(MethodError::NoTeacher { method })
}

/// `min(e / epochs, 1)` with the epoch e counted from 1: the share of a weight that rises over the
/// first `epochs` epochs.
pub(crate) fn warmup(progress: Progress, epochs: usize) -> f64 {
    ((progress.epoch + 1) as f64 / epochs as f64).min(1.0)
}

/// Refuses a setting that is not a finite number above zero.
pub(crate) fn require_positive(
    method: &'static str,
    key: &'static str,
    value: f64,
) -> Result<(), MethodError> {
    require(method, key, value, value > 0.0, "a number above 0")
}

/// Refuses a weight that is negative or not finite.
pub(crate) fn require_weight(
    method: &'static str,
    key: &'static str,
    value: f64,
) -> Result<(), MethodError> {
    require(method, key, value, value >= 0.0, "a number of at least 0")
}

/// Refuses a share outside 0..=1.
pub(crate) fn require_share(
    method: &'static str,
    key: &'static str,
    value: f64,
) -> Result<(), MethodError> {
    let fits = (0.0..=1.0).contains(&value);
    require(method, key, value, fits, "a number from 0 to 1")
}

/// Refuses a count below `least`.
pub(crate) fn require_at_least(
    method: &'static str,
    key: &'static str,
    value: usize,
    least: usize,
) -> Result<(), MethodError> {
    if value >= least {
        return Ok(());
    }
    Err(MethodError::Setting {
        method,
        key,
        expected: format!("at least {least}"),
        found: value.to_string(),
    })
}

fn require(
    method: &'static str,
    key: &'static str,
    value: f64,
    fits: bool,
    expected: &str,
) -> Result<(), MethodError> {
    if fits && value.is_finite() {
        return Ok(());
    }
    Err(MethodError::Setting {
        method,
        key,
        expected: expected.to_owned(),
        found: value.to_string(),
    })
}
