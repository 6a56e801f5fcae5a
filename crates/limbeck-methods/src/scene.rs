//! One act of a procedure on one batch.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor};
use limbeck_data::Stream;
use limbeck_nn::{
    Feature, Mode, Network, Outputs, ParameterId, Pass, Store, Taps,
    seed::{self, Purpose},
};

use crate::{Act, Batch, Cast, MethodError, Progress, Supervision, Target, Task, Teacher, Term};

/// What a scene is set up with.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Everybody.
    pub cast: &'a Cast,
    /// What happens.
    pub act: &'a Act,
    /// On which images.
    pub batch: &'a Batch,
    /// Where knowledge comes from.
    pub teacher: Option<&'a dyn Teacher>,
    /// How far the stage is.
    pub stage: Progress,
    /// How far the whole run is; its steps are those of the stage.
    pub run: Progress,
    /// What is to be learnt.
    pub task: &'a dyn Task,
    /// Decides what dropout and the method draw; another one at each step.
    pub seed: u64,
}

/// One act on one batch: the forward passes of members and teacher, for
/// [`crate::Procedure::play`].
pub struct Scene<'a> {
    setting: Setting<'a>,
    /// Copies of the members that the act trains, which record gradients.
    tracked: BTreeMap<String, Store>,
    /// Statistics that passes have changed so far, by member.
    updates: BTreeMap<String, Updates>,
    network_passes: u64,
    module_passes: u64,
    draws: u64,
    judged: Option<Feature>,
}

/// Statistics by id.
type Updates = BTreeMap<ParameterId, Tensor<1>>;

/// What an act leaves behind.
pub struct Played {
    /// Copies of trained members that took part; they have the gradients.
    pub tracked: BTreeMap<String, Store>,
    /// Statistics to apply, by member.
    pub updates: BTreeMap<String, BTreeMap<ParameterId, Tensor<1>>>,
    /// Prediction of the first supervised loss.
    pub judged: Option<Feature>,
}

impl<'a> Scene<'a> {
    /// Sets the scene.
    pub fn new(setting: Setting<'a>) -> Self {
        Self {
            setting,
            tracked: BTreeMap::new(),
            updates: BTreeMap::new(),
            network_passes: 0,
            module_passes: 0,
            draws: 0,
            judged: None,
        }
    }

