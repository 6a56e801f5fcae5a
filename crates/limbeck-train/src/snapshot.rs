//! All that a learner has learnt or remembers, into a checkpoint and back.
//!
//! Groups: `network`, `average` and `method` are the entries of the stores, `optimizer` and
//! `method-optimizer` the optimisers' states, `state` what the method remembers from step to step.

use burn::tensor::{Device, TensorData};

use crate::{
    TrainError,
    average::WeightAverage,
    checkpoint::{Checkpoint, CheckpointError},
    optimizer::OptimizerError,
    step::Learner,
};

/// Adds everything of `learner` that training changes. It must be settled.
pub fn save(learner: &Learner, checkpoint: &mut Checkpoint) {
    checkpoint.insert_store("network", &learner.network.store);
    if let Some(average) = &learner.average {
        checkpoint.insert_store("average", average.store());
    }
    checkpoint.insert_store("method", learner.method.store());
    checkpoint.insert("optimizer", learner.optimizer.state());
    checkpoint.insert("method-optimizer", learner.method_optimizer.state());
    for (name, (shape, value)) in learner.method.state() {
        let (bytes, _, dtype) = value.into_data().into_parts();
        let data = TensorData::from_bytes(bytes, shape, dtype);
        checkpoint.tensors.insert(format!("state/{name}"), data);
    }
}

/// Puts back what [`save`] took; `updates` is how often the moving average has been updated.
///
/// # Errors
/// A tensor that is missing or does not fit, by name.
pub fn restore(
    learner: &mut Learner,
    checkpoint: &Checkpoint,
    updates: u64,
) -> Result<(), TrainError> {
    let device: Device = learner.network.store.device().clone();
    checkpoint.load_store("network", &mut learner.network.store)?;
    if let Some(average) = &mut learner.average {
        let mut store = average.store().clone();
        checkpoint.load_store("average", &mut store)?;
        *average = WeightAverage::resume(average.decay(), store, updates);
    }
    checkpoint.load_store("method", learner.method.store_mut())?;
    let refused = |group: &str, error: OptimizerError| CheckpointError::Content {
        name: group.to_owned(),
        reason: error.to_string(),
    };
    let state = checkpoint.group("optimizer", &device);
    learner
        .optimizer
        .load_state(&learner.network.store, state)
        .map_err(|error| refused("optimizer", error))?;
    let state = checkpoint.group("method-optimizer", &device);
    learner
        .method_optimizer
        .load_state(learner.method.store(), state)
        .map_err(|error| refused("method-optimizer", error))?;
    let mut values = checkpoint.group("state", &device);
    let mut state = limbeck_methods::State::new();
    for (name, data) in &checkpoint.tensors {
        if let Some(name) = name.strip_prefix("state/")
            && let Some(value) = values.remove(name)
        {
            state.insert(name.to_owned(), (data.shape().to_vec(), value));
        }
    }
    learner.method.load_state(state)?;
    Ok(())
}
