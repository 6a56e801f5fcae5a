//! # tfkd — Revisiting Knowledge Distillation via Label Smoothing Regularization
//!
//! Distillation without a teacher: the student learns from a copy of itself that has been trained
//! before, or from a virtual teacher that is nearly always right.
//!
//! ## Definition
//! z: student logits, T: `temperature`, α: `alpha`, μ: `multiplier`, K: number of classes. Both
//! divergences are averaged over the batch and over the classes, which μ makes up for.
//!
//! `form = "virtual"`: L = (1 − α)·CE(z, y) + α·μ·1/(B·K) Σ_b KL(softmax(p/T) ‖ softmax(z)), where
//! p is `correct` on the label and (1 − `correct`)/(K − 1) on every other class: the softmax of
//! probabilities, and the student's logits are not divided by T.
//!
//! `form = "self"`: L = (1 − α)·CE(z, y) + α·μ·T²/(B·K) Σ_b KL(softmax(u/T) ‖ softmax(z/T)), where
//! u are the logits of the copy, in evaluation mode and detached. In a first stage, `copy`, it
//! learns from the labels alone, and goes on from its best epoch; in the second, `train`, the
//! student starts from the weights that the copy started from.
//!
//! ## Inputs and shapes
//! Student logits `[B, K]`, labels `[B]` or the shares of the classes `[B, K]`. Of networks that
//! segment, each pixel that is not void is a row.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `form` | `virtual` | `virtual`, `self` | the paper's Tf-KD_reg and Tf-KD_self |
//! | `temperature` | none | > 0 | 20 in the virtual form, 6 in the other: authors' settings for ResNet18 on CIFAR-100 |
//! | `alpha` | none | 0 to 1 | 0.1 and 0.95, from the same |
//! | `multiplier` | none | ≥ 0 | 100 and 50, from the same |
//! | `correct` | 0.99 | 1/K to 1 | authors' code |
//! | `copy_epochs` | none | ≥ 1 | the recipe's epochs: the code trains the copy like the student |
//!
//! ## Notes
//! The paper softens the student too, and writes the virtual teacher's temperature on its
//! probabilities; the authors' code, followed here, divides neither the student's logits nor takes
//! logarithms before the softmax. Shares of mixed images mix the virtual teacher in the same way.
//! Other published settings: α 0.95, T 40, μ 1 (MobileNetV2, virtual), α 0.95, T 20, μ 1
//! (MobileNetV2 and ShuffleNetV2, self), α 0.9, T 20, μ 50 (DenseNet121, self). Cost: nothing in
//! the virtual form; in the other the copy's training, and its forward pass at each step.
//!
//! ## Reference
//! Yuan, Tay, Li, Wang, Feng. "Revisiting Knowledge Distillation via Label Smoothing
//! Regularization". CVPR 2020. <https://arxiv.org/abs/1909.11723>
//! Authors' code: <https://github.com/yuanli2333/Teacher-free-Knowledge-Distillation>
//! (d000ab378a40, MIT).

#[cfg(test)]
pub mod golden;

use burn::tensor::{
    Int, Tensor,
    activation::{log_softmax, softmax},
};
use limbeck_nn::Taps;
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, MethodError, Probe, Procedure, STUDENT, Scene, Stage, Supervision, Target, Term,
    criterion::{require_at_least, require_positive, require_share, require_weight},
    softmax::{divergence, softened_kl},
};

/// Who stands in for the teacher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TfkdForm {
    /// A fixed distribution for each class.
    #[default]
    Virtual,
    /// A copy of the student that is trained first.
    #[serde(rename = "self")]
    Copy,
}

