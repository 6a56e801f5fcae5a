//! Which networks a plan trains.

use super::{
    Plan,
    trainer::{Role, Training},
};
use crate::{TrainError, recipe::SideBySide};

impl Plan {
    /// Whether the student is trained by the baseline's method too.
    pub(super) fn has_baseline(&self) -> Result<bool, TrainError> {
        Ok(self.recipe.train.baseline && self.recipe.method.name != self.baseline()?.0)
    }

    /// The method that the recipe's is compared with: labels alone, or what a method that pre-trains adds
    /// to; the recipe's own where it is what others are compared with.
    ///
    /// # Errors
    /// An unknown method.
    pub fn baseline_method(&self) -> Result<&'static str, TrainError> {
        Ok(self.baseline()?.0)
    }

    /// Whether the method reads a teacher that has to be trained first.
    pub fn needs_trained_teacher(&self) -> bool {
        self.trains_teacher()
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

    /// The seeds of its students, in order.
    pub(super) fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let train = &self.recipe.train;
        (train.seed..).take(train.seeds)
    }

    /// The networks that the run trains besides its teacher, in order: of each seed the student, and what it is
    /// compared with.
    pub(super) fn beside_teacher(&self) -> Result<Vec<Training>, TrainError> {
        let mut roles = vec![Role::Student];
        if self.has_baseline()? {
            roles.push(Role::Baseline);
            if self.upper_bound.is_some() {
                roles.push(Role::Bound);
            }
        }
        let of_seed = |seed| roles.iter().map(move |&role| Training { role, seed });
        Ok(self.seeds().flat_map(of_seed).collect())
    }

    /// Refuses more trainings side by side than there are, or than there are threads for.
    pub(super) fn check_side_by_side(&self) -> Result<(), TrainError> {
        let SideBySide::Count(asked) = self.recipe.train.side_by_side else {
            return Ok(());
        };
        let threads = rayon::current_num_threads();
        let trainings = self.beside_teacher()?.len();
        let (found, advice) = match asked {
            _ if asked > trainings => (
                match trainings {
                    1 => "the run trains one network besides its teacher".to_owned(),
                    _ => format!("the run trains {trainings} networks besides its teacher"),
                },
                "more seeds (--seeds)",
            ),
            _ if asked > threads => (
                match threads {
                    1 => "there is one thread, and each needs its own".to_owned(),
                    _ => format!("there are {threads} threads, and each needs its own"),
                },
                "more threads (--threads)",
            ),
            _ => return Ok(()),
        };
        Err(TrainError::Setting(format!(
            "train.side_by_side (--side-by-side) is {asked}, and {found}; give {advice}, a smaller number, or \
             `auto`, which takes what is faster"
        )))
    }
}
