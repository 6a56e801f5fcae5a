//! What a store knows of its few bits, and what a pass makes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use limbeck_kernels::{Levels, quantise, quantise_rows, value_range};

use super::{
    Bits, LayerBits, QuantisationPlan, QuantiseError, Quantiser, dorefa_activation, dorefa_weight,
    layers::layers,
};
use crate::{Network, ParameterId, Pass, Role, Store, store::Entry};

/// Share of a batch's range in the range that is remembered, as in PyTorch's observer
/// (`averaging_constant`).
const NEW_SHARE: f64 = 0.01;

/// Ends of the state-dict names of ranges; they stand where the weight's `weight` does.
const RANGE: &str = "input_range";

/// Bits of a store's layers, by the ids of their weights.
#[derive(Clone, Debug)]
pub(crate) struct Quantisation {
    plan: QuantisationPlan,
    layers: BTreeMap<ParameterId, Quantised>,
    /// Whether the store's weights are levels already.
    is_stored: bool,
}

/// One layer.
#[derive(Clone, Copy, Debug)]
struct Quantised {
    weight: Bits,
    activation: Bits,
    /// Least and greatest number that it is given, `[2]`: both 0 before anything was seen.
    range: Option<ParameterId>,
}

impl Network {
    /// Has every pass bring weights and activations to the levels of `plan`. Weights stay as they are in
    /// the store, so that they can be trained; ranges that activations are seen in are statistics of the
    /// store from here on.
    ///
    /// # Errors
    /// Weights that have no levels, or a layer that the plan's quantiser cannot serve.
    pub fn quantise(&mut self, plan: &QuantisationPlan) -> Result<(), QuantiseError> {
        self.store.unquantise();
        let mut layers = BTreeMap::new();
        for LayerBits {
            name,
            weight,
            activation,
        } in &plan.layers
        {
            let unknown = || QuantiseError::NoLayer {
                layer: name.clone(),
                network: self.name().to_owned(),
            };
            let id = self.store.find(name).ok_or_else(unknown)?;
            if self.store.entry(id).role != Role::Weight {
                return Err(unknown());
            }
            let range = match plan.quantiser {
                Quantiser::Dorefa => {
                    self.store.check_dorefa(id)?;
                    None
                }
                Quantiser::Range if activation.is_full() => None,
                Quantiser::Range => Some(self.store.add_range(id)),
            };
            let layer = Quantised {
                weight: *weight,
                activation: *activation,
                range,
            };
            layers.insert(id, layer);
        }
        self.store.quantisation = Some(Arc::new(Quantisation {
            plan: plan.clone(),
            layers,
            is_stored: false,
        }));
        Ok(())
    }

    /// State-dict names of the weights of its layers, in the order in which they first run.
    pub fn layer_names(&self) -> Vec<String> {
        let all = layers(self).into_iter();
        all.map(|layer| self.store.entry(layer.weight).name.clone())
            .collect()
    }

    /// The bits of its layers; `None` in full precision.
    pub fn quantisation(&self) -> Option<&QuantisationPlan> {
        Some(&self.store.quantisation.as_ref()?.plan)
    }
}

impl Store {
    /// The range that the layer with this weight has seen its input in, `[low, high]`, both 0 where it
    /// has seen nothing; `None` of layers whose input is not quantised.
    pub fn input_range(&self, weight: ParameterId) -> Option<[f64; 2]> {
        let quantisation = self.quantisation.as_ref()?;
        let range = quantisation.layers.get(&weight)?.range?;
        Some(ends(&self.entry(range).value))
    }

    /// Bits of the layer with this weight: of the weight, and of what it is given. `None` in full precision.
    pub(crate) fn layer_bits(&self, weight: ParameterId) -> Option<[Bits; 2]> {
        let layer = self.quantisation.as_ref()?.layers.get(&weight)?;
        Some([layer.weight, layer.activation])
    }

