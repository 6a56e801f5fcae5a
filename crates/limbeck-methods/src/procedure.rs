//! The contract of a method that trains in several stages, several networks, or in turns.
//!
//! A procedure is a list of [`Stage`]s. In each stage the trainer takes batch after batch and
//! plays the stage's [`Act`]s one after the other: forward passes and loss terms
//! ([`Procedure::play`]), one backward pass of their weighted sum, one update of the members that
//! the act trains. An act therefore sees what the acts before it have learnt from the same batch.
//! Several members in one act learn simultaneously, in several acts sequentially or in turns.
//!
//! The procedure holds no numbers that are trained: they are in the [`Cast`]. It says what
//! happens; loader, optimisers, schedule, checkpoints and validation are the trainer's.

use limbeck_data::Image;

use crate::{
    Batch, Cast, Images, Likeness, MethodError, Progress, Questions, Reconstruction, Scene, State,
    Teacher, Term,
};

/// A part of the training with the same acts in every step.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Letters, digits and `-`; different for each stage. Shown, and part of file names.
    pub name: String,
    /// Passes over the training images; a stage of 0 epochs only begins.
    pub epochs: usize,
    /// Where the recipe's schedule stands when the stage begins, in epochs.
    pub schedule_from: usize,
    /// Epochs over which the recipe's schedule runs.
    pub schedule_epochs: usize,
    /// What it wants of the images.
    pub images: Images,
    /// The network that is measured on the validation part after each epoch and whose weights are
    /// chosen among its epochs' as the recipe says. The last stage's is the one that is deployed.
    pub student: String,
    /// Whether the network goes on from the chosen weights when the stage has ended; otherwise all
    /// members go on as the last step left them.
    pub keeps_best: bool,
    /// What happens in each step, in order.
    pub acts: Vec<Act>,
}

impl Stage {
    /// A stage that measures the student, with the recipe's schedule over its `epochs`.
    pub fn new(name: &str, epochs: usize, acts: Vec<Act>) -> Self {
        Self {
            name: name.to_owned(),
            epochs,
            schedule_from: 0,
            schedule_epochs: epochs,
            images: Images::default(),
            student: crate::cast::STUDENT.to_owned(),
            keeps_best: false,
            acts,
        }
    }
}

/// One loss and one update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Act {
    /// Members that it changes. Others may take part, as they are.
    pub trains: Vec<Trained>,
    /// What differs from the recipe's optimiser.
    pub optimizer: OptimizerChange,
}

impl Act {
    /// An act that trains these members with the recipe's optimiser.
    pub fn training<'a>(members: impl IntoIterator<Item = &'a str>) -> Self {
        let trains = members.into_iter().map(|member| Trained {
            member: member.to_owned(),
            ..Trained::default()
        });
        Self {
            trains: trains.collect(),
            optimizer: OptimizerChange::default(),
        }
    }

    /// Whether it changes `member`.
    pub fn trains(&self, member: &str) -> bool {
        self.trains.iter().any(|trained| trained.member == member)
    }
}

/// A member that an act changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trained {
    /// Name in the cast.
    pub member: String,
    /// State-dict names, or beginnings of them such as `fc.`, of what stays as it is.
    pub fixed: Vec<String>,
    /// What differs from the act's optimiser.
    pub optimizer: OptimizerChange,
}

/// Rule of an optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    AdamW,
}

/// What differs from the recipe's optimiser; `None` leaves a value as it is there. Another kind
/// starts from PyTorch's defaults of that kind instead.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OptimizerChange {
    /// The rule.
    pub kind: Option<OptimizerKind>,
    /// Read by SGD.
    pub momentum: Option<f64>,
    /// Read by SGD.
    pub nesterov: Option<bool>,
    /// Pull of weights towards zero.
    pub weight_decay: Option<f64>,
    /// Read by AdamW.
    pub beta1: Option<f64>,
    /// Factor of the learning rate of what a network has besides its backbone.
    pub head_factor: Option<f64>,
    /// Whether the members' optimisers forget what they remember when the stage begins.
    /// Otherwise a member's optimiser goes on from stage to stage as long as its settings do.
    pub fresh: bool,
}

/// A member that follows another one: after each update its numbers become `momentum` times
/// their own and the rest of the other's.
#[derive(Clone, Debug, PartialEq)]
pub struct Follower {
    /// Who follows.
    pub member: String,
    /// Whom; a member of the same architecture.
    pub follows: String,
    /// 0 to 1.
    pub momentum: f64,
    /// Whether statistics of batch norms follow too; otherwise they stay what the member has seen itself.
    pub statistics: bool,
}

/// An image that a procedure has made, for the page of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeImage {
    /// The real image that guided it.
    pub guide: Image,
    /// Class of that.
    pub label: usize,
    /// What was made.
    pub image: Image,
    /// The class that it is to be of.
    pub made_for: usize,
    /// The class that it is of for the network that it was made with, and how probable that is.
    pub chosen: (usize, f64),
}

