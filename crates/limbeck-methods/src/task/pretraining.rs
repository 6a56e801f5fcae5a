//! Embeddings of images, from images alone.

use limbeck_nn::{Feature, Outputs, TaskKind};

use super::{Rows, Task};
use crate::{MethodError, Target, Term};

/// No class is learnt: the method's own terms are all that there is.
#[derive(Clone, Copy, Debug)]
pub struct Pretraining;

impl Task for Pretraining {
    fn kind(&self) -> TaskKind {
        TaskKind::Pretraining
    }

    fn terms(&self, _outputs: &Outputs, _target: &Target) -> Result<Vec<Term>, MethodError> {
        Ok(Vec::new())
    }

    fn rows(
        &self,
        _student: &Feature,
        _teacher: Option<&Feature>,
        _target: &Target,
    ) -> Result<Rows, MethodError> {
        Err(MethodError::NoLabels {
            reader: "pre-training, which predicts no classes".to_owned(),
        })
    }

    fn count_right(&self, _prediction: &Feature, _target: &Target) -> Option<[usize; 2]> {
        None
    }
}