    /// The same set to what a file tells.
    pub(crate) fn set_input_range(&mut self, weight: ParameterId, range: [f64; 2]) {
        let layers = self.quantisation.as_ref().map(|it| &it.layers);
        let id = layers.and_then(|layers| layers.get(&weight)?.range);
        if let Some(id) = id {
            self.set_values(id, range.to_vec());
        }
    }

    /// Whether an entry is a range of activations, which files keep with the plan.
    pub(crate) fn is_range(&self, id: ParameterId) -> bool {
        let layers = self.quantisation.iter().flat_map(|it| it.layers.values());
        layers
            .filter_map(|layer| layer.range)
            .any(|range| range == id)
    }

    /// Says that the weights are levels already, as those of a packed file are.
    pub(crate) fn hold_levels(&mut self) {
        if let Some(quantisation) = &mut self.quantisation {
            Arc::make_mut(quantisation).is_stored = true;
        }
    }

    /// What a packed file makes codes of, flat: the weights, or with [`Quantiser::Dorefa`] their levels.
    pub(crate) fn packed_from(&self, id: ParameterId) -> Tensor<1> {
        let Entry { value, shape, .. } = self.entry(id);
        match self.quantisation.as_ref().map(|it| it.plan.quantiser) {
            Some(Quantiser::Dorefa) => self.levels_of(id, value.clone(), shape),
            _ => value.clone(),
        }
    }

    /// A copy whose weights are the levels that passes over this store see.
    pub(crate) fn with_levels(&self) -> Self {
        let Some(quantisation) = &self.quantisation else {
            return self.clone();
        };
        let mut store = self.clone();
        for &id in quantisation.layers.keys() {
            let Entry { value, shape, .. } = self.entry(id);
            let levels = self.levels_of(id, value.clone(), shape);
            store.set(id, levels);
        }
        store.hold_levels();
        store
    }

    /// Full precision again.
    fn unquantise(&mut self) {
        if let Some(quantisation) = self.quantisation.take() {
            let ranges = quantisation.layers.values().filter(|it| it.range.is_some());
            self.remove_last(ranges.count());
        }
    }

    fn add_range(&mut self, weight: ParameterId) -> ParameterId {
        let name = &self.entry(weight).name;
        let stem = name.strip_suffix("weight").unwrap_or(name);
        let entry = Entry {
            name: format!("{stem}{RANGE}"),
            shape: vec![2],
            role: Role::Statistic,
            value: Tensor::zeros([2], (self.device(), self.dtype())),
        };
        self.add(entry)
    }

    /// Refuses a layer that no norm follows, which would take back what the quantiser does to its scale.
    fn check_dorefa(&self, weight: ParameterId) -> Result<(), QuantiseError> {
        let Entry { name, value, .. } = self.entry(weight);
        if !self.foldable().iter().any(|(layer, ..)| *layer == weight) {
            return Err(QuantiseError::NoNorm {
                layer: name.clone(),
            });
        }
        dorefa_weight(name, value.clone().inner(), Bits::BYTE).map(drop)
    }

    /// The levels of `weight`, flat, of the layer `id` of `shape`.
    fn levels_of(&self, id: ParameterId, weight: Tensor<1>, shape: &[usize]) -> Tensor<1> {
        let Some(quantisation) = &self.quantisation else {
            return weight;
        };
        let Some(layer) = quantisation.layers.get(&id) else {
            return weight;
        };
        if quantisation.is_stored {
            return weight;
        }
        match quantisation.plan.quantiser {
            Quantiser::Range => {
                let [count] = weight.dims();
                let rows = shape.first().copied().unwrap_or(1).max(1);
                let rows = weight.reshape([rows, count / rows]);
                quantise_rows(rows, layer.weight.count()).reshape([count])
            }
            // Weights that have become zeros in training stay these.
            Quantiser::Dorefa => {
                let name = &self.entry(id).name;
                dorefa_weight(name, weight.clone(), layer.weight).unwrap_or(weight)
            }
        }
    }
}

