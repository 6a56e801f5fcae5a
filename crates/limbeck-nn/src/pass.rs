//! One forward pass.

mod recompute;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};

use crate::{
    Cost, Feature, Outputs, ParameterId, Store, Taps,
    integer::{ConvolutionCall, PoolCall, Running, Trace},
    layer::Conv2d,
    seed::{self, Purpose},
};

/// The tap that every network with a convolution has: what its first one gives out, before
/// anything follows. A network whose first batch norm has been folded into it has no such value.
pub const STEM_CONVOLUTION: &str = "stem.conv";

/// The tap that every network has: the images that it was given, `[B, C, H, W]`.
pub const IMAGE: &str = "image";

/// Which statistics batch norms use and whether dropout is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Statistics of the batch, running statistics updated, dropout on.
    Train,
    /// Running statistics, nothing updated, no dropout.
    Evaluate,
}

/// What a batch norm was given, and the running statistics of what it is given.
#[derive(Clone, Debug)]
pub struct NormInput {
    /// `[B, C, H, W]`.
    pub input: Tensor<4>,
    /// Running mean, `[C]`.
    pub mean: Tensor<1>,
    /// Running variance, `[C]`.
    pub variance: Tensor<1>,
}

/// The state of one forward pass over a [`Store`].
#[derive(Debug)]
pub struct Pass<'a> {
    store: &'a Store,
    mode: Mode,
    taps: Taps,
    /// Seed of what layers draw in training (dropout, drop path); each draw counts up.
    seed: u64,
    draws: u64,
    features: BTreeMap<String, Feature>,
    updates: BTreeMap<ParameterId, Tensor<1>>,
    cost: Cost,
    /// Of layers with weights, in a pass that counts.
    layers: Vec<(ParameterId, u64)>,
    /// Least height times width of what a batch norm was given.
    fewest_normalised: Option<usize>,
    /// Products are left out and their results are zeros.
    counting: bool,
    /// Whether no branch is omitted even in training.
    keeps_branches: bool,
    /// The first convolution of the pass, once it has run.
    first_convolution: Option<Conv2d>,
    /// What batch norms were given so far, where that is asked for.
    norm_inputs: Option<Vec<NormInput>>,
    /// What becomes of layers that run in whole numbers.
    integers: Option<InIntegers>,
    /// Units that have run so far.
    units: usize,
    /// Parameters that were read, where that is noted.
    reads: Option<RefCell<BTreeSet<ParameterId>>>,
    /// The store's numbers without their gradients, once a unit has needed them.
    constants: Option<Arc<Store>>,
}

/// A pass in whole numbers, or one that is watched to find out how to run in them.
#[derive(Debug)]
enum InIntegers {
    Running(Running),
    Watched(Trace),
}

impl<'a> Pass<'a> {
    /// A pass over `store` that records `taps`. `seed` decides what dropout layers draw; make it
    /// a function of the step, so that a repeated step repeats its draws.
    pub fn new(store: &'a Store, mode: Mode, taps: Taps, seed: u64) -> Self {
        Self {
            store,
            mode,
            taps,
            seed,
            draws: 0,
            features: BTreeMap::new(),
            updates: BTreeMap::new(),
            cost: Cost::default(),
            layers: Vec::new(),
            fewest_normalised: None,
            counting: false,
            keeps_branches: false,
            first_convolution: None,
            norm_inputs: None,
            integers: store
                .integers
                .clone()
                .filter(|_| mode == Mode::Evaluate)
                .map(|integers| InIntegers::Running(Running::new(integers))),
            units: 0,
            reads: None,
            constants: None,
        }
    }

    /// A pass in evaluation mode that finds shapes and costs alone: convolutions, linear maps and
    /// attention products return zeros of the right shape, which takes a small part of the time.
    pub fn counting(store: &'a Store, taps: Taps) -> Self {
        let mut pass = Self::new(store, Mode::Evaluate, taps, 0);
        pass.counting = true;
        pass.integers = None;
        pass
    }

    /// Says that a whole network runs from `images` `[B, C, H, W]` on.
    pub(crate) fn begin(&mut self, images: &Tensor<4>) {
        let [_, _, height, width] = images.dims();
        match &mut self.integers {
            Some(InIntegers::Running(running)) if self.taps.is_empty() => {
                running.begin([height, width]);
            }
            _ => {}
        }
    }

