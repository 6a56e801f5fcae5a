//! A network: an architecture with its numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};

use crate::{
    Builder, Cost, Detector, Feature, IMAGE, Mode, NnError, Outputs, ParameterId, Pass,
    STEM_CONVOLUTION, Store, Tap, Taps, TaskKind,
    layer::FrozenConvolution,
    model::{vit::VisionTransformer, vq_autoencoder::VqAutoencoder},
    pass::NormInput,
};

/// What goes in and how many classes come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputShape {
    /// Colour channels.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Number of classes; 0 of a network that predicts its embedding.
    pub classes: usize,
}

impl InputShape {
    /// The same for a network that predicts its embedding.
    pub fn headless(self) -> Self {
        Self { classes: 0, ..self }
    }

    /// The same for images of another size, `[height, width]`.
    pub fn resized(self, [height, width]: [usize; 2]) -> Self {
        Self {
            height,
            width,
            ..self
        }
    }
}

/// Which operations, in which order. Holds no numbers.
pub trait Architecture: Send + Sync + std::fmt::Debug {
    /// Names of all taps in forward order, `logits` left out.
    fn tap_names(&self) -> Vec<String>;

    /// Runs `images` `[B, C, H, W]`, records taps in `pass` and returns the prediction before any
    /// softmax: a vector `[B, K]` of a classifier, a map `[B, K, h, w]` of a network that segments, cells
    /// `[B, N, 5 + K]` of a detector, the embedding `[B, D]` of a classifier that is asked for no classes.
    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature;

    /// What state-dict names of the backbone begin with, dot included, in a network that is a
    /// backbone with a head for its task: `backbone.`. `None` where backbone and head are not told
    /// apart.
    fn backbone_prefix(&self) -> Option<&str> {
        None
    }

    /// What state-dict names of the backbone begin with, dots included, in a network that has them among
    /// others, as detectors do. Empty where [`Architecture::backbone_prefix`] or
    /// [`Architecture::head_names`] tells it.
    fn backbone_names(&self) -> &[&str] {
        &[]
    }

    /// What state-dict names of a classifier's last linear map begin with, dot included: `fc.`.
    /// Everything else is its backbone. Empty where that is not told.
    fn head_names(&self) -> &[&str] {
        &[]
    }

    /// How deep the parameter called `name` is, and how deep the head: `(layer, layers)`, embeddings being
    /// 0 and block `i` being `i + 1`. `None` where layers are not told apart.
    fn layer_of(&self, _name: &str) -> Option<(usize, usize)> {
        None
    }

    /// The vision transformer that it is, for what runs its parts one by one.
    fn transformer(&self) -> Option<&VisionTransformer> {
        None
    }

    /// The autoencoder that it is, for what encodes, quantises and decodes.
    fn vq_autoencoder(&self) -> Option<&VqAutoencoder> {
        None
    }

    /// The detector that it is, for what needs the boxes that its predictions start from.
    fn detector(&self) -> Option<&Detector> {
        None
    }

    /// The tap of what the head reads: tokens before the last norm, the map before it is averaged, the
    /// map before the last 1×1 convolution. `None` where the head cannot be run alone.
    fn head_tap(&self) -> Option<String> {
        None
    }

    /// Runs the head alone (last norm, averaging, dropout, classifier) on `feature`, which is what the
    /// tap [`Architecture::head_tap`] has, on any grid, and returns the prediction. A head that averages
    /// a map takes the average `[B, C]` as well. `None` of a feature of another kind, and where there is
    /// no head tap.
    fn head(&self, _pass: &mut Pass<'_>, _feature: Feature) -> Option<Feature> {
        None
    }
}

/// An architecture with its numbers. A clone shares both until one side is changed.
#[derive(Clone, Debug)]
pub struct Network {
    name: String,
    input: InputShape,
    architecture: Arc<dyn Architecture>,
    /// The numbers.
    pub store: Store,
}