/// Settings of [`Tfkd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TfkdConfig {
    /// Who stands in for the teacher.
    pub form: TfkdForm,
    /// Softens the target, and in the form with a copy the student; `None` takes the form's.
    pub temperature: Option<f64>,
    /// Share of the divergence, the rest is the labels'; `None` takes the form's.
    pub alpha: Option<f64>,
    /// Factor of the divergence beside its share; `None` takes the form's.
    pub multiplier: Option<f64>,
    /// Probability that the virtual teacher gives to the label.
    pub correct: f64,
    /// Epochs of the copy's training; `None`: as many as the student's.
    pub copy_epochs: Option<usize>,
}

impl Default for TfkdConfig {
    fn default() -> Self {
        Self {
            form: TfkdForm::Virtual,
            temperature: None,
            alpha: None,
            multiplier: None,
            correct: 0.99,
            copy_epochs: None,
        }
    }
}

/// A student without a teacher.
#[derive(Clone, Debug)]
pub struct Tfkd {
    form: TfkdForm,
    temperature: f64,
    alpha: f64,
    multiplier: f64,
    correct: f64,
    copy_epochs: Option<usize>,
}

/// Name of the student's copy in the cast.
const COPY: &str = "copy";

impl Tfkd {
    const ID: &'static str = "tfkd";

    /// Checks the settings and adds the `copy` to the cast where there is to be one.
    ///
    /// # Errors
    /// A setting out of range, or fewer than two classes.
    pub fn new(config: TfkdConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        let (temperature, alpha, multiplier) = match config.form {
            TfkdForm::Virtual => (20.0, 0.1, 100.0),
            TfkdForm::Copy => (6.0, 0.95, 50.0),
        };
        let method = Self {
            form: config.form,
            temperature: config.temperature.unwrap_or(temperature),
            alpha: config.alpha.unwrap_or(alpha),
            multiplier: config.multiplier.unwrap_or(multiplier),
            correct: config.correct,
            copy_epochs: config.copy_epochs,
        };
        require_positive(Self::ID, "temperature", method.temperature)?;
        require_share(Self::ID, "alpha", method.alpha)?;
        require_weight(Self::ID, "multiplier", method.multiplier)?;
        require_share(Self::ID, "correct", method.correct)?;
        require_at_least(Self::ID, "copy_epochs", method.copy_epochs.unwrap_or(1), 1)?;
        if probe.classes < 2 {
            return Err(MethodError::Configuration {
                method: Self::ID.to_owned(),
                reason: format!(
                    "a teacher is to tell classes apart, and the data has {}",
                    probe.classes
                ),
            });
        }
        let least = 1.0 / probe.classes as f64;
        if method.correct < least {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "correct",
                expected: format!(
                    "at least {least:.4}, so that none of the {} classes is more probable than the \
                     label",
                    probe.classes
                ),
                found: method.correct.to_string(),
            });
        }
        if method.form == TfkdForm::Copy {
            let copy = cast.network(STUDENT)?.clone();
            cast.add_network(COPY, copy);
        }
        Ok(method)
    }

    /// Share of the cross entropy in the loss.
    pub fn task_weight(&self) -> f64 {
        1.0 - self.alpha
    }

    /// The softened distribution of the virtual teacher, `[B, K]`, for the labels `[B]` or shares
    /// of the classes `[B, K]` of images with logits like `logits` `[B, K]`.
    pub fn virtual_teacher(
        &self,
        logits: &Tensor<2>,
        labels: &Tensor<1, Int>,
        targets: Option<&Tensor<2>>,
    ) -> Tensor<2> {
        let [_, classes] = logits.dims();
        let shares = match targets {
            Some(targets) => targets.clone(),
            None => {
                let shares = labels.clone().one_hot::<2>(classes).float();
                shares.cast(logits.dtype())
            }
        };
        let other = (1.0 - self.correct) / (classes as f64 - 1.0);
        let probabilities = shares.mul_scalar(self.correct - other).add_scalar(other);
        softmax(probabilities.mul_scalar(1.0 / self.temperature), 1)
    }

    /// The term of the virtual form from student logits and the virtual teacher's softened
    /// distribution, both `[B, K]`.
    pub fn towards_virtual(&self, student: Tensor<2>, teacher: Tensor<2>) -> Term {
        let [_, classes] = student.dims();
        let value = divergence(log_softmax(student, 1), teacher.log());
        self.term("virtual", value, classes)
    }

    /// The term of the form with a copy from student logits and the copy's, both `[B, K]`; the
    /// copy's are constants.
    pub fn towards_copy(&self, student: Tensor<2>, copy: Tensor<2>) -> Term {
        let [_, classes] = student.dims();
        let value = softened_kl(student, copy.inner(), self.temperature);
        self.term("copy", value, classes)
    }

    fn term(&self, name: &str, value: Tensor<1>, classes: usize) -> Term {
        let value = value.mul_scalar(1.0 / classes as f64);
        Term::new(name, value, self.alpha * self.multiplier)
    }
}

