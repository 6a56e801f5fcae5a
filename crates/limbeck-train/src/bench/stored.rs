//! A teacher whose work is done.

use std::sync::Mutex;

use burn::tensor::{Int, Tensor};
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
    questions: Vec<Question>,
    answers: Vec<Answer>,
    /// Answers given in the step at hand.
    given: usize,
}

enum Question {
    /// Images, and what of the outputs for them.
    Outputs(Tensor<4>, Taps),
    /// Images, the patches of them that are seen, and the block whose tokens are wanted.
    Patches(Tensor<4>, Box<Tensor<2, Int>>, usize),
}

#[derive(Clone)]
enum Answer {
    Outputs(Outputs),
    Patches(Tensor<3>),
}

impl Teacher for Stored<'_> {
    fn name(&self) -> &str {
        "stored outputs"
    }

    fn taps(&self) -> Vec<Tap> {
        self.teacher.taps()
    }

    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, MethodError> {
        match self.answer(Question::Outputs(images.clone(), taps.clone()))? {
            Some(Answer::Outputs(outputs)) => Ok(outputs),
            _ => self.teacher.outputs(images, taps),
        }
    }

    fn outputs_through(&self, images: Tensor<4>, taps: &Taps) -> Option<Outputs> {
        self.teacher.outputs_through(images, taps)
    }

    fn tokens_of_patches(
        &self,
        images: Tensor<4>,
        visible: &Tensor<2, Int>,
        block: usize,
    ) -> Option<Tensor<3>> {
        let question = Question::Patches(images.clone(), Box::new(visible.clone()), block);
        match self.answer(question) {
            Ok(Some(Answer::Patches(tokens))) => Some(tokens),
            _ => self.teacher.tokens_of_patches(images, visible, block),
        }
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

    /// The answer that the question at this place of a step got the first time, or gets now; `None`
    /// where the teacher has none.
    fn answer(&self, question: Question) -> Result<Option<Answer>, MethodError> {
        let Ok(mut asked) = self.asked.lock() else {
            return Ok(None);
        };
        if asked.given == asked.answers.len() {
            let Some(answer) = self.ask(&question)? else {
                return Ok(None);
            };
            asked.questions.push(question);
            asked.answers.push(answer);
        }
        asked.given += 1;
        Ok(Some(asked.answers[asked.given - 1].clone()))
    }

    fn ask(&self, question: &Question) -> Result<Option<Answer>, MethodError> {
        match question {
            Question::Outputs(images, taps) => {
                let outputs = self.teacher.outputs(images.clone(), taps)?;
                Ok(Some(Answer::Outputs(outputs)))
            }
            Question::Patches(images, visible, block) => {
                let tokens = self
                    .teacher
                    .tokens_of_patches(images.clone(), visible, *block);
                Ok(tokens.map(Answer::Patches))
            }
        }
    }

    /// Asks the teacher itself for all that a step asks for.
    ///
    /// # Errors
    /// None: a network answers.
    pub fn ask_again(&self) -> Result<(), MethodError> {
        if let Ok(asked) = self.asked.lock() {
            for question in &asked.questions {
                match self.ask(question)? {
                    Some(Answer::Outputs(outputs)) => drop(outputs.logits().into_data()),
                    Some(Answer::Patches(tokens)) => drop(tokens.into_data()),
                    None => {}
                }
            }
        }
        Ok(())
    }
}