    /// Has `trace` watch what runs from here on.
    pub(crate) fn watch(&mut self, trace: Trace) {
        self.integers = Some(InIntegers::Watched(trace));
    }

    /// What was watched so far.
    pub(crate) fn take_trace(&mut self) -> Trace {
        match self.integers.take() {
            Some(InIntegers::Watched(trace)) => trace,
            _ => Trace::default(),
        }
    }

    /// The convolution in whole numbers, or what stands for it while the pass is watched: maps of `shape`,
    /// `[B, O, H', W']`. `None` where it runs in single precision.
    pub(crate) fn convolution_in_integers(
        &mut self,
        call: &ConvolutionCall<'_>,
        shape: [usize; 4],
    ) -> Option<Tensor<4>> {
        match self.integers.as_mut()? {
            InIntegers::Running(running) => running.convolution(self.store, call),
            InIntegers::Watched(trace) => trace.convolution(self.store, call, shape),
        }
    }

    /// The same of a pooling; `None` where it is to run on numbers.
    pub(crate) fn max_pool_in_bytes(
        &mut self,
        call: &PoolCall<'_>,
        shape: [usize; 4],
    ) -> Option<Tensor<4>> {
        match self.integers.as_mut()? {
            InIntegers::Running(running) => running.max_pool(self.store),
            InIntegers::Watched(trace) => Some(trace.max_pool(self.store, call, shape)),
        }
    }

    /// The same of a linear layer with `weight` and its own `bias`: `[…, I]` → `[…, O]`.
    pub(crate) fn linear_in_integers<const D: usize>(
        &mut self,
        weight: ParameterId,
        bias: Option<ParameterId>,
        x: &Tensor<D>,
    ) -> Option<Tensor<D>> {
        match self.integers.as_mut()? {
            InIntegers::Running(running) => running.linear(self.store, weight, x),
            InIntegers::Watched(trace) => {
                trace.linear(self.store, weight, bias, x);
                None
            }
        }
    }

    /// Lets drop path rest from here on, for methods whose training has none.
    pub fn keep_branches(&mut self) {
        self.keeps_branches = true;
    }

    /// Whether drop path rests.
    pub(crate) fn keeps_branches(&self) -> bool {
        self.keeps_branches
    }

    /// Notes that a batch norm was given maps of `positions` pixels.
    pub(crate) fn normalise(&mut self, positions: usize) {
        let fewest = self.fewest_normalised.get_or_insert(positions);
        *fewest = positions.min(*fewest);
    }

    /// Keeps what batch norms are given that use their running statistics.
    pub(crate) fn observe_norms(&mut self) {
        self.norm_inputs = Some(Vec::new());
    }

    /// Notes what a batch norm is given and its statistics, made by `statistics`, where that is kept.
    pub(crate) fn note_norm(
        &mut self,
        input: &Tensor<4>,
        statistics: impl FnOnce(&Self) -> [Tensor<1>; 2],
    ) {
        if self.norm_inputs.is_none() {
            return;
        }
        let [mean, variance] = statistics(self);
        let input = input.clone();
        if let Some(inputs) = &mut self.norm_inputs {
            inputs.push(NormInput {
                input,
                mean,
                variance,
            });
        }
    }

    /// What was kept so far.
    pub(crate) fn take_norm_inputs(&mut self) -> Vec<NormInput> {
        self.norm_inputs.take().unwrap_or_default()
    }

    /// Least height times width of what a batch norm was given so far; `None` before the first.
    pub(crate) fn fewest_normalised(&self) -> Option<usize> {
        self.fewest_normalised
    }

    /// The store that is read.
    pub fn store(&self) -> &Store {
        self.store
    }

    /// Where tensors live.
    pub fn device(&self) -> &Device {
        self.store.device()
    }

    /// Element type of the tensors.
    pub fn dtype(&self) -> DType {
        self.store.dtype()
    }

    /// The mode of the pass.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether this is a training pass.
    pub fn is_training(&self) -> bool {
        self.mode == Mode::Train
    }

    /// Whether the pass finds shapes and costs alone.
    pub fn is_counting(&self) -> bool {
        self.counting
    }

    /// Whether layers are computed with the numbers that they have: neither in few bits nor in whole numbers,
    /// nor counted alone.
    pub(crate) fn computes_plainly(&self) -> bool {
        self.store.quantisation.is_none() && self.integers.is_none() && !self.counting
    }

