//! The numbers of a network under their state-dict names.

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};

use crate::integer::Integers;
use crate::quantise::Quantisation;

/// Names one entry of a [`Store`]; valid for the store it was made in and for its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterId(pub(crate) usize);

/// What an entry is for. Decides whether it is trained, whether weight decay may leave it out and
/// how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Weight of a convolution or a linear map.
    Weight,
    /// Additive bias of a convolution or a linear map.
    Bias,
    /// Scale of a normalisation.
    NormScale,
    /// Shift of a normalisation.
    NormShift,
    /// Class, distillation or mask token, positional embedding.
    Token,
    /// Running statistic: follows the data, not the gradient.
    Statistic,
    /// Number of batches seen by a batch norm (`num_batches_tracked`, an integer in files).
    Counter,
    /// Settled before training and changed by nothing in it, such as a detector's anchors.
    Constant,
}

impl Role {
    /// Whether the optimiser changes it.
    pub fn is_trained(self) -> bool {
        !matches!(self, Role::Statistic | Role::Counter | Role::Constant)
    }
}

/// One named tensor.
#[derive(Clone, Debug)]
pub struct Entry {
    /// PyTorch state-dict name, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// PyTorch shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// Its numbers, row-major, flat: `[product(shape)]`. Layers give them their shape on use.
    pub value: Tensor<1>,
}

/// An ordered set of named tensors: all that a network or a method's module learns or remembers.
///
/// A clone shares the buffers until one side writes, so a copy costs nothing.
#[derive(Clone, Debug)]
pub struct Store {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// Convolution weight → batch norm scale, and what the norm adds to the variance, for each batch norm that directly follows a
    /// convolution and nothing else reads in between.
    foldable: Vec<(ParameterId, ParameterId, f64)>,
    /// Biases that folding gave to convolutions, by the convolution's weight.
    pub(crate) folded_bias: HashMap<ParameterId, Tensor<1>>,
    /// Batch norms (by their scale) that folding turned into the identity.
    pub(crate) folded_norm: HashMap<ParameterId, ()>,
    /// Whether batch norms use their running statistics in training too, and keep them.
    pub(crate) norms_frozen: bool,
    /// Whether training passes keep of each unit of the network its input alone.
    pub(crate) recomputes_units: bool,
    /// Bits of layers that have few.
    pub(crate) quantisation: Option<Arc<Quantisation>>,
    /// Layers that run in whole numbers.
    pub(crate) integers: Option<Arc<Integers>>,
    device: Device,
    dtype: DType,
}

impl Store {
    /// An empty store whose tensors will live on `device` with element type `dtype`.
    pub fn new(device: &Device, dtype: DType) -> Self {
        Self {
            entries: Vec::new(),
            by_name: HashMap::new(),
            foldable: Vec::new(),
            folded_bias: HashMap::new(),
            folded_norm: HashMap::new(),
            norms_frozen: false,
            recomputes_units: false,
            quantisation: None,
            integers: None,
            device: device.clone(),
            dtype,
        }
    }

    /// Has batch norms keep their running statistics, and use them, in training passes over this store
    /// and its copies: for batches too small for statistics of their own.
    pub fn freeze_norms(&mut self) {
        self.norms_frozen = true;
    }

    /// Has training passes over this store and its copies keep of each unit of the network
    /// ([`crate::Pass::unit`]) its input alone, and the backward pass compute the unit again: less memory
    /// for more work, and the same bits.
    pub fn recompute_units(&mut self) {
        self.recomputes_units = true;
    }

    /// Where the tensors live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Element type of the tensors.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// All entries in the order in which the network made them.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The ids of all entries, in order.
    pub fn ids(&self) -> impl Iterator<Item = ParameterId> + use<> {
        (0..self.entries.len()).map(ParameterId)
    }

    /// The entry behind `id`.
    pub fn entry(&self, id: ParameterId) -> &Entry {
        &self.entries[id.0]
    }

    /// The id of the entry called `name`.
    pub fn find(&self, name: &str) -> Option<ParameterId> {
        self.by_name.get(name).copied().map(ParameterId)
    }

    /// The tensor behind `id` in its own shape of `D` dimensions.
    pub fn get<const D: usize>(&self, id: ParameterId) -> Tensor<D> {
        let entry = &self.entries[id.0];
        let mut shape = [1; D];
        shape.copy_from_slice(&entry.shape);
        entry.value.clone().reshape(shape)
    }

