//! All that a learner has learnt or remembers, into a checkpoint and back.
//!
//! Groups: `cast/<member>` are the entries of the members' stores, `optimizer/<member>` the states
//! of their optimisers, `average` the moving average, `state` what the procedure remembers from
//! step to step.

use burn::tensor::{Device, TensorData};

use crate::{
    TrainError,
    checkpoint::{Checkpoint, CheckpointError},
    step::Learner,
};

/// Adds everything of `learner` that training changes. It must be settled.
pub fn save(learner: &Learner, checkpoint: &mut Checkpoint) {
    for (name, member) in learner.cast.members() {
        checkpoint.insert_store(&format!("cast/{name}"), member.store());
    }
    if let Some(average) = &learner.average {
        checkpoint.insert_store("average", average.store());
    }
    for (name, optimizer) in &learner.optimizers {
        checkpoint.insert(&format!("optimizer/{name}"), optimizer.rule.state());
    }
    for (name, (shape, value)) in learner.procedure.state() {
        let (bytes, _, dtype) = value.into_data().into_parts();
        let data = TensorData::from_bytes(bytes, shape, dtype);
        checkpoint.tensors.insert(format!("state/{name}"), data);
    }
}

/// Puts back what [`save`] took in the stage `stage`; `updates` is how often the moving average
/// has been updated.
///
/// # Errors
/// A tensor that is missing or does not fit, by name.
pub fn restore(
    learner: &mut Learner,
    checkpoint: &Checkpoint,
    stage: usize,
    updates: u64,
) -> Result<(), TrainError> {
    // Optimisers come from the stages gone through so far.
    for index in 0..=stage.min(learner.stages.len() - 1) {
        learner.enter(index)?;
    }
    let device: Device = learner.cast.device().clone();
    let names: Vec<String> = learner
        .cast
        .members()
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in names {
        let store = learner.cast.store_mut(&name)?;
        checkpoint.load_store(&format!("cast/{name}"), store)?;
    }
    if let Some(average) = &mut learner.average {
        let mut store = average.store().clone();
        checkpoint.load_store("average", &mut store)?;
        *average = average.resumed(store, updates);
    }
    for (name, optimizer) in &mut learner.optimizers {
        let group = format!("optimizer/{name}");
        let state = checkpoint.group(&group, &device);
        optimizer
            .rule
            .load_state(learner.cast.store(name)?, state)
            .map_err(|error| CheckpointError::Content {
                name: group,
                reason: error.to_string(),
            })?;
    }
    let mut values = checkpoint.group("state", &device);
    let mut state = limbeck_methods::State::new();
    for (name, data) in &checkpoint.tensors {
        if let Some(name) = name.strip_prefix("state/")
            && let Some(value) = values.remove(name)
        {
            state.insert(name.to_owned(), (data.shape().to_vec(), value));
        }
    }
    learner.procedure.load_state(state)?;
    Ok(())
}
