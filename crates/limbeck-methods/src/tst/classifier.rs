//! Search and training of classifiers.

use burn::tensor::{
    Int, Tensor,
    activation::{log_softmax, softmax},
};
use limbeck_nn::Taps;

use crate::{MethodError, STUDENT, Scene, Supervision, Term, softmax::softened_kl};

use super::{COLOUR_MEMBER, GEOMETRY_MEMBER, Tst, policy::augment};

/// Keeps the logarithm of the student's error finite (authors' code).
const FLOOR: f64 = 1e-8;

impl Tst {
    /// Terms of the search from logits `[B, K]` of both networks and labels `[B]`.
    pub fn search_terms(
        &self,
        student: Tensor<2>,
        teacher: Tensor<2>,
        labels: &Tensor<1, Int>,
    ) -> [Term; 2] {
        let [batch, _] = student.dims();
        let index = labels.clone().reshape([batch, 1]);
        let right = softmax(student, 1).gather(1, index.clone());
        let wrong = (-right).add_scalar(1.0 + FLOOR).log();
        let knows = log_softmax(teacher, 1).gather(1, index);
        let mean = |sum: Tensor<2>| sum.sum().mul_scalar(-1.0 / batch as f64);
        [
            Term::new("search.teacher", mean(knows), self.config.teacher_weight),
            Term::new("search.student", mean(wrong), self.config.student_weight),
        ]
    }

    /// Terms of the training from logits `[2·B, K]`, augmented images first, and labels `[B]` or
    /// shares of the classes `[B, K]`: `task.augmented`, `kd.augmented`, `kd`. The supervised loss
    /// of the original images weighs a half too.
    pub fn distillation_terms(
        &self,
        student: &Tensor<2>,
        teacher: &Tensor<2>,
        supervision: Supervision<'_>,
    ) -> Result<[Term; 3], MethodError> {
        let half = |logits: &Tensor<2>, number| {
            let batch = logits.dims()[0] / 2;
            logits.clone().narrow(0, number * batch, batch)
        };
        let soft = |number| {
            let teacher = half(teacher, number).inner();
            softened_kl(half(student, number), teacher, self.config.temperature)
        };
        let task = supervision.loss(half(student, 0))?;
        let weight = 0.5 * self.config.weight;
        Ok([
            Term::new("task.augmented", task, 0.5),
            Term::new("kd.augmented", soft(0), weight),
            Term::new("kd", soft(1), weight),
        ])
    }

    /// Augmented images; gradients reach the policy if the act trains it.
    fn augmented(
        &self,
        scene: &mut Scene<'_>,
        images: &Tensor<4>,
    ) -> Result<Tensor<4>, MethodError> {
        let [_, _, height, _] = images.dims();
        let cutout = self.config.cutout.unwrap_or(height);
        let (numbers, draws) = self.draw(scene, images, cutout, None)?;
        let scene = &*scene;
        scene.evaluate_modules(COLOUR_MEMBER, |colours| {
            scene.evaluate_modules(GEOMETRY_MEMBER, |geometries| {
                augment(
                    &self.networks,
                    (colours, geometries),
                    images.clone(),
                    &numbers,
                    &draws,
                    &self.normalisation,
                )
            })
        })?
    }

    /// A step of the training.
    pub(super) fn distil_classes(&self, scene: &mut Scene<'_>) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let [count, ..] = batch.images.dims();
        let augmented = self.augmented(scene, &batch.images)?.inner();
        let all = Tensor::cat(vec![augmented, batch.images.clone()], 0);
        let teacher = scene
            .teacher(Self::ID, all.clone(), &Taps::none())?
            .logits();
        let student = scene.train(STUDENT, all, &Taps::none())?.logits();
        let task = scene.task(student.clone().narrow(0, count, count))?;
        let mut terms = vec![Term::new("task", task, 0.5)];
        terms.extend(self.distillation_terms(&student, &teacher, scene.supervision())?);
        Ok(terms)
    }

    /// A step of the search.
    pub(super) fn seek_by_classes(&self, scene: &mut Scene<'_>) -> Result<[Term; 2], MethodError> {
        let batch = scene.batch();
        let images = self.augmented(scene, &batch.images)?;
        let none = Taps::none();
        let student = scene.evaluate(STUDENT, images.clone(), &none)?.logits();
        let teacher = scene.teacher_through(Self::ID, images, &none)?.logits();
        let labels = batch.target.classes(Self::ID)?.0;
        Ok(self.search_terms(student, teacher, labels))
    }
}
