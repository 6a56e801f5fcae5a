//! # ddgsd — Data-Distortion Guided Self-Distillation for Deep Neural Networks
//!
//! Two distortions of each picture pass through the same network; what it predicts for one teaches
//! the other, and the mean features of both are pulled together. No teacher is needed.
//!
//! ## Definition
//! L = CE(z_a, y) + CE(z_b, y) + weight · [KL_T(z_b ‖ z_a) + KL_T(z_a ‖ z_b)]
//!   + discrepancy_weight · ‖1/B Σ_b f_a − 1/B Σ_b f_b‖²
//!
//! with KL_T(t ‖ s) = T²/B · Σ_b KL(softmax(t/T) ‖ softmax(s/T)), t detached. z_a, z_b: logits of
//! the two views; f: pooled features, whose gradients flow on both sides; T: `temperature`.
//!
//! `form = "port"`: KL without T² and averaged over the classes too, nothing detached; in place of
//! the features' discrepancy 1/(B·K) · Σ (z_a − z_b)².
//!
//! ## Inputs and shapes
//! Two views of the images `[B, C, H, W]`, logits `[B, K]`, tap `pooled` `[B, D]`, labels `[B]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `form` | `paper` | `paper`, `port` | the equations as two ports read them; `port`: youngerous/ddgsd-pytorch |
//! | `temperature` | 3 | > 0 | paper, as the port states |
//! | `weight` | 1 | ≥ 0 | same |
//! | `discrepancy_weight` | 0.0005 | ≥ 0 | same |
//!
//! ## Notes
//! The authors published no code, and the two ports at hand differ: one has the form `port`, the
//! other (winycg/Self-KD-Lib) halves the cross entropy and compares the means over all numbers of
//! the features. Both views are augmented by the recipe on their own, crop and flip each; the port
//! flips one view and crops the other. They pass as one batch of 2·B, so batch norm sees both.
//! Images are not mixed. Cost: twice a step on labels.
//!
//! ## Reference
//! Xu, Liu. "Data-Distortion Guided Self-Distillation for Deep Neural Networks". AAAI 2019.
//! <https://doi.org/10.1609/aaai.v33i01.33015565>
//! Ports: <https://github.com/youngerous/ddgsd-pytorch> (d07d90c12a76, Apache-2.0),
//! <https://github.com/winycg/Self-KD-Lib> (ede3062d1193, no licence).

#[cfg(test)]
pub mod golden;

use burn::tensor::{
    Tensor,
    activation::{log_softmax, softmax},
};
use limbeck_nn::Taps;
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, Images, MethodError, Probe, Procedure, STUDENT, Scene, Stage, Term,
    criterion::{require_positive, require_weight},
    pairs::{find_map, vector_of},
    softmax::softened_kl,
};

/// The tap whose means are pulled together.
const FEATURE: &str = "pooled";

/// How predictions and features of both views are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistortionForm {
    /// By the equations.
    #[default]
    Paper,
    /// By an unofficial port.
    Port,
}

/// Settings of [`Ddgsd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DdgsdConfig {
    /// How views are compared.
    pub form: DistortionForm,
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the divergences.
    pub weight: f64,
    /// Factor of the features' discrepancy, or of the logits' in the form `port`.
    pub discrepancy_weight: f64,
}

impl Default for DdgsdConfig {
    fn default() -> Self {
        Self {
            form: DistortionForm::Paper,
            temperature: 3.0,
            weight: 1.0,
            discrepancy_weight: 5e-4,
        }
    }
}

/// Two views that teach each other.
#[derive(Clone, Debug)]
pub struct Ddgsd {
    config: DdgsdConfig,
}

/// What one view of a batch gives.
#[derive(Clone, Debug)]
pub struct DistortedView {
    /// `[B, K]`.
    pub logits: Tensor<2>,
    /// Pooled feature, `[B, D]`; not read in the form `port`.
    pub feature: Option<Tensor<2>>,
}

impl Ddgsd {
    const ID: &'static str = "ddgsd";

