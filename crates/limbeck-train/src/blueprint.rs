//! How a network is built for whatever images a run has: a model of the zoo, or one's own.

use std::fmt;
use std::sync::Arc;

use burn::tensor::{DType, Device};
use limbeck_methods::detection::Anchors;
use limbeck_nn::{
    Architecture, Builder, InputShape, Network, NnError, TaskKind, model,
    weights::{self, StateDict},
};

use crate::{TrainError, model_source, named_model::ModelSource};

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
    /// What its backbone starts from.
    backbone: Option<Arc<StateDict>>,
    /// Width and height in pixels of the anchors of each level, of a detector.
    anchors: Option<Vec<Vec<[f64; 2]>>>,
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
            backbone: None,
            anchors: None,
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
            backbone: None,
            anchors: None,
            build: Arc::new(build),
        }
    }

    /// The same with a backbone that starts from the weights of a classifier: what `source` names, a
    /// run folder or a weights file; those under `key` if one is named.
    ///
    /// # Errors
    /// A source that is neither, or a file that cannot be read.
    pub fn with_backbone(mut self, source: &str, key: Option<&str>) -> Result<Self, TrainError> {
        let file = match ModelSource::recognise(source)? {
            ModelSource::File(file) => file,
            ModelSource::Zoo(name) => {
                return Err(TrainError::ModelSource(format!(
                    "a backbone cannot start from `{name}`, a model of the zoo without weights; name \
                     a weights file or a run folder"
                )));
            }
        };
        self.backbone = Some(Arc::new(StateDict::read_under(&file, key)?));
        let hash = model_source::sha256(&file)?;
        self.identity = format!(
            "{}backbone {hash} {}",
            self.identity,
            key.unwrap_or_default()
        );
        Ok(self)
    }

    /// The same with these anchors, of a detector.
    #[must_use]
    pub(crate) fn with_anchors(mut self, anchors: &Anchors) -> Self {
        let levels = anchors.levels().iter().map(|level| level.sizes.clone());
        self.anchors = Some(levels.collect());
        self
    }

    /// Gives `network` the anchors that were settled, where that was done.
    ///
    /// # Errors
    /// Another number of levels or anchors than it has.
    pub(crate) fn set_anchors(&self, network: &mut Network) -> Result<(), TrainError> {
        if let Some(anchors) = &self.anchors {
            network.set_anchor_sizes(anchors)?;
        }
        Ok(())
    }

    /// The network on the CPU in single precision, with numbers drawn from `seed`.
    ///
    /// # Errors
    /// An input that it does not take; weights of another body than its backbone.
    pub fn network(&self, input: InputShape, seed: u64) -> Result<Network, TrainError> {
        let (device, dtype) = (Device::flex(), DType::F32);
        let build = |builder: &mut Builder<'_>, input| (self.build)(builder, input);
        let mut network = Network::new(&self.name, input, seed, &device, dtype, build)?;
        if let Some(state) = &self.backbone {
            weights::load_backbone(&mut network, state)?;
        }
        self.set_anchors(&mut network)?;
        Ok(network)
    }

    /// What its backbone takes from the file that it starts from, in a sentence; `None` where there
    /// is no such file.
    ///
    /// # Errors
    /// As [`Blueprint::network`].
    pub fn start(&self, input: InputShape) -> Result<Option<String>, TrainError> {
        let Some(state) = &self.backbone else {
            return Ok(None);
        };
        let (device, dtype) = (Device::flex(), DType::F32);
        let build = |builder: &mut Builder<'_>, input| (self.build)(builder, input);
        let mut network = Network::blank(&self.name, input, &device, dtype, build)?;
        let report = weights::load_backbone(&mut network, state)?;
        Ok(Some(format!("`{}` starts with {report}", self.name)))
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

    /// What tells it from others of its name; empty for a model of the zoo that is drawn whole.
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
