//! Two batch norms, each of maps of its own, of which the sum is wanted alone: neither result is
//! ever in memory. The operations are those of one norm after the other, and so are the bits.

mod backward;
mod forward;
#[cfg(test)]
mod tests;

pub(crate) use backward::{ReadPair, gradients};
pub(crate) use forward::forward;
