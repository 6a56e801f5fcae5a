//! Networks of few bits run in whole numbers, as they are deployed.
//!
//! A layer whose weights and input have levels multiplies bytes by bytes. What lies between two such layers
//! stays in bytes where nothing else reads it: the first one rounds its sums to the levels that the second
//! one wants. Which maps these are is found by watching the network run on made-up maps ([`trace`]), so no
//! architecture has to tell; all other operations run in single precision as ever.
//!
//! What differs from [`crate::Network::evaluate`] over levels in single precision: sums are exact, and a map
//! that is both the input of a layer of 8 bits and added to another's output is added as the levels that the
//! layer reads, half a step at most from what it was.

mod call;
mod layer;
mod plan;
mod running;
mod trace;

use std::{collections::BTreeMap, sync::Arc};

use burn::tensor::DType;

use crate::{Network, ParameterId, quantise::Quantiser};

pub(crate) use call::{ConvolutionCall, PoolCall};
use layer::IntegerLayer;
use plan::PlannedCall;
pub(crate) use running::Running;
pub(crate) use trace::Trace;

/// The layers of a store that run in whole numbers.
#[derive(Clone, Debug)]
pub(crate) struct Integers {
    layers: BTreeMap<ParameterId, Arc<IntegerLayer>>,
    /// What each layer reads and gives, in the order in which they run.
    calls: Vec<PlannedCall>,
    /// Height and width of the images that this holds for.
    size: [usize; 2],
}

impl Network {
    /// A copy for inference alone, batch norms folded, whose layers of few bits run in whole numbers on the
    /// 8-bit kernels. `None` where no layer can: in full precision, with [`Quantiser::Dorefa`] (its levels of
    /// 8 bits are no signed bytes), in double precision, or before anything was seen that tells ranges.
    ///
    /// Images of any size can be run; maps stay in bytes from layer to layer for those of the network's own
    /// size.
    pub fn in_integers(&self) -> Option<Self> {
        if self.quantisation()?.quantiser != Quantiser::Range || self.store.dtype() != DType::F32 {
            return None;
        }
        let mut network = self.frozen();
        let integers = plan::plan(&network)?;
        network.store.integers = Some(Arc::new(integers));
        Some(network)
    }

    /// The network as it is deployed: [`Network::in_integers`] where it can be had, else [`Network::frozen`].
    pub fn deployed(&self) -> Self {
        self.in_integers().unwrap_or_else(|| self.frozen())
    }

    /// How many layers run in whole numbers, and how many of all maps between them stay in bytes; `None`
    /// where none does.
    pub fn integer_layers(&self) -> Option<IntegerLayers> {
        let integers = self.store.integers.as_ref()?;
        Some(IntegerLayers {
            layers: integers.layers.len(),
            maps: integers.calls.len(),
            byte_maps: integers.calls.iter().filter(|call| call.is_bytes()).count(),
        })
    }
}

/// What of a network runs in whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerLayers {
    /// Layers with weights that do.
    pub layers: usize,
    /// Maps that convolutions and poolings give.
    pub maps: usize,
    /// Those of them that stay in bytes.
    pub byte_maps: usize,
}