    /// Matrix product over the last two axes, counted: `[…, N, K]` and `[…, K, M]` → `[…, N, M]`
    /// with equal leading axes.
    pub fn matmul<const D: usize>(&mut self, left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
        let mut shape = left.dims();
        let inner = shape[D - 1];
        shape[D - 1] = right.dims()[D - 1];
        let written: usize = shape.iter().product();
        self.count(written * inner, written);
        if self.counting {
            return Tensor::zeros(shape, (self.device(), self.dtype()));
        }
        left.matmul(right)
    }

    /// Whether the tap `name` is to be recorded: for taps that cost something to make.
    pub fn wants(&self, name: &str) -> bool {
        self.taps.wants(name)
    }

    /// Records a tap if it was asked for.
    pub fn tap(&mut self, name: &str, feature: impl FnOnce() -> Feature) {
        if self.taps.wants(name) {
            self.features.insert(name.to_owned(), feature());
        }
    }

    /// Records a feature map `[B, C, H, W]` if it was asked for.
    pub fn tap_map(&mut self, name: &str, map: &Tensor<4>) {
        self.tap(name, || Feature::Map(map.clone()));
    }

    /// Cuts the recorded taps off from any gradient graph.
    pub(crate) fn detach_taps(&mut self) {
        for feature in self.features.values_mut() {
            *feature = feature.detach();
        }
    }

    /// Notes that `convolution` has run, and records what the first one of the pass gave out,
    /// `[B, C, H, W]`; `None` where that is mixed with a batch norm folded into it.
    pub(crate) fn convolved(&mut self, convolution: Conv2d, output: Option<&Tensor<4>>) {
        if self.first_convolution.is_some() {
            return;
        }
        self.first_convolution = Some(convolution);
        if let Some(output) = output {
            self.tap_map(STEM_CONVOLUTION, output);
        }
    }

    /// The first convolution of the pass, once it has run.
    pub(crate) fn first_convolution(&self) -> Option<Conv2d> {
        self.first_convolution
    }

    /// A seed for the next random draw of this pass.
    pub fn next_seed(&mut self) -> u64 {
        self.draws += 1;
        seed::derive(self.seed, Purpose::Layer, self.draws)
    }

    /// The value that `id` has by now: changed earlier in this pass, or the store's. A network
    /// that runs a batch norm twice in one pass updates its statistics twice, as in PyTorch.
    pub fn current(&self, id: ParameterId) -> Tensor<1> {
        self.updates
            .get(&id)
            .cloned()
            .unwrap_or_else(|| self.store.entry(id).value.clone())
    }

    /// Notes a new value, flat, for a statistic; the store itself changes when the caller applies
    /// [`Pass::into_updates`].
    pub fn update(&mut self, id: ParameterId, value: Tensor<1>) {
        self.updates.insert(id, value);
    }

    /// Adds to the counted cost: multiply-accumulates and numbers written, for the whole batch.
    pub fn count(&mut self, macs: usize, activations: usize) {
        self.cost.macs += macs as u64;
        self.cost.activations += activations as u64;
    }

    /// [`Pass::count`] for a layer that multiplies what it is given by `weight`.
    pub(crate) fn count_layer(&mut self, weight: ParameterId, macs: usize, activations: usize) {
        self.count(macs, activations);
        if self.counting {
            self.layers.push((weight, macs as u64));
        }
    }

    /// Multiply-accumulates of each run of a layer, by its weight, in a pass that counts.
    pub(crate) fn layers(&self) -> &[(ParameterId, u64)] {
        &self.layers
    }

    /// The cost counted so far, for the whole batch.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Ends the pass of a network: its outputs, and the statistics it wants changed.
    pub fn finish(self, prediction: Feature) -> (Outputs, BTreeMap<ParameterId, Tensor<1>>) {
        (
            Outputs {
                prediction,
                features: self.features,
            },
            self.updates,
        )
    }

    /// Ends the pass of a method's module: the statistics it wants changed.
    pub fn into_updates(self) -> BTreeMap<ParameterId, Tensor<1>> {
        self.updates
    }
}

impl Store {
    /// Applies the statistics that a training pass over this store or its tracked copy noted.
    pub fn apply(&mut self, updates: BTreeMap<ParameterId, Tensor<1>>) {
        for (id, value) in updates {
            self.set(id, value.inner());
        }
    }
}
