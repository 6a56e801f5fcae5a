//! How a network is built for whatever images a run has: a model of the zoo, or one's own.

use std::fmt;
use std::sync::Arc;

use burn::tensor::{DType, Device};
use limbeck_nn::{Architecture, Builder, InputShape, Network, NnError, TaskKind, model};

use crate::TrainError;

/// Makes the parameters and the architecture.
type Build =
    dyn Fn(&mut Builder<'_>, InputShape) -> Result<Box<dyn Architecture>, NnError> + Send + Sync;

/// A network that can be built for any input and from any seed.
#[derive(Clone)]
pub struct Blueprint {
    name: String,
    size: usize,
    identity: String,
    /// What it solves, where that is known without building it.
    task: Option<TaskKind>,
    build: Arc<Build>,
}

impl Blueprint {
    /// A model of the zoo.
    ///
    /// # Errors
    /// An unknown name.
    pub fn of_zoo(name: &str) -> Result<Self, TrainError> {
        let model = model::find(name)?;
        Ok(Self {
            name: model.name.clone(),
            size: model.size,
            identity: String::new(),
            task: Some(model.task),
            build: Arc::new(move |builder, input| model.build(builder, input)),
        })
    }

    /// A network of one's own, called `name`, for images of `size` pixels a side where the data has
    /// no common size. `identity` tells it from others of its name: a checkpoint is refused where
    /// that has changed, since nobody can see whether `build` has.
    pub fn own(
        name: &str,
        size: usize,
        identity: &str,
        build: impl Fn(&mut Builder<'_>, InputShape) -> Result<Box<dyn Architecture>, NnError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            size,
            identity: identity.to_owned(),
            task: None,
            build: Arc::new(build),
        }
    }

    /// The network on the CPU in single precision, with numbers drawn from `seed`.
    ///
    /// # Errors
    /// An input that it does not take.
    pub fn network(&self, input: InputShape, seed: u64) -> Result<Network, TrainError> {
        let (device, dtype) = (Device::flex(), DType::F32);
        let build = |builder: &mut Builder<'_>, input| (self.build)(builder, input);
        Ok(Network::new(
            &self.name, input, seed, &device, dtype, build,
        )?)
    }

    /// What the network solves; `None` where it cannot be built for colour images of its own size, or
    /// predicts what no task has.
    pub fn task(&self) -> Option<TaskKind> {
        self.task.or_else(|| {
            let input = InputShape {
                channels: 3,
                height: self.size,
                width: self.size,
                classes: 2,
            };
            let build = |builder: &mut Builder<'_>, input| (self.build)(builder, input);
            let (device, dtype) = (Device::flex(), DType::F32);
            let network = Network::blank(&self.name, input, &device, dtype, build);
            network.ok()?.task()
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Height and width of the images that it is meant for.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What tells it from others of its name; empty for a model of the zoo.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

impl fmt::Debug for Blueprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blueprint")
            .field("name", &self.name)
            .field("size", &self.size)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// A network of the zoo on the CPU in single precision.
///
/// # Errors
/// An unknown name, or an input that the family does not take.
pub fn build(name: &str, input: InputShape, seed: u64) -> Result<Network, TrainError> {
    Blueprint::of_zoo(name)?.network(input, seed)
}
