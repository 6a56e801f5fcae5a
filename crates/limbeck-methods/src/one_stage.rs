//! The procedure that runs criteria: one stage, one act.

use crate::{
    Act, Cast, Interlude, Method, MethodError, Procedure, Questions, Scene, Stage, State, Step,
    Term, cast::STUDENT,
};

/// Name of the criteria's modules in the cast.
const MODULES: &str = "method";

/// Trains the student with a supervised loss and the terms of one criterion, or of several
/// joined.
#[derive(Debug)]
pub struct OneStage {
    method: Method,
}

impl OneStage {
    /// Moves the method's modules into the cast.
    pub fn new(mut method: Method, cast: &mut Cast) -> Self {
        cast.add_store(MODULES, method.take_store());
        Self { method }
    }
}

impl Procedure for OneStage {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let acts = vec![Act::training([STUDENT, MODULES])];
        vec![Stage {
            images: self.method.images(),
            ..Stage::new("train", epochs, acts)
        }]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let needs = self.method.needs();
        let teacher = match scene.has_teacher() {
            true => Some(scene.teacher_of_batch(MODULES, &needs.teacher)?),
            false => None,
        };
        let student = scene.train(STUDENT, batch.images.clone(), &needs.student)?;
        let step = Step {
            student: &student,
            teacher: teacher.as_ref(),
            supervision: scene.supervision(),
            indices: &batch.indices,
            progress: scene.progress(),
        };
        let more = scene.modules(MODULES, |pass| self.method.terms(&step, pass))??;
        let mut terms = scene.supervise(&student, self.method.task_weight())?;
        terms.extend(more);
        Ok(terms)
    }

    fn begin_epoch(
        &mut self,
        _stage: usize,
        _interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        self.method.start_epoch();
        Ok(())
    }

    fn state(&self) -> State {
        self.method.state()
    }

    fn load_state(&mut self, state: State) -> Result<(), MethodError> {
        self.method.load_state(state)
    }

    fn questions(&self) -> Questions {
        let needs = self.method.needs();
        Questions {
            taps: needs.teacher,
            logits: needs.logits,
            beyond: None,
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.method.pairs()
    }
}