impl Network {
    /// Puts a network together: `build` makes the parameters and the architecture.
    ///
    /// # Errors
    /// Whatever `build` refuses.
    pub fn new(
        name: &str,
        input: InputShape,
        seed: u64,
        device: &Device,
        dtype: DType,
        build: impl FnOnce(&mut Builder<'_>, InputShape) -> Result<Box<dyn Architecture>, NnError>,
    ) -> Result<Self, NnError> {
        let mut store = Store::new(device, dtype);
        let architecture = build(&mut Builder::new(&mut store, seed), input);
        Self::assemble(name, input, store, architecture)
    }

    /// Zoo name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What goes in and how many classes come out.
    pub fn input(&self) -> InputShape {
        self.input
    }

    /// Runs `images` `[B, C, H, W]` in evaluation mode. No gradients are recorded unless the
    /// images record them.
    pub fn evaluate(&self, images: Tensor<4>, taps: &Taps) -> Outputs {
        self.evaluate_over(&self.store, images, taps)
    }

    /// The same over `store`, a copy of this network's in which numbers may be others or record
    /// gradients.
    pub fn evaluate_over(&self, store: &Store, images: Tensor<4>, taps: &Taps) -> Outputs {
        let mut pass = Pass::new(store, Mode::Evaluate, taps.clone(), 0);
        let prediction = self.run(&mut pass, images);
        pass.finish(prediction).0
    }

    /// [`Network::evaluate`], and what each batch norm was given in the order in which they ran, with
    /// the running statistics that it has for it. Of a network whose norms are folded there are none.
    pub fn evaluate_with_norms(&self, images: Tensor<4>, taps: &Taps) -> (Outputs, Vec<NormInput>) {
        let mut pass = Pass::new(&self.store, Mode::Evaluate, taps.clone(), 0);
        pass.observe_norms();
        let prediction = self.run(&mut pass, images);
        let norms = pass.take_norm_inputs();
        (pass.finish(prediction).0, norms)
    }

    /// Runs `images` in training mode over `tracked`, a [`Store::tracked`] copy of this network's
    /// store. Returns the outputs and the statistics to apply to [`Network::store`] afterwards.
    pub fn train(
        &self,
        tracked: &Store,
        images: Tensor<4>,
        taps: &Taps,
        seed: u64,
    ) -> (Outputs, BTreeMap<ParameterId, Tensor<1>>) {
        let mut pass = Pass::new(tracked, Mode::Train, taps.clone(), seed);
        let prediction = self.run(&mut pass, images);
        pass.finish(prediction)
    }

    /// All of the network from `images` `[B, C, H, W]` on.
    pub(crate) fn run(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        pass.tap_map(IMAGE, &images);
        pass.begin(&images);
        self.architecture.forward(pass, images)
    }

    /// The tap of what the head reads: see [`Architecture::head_tap`].
    pub fn head_tap(&self) -> Option<String> {
        self.architecture.head_tap()
    }

    /// Runs the head alone in evaluation mode: see [`Architecture::head`]. `None` where it cannot read
    /// `feature`.
    pub fn evaluate_head(&self, feature: Feature) -> Option<Feature> {
        let mut pass = Pass::new(&self.store, Mode::Evaluate, Taps::none(), 0);
        self.architecture.head(&mut pass, feature)
    }

    /// Runs the head alone in training mode over `tracked`, as [`Network::train`] does the whole
    /// network. `None` where it cannot read `feature`.
    pub fn train_head(
        &self,
        tracked: &Store,
        feature: Feature,
        seed: u64,
    ) -> Option<(Feature, BTreeMap<ParameterId, Tensor<1>>)> {
        let mut pass = Pass::new(tracked, Mode::Train, Taps::none(), seed);
        let prediction = self.architecture.head(&mut pass, feature)?;
        Some((prediction, pass.into_updates()))
    }

    /// A network of which shapes alone are asked: nothing is drawn, all numbers are zero and take
    /// no memory.
    ///
    /// # Errors
    /// Whatever `build` refuses.
    pub fn blank(
        name: &str,
        input: InputShape,
        device: &Device,
        dtype: DType,
        build: impl FnOnce(&mut Builder<'_>, InputShape) -> Result<Box<dyn Architecture>, NnError>,
    ) -> Result<Self, NnError> {
        let mut store = Store::new(device, dtype);
        let architecture = build(&mut Builder::blank(&mut store), input);
        Self::assemble(name, input, store, architecture)
    }

    /// All taps with their shapes, `logits` last.
    pub fn taps(&self) -> Vec<Tap> {
        self.taps_at([self.input.height, self.input.width])
    }

    /// The same for images of another size, `[height, width]`, which networks that segment take.
    pub fn taps_at(&self, [height, width]: [usize; 2]) -> Vec<Tap> {
        let image = Tensor::zeros(
            [1, self.input.channels, height, width],
            (self.store.device(), self.store.dtype()),
        );
        let (outputs, _) = self.count_over(image, Taps::all());
        let mut taps: Vec<Tap> = self
            .tap_names()
            .into_iter()
            .filter_map(|name| {
                let kind = outputs.feature(&name)?.kind();
                Some(Tap { name, kind })
            })
            .collect();
        taps.push(Tap {
            name: "logits".to_owned(),
            kind: outputs.prediction.kind(),
        });
        taps
    }

    /// Names of all taps in forward order, `logits` left out: [`IMAGE`], [`STEM_CONVOLUTION`], then
    /// those of the architecture.
    pub fn tap_names(&self) -> Vec<String> {
        let first = [IMAGE, STEM_CONVOLUTION].map(str::to_owned).into_iter();
        first.chain(self.architecture.tap_names()).collect()
    }

    /// What state-dict names of the backbone begin with, dot included: see
    /// [`Architecture::backbone_prefix`].
    pub fn backbone_prefix(&self) -> Option<&str> {
        self.architecture.backbone_prefix()
    }

    /// Whether `name` is of its backbone, and not of what its task puts on it; `None` where backbone
    /// and head are not told apart.
    pub fn is_backbone(&self, name: &str) -> Option<bool> {
        let heads = self.architecture.head_names();
        let layers = self.architecture.backbone_names();
        match self.backbone_prefix() {
            Some(prefix) => Some(name.starts_with(prefix)),
            None if !layers.is_empty() => Some(layers.iter().any(|layer| name.starts_with(layer))),
            None if heads.is_empty() => None,
            None => Some(!heads.iter().any(|head| name.starts_with(head))),
        }
    }

    /// Whether `name` is of the layer that gives out the prediction: see [`Architecture::head_names`].
    pub(crate) fn is_of_head(&self, name: &str) -> bool {
        let heads = self.architecture.head_names();
        heads.iter().any(|head| name.starts_with(head))
    }

    /// How deep a parameter is: see [`Architecture::layer_of`].
    pub fn layer_of(&self, name: &str) -> Option<(usize, usize)> {
        self.architecture.layer_of(name)
    }

    /// The vision transformer that it is: see [`Architecture::transformer`].
    pub fn transformer(&self) -> Option<&VisionTransformer> {
        self.architecture.transformer()
    }

    /// The autoencoder that it is: see [`Architecture::vq_autoencoder`].
    pub fn vq_autoencoder(&self) -> Option<&VqAutoencoder> {
        self.architecture.vq_autoencoder()
    }

    /// The detector that it is: see [`Architecture::detector`].
    pub fn detector(&self) -> Option<&Detector> {
        self.architecture.detector()
    }

    /// Whether it predicts its embedding, having been asked for no classes.
    pub fn is_headless(&self) -> bool {
        self.input.classes == 0
    }

    /// The convolution that images meet first, as a constant; `None` in a network without one.
    pub fn first_convolution(&self) -> Option<FrozenConvolution> {
        let mut pass = Pass::counting(&self.store, Taps::none());
        self.architecture.forward(&mut pass, self.blank_image());
        let convolution = pass.first_convolution()?;
        Some(convolution.frozen(&self.store))
    }

    /// What it solves, told by what it predicts; `None` of a prediction that no task has.
    pub fn task(&self) -> Option<TaskKind> {
        if self.is_headless() {
            return Some(TaskKind::Pretraining);
        }
        let (outputs, _) = self.count(Taps::none());
        TaskKind::of(&outputs.prediction.kind())
    }

    /// Work and memory for one image.
    pub fn cost(&self) -> Cost {
        self.count(Taps::none()).1
    }

    /// Multiply-accumulates for one image of each run of a layer, by its weight, in the order of the runs.
    pub(crate) fn layer_costs(&self) -> Vec<(ParameterId, u64)> {
        let mut pass = Pass::counting(&self.store, Taps::none());
        self.architecture.forward(&mut pass, self.blank_image());
        pass.layers().to_vec()
    }

    /// Least height times width of the maps that a batch norm normalises; `None` where there is no
    /// batch norm. With 1, one image has one value for a channel, which its own mean makes zero.
    pub fn fewest_normalised(&self) -> Option<usize> {
        let mut pass = Pass::counting(&self.store, Taps::none());
        self.architecture.forward(&mut pass, self.blank_image());
        pass.fewest_normalised()
    }

    /// How many units it consists of that a training pass can forget and compute again
    /// ([`Store::recompute_units`]); 0 of a network that has none.
    pub fn units(&self) -> usize {
        let mut pass = Pass::counting(&self.store, Taps::none());
        self.architecture.forward(&mut pass, self.blank_image());
        pass.units()
    }

    /// A copy for inference alone: each batch norm that directly follows a convolution is folded
    /// into it. What is such a copy already, that of [`Network::in_integers`] too, stays as it is.
    pub fn frozen(&self) -> Self {
        let mut frozen = self.clone();
        frozen.store = self.store.folded();
        frozen
    }

    fn assemble(
        name: &str,
        input: InputShape,
        store: Store,
        architecture: Result<Box<dyn Architecture>, NnError>,
    ) -> Result<Self, NnError> {
        let architecture = architecture.map_err(|error| match error {
            // A family speaks of itself; the caller knows the model's own name.
            NnError::Unsupported { reason, .. } => NnError::Unsupported {
                model: name.to_owned(),
                reason,
            },
            other => other,
        })?;
        Ok(Self {
            name: name.to_owned(),
            input,
            architecture: architecture.into(),
            store,
        })
    }

    /// `[1, C, H, W]` of zeros.
    pub(crate) fn blank_image(&self) -> Tensor<4> {
        let InputShape {
            channels,
            height,
            width,
            ..
        } = self.input;
        Tensor::zeros(
            [1, channels, height, width],
            (self.store.device(), self.store.dtype()),
        )
    }

    /// A counting pass over one image.
    fn count(&self, taps: Taps) -> (Outputs, Cost) {
        self.count_over(self.blank_image(), taps)
    }

    /// A counting pass over `image` `[1, C, H, W]`.
    fn count_over(&self, image: Tensor<4>, taps: Taps) -> (Outputs, Cost) {
        let mut pass = Pass::counting(&self.store, taps);
        pass.tap_map(IMAGE, &image);
        let prediction = self.architecture.forward(&mut pass, image);
        let cost = pass.cost();
        (pass.finish(prediction).0, cost)
    }
}
