//! Search and training of detectors.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{Feature, Outputs, Taps};

use crate::{
    Batch, MethodError, STUDENT, Scene, Supervision, Target, Term,
    detection::{DetectionLoss, MovingBoxes, TargetBox},
    softmax::softened_kl,
};

use super::{
    COLOUR_MEMBER, GEOMETRY_MEMBER, Tst,
    moved::{augment_and_move, move_boxes},
};

/// No number of the policy is further from 0 where it is used (authors' code for detectors).
const BOUND: f64 = 10.0;
/// The cutout's side is this part of the images' longer one: 128 of 640 pixels (authors' code for COCO).
const CUTOUT_PART: usize = 5;

impl Tst {
    /// Terms of the search from the predictions of both networks on images with `boxes`: the teacher's loss,
    /// and the student's with its signs turned, as means over the images.
    pub fn search_terms_of_cells(
        &self,
        loss: &DetectionLoss,
        student: &Feature,
        teacher: &Feature,
        boxes: &MovingBoxes,
    ) -> Result<[Term; 2], MethodError> {
        let knows = loss.terms_of_moving(&maps(teacher)?, boxes)?.sum();
        let fails = loss.turned(&maps(student)?, boxes)?.sum();
        Ok([
            Term::new("search.teacher", knows, self.config.teacher_weight),
            Term::new("search.student", fails, self.config.student_weight),
        ])
    }

    /// Augmented images and their boxes; gradients reach the policy if the act trains it.
    fn augmented_with_boxes(
        &self,
        scene: &mut Scene<'_>,
        batch: &Batch,
    ) -> Result<(Tensor<4>, MovingBoxes), MethodError> {
        let boxes = boxes_of(batch)?;
        let [_, _, height, width] = batch.images.dims();
        let fifth = (height.max(width) / CUTOUT_PART).max(1);
        let cutout = self.config.cutout.unwrap_or(fifth);
        let (numbers, draws) = self.draw(scene, &batch.images, cutout, Some(BOUND))?;
        let scene = &*scene;
        let (images, maps) = scene.evaluate_modules(COLOUR_MEMBER, |colours| {
            scene.evaluate_modules(GEOMETRY_MEMBER, |geometries| {
                augment_and_move(
                    &self.networks,
                    (colours, geometries),
                    batch.images.clone(),
                    &numbers,
                    &draws,
                    &self.normalisation,
                )
            })
        })??;
        let boxes = match maps {
            Some(maps) => move_boxes(boxes, &maps),
            None => MovingBoxes::still(boxes.to_vec()),
        };
        Ok((images, boxes))
    }

    /// A step of the training.
    pub(super) fn distil_cells(&self, scene: &mut Scene<'_>) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let [count, ..] = batch.images.dims();
        let (augmented, moved) = self.augmented_with_boxes(scene, batch)?;
        let all = Tensor::cat(vec![augmented.inner(), batch.images.clone()], 0);
        let none = Taps::none();
        let teacher = scene.teacher(Self::ID, all.clone(), &none)?;
        let student = scene.train(STUDENT, all, &none)?;
        let [augmented, original] = halves(&student)?;
        let [augmented_teacher, original_teacher] = halves(&teacher)?;
        let moved = Target::Boxes {
            boxes: moved.boxes,
            images: count,
        };
        let mut terms = scene.supervise_labelled(&original, 0.5)?;
        let Supervision { task, target } = scene.supervision();
        for term in task.terms(&augmented, &moved)? {
            let name = format!("{}.augmented", term.name);
            terms.push(Term::new(&name, term.value, 0.5 * term.weight));
        }
        for (name, student, teacher, target) in [
            ("kd.augmented", &augmented, &augmented_teacher, &moved),
            ("kd", &original, &original_teacher, target),
        ] {
            let rows = task.rows(&student.prediction, Some(&teacher.prediction), target)?;
            let teacher = rows
                .teacher
                .ok_or(MethodError::NoTeacher { method: Self::ID })?;
            let value = softened_kl(rows.student, teacher.inner(), self.config.temperature);
            terms.push(Term::new(name, value, 0.5 * self.config.weight));
        }
        Ok(terms)
    }

    /// A step of the search.
    pub(super) fn seek_by_cells(
        &self,
        scene: &mut Scene<'_>,
        loss: &DetectionLoss,
    ) -> Result<[Term; 2], MethodError> {
        let (images, boxes) = self.augmented_with_boxes(scene, scene.batch())?;
        let none = Taps::none();
        let student = scene.evaluate(STUDENT, images.clone(), &none)?.prediction;
        let teacher = scene.teacher_through(Self::ID, images, &none)?.prediction;
        self.search_terms_of_cells(loss, &student, &teacher, &boxes)
    }
}

fn boxes_of(batch: &Batch) -> Result<&[TargetBox], MethodError> {
    match &batch.target {
        Target::Boxes { boxes, .. } => Ok(boxes),
        Target::None | Target::Classes { .. } | Target::Masks(_) => Err(MethodError::NoLabels {
            reader: format!("method `{}`", Tst::ID),
        }),
    }
}

fn no_cells() -> MethodError {
    MethodError::Batch {
        method: Tst::ID,
        reason: "a prediction has no cells; student and teacher have to be detectors".to_owned(),
    }
}

/// The raw maps of a detector.
fn maps(prediction: &Feature) -> Result<Vec<Tensor<5>>, MethodError> {
    prediction.level_maps().ok_or_else(no_cells)
}

/// What was given out for the first and for the second half of the images.
fn halves(outputs: &Outputs) -> Result<[Outputs; 2], MethodError> {
    let Feature::Cells {
        cells,
        anchors,
        levels,
    } = &outputs.prediction
    else {
        return Err(no_cells());
    };
    let count = cells.dims()[0] / 2;
    Ok([0, 1].map(|number| Outputs {
        prediction: Feature::Cells {
            cells: cells.clone().narrow(0, number * count, count),
            anchors: *anchors,
            levels: levels.clone(),
        },
        features: BTreeMap::new(),
    }))
}

#[cfg(test)]
mod tests;