    /// Checks the settings.
    ///
    /// # Errors
    /// A setting out of range, or a student without the tap `pooled` that the form `paper` reads.
    pub fn new(config: DdgsdConfig, probe: &Probe, _cast: &mut Cast) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "weight", config.weight)?;
        require_weight(Self::ID, "discrepancy_weight", config.discrepancy_weight)?;
        if config.form == DistortionForm::Paper {
            find_map(Self::ID, "student", &probe.student, FEATURE)?;
        }
        Ok(Self { config })
    }

    /// The terms `kl` and `mmd` that compare two views of the same images.
    ///
    /// # Errors
    /// Views of different numbers of images, classes or features.
    pub fn compare(&self, a: &DistortedView, b: &DistortedView) -> Result<[Term; 2], MethodError> {
        require_alike("logits", a.logits.dims(), b.logits.dims())?;
        let temperature = self.config.temperature;
        let (kl, discrepancy) = match self.config.form {
            DistortionForm::Paper => {
                let towards = |student: &DistortedView, teacher: &DistortedView| {
                    let target = teacher.logits.clone().inner();
                    softened_kl(student.logits.clone(), target, temperature)
                };
                (towards(a, b) + towards(b, a), feature_discrepancy(a, b)?)
            }
            DistortionForm::Port => {
                let kl = |s: &DistortedView, t: &DistortedView| {
                    mean_kl(&s.logits, &t.logits, temperature)
                };
                let difference = a.logits.clone() - b.logits.clone();
                (kl(a, b) + kl(b, a), difference.powi_scalar(2).mean())
            }
        };
        Ok([
            Term::new("kl", kl, self.config.weight),
            Term::new("mmd", discrepancy, self.config.discrepancy_weight),
        ])
    }
}

fn require_alike(what: &str, a: [usize; 2], b: [usize; 2]) -> Result<(), MethodError> {
    if a == b {
        return Ok(());
    }
    Err(MethodError::Batch {
        method: Ddgsd::ID,
        reason: format!(
            "it needs two views of the same images; found {what} {a:?} of one and {b:?} of the \
             other"
        ),
    })
}

/// Squared distance of the features' means over the batch, `[1]`.
fn feature_discrepancy(a: &DistortedView, b: &DistortedView) -> Result<Tensor<1>, MethodError> {
    let (Some(a), Some(b)) = (&a.feature, &b.feature) else {
        return Err(MethodError::Batch {
            method: Ddgsd::ID,
            reason: format!("the views were recorded without tap `{FEATURE}`"),
        });
    };
    require_alike("features", a.dims(), b.dims())?;
    let difference = a.clone().mean_dim(0) - b.clone().mean_dim(0);
    Ok(difference.powi_scalar(2).sum())
}

/// Mean over images and classes of the terms of KL(softmax(t/T) ‖ softmax(s/T)), `[1]`.
fn mean_kl(student: &Tensor<2>, teacher: &Tensor<2>, temperature: f64) -> Tensor<1> {
    let student = student.clone().mul_scalar(1.0 / temperature);
    let teacher = teacher.clone().mul_scalar(1.0 / temperature);
    let difference = log_softmax(teacher.clone(), 1) - log_softmax(student, 1);
    (softmax(teacher, 1) * difference).mean()
}

/// The first and the second half of the rows `[2·B, n]`.
fn halves(rows: Tensor<2>) -> [Tensor<2>; 2] {
    let [count, _] = rows.dims();
    let half = count / 2;
    [rows.clone().narrow(0, 0, half), rows.narrow(0, half, half)]
}