    /// Replaces the numbers behind `id` by `value`, flat, of the same length.
    pub fn set(&mut self, id: ParameterId, value: Tensor<1>) {
        debug_assert_eq!(value.dims(), self.entries[id.0].value.dims());
        self.entries[id.0].value = value;
    }

    /// Takes the numbers behind `id` out, leaving nothing; for updates in place. Put them back
    /// with [`Store::set_taken`] before the store is used again.
    pub fn take(&mut self, id: ParameterId) -> Tensor<1> {
        self.entries[id.0].value.extract()
    }

    /// Puts back what [`Store::take`] took.
    pub fn set_taken(&mut self, id: ParameterId, value: Tensor<1>) {
        self.entries[id.0].value = value;
    }

    /// Replaces the numbers behind `id` by `values`, converted to the store's element type.
    pub fn set_values(&mut self, id: ParameterId, values: Vec<f64>) {
        let count = values.len();
        debug_assert_eq!([count], self.entries[id.0].value.dims());
        self.entries[id.0].value =
            Tensor::from_data(TensorData::new(values, [count]), (&self.device, self.dtype));
    }

    /// Adds an entry. Names are unique in a store: a network that makes one twice is wrong.
    pub(crate) fn add(&mut self, entry: Entry) -> ParameterId {
        let id = self.entries.len();
        let previous = self.by_name.insert(entry.name.clone(), id);
        assert!(
            previous.is_none(),
            "state-dict name `{}` made twice",
            entry.name
        );
        self.entries.push(entry);
        ParameterId(id)
    }

    /// Removes the entries that were added last.
    pub(crate) fn remove_last(&mut self, count: usize) {
        let kept = self.entries.len().saturating_sub(count);
        for entry in self.entries.drain(kept..) {
            self.by_name.remove(&entry.name);
        }
    }

    pub(crate) fn add_foldable(
        &mut self,
        convolution: ParameterId,
        norm: ParameterId,
        epsilon: f64,
    ) {
        self.foldable.push((convolution, norm, epsilon));
    }

    pub(crate) fn foldable(&self) -> &[(ParameterId, ParameterId, f64)] {
        &self.foldable
    }

    /// Whether batch norms were folded into convolutions; see [`Store::folded`].
    pub fn is_folded(&self) -> bool {
        !self.folded_norm.is_empty()
    }

    /// A copy whose trained entries record gradients. Forward passes over it build the graph;
    /// [`Store::gradients`] of the same copy reads the result. Drop it before updating the
    /// original, so that the update happens in place.
    pub fn tracked(&self) -> Self {
        let mut tracked = self.clone();
        for entry in &mut tracked.entries {
            if entry.role.is_trained() {
                entry.value = entry.value.clone().autodiff().require_grad();
            }
        }
        tracked
    }

    /// Whether any entry records gradients.
    pub(crate) fn is_tracked(&self) -> bool {
        self.entries.iter().any(|entry| entry.value.is_tracked())
    }

    /// A copy of which nothing records gradients, and whose units are kept.
    pub(crate) fn constants(&self) -> Self {
        let mut constants = self.clone();
        constants.recomputes_units = false;
        for entry in &mut constants.entries {
            if entry.value.is_tracked() {
                entry.value = entry.value.clone().inner();
            }
        }
        constants
    }

    /// The gradient of each entry, flat, in the store's order; `None` for entries that are not
    /// trained or that the loss does not depend on. `self` is the [`Store::tracked`] copy that
    /// the passes ran over.
    pub fn gradients(&self, gradients: &mut Gradients) -> Vec<Option<Tensor<1>>> {
        self.entries
            .iter()
            .map(|entry| entry.value.grad_remove(gradients).map(Tensor::inner))
            .collect()
    }

    /// Lets trained numbers become `momentum` times their own and the rest of those of `leader`, a store
    /// laid out alike; statistics stay what this store has seen itself.
    pub fn follow(&mut self, leader: &Self, momentum: f64, statistics: bool) {
        for (own, other) in self.entries.iter_mut().zip(&leader.entries) {
            if own.role.is_trained() || (statistics && own.role == Role::Statistic) {
                let value = own.value.extract();
                own.value = limbeck_kernels::moving_average(value, other.value.clone(), momentum);
            }
        }
    }

    /// Number of trained numbers (running statistics and counters left out).
    pub fn trained_count(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.role.is_trained())
            .map(|entry| entry.shape.iter().product::<usize>())
            .sum()
    }
}