/// What a procedure can see and change between steps.
pub struct Interlude<'a> {
    /// All members.
    pub cast: &'a mut Cast,
    /// Where knowledge comes from.
    pub teacher: Option<&'a dyn Teacher>,
    /// Images that were held out ([`Procedure::held_out`]), or else the sample of the training part
    /// ([`Procedure::sampled`]); `None` where neither was asked for.
    pub held_out: Option<&'a dyn HeldOut>,
}

/// Images of the training part to look at between steps: those that no step trains on, or a sample
/// of those that are trained on.
pub trait HeldOut {
    /// Shows them batch by batch, not augmented, always in the same order.
    ///
    /// # Errors
    /// Images that cannot be read, and whatever `look` returns.
    fn look(
        &self,
        look: &mut dyn FnMut(&Batch) -> Result<(), MethodError>,
    ) -> Result<(), MethodError>;
}

/// A method with stages, networks, optimisers or forward passes of its own.
///
/// `new` of a procedure takes its configuration, the [`crate::Probe`] and the [`Cast`] with the
/// student in it, and adds the members that it needs.
pub trait Procedure: Send + std::fmt::Debug {
    /// Its stages in order, where the recipe asks for `epochs` epochs. Always the same for the
    /// same number.
    fn stages(&self, epochs: usize) -> Vec<Stage>;

    /// Terms of act `act` of stage `stage` for one batch. The total loss of the act is
    /// Σ weight · value. Names are different in all acts of a stage and the same at every step.
    ///
    /// # Errors
    /// A batch that the method cannot use.
    fn play(
        &mut self,
        stage: usize,
        act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError>;

    /// Called before the first step of a stage.
    ///
    /// # Errors
    /// Whatever stands in the way of the stage.
    fn begin_stage(
        &mut self,
        _stage: usize,
        _interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        Ok(())
    }

    /// Called before the first step of each epoch.
    ///
    /// # Errors
    /// Whatever stands in the way of the epoch.
    fn begin_epoch(
        &mut self,
        _stage: usize,
        _interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        Ok(())
    }

    /// Called after the last step of each epoch.
    ///
    /// # Errors
    /// Whatever the method measures then.
    fn end_epoch(
        &mut self,
        _stage: usize,
        _interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        Ok(())
    }

    /// Learning rate of an act at a step, `progress` within the stage; `recipe` is what the
    /// recipe's schedule gives.
    fn learning_rate(&self, _stage: usize, _act: usize, _progress: Progress, recipe: f64) -> f64 {
        recipe
    }

    /// Who follows whom after the update of the step at `progress` within the stage.
    fn followers(&self, _stage: usize, _progress: Progress) -> Vec<Follower> {
        Vec::new()
    }

    /// Share of the training part, of each class, that no step trains on; 0 for none.
    fn held_out(&self) -> f64 {
        0.0
    }

    /// The scene's images, which no step has seen, with a part hidden and reconstructed; asked for when
    /// the last step is done. `None` of a method that hides nothing.
    ///
    /// # Errors
    /// Images that the method cannot use.
    fn reconstruct(&self, _scene: &mut Scene<'_>) -> Result<Option<Reconstruction>, MethodError> {
        Ok(None)
    }

    /// How near the scene's images are to the method's prototypes, position by position; asked for when
    /// the last step is done. `None` of a method without prototypes.
    ///
    /// # Errors
    /// Images, or a teacher, that the method cannot use.
    fn likeness(&self, _scene: &mut Scene<'_>) -> Result<Option<Likeness>, MethodError> {
        Ok(None)
    }

    /// What the user should know before the first step, a line each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Some of the images that it has made, with what they were made by.
    fn made_images(&self) -> Vec<MadeImage> {
        Vec::new()
    }

    /// What looks wrong though the training goes on, a line each; asked for after each epoch, and
    /// told once.
    fn warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Number of training images to look at between steps, although steps train on them too; 0 for
    /// none. They are spread evenly over the training part. For procedures that hold nothing out.
    fn sampled(&self) -> usize {
        0
    }

    /// Whether it gives the student the weights that it starts from, in the place of any others.
    fn gives_start(&self) -> bool {
        false
    }

    /// State besides the cast: part of checkpoints.
    fn state(&self) -> State {
        State::new()
    }

    /// Takes back what [`Procedure::state`] gave.
    ///
    /// # Errors
    /// [`MethodError::State`] where it does not fit.
    fn load_state(&mut self, _state: State) -> Result<(), MethodError> {
        Ok(())
    }

    /// Whether it asks the teacher anything in its steps; one that has taken the weights that it wants
    /// before the first one does not, and nothing is stored for it.
    fn asks_teacher(&self) -> bool {
        true
    }

    /// What it asks the teacher. By default the logits of the batch's own images.
    fn questions(&self) -> Questions {
        Questions::default()
    }

    /// Layer pairs `(student tap, teacher tap)` that are compared, for the user to see.
    fn pairs(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}
