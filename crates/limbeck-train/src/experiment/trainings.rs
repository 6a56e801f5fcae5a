//! Which networks a plan trains.

use super::Plan;
use crate::TrainError;

impl Plan {
    /// Whether the student is trained by the baseline's method too.
    pub(super) fn has_baseline(&self) -> Result<bool, TrainError> {
        Ok(self.recipe.train.baseline && self.recipe.method.name != self.baseline()?.0)
    }

    /// Whether the teacher is trained first.
    pub(super) fn trains_teacher(&self) -> bool {
        let teacher = self.teacher.as_ref();
        teacher.is_some_and(|teacher| !teacher.is_trained())
    }

    /// How many networks the run trains.
    pub(super) fn trainings(&self) -> Result<usize, TrainError> {
        let for_each_seed =
            1 + usize::from(self.has_baseline()?) + usize::from(self.upper_bound.is_some());
        Ok(self.recipe.train.seeds * for_each_seed + usize::from(self.trains_teacher()))
    }
}
