//! How many bits each layer of a network has.

use std::fmt;

use super::{
    Bits, QuantiseError,
    hybrid::{check_threshold, hybrid_bits},
    layers::{Layer, layers},
};
use crate::Network;

/// How numbers are brought to few bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantiser {
    /// For any network. Weights have levels of their own in each output channel, symmetric about 0
    /// ([`limbeck_kernels::quantise_rows`]). What a layer is given has levels over the range that was
    /// seen in training, 0 among them: least and greatest number of each batch, of which a hundredth is
    /// taken over in each step (PyTorch's `MovingAverageMinMaxObserver`, the default of its
    /// quantisation-aware training). So a layer multiplies whole numbers by whole numbers, whatever
    /// comes before it: a rectifier, another activation, a sum or the image.
    #[default]
    Range,
    /// Of networks whose layers are all followed by a batch norm: weights and rectified activations as
    /// in [`super::dorefa_weight`] and [`super::dorefa_activation`], the activations with the bits of
    /// the layer that they come from. What GHOST's detectors have.
    Dorefa,
}

impl Quantiser {
    /// All of them with their names.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Range, "range"), (Self::Dorefa, "dorefa")];

    /// Its name in recipes and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::Dorefa => "dorefa",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, known)| *known == name).map(|(one, _)| one)
    }
}

/// Bits of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerBits {
    /// State-dict name of its weight.
    pub name: String,
    /// Of its weight.
    pub weight: Bits,
    /// Of what it is given; with [`Quantiser::Dorefa`], of what the rectifier behind it gives out.
    pub activation: Bits,
}

/// Bits of all layers of a network, in the order in which they run. Layers that have none here are in
/// full precision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuantisationPlan {
    /// How numbers are brought to these bits.
    pub quantiser: Quantiser,
    /// Layers of fewer than 32 bits.
    pub layers: Vec<LayerBits>,
}

impl QuantisationPlan {
    /// `bits` in all layers of `network` but the one that gives out the logits. The image that the first
    /// layer is given has the 8 bits that pictures have, or more where `bits` are.
    ///
    /// # Errors
    /// A layer that cannot be quantised so.
    pub fn uniform(
        network: &Network,
        quantiser: Quantiser,
        bits: Bits,
    ) -> Result<Self, QuantiseError> {
        Self::each(network, quantiser, |_| Ok(bits))
    }

    /// Of each layer, the fewest bits whose clusters are nearer to its weights than `threshold`
    /// ([`super::hybrid_bits`]).
    ///
    /// # Errors
    /// As [`QuantisationPlan::uniform`], and a threshold that is not above 0.
    pub fn hybrid(
        network: &Network,
        quantiser: Quantiser,
        threshold: f64,
    ) -> Result<Self, QuantiseError> {
        check_threshold(threshold)?;
        Self::each(network, quantiser, |layer| {
            let entry = network.store.entry(layer.weight);
            let weights: Vec<f64> = entry.value.to_data().iter::<f64>().collect();
            hybrid_bits(&entry.name, &weights, threshold)
        })
    }

    /// These bits for the layers but the one that gives out the logits, in the order in which they run.
    ///
    /// # Errors
    /// As [`QuantisationPlan::uniform`], and another number of bits than of layers.
    pub fn listed(
        network: &Network,
        quantiser: Quantiser,
        bits: &[Bits],
    ) -> Result<Self, QuantiseError> {
        let count = layers(network).iter().filter(|layer| !layer.head).count();
        if bits.len() != count {
            return Err(QuantiseError::Count {
                found: bits.len(),
                layers: count,
            });
        }
        let mut bits = bits.iter();
        Self::each(network, quantiser, |_| {
            Ok(bits.next().copied().unwrap_or(Bits::FULL))
        })
    }

    fn each(
        network: &Network,
        quantiser: Quantiser,
        mut bits: impl FnMut(&Layer) -> Result<Bits, QuantiseError>,
    ) -> Result<Self, QuantiseError> {
        let mut plan = Self {
            quantiser,
            layers: Vec::new(),
        };
        for (number, layer) in layers(network).iter().enumerate() {
            if layer.head {
                continue;
            }
            let weight = bits(layer)?;
            let is_image = quantiser == Quantiser::Range && number == 0;
            plan.layers.push(LayerBits {
                name: network.store.entry(layer.weight).name.clone(),
                weight,
                activation: match is_image {
                    true => weight.max(Bits::BYTE),
                    false => weight,
                },
            });
        }
        plan.layers.retain(|layer| !layer.weight.is_full());
        Ok(plan)
    }

    /// The bits of weights, from fewest to most; `None` where nothing is quantised.
    pub fn range(&self) -> Option<[Bits; 2]> {
        let bits = || self.layers.iter().map(|layer| layer.weight);
        Some([bits().min()?, bits().max()?])
    }

    /// What it does to a layer.
    pub fn layer(&self, name: &str) -> Option<&LayerBits> {
        self.layers.iter().find(|layer| layer.name == name)
    }
}

/// `4 bits`, or `2 to 8 bits`.
impl fmt::Display for QuantisationPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range() {
            None => write!(f, "{} bits", Bits::FULL),
            Some([one, other]) if one == other && one.count() == 1 => write!(f, "1 bit"),
            Some([one, other]) if one == other => write!(f, "{one} bits"),
            Some([fewest, most]) => write!(f, "{fewest} to {most} bits"),
        }
    }
}
