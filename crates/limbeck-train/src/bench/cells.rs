//! What detectors learn where their speed is measured.

use limbeck_methods::{MethodError, Rows, Target, Task, Term};
use limbeck_nn::{Feature, Outputs, TaskKind};

/// Cells of zeros: stands for the loss of boxes, which is a small part of a step, and asks for no made-up
/// boxes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cells;

impl Task for Cells {
    fn kind(&self) -> TaskKind {
        TaskKind::Detection
    }

    fn terms(&self, outputs: &Outputs, _target: &Target) -> Result<Vec<Term>, MethodError> {
        let squares = outputs.logits().powi_scalar(2);
        Ok(vec![Term::new("task", squares.mean(), 1.0)])
    }

    fn rows(
        &self,
        _student: &Feature,
        _teacher: Option<&Feature>,
        _target: &Target,
    ) -> Result<Rows, MethodError> {
        Err(MethodError::NoLabels {
            reader: "a method that compares classes".to_owned(),
        })
    }

    fn count_right(&self, _prediction: &Feature, _target: &Target) -> Option<[usize; 2]> {
        None
    }
}
