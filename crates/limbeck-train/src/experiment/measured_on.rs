//! What a plan's networks are measured on.

use limbeck_data::Part;
use limbeck_methods::{Section, TaskKind};

use super::Plan;
use crate::{TrainError, evaluate::EvaluationSet, segment::Segmenter};

impl Plan {
    /// The images of a part of the data as networks are measured on them, by what the recipe chooses
    /// epochs by.
    ///
    /// # Errors
    /// What the loader refuses.
    pub fn evaluation_set(&self, section: Section) -> Result<EvaluationSet, TrainError> {
        let part = match section {
            Section::Train => &self.dataset.train,
            Section::Validation => &self.dataset.validation,
            Section::Test => &self.dataset.test,
        };
        self.evaluation_set_of(part, section)
    }

    /// The same of any images, which stand for that part.
    ///
    /// # Errors
    /// What the loader refuses.
    pub(super) fn evaluation_set_of(
        &self,
        part: &Part,
        section: Section,
    ) -> Result<EvaluationSet, TrainError> {
        let workers = self.recipe.data.workers;
        if self.task == TaskKind::Segmentation {
            let segmenter = Segmenter::of(&self.recipe);
            let boundary = self.recipe.evaluate.boundary;
            let set = EvaluationSet::of_pixels(
                part.clone(),
                &self.augment,
                segmenter,
                boundary,
                workers,
            )?;
            return Ok(set.of(section));
        }
        if self.task == TaskKind::Detection {
            let evaluate = &self.recipe.evaluate;
            let set = EvaluationSet::of_boxes(part.clone(), &self.augment, evaluate, workers)?;
            return Ok(set.of(section));
        }
        if self.task == TaskKind::Pretraining {
            let set = EvaluationSet::of_embeddings(
                part.clone(),
                &self.dataset.train,
                &self.augment,
                &self.recipe.probe,
                workers,
            )?;
            return Ok(set.of(section));
        }
        let set = EvaluationSet::in_two_sizes(
            part.clone(),
            &self.augment,
            &self.teacher_augment,
            workers,
        )?;
        Ok(set.of(section).chosen_by(self.recipe.train.choose_by))
    }
}
