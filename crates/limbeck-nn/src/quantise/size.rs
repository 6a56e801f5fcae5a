//! What few bits save.

use super::{Bits, QuantisationPlan, Quantiser, layers::layers};
use crate::{Network, Role};

/// What bits make of a network's weights and work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitCost {
    /// Bytes of all numbers as a packed file has them, its header left out.
    pub bytes: u64,
    /// Bit operations for one image: multiply-accumulates times the bits of both factors, 32 where
    /// nothing is quantised.
    pub bit_operations: u64,
}

impl BitCost {
    /// Of `network`, by the bits that it has.
    pub fn of(network: &Network) -> Self {
        Self {
            bytes: bytes(network),
            bit_operations: bit_operations(network),
        }
    }
}

/// Bytes of the codes of `count` weights.
pub(crate) fn code_bytes(count: usize, bits: Bits) -> usize {
    (count * bits.count() as usize).div_ceil(8)
}

/// Distances of levels that a packed layer keeps: one for each output channel, or one alone.
pub(crate) fn steps_of(quantiser: Quantiser, shape: &[usize]) -> usize {
    match quantiser {
        Quantiser::Range => shape.first().copied().unwrap_or(1),
        Quantiser::Dorefa => 1,
    }
}

fn bytes(network: &Network) -> u64 {
    let nothing = QuantisationPlan::default();
    let plan = network.quantisation().unwrap_or(&nothing);
    let store = &network.store;
    let of = |id| {
        let entry = store.entry(id);
        let count: usize = entry.shape.iter().product();
        match plan.layer(&entry.name) {
            // Ranges are in the header.
            None if store.is_range(id) => 0,
            None if entry.role == Role::Counter => 8 * count,
            None => 4 * count,
            Some(layer) => {
                code_bytes(count, layer.weight) + 4 * steps_of(plan.quantiser, &entry.shape)
            }
        }
    };
    store.ids().map(|id| of(id) as u64).sum()
}

/// Zhang et al. (GHOST), section on bit operations: a layer's factors are its weights and what it is
/// given, which with [`Quantiser::Dorefa`] has the bits of the layer before it, and the image 32; what
/// multiplies no weights has 32 on both sides, and so has the head.
fn bit_operations(network: &Network) -> u64 {
    let full = u64::from(Bits::FULL.count());
    let nothing = QuantisationPlan::default();
    let plan = network.quantisation().unwrap_or(&nothing);
    let mut sum = 0;
    let mut counted = 0;
    let mut before = full;
    for layer in layers(network) {
        let bits = plan.layer(&network.store.entry(layer.weight).name);
        let weight = bits.map_or(full, |bits| bits.weight.count().into());
        let activation = bits.map_or(full, |bits| bits.activation.count().into());
        let input = match plan.quantiser {
            Quantiser::Range => activation,
            Quantiser::Dorefa if layer.head => full,
            Quantiser::Dorefa => before,
        };
        sum += layer.macs * weight * input;
        counted += layer.macs;
        before = activation;
    }
    sum + network.cost().macs.saturating_sub(counted) * full * full
}