    /// The batch.
    pub fn batch(&self) -> &'a Batch {
        self.setting.batch
    }

    /// Everybody, as they were before the act.
    pub fn cast(&self) -> &'a Cast {
        self.setting.cast
    }

    /// How far the stage is.
    pub fn progress(&self) -> Progress {
        self.setting.stage
    }

    /// How far the whole run is; its steps are those of the stage.
    pub fn run_progress(&self) -> Progress {
        self.setting.run
    }

    /// A seed for something that the method draws: another one at each call and step, the same
    /// when a step is repeated.
    pub fn seed(&mut self) -> u64 {
        self.draws += 1;
        seed::derive(self.setting.seed, Purpose::Method, self.draws)
    }

    /// Random numbers of such a seed.
    pub fn stream(&mut self) -> Stream {
        Stream::of_seed(self.seed())
    }

    /// Runs a network in training mode: statistics of the batch, running statistics updated after
    /// the act, dropout on. Gradients reach its numbers if the act trains it, and its images in
    /// any case. What the supervised loss reads is recorded besides `taps`.
    ///
    /// # Errors
    /// No network of that name.
    pub fn train(
        &mut self,
        member: &str,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        let network = self.setting.cast.network(member)?;
        let seed = seed::derive(self.setting.seed, Purpose::NetworkPass, self.network_passes);
        self.network_passes += 1;
        let mut taps = taps.clone();
        taps.merge(&self.setting.task.taps());
        let store = self.playing(member)?;
        let (outputs, updates) = network.train(store, images, &taps, seed);
        self.keep(member, updates);
        Ok(outputs)
    }

    /// Runs parts of a network in training mode, as [`Scene::train`] does the whole of it: `run` gets
    /// the network, and a pass over its numbers that record gradients if the act trains it.
    ///
    /// # Errors
    /// No network of that name, and whatever `run` refuses.
    pub fn parts<T>(
        &mut self,
        member: &str,
        run: impl FnOnce(&Network, &mut Pass<'_>) -> Result<T, MethodError>,
    ) -> Result<T, MethodError> {
        let network = self.setting.cast.network(member)?;
        let seed = seed::derive(self.setting.seed, Purpose::NetworkPass, self.network_passes);
        self.network_passes += 1;
        let store = self.playing(member)?;
        let mut pass = Pass::new(store, Mode::Train, Taps::none(), seed);
        let made = run(network, &mut pass)?;
        let updates = pass.into_updates();
        self.keep(member, updates);
        Ok(made)
    }

    /// Runs parts of a network in evaluation mode, as [`Scene::evaluate`] does the whole of it.
    ///
    /// # Errors
    /// No network of that name, and whatever `run` refuses.
    pub fn evaluate_parts<T>(
        &self,
        member: &str,
        run: impl FnOnce(&Network, &mut Pass<'_>) -> Result<T, MethodError>,
    ) -> Result<T, MethodError> {
        let network = self.setting.cast.network(member)?;
        let mut pass = Pass::new(&network.store, Mode::Evaluate, Taps::none(), 0);
        run(network, &mut pass)
    }

    /// Runs the head of a network alone (last norm and classifier) in training mode, over the numbers
    /// that [`Scene::train`] runs over, on `feature`, which is what its tap
    /// [`limbeck_nn::Network::head_tap`] has. Gives the prediction.
    ///
    /// # Errors
    /// No network of that name, or one whose head does not read such a feature.
    pub fn head(&mut self, member: &str, feature: Feature) -> Result<Feature, MethodError> {
        let network = self.setting.cast.network(member)?;
        let seed = seed::derive(self.setting.seed, Purpose::NetworkPass, self.network_passes);
        self.network_passes += 1;
        let kind = feature.kind();
        let store = self.playing(member)?;
        let Some((prediction, updates)) = network.train_head(store, feature, seed) else {
            return Err(MethodError::Member {
                name: member.to_owned(),
                reason: format!("has no head that reads a {kind} alone"),
            });
        };
        self.keep(member, updates);
        Ok(prediction)
    }

    /// Runs a network as in training, and leaves no trace: over plain numbers, with statistics of
    /// the batch, and the running ones stay as they are.
    ///
    /// # Errors
    /// No network of that name.
    pub fn rehearse(
        &mut self,
        member: &str,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        let seed = self.seed();
        let network = self.setting.cast.network(member)?;
        Ok(network.train(&network.store, images, taps, seed).0)
    }

    /// Runs a network in training mode as a constant: over plain numbers, with statistics of the
    /// batch, dropout on. Its running statistics are updated after the act as by [`Scene::train`].
    ///
    /// # Errors
    /// No network of that name.
    pub fn train_as_constant(
        &mut self,
        member: &str,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        let seed = self.seed();
        let network = self.setting.cast.network(member)?;
        let mut store = network.store.clone();
        if let Some(updates) = self.updates.get(member) {
            store.apply(updates.clone());
        }
        let (outputs, updates) = network.train(&store, images, taps, seed);
        self.keep(member, updates);
        Ok(outputs)
    }

    /// Runs a network in evaluation mode, over plain numbers: gradients reach its images if these
    /// record them, and nothing else.
    ///
    /// # Errors
    /// No network of that name.
    pub fn evaluate(
        &self,
        member: &str,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        Ok(self.setting.cast.network(member)?.evaluate(images, taps))
    }

    /// Runs a network as in evaluation, without dropout and drop path, over numbers of which those in
    /// `changed` take the place of its own, flat. Gradients reach what is in `changed`, and its own
    /// numbers if the act trains it.
    ///
    /// # Errors
    /// No network of that name.
    pub fn evaluate_over(
        &mut self,
        member: &str,
        changed: Vec<(ParameterId, Tensor<1>)>,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        let network = self.setting.cast.network(member)?;
        let mut store = self.playing(member)?.clone();
        for (id, value) in changed {
            store.set(id, value);
        }
        Ok(network.evaluate_over(&store, images, taps))
    }

    /// Runs modules in training mode, as [`Scene::train`] does networks.
    ///
    /// # Errors
    /// No member of that name.
    pub fn modules<T>(
        &mut self,
        member: &str,
        run: impl FnOnce(&mut Pass<'_>) -> T,
    ) -> Result<T, MethodError> {
        let seed = seed::derive(self.setting.seed, Purpose::ModulePass, self.module_passes);
        self.module_passes += 1;
        let store = self.playing(member)?;
        let mut pass = Pass::new(store, Mode::Train, Taps::none(), seed);
        let made = run(&mut pass);
        let updates = pass.into_updates();
        self.keep(member, updates);
        Ok(made)
    }

    /// Runs modules in evaluation mode, as [`Scene::evaluate`] does networks.
    ///
    /// # Errors
    /// No member of that name.
    pub fn evaluate_modules<T>(
        &self,
        member: &str,
        run: impl FnOnce(&mut Pass<'_>) -> T,
    ) -> Result<T, MethodError> {
        let store = self.setting.cast.store(member)?;
        let mut pass = Pass::new(store, Mode::Evaluate, Taps::none(), 0);
        Ok(run(&mut pass))
    }

    /// Whether there is a teacher.
    pub fn has_teacher(&self) -> bool {
        self.setting.teacher.is_some()
    }

    /// What the teacher gives out for `images`, as constants. A method that asks about anything
    /// but the batch's own images ([`Scene::teacher_of_batch`]) says so in
    /// [`crate::Procedure::questions`].
    ///
    /// # Errors
    /// [`MethodError::NoTeacher`].
    pub fn teacher(
        &self,
        method: &'static str,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        let teacher = self.setting.teacher;
        let teacher = teacher.ok_or(MethodError::NoTeacher { method })?;
        teacher.outputs(images, taps)
    }

    /// What the teacher gives out for the batch's own images in their first view, as constants:
    /// the one question that stored outputs answer.
    ///
    /// # Errors
    /// [`MethodError::NoTeacher`]; stored outputs that cannot be read.
    pub fn teacher_of_batch(
        &self,
        method: &'static str,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        let teacher = self.setting.teacher;
        let teacher = teacher.ok_or(MethodError::NoTeacher { method })?;
        let Batch { images, origin, .. } = self.setting.batch;
        match origin {
            Some(origin) => teacher.outputs_of(origin, images.clone(), taps),
            None => teacher.outputs(images.clone(), taps),
        }
    }

    /// The same with gradients that flow back to `images`.
    ///
    /// # Errors
    /// No teacher, or one that does not look at the images at hand.
    pub fn teacher_through(
        &self,
        method: &'static str,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        let teacher = self.setting.teacher;
        let teacher = teacher.ok_or(MethodError::NoTeacher { method })?;
        teacher
            .outputs_through(images, taps)
            .ok_or_else(|| MethodError::TeacherGradient {
                method,
                teacher: teacher.name().to_owned(),
            })
    }

    /// Tokens `[B, P + n, D]` that the teacher, a vision transformer, has after its block `block`,
    /// counted from 0, where it sees the patches `visible` `[B, n]` of `images` alone; constants.
    ///
    /// # Errors
    /// No teacher, or one that is no vision transformer or does not look at images.
    pub fn teacher_of_patches(
        &self,
        method: &'static str,
        images: Tensor<4>,
        visible: &Tensor<2, Int>,
        block: usize,
    ) -> Result<Tensor<3>, MethodError> {
        let teacher = self.setting.teacher;
        let teacher = teacher.ok_or(MethodError::NoTeacher { method })?;
        let tokens = teacher.tokens_of_patches(images, visible, block);
        tokens.ok_or_else(|| MethodError::Batch {
            method,
            reason: format!(
                "the teacher `{}` is no vision transformer that can be shown some patches alone",
                teacher.name()
            ),
        })
    }

    /// The task, and what is known of the batch's images.
    pub fn supervision(&self) -> Supervision<'a> {
        Supervision {
            task: self.setting.task,
            target: &self.setting.batch.target,
        }
    }

    /// The supervised loss `[1]` of `logits` `[B, K]` of the first view. The first that an act asks
    /// for is of what training accuracy is counted from.
    ///
    /// # Errors
    /// Images without labels, or logits that the task cannot use.
    pub fn task(&mut self, logits: Tensor<2>) -> Result<Tensor<1>, MethodError> {
        self.judge(&Feature::Vector(logits.clone()));
        self.supervision().loss(logits)
    }

    /// The terms of the supervised loss of what a network gave out for the first view, `weight`
    /// times as heavy: none where nothing is known of the images. For methods that go on without.
    ///
    /// # Errors
    /// A prediction that the task cannot use.
    pub fn supervise(&mut self, outputs: &Outputs, weight: f64) -> Result<Vec<Term>, MethodError> {
        self.supervise_with(outputs, &self.setting.batch.target, weight)
    }

    /// The same with `target` in the place of what is known of the first view.
    ///
    /// # Errors
    /// As [`Scene::supervise`].
    pub fn supervise_with(
        &mut self,
        outputs: &Outputs,
        target: &Target,
        weight: f64,
    ) -> Result<Vec<Term>, MethodError> {
        self.judge(&outputs.prediction);
        let mut terms = self.setting.task.terms(outputs, target)?;
        for term in &mut terms {
            term.weight *= weight;
        }
        Ok(terms)
    }

    /// [`Scene::supervise`] for methods that learn nothing without labels.
    ///
    /// # Errors
    /// Images without labels, or a prediction that the task cannot use.
    pub fn supervise_labelled(
        &mut self,
        outputs: &Outputs,
        weight: f64,
    ) -> Result<Vec<Term>, MethodError> {
        let terms = self.supervise(outputs, weight)?;
        match terms.is_empty() {
            true => Err(MethodError::NoLabels {
                reader: "the supervised loss".to_owned(),
            }),
            false => Ok(terms),
        }
    }

    /// Logits `[R, K]` of a network and of another that it learns from, such as the teacher, wherever
    /// the first one predicts on the batch's images; the second one's are constants.
    ///
    /// # Errors
    /// Predictions that the task cannot compare.
    pub fn rows(
        &self,
        method: &'static str,
        student: &Outputs,
        teacher: &Outputs,
    ) -> Result<(Tensor<2>, Tensor<2>), MethodError> {
        let Supervision { task, target } = self.supervision();
        let rows = task.rows(&student.prediction, Some(&teacher.prediction), target)?;
        let teacher = rows.teacher.ok_or(MethodError::NoTeacher { method })?;
        Ok((rows.student, teacher.inner()))
    }

    /// The supervised loss `[1]` of `logits` `[R, K]` of other images, of which `target` is known.
    ///
    /// # Errors
    /// As [`Scene::task`].
    pub fn task_of(&self, logits: Tensor<2>, target: &Target) -> Result<Tensor<1>, MethodError> {
        let task = self.setting.task;
        Supervision { task, target }.loss(logits)
    }

    fn judge(&mut self, prediction: &Feature) {
        if self.judged.is_none() {
            self.judged = Some(prediction.detach());
        }
    }

    /// Ends the act.
    pub fn finish(self) -> Played {
        Played {
            tracked: self.tracked,
            updates: self.updates,
            judged: self.judged,
        }
    }

    /// The numbers that a training pass of `member` runs over: with the statistics that earlier
    /// passes of this act have changed.
    fn playing(&mut self, member: &str) -> Result<&Store, MethodError> {
        if !self.tracked.contains_key(member) {
            let store = self.setting.cast.store(member)?;
            let store = match self.setting.act.trains(member) {
                true => store.tracked(),
                false => store.clone(),
            };
            self.tracked.insert(member.to_owned(), store);
        }
        Ok(&self.tracked[member])
    }

    fn keep(&mut self, member: &str, updates: Updates) {
        if updates.is_empty() {
            return;
        }
        if let Some(store) = self.tracked.get_mut(member) {
            store.apply(updates.clone());
        }
        self.updates
            .entry(member.to_owned())
            .or_default()
            .extend(updates);
    }
}