impl Pass<'_> {
    /// The parameter behind `id`: of a layer of few bits, its levels.
    pub fn get<const D: usize>(&self, id: ParameterId) -> Tensor<D> {
        self.note_read(id);
        let store = self.store();
        if store.quantisation.is_none() || self.is_counting() {
            return store.get(id);
        }
        let entry = store.entry(id);
        let mut shape = [1; D];
        shape.copy_from_slice(&entry.shape);
        let levels = store.levels_of(id, entry.value.clone(), &entry.shape);
        levels.reshape(shape)
    }

    /// What the layer with `weight` is given, in levels where it has few bits. In training the range that
    /// it remembers moves to that of `x` first. Any shape.
    pub(crate) fn layer_input<const D: usize>(
        &mut self,
        weight: ParameterId,
        x: Tensor<D>,
    ) -> Tensor<D> {
        let quantisation = self.store().quantisation.as_ref();
        let layer = quantisation.and_then(|it| it.layers.get(&weight)).copied();
        let Some(Quantised {
            range: Some(id),
            activation,
            ..
        }) = layer
        else {
            return x;
        };
        if self.is_counting() {
            return x;
        }
        let mut range = ends(&self.current(id));
        if self.is_training() {
            let [low, high] = value_range(&x);
            let seen = [low.min(0.0), high.max(0.0)];
            range = match range {
                [0.0, 0.0] => seen,
                [low, high] => [
                    low + NEW_SHARE * (seen[0] - low),
                    high + NEW_SHARE * (seen[1] - high),
                ],
            };
            let data = TensorData::new(range.to_vec(), [2]);
            let value = Tensor::from_data(data, (self.device(), self.dtype()));
            // What evaluation will read, to the bit.
            range = ends(&value);
            self.update(id, value);
        }
        match Levels::covering(range, activation.count()) {
            Some(levels) => quantise(x, levels),
            None => x,
        }
    }

    /// The same for two layers that are given the same; `None` where their levels are not alike.
    pub(crate) fn layers_input<const D: usize>(
        &mut self,
        [first, second]: [ParameterId; 2],
        x: &Tensor<D>,
    ) -> Option<Tensor<D>> {
        let Some(quantisation) = &self.store().quantisation else {
            return Some(x.clone());
        };
        let of = |id| quantisation.layers.get(id).copied();
        match (of(&first), of(&second)) {
            (None, None) => Some(x.clone()),
            (Some(one), Some(other)) if one.activation == other.activation => {
                if let (Some(one), Some(other)) = (one.range, other.range)
                    && ends(&self.current(one)) != ends(&self.current(other))
                {
                    return None;
                }
                let levels = self.layer_input(first, x.clone());
                if let (Some(one), Some(other), true) = (one.range, other.range, self.is_training())
                {
                    let seen = self.current(one).inner();
                    self.update(other, seen);
                }
                Some(levels)
            }
            _ => None,
        }
    }

    /// What the rectifier behind the layer with `weight` gives out, `[B, C, H, W]`, in levels where the
    /// plan has them there.
    pub(crate) fn rectified(&self, weight: ParameterId, y: Tensor<4>) -> Tensor<4> {
        let Some(quantisation) = &self.store().quantisation else {
            return y;
        };
        match quantisation.layers.get(&weight) {
            Some(layer)
                if quantisation.plan.quantiser == Quantiser::Dorefa && !self.is_counting() =>
            {
                dorefa_activation(y, layer.activation)
            }
            _ => y,
        }
    }
}

/// The two numbers of a range.
fn ends(range: &Tensor<1>) -> [f64; 2] {
    let data = range.to_data();
    let mut ends = data.iter::<f64>();
    [ends.next().unwrap_or(0.0), ends.next().unwrap_or(0.0)]
}