impl Procedure for Tfkd {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let train = Stage::new("train", epochs, vec![Act::training([STUDENT])]);
        if self.form == TfkdForm::Virtual {
            return vec![train];
        }
        let epochs = self.copy_epochs.unwrap_or(epochs);
        let copy = Stage {
            student: COPY.to_owned(),
            keeps_best: true,
            ..Stage::new(COPY, epochs, vec![Act::training([COPY])])
        };
        vec![copy, train]
    }

    fn play(
        &mut self,
        stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let images = || batch.images.clone();
        if self.form == TfkdForm::Copy && stage == 0 {
            let copy = scene.train(COPY, images(), &Taps::none())?;
            return scene.supervise_labelled(&copy, 1.0);
        }
        let student = scene.train(STUDENT, images(), &Taps::none())?;
        let taught = match self.form {
            TfkdForm::Virtual => {
                let Supervision { task, target } = scene.supervision();
                let rows = task.rows(&student.prediction, None, target)?;
                let labels = rows.labels.ok_or_else(|| MethodError::NoLabels {
                    reader: format!("method `{}`", Self::ID),
                })?;
                let shares = match target {
                    Target::Classes { shares, .. } => shares.as_ref(),
                    Target::None | Target::Masks(_) | Target::Boxes { .. } => None,
                };
                let teacher = self.virtual_teacher(&rows.student, &labels, shares);
                self.towards_virtual(rows.student, teacher)
            }
            TfkdForm::Copy => {
                let copy = scene.evaluate(COPY, images(), &Taps::none())?;
                let (student, copy) = scene.rows(Self::ID, &student, &copy)?;
                self.towards_copy(student, copy)
            }
        };
        let mut terms = scene.supervise_labelled(&student, self.task_weight())?;
        terms.push(taught);
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        assert_close, gradient, labels, leaf, network, network_probe, number, numbers, random,
        tensor,
    };

    fn make(config: TfkdConfig) -> Result<(Tfkd, Cast), MethodError> {
        let mut cast = Cast::new(network("resnet8", 1));
        let method = Tfkd::new(config, &network_probe(), &mut cast)?;
        Ok((method, cast))
    }

    fn of_form(form: TfkdForm) -> (Tfkd, Cast) {
        let config = TfkdConfig {
            form,
            ..TfkdConfig::default()
        };
        make(config).unwrap()
    }

    #[test]
    fn the_virtual_teacher_is_sure_of_the_label_and_even_when_it_is_hot() {
        let at = |temperature| {
            let config = TfkdConfig {
                temperature: Some(temperature),
                ..TfkdConfig::default()
            };
            let method = make(config).unwrap().0;
            let logits = random("z", [2, 5]);
            numbers(&method.virtual_teacher(&logits, &labels(&[3, 0]), None))
        };
        let rows = at(20.0);
        for (row, label) in rows.chunks(5).zip([3, 0]) {
            assert_close(&[row.iter().sum()], &[1.0]);
            for class in (0..5).filter(|&class| class != label) {
                assert!(row[label] > row[class]);
            }
        }
        assert!(at(1e9).iter().all(|p| (p - 0.2).abs() < 1e-9));
    }

    #[test]
    fn shares_of_mixed_images_mix_the_virtual_teachers_probabilities() {
        let config = TfkdConfig {
            temperature: Some(1.0),
            ..TfkdConfig::default()
        };
        let method = make(config).unwrap().0;
        let logits = random("z", [1, 5]);
        let shares = tensor(vec![0.3, 0.0, 0.7, 0.0, 0.0], [1, 5]);
        let mixed = method.virtual_teacher(&logits, &labels(&[2]), Some(&shares));
        let p = [0.3, 0.0, 0.7, 0.0, 0.0].map(|share| 0.0025 + share * 0.9875);
        let expected = softmax(tensor(p.to_vec(), [1, 5]), 1);
        assert_close(&numbers(&mixed), &numbers(&expected));
        let whole = tensor(vec![0.0, 0.0, 1.0, 0.0, 0.0], [1, 5]);
        assert_close(
            &numbers(&method.virtual_teacher(&logits, &labels(&[2]), Some(&whole))),
            &numbers(&method.virtual_teacher(&logits, &labels(&[2]), None)),
        );
    }

    #[test]
    fn a_student_that_agrees_with_its_copy_pays_cross_entropy_alone() {
        let method = of_form(TfkdForm::Copy).0;
        let logits = random("z", [4, 5]);
        let term = method.towards_copy(logits.clone(), logits);
        assert_close(&[number(&term.value)], &[0.0]);
        assert_close(&[method.task_weight(), term.weight], &[0.05, 47.5]);
    }

    #[test]
    fn no_gradient_reaches_the_copy() {
        let method = of_form(TfkdForm::Copy).0;
        let (z, u) = (leaf(random("z", [4, 5])), leaf(random("u", [4, 5])));
        let gradients = method.towards_copy(z.clone(), u.clone()).value.backward();
        assert!(gradient(&z, &gradients).is_some() && gradient(&u, &gradients).is_none());
    }

    #[test]
    fn the_copy_is_trained_first_from_the_students_weights() {
        let (method, cast) = of_form(TfkdForm::Copy);
        let stages = method.stages(7);
        let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["copy", "train"]);
        assert!(stages[0].keeps_best && stages[0].student == COPY && stages[0].epochs == 7);
        assert!(!stages[1].acts[0].trains(COPY));
        let first = |name: &str| numbers(&cast.store(name).unwrap().entries()[0].value);
        assert_eq!(first(COPY), first(STUDENT));
        let config = TfkdConfig {
            form: TfkdForm::Copy,
            copy_epochs: Some(2),
            ..TfkdConfig::default()
        };
        assert_eq!(make(config).unwrap().0.stages(7)[0].epochs, 2);
        let (method, cast) = of_form(TfkdForm::Virtual);
        assert_eq!((method.stages(7).len(), cast.members().count()), (1, 1));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let refused = |change: fn(&mut TfkdConfig), expected: &str| {
            let mut config = TfkdConfig::default();
            change(&mut config);
            let error = make(config).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(
            |c| c.temperature = Some(0.0),
            "`temperature` must be a number above 0",
        );
        refused(
            |c| c.alpha = Some(1.5),
            "`alpha` must be a number from 0 to 1",
        );
        refused(|c| c.multiplier = Some(-1.0), "`multiplier` must be");
        refused(|c| c.correct = 0.1, "`correct` must be at least 0.2000");
        refused(
            |c| c.correct = 1.1,
            "`correct` must be a number from 0 to 1",
        );
        refused(
            |c| c.copy_epochs = Some(0),
            "`copy_epochs` must be at least 1",
        );
        let mut probe = network_probe();
        probe.classes = 1;
        let mut cast = Cast::new(network("resnet8", 1));
        let error = Tfkd::new(TfkdConfig::default(), &probe, &mut cast).unwrap_err();
        assert!(error.to_string().contains("the data has 1"), "{error}");
    }
}
