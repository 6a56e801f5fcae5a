//! Networks of few bits: weights and what layers are given brought to a few levels in every pass, as
//! they will be when the network is stored and run.

mod bits;
mod dorefa;
mod error;
mod hybrid;
mod layers;
mod plan;
mod quantised;
mod size;

pub use bits::Bits;
pub use dorefa::{dorefa_activation, dorefa_weight};
pub use error::QuantiseError;
pub use hybrid::{CANDIDATES, THRESHOLD, cluster_distance, hybrid_bits, hybrid_distances};
pub use plan::{LayerBits, QuantisationPlan, Quantiser};
pub(crate) use quantised::Quantisation;
pub use size::BitCost;
pub(crate) use size::{code_bytes, steps_of};
