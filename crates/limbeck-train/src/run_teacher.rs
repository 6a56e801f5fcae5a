//! The teacher of a run, from the plan to the test at the end.

use std::fmt;
use std::sync::Arc;

use limbeck_data::Normalisation;
use limbeck_methods::{Teacher, detection::Anchors};
use limbeck_nn::{InputShape, Network};
use limbeck_report::Evaluation;

use crate::{
    TrainError, blueprint::Blueprint, cache::StoredAnswers, evaluate::EvaluationSet,
    metric::PartAnswers, teacher::FrozenTeacher,
};

/// The teacher of a run: there already, or trained first on the same data. A clone shares all
/// numbers.
#[derive(Clone)]
pub struct RunTeacher {
    network: Network,
    normalisation: Normalisation,
    classes: Option<Vec<String>>,
    /// What it chose for the images that are measured on, where it cannot be shown them.
    answers: Option<Arc<StoredAnswers>>,
    /// Whether its classes are others than those that are learnt.
    knows_others: bool,
    state: State,
}

#[derive(Clone)]
enum State {
    /// With freshly drawn numbers.
    Untrained(Blueprint),
    /// It gives outputs; `identity` changes with all that decides them.
    Trained {
        outputs: Arc<dyn Teacher>,
        identity: String,
    },
}

impl RunTeacher {
    /// One that is trained first. `normalisation` is that of the run's images.
    ///
    /// # Errors
    /// An input that its network does not take.
    pub fn untrained(
        blueprint: Blueprint,
        input: InputShape,
        seed: u64,
        normalisation: &Normalisation,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            network: blueprint.network(input, seed)?,
            normalisation: normalisation.clone(),
            classes: None,
            answers: None,
            knows_others: false,
            state: State::Untrained(blueprint),
        })
    }

    /// A network that was trained on images normalised by `own`, asked about images normalised by
    /// `student`. `identity` is the hash of its weights' file, or whatever else changes with its
    /// numbers.
    pub fn trained(
        network: Network,
        own: Normalisation,
        student: &Normalisation,
        identity: String,
    ) -> Self {
        let outputs = Arc::new(FrozenTeacher::new(&network, &own, student));
        Self::answering(network, own, outputs, identity)
    }

    /// The same where something else than `network` gives the outputs.
    pub fn answering(
        network: Network,
        normalisation: Normalisation,
        outputs: Arc<dyn Teacher>,
        identity: String,
    ) -> Self {
        Self {
            network,
            normalisation,
            classes: None,
            answers: None,
            knows_others: false,
            state: State::Trained { outputs, identity },
        }
    }

    /// With the names of its classes, where they are known.
    #[must_use]
    pub fn with_classes(mut self, classes: Option<Vec<String>>) -> Self {
        self.classes = classes;
        self
    }

    /// With what it chose for the images that are measured on, which stands for being shown them.
    #[must_use]
    pub fn with_answers(mut self, answers: Option<StoredAnswers>) -> Self {
        self.answers = answers.map(Arc::new);
        self
    }

    /// As one whose classes are others than those that are learnt, or whose task is another: it is asked
    /// for its features, and not measured.
    #[must_use]
    pub fn of_other_classes(mut self) -> Self {
        self.knows_others = true;
        self
    }

    /// Whether its classes are others than those that are learnt.
    pub fn knows_others(&self) -> bool {
        self.knows_others
    }

    /// What it reaches on the images of `set`, as the student of `student` sees them, and what it
    /// answers; `None` as long as it has to be trained first, and of one that knows other classes.
    ///
    /// # Errors
    /// An image that cannot be read, outputs that are not finite or not stored.
    pub fn measured_on(
        &self,
        set: &EvaluationSet,
        student: &Network,
    ) -> Result<Option<(Evaluation, PartAnswers)>, TrainError> {
        let Some(outputs) = self.outputs().filter(|_| !self.knows_others) else {
            return Ok(None);
        };
        let stored = self.answers.as_ref();
        Ok(Some(match stored.and_then(|it| it.of(set.section())) {
            None => set.measure_teacher(outputs, student)?,
            Some(chosen) => {
                let classes = self.network.input().classes;
                set.measure_chosen(chosen, classes)?
            }
        }))
    }

    /// Names of its classes, where they are known.
    pub fn class_names(&self) -> Option<&[String]> {
        self.classes.as_deref()
    }

    /// Names of its classes; their numbers where the names are not known.
    pub fn classes(&self) -> Vec<String> {
        match &self.classes {
            Some(names) => names.clone(),
            None => (0..self.network.input().classes)
                .map(|class| class.to_string())
                .collect(),
        }
    }

    /// Its network; not trained yet where [`RunTeacher::is_trained`] says so.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The normalisation that it is trained with.
    pub fn normalisation(&self) -> &Normalisation {
        &self.normalisation
    }

    /// Whether it can be asked.
    pub fn is_trained(&self) -> bool {
        self.outputs().is_some()
    }

    /// What gives outputs; `None` as long as it has to be trained first.
    pub fn outputs(&self) -> Option<&dyn Teacher> {
        match &self.state {
            State::Untrained(_) => None,
            State::Trained { outputs, .. } => Some(outputs.as_ref()),
        }
    }

    /// What changes with all that decides its outputs; empty as long as it has to be trained first,
    /// on data and by a recipe that the run's own identity holds.
    pub fn identity(&self) -> &str {
        match &self.state {
            State::Untrained(blueprint) => blueprint.identity(),
            State::Trained { identity, .. } => identity,
        }
    }

    /// The same with these anchors where it is trained first, built anew for images of `input`.
    ///
    /// # Errors
    /// Anchors that its network does not take.
    pub(crate) fn with_anchors(
        &self,
        anchors: &Anchors,
        input: InputShape,
        seed: u64,
    ) -> Result<Self, TrainError> {
        match &self.state {
            State::Untrained(blueprint) => {
                let blueprint = blueprint.clone().with_anchors(anchors);
                Self::untrained(blueprint, input, seed, &self.normalisation)
            }
            State::Trained { .. } => Ok(self.clone()),
        }
    }

    /// The same for images of `input`: one that is trained first is built anew.
    ///
    /// # Errors
    /// An input that its network does not take; a trained one takes its own alone.
    pub(crate) fn resized(&self, input: InputShape, seed: u64) -> Result<Self, TrainError> {
        match &self.state {
            State::Untrained(blueprint) => {
                Self::untrained(blueprint.clone(), input, seed, &self.normalisation)
            }
            State::Trained { .. } => {
                let found = self.network.input();
                if [found.height, found.width] == [input.height, input.width] {
                    return Ok(self.clone());
                }
                Err(TrainError::Setting(format!(
                    "the method shows the teacher images of {}×{} pixels, and it takes {}×{}; set \
                     augment.size or the method's ratio accordingly",
                    input.height, input.width, found.height, found.width
                )))
            }
        }
    }
}

impl fmt::Debug for RunTeacher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunTeacher")
            .field("name", &self.network.name())
            .field("trained", &self.is_trained())
            .finish_non_exhaustive()
    }
}
