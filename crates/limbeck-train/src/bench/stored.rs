//! A teacher whose work is done.

use std::sync::Mutex;

use burn::tensor::Tensor;
use limbeck_methods::{MethodError, Teacher};
use limbeck_nn::{Outputs, Tap, Taps};

use crate::teacher::FrozenTeacher;

/// A teacher whose outputs are at hand once they have been asked for: a step asks for the same
/// ones in the same order every time.
pub(super) struct Stored<'a> {
    teacher: &'a FrozenTeacher,
    asked: Mutex<Asked>,
}

/// What a step asks a teacher for.
#[derive(Default)]
struct Asked {
    questions: Vec<(Tensor<4>, Taps)>,
    answers: Vec<Outputs>,
    /// Answers given in the step at hand.
    given: usize,
}

impl Teacher for Stored<'_> {
    fn name(&self) -> &str {
        "stored outputs"
    }

    fn taps(&self) -> Vec<Tap> {
        self.teacher.taps()
    }

    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, MethodError> {
        let Ok(mut asked) = self.asked.lock() else {
            return self.teacher.outputs(images, taps);
        };
        if asked.given == asked.answers.len() {
            let answer = self.teacher.outputs(images.clone(), taps)?;
            asked.questions.push((images, taps.clone()));
            asked.answers.push(answer);
        }
        asked.given += 1;
        Ok(asked.answers[asked.given - 1].clone())
    }

    fn outputs_through(&self, images: Tensor<4>, taps: &Taps) -> Option<Outputs> {
        self.teacher.outputs_through(images, taps)
    }
}

impl<'a> Stored<'a> {
    /// Nothing has been asked yet.
    pub fn new(teacher: &'a FrozenTeacher) -> Self {
        Self {
            teacher,
            asked: Mutex::default(),
        }
    }

    /// Before a step: its first question is the first one again.
    pub fn rewind(&self) {
        if let Ok(mut asked) = self.asked.lock() {
            asked.given = 0;
        }
    }

    /// Asks the teacher itself for all that a step asks for.
    ///
    /// # Errors
    /// None: a network answers.
    pub fn ask_again(&self) -> Result<(), MethodError> {
        if let Ok(asked) = self.asked.lock() {
            for (images, taps) in &asked.questions {
                let outputs = self.teacher.outputs(images.clone(), taps)?;
                let _ = outputs.logits().into_data();
            }
        }
        Ok(())
    }
}