impl Procedure for Ddgsd {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let mut stage = Stage::new("train", epochs, vec![Act::training([STUDENT])]);
        stage.images = Images {
            views: 2,
            ..Images::default()
        };
        vec![stage]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let second = batch.views.first().ok_or_else(|| MethodError::Batch {
            method: Self::ID,
            reason: "the batch has no second view".to_owned(),
        })?;
        let images = Tensor::cat(vec![batch.images.clone(), second.clone()], 0);
        let reads_feature = self.config.form == DistortionForm::Paper;
        let taps = match reads_feature {
            true => Taps::from_iter([FEATURE]),
            false => Taps::none(),
        };
        let outputs = scene.train(STUDENT, images, &taps)?;
        let [logits_a, logits_b] = halves(outputs.logits());
        let [feature_a, feature_b] = match reads_feature {
            true => halves(vector_of(Self::ID, "student", &outputs, FEATURE)?).map(Some),
            false => [None, None],
        };
        let task = scene.task(logits_a.clone())? + scene.task(logits_b.clone())?;
        let a = DistortedView {
            logits: logits_a,
            feature: feature_a,
        };
        let b = DistortedView {
            logits: logits_b,
            feature: feature_b,
        };
        let mut terms = vec![Term::new("task", task, 1.0)];
        terms.extend(self.compare(&a, &b)?);
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        assert_close, gradient, leaf, map, network, network_probe, number, numbers, probe, random,
    };

    const FORMS: [DistortionForm; 2] = [DistortionForm::Paper, DistortionForm::Port];

    fn make(config: DdgsdConfig) -> Result<Ddgsd, MethodError> {
        let mut cast = Cast::new(network("resnet8", 1));
        Ddgsd::new(config, &network_probe(), &mut cast)
    }

    fn of(form: DistortionForm) -> Ddgsd {
        let config = DdgsdConfig {
            form,
            ..DdgsdConfig::default()
        };
        make(config).unwrap()
    }

    fn view(name: &str, rows: usize) -> DistortedView {
        DistortedView {
            logits: random(&format!("{name}/z"), [rows, 5]),
            feature: Some(random(&format!("{name}/f"), [rows, 6])),
        }
    }

    fn costs(form: DistortionForm, a: &DistortedView, b: &DistortedView) -> [f64; 2] {
        of(form)
            .compare(a, b)
            .unwrap()
            .map(|term| number(&term.value))
    }

    #[test]
    fn identical_views_cost_nothing_and_swapped_ones_the_same() {
        let (a, b) = (view("a", 4), view("b", 4));
        for form in FORMS {
            assert_close(&costs(form, &a, &a), &[0.0, 0.0]);
            let found = costs(form, &a, &b);
            assert!(found.iter().all(|&cost| cost > 0.01), "{found:?}");
            assert_close(&costs(form, &b, &a), &found);
        }
    }

    #[test]
    fn the_discrepancy_does_not_see_the_order_of_the_images() {
        let a = view("a", 4);
        let turned = DistortedView {
            logits: random("b/z", [4, 5]),
            feature: a.feature.clone().map(|feature| feature.flip([0])),
        };
        assert_close(&costs(DistortionForm::Paper, &a, &turned)[1..], &[0.0]);
    }

    #[test]
    fn each_divergence_teaches_the_student_side_alone() {
        let [a, b] = ["a", "b"].map(|name| DistortedView {
            logits: leaf(view(name, 4).logits),
            feature: Some(leaf(random(name, [4, 6]))),
        });
        let [kl, mmd] = of(DistortionForm::Paper).compare(&a, &b).unwrap();
        let gradients = kl.value.backward();
        let soft =
            |view: &DistortedView| softmax(view.logits.clone().inner().mul_scalar(1.0 / 3.0), 1);
        // ∂/∂z_a = T/B · (softmax(z_a/T) − softmax(z_b/T)), as if z_b were a constant.
        let expected = numbers(&(soft(&a) - soft(&b)).mul_scalar(0.75));
        assert_close(&gradient(&a.logits, &gradients).unwrap(), &expected);
        let gradients = mmd.value.backward();
        for view in [&a, &b] {
            assert!(gradient(view.feature.as_ref().unwrap(), &gradients).is_some());
        }
    }

    #[test]
    fn the_stage_asks_for_two_views() {
        let stages = of(DistortionForm::Paper).stages(3);
        assert_eq!(stages.len(), 1);
        assert_eq!(stages[0].images.views, 2);
        let [first, second] = halves(random("x", [4, 3]));
        let both = Tensor::cat(vec![first, second], 0);
        assert_eq!(numbers(&both), numbers(&random("x", [4, 3])));
    }

    #[test]
    fn unfit_settings_views_and_networks_are_refused() {
        for (temperature, weight, discrepancy_weight, key) in [
            (0.0, 1.0, 5e-4, "temperature"),
            (3.0, -1.0, 5e-4, "weight"),
            (3.0, 1.0, f64::INFINITY, "discrepancy_weight"),
        ] {
            let config = DdgsdConfig {
                form: DistortionForm::Paper,
                temperature,
                weight,
                discrepancy_weight,
            };
            let error = make(config).unwrap_err().to_string();
            assert!(error.contains(&format!("`{key}` must be")), "{error}");
        }
        for form in FORMS {
            let error = of(form).compare(&view("a", 4), &view("b", 3)).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("[4, 5]") && error.contains("[3, 5]"),
                "{error}"
            );
        }
        let mut cast = Cast::new(network("resnet8", 1));
        let probe = probe(&[map("stage1", [2, 4, 4])], &[]);
        let error = Ddgsd::new(DdgsdConfig::default(), &probe, &mut cast);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no tap `pooled`"), "{error}");
    }
}
