//! The batches of one epoch, in order.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Plan};
use super::ordered::Ordered;
use crate::DataError;

/// The batches of one epoch, in order. After an error there are no more. Dropping it ends its
/// threads after the image that each is at.
#[derive(Debug)]
pub struct Epoch(Ordered<Batch>);

impl Epoch {
    pub(super) fn start(plan: Arc<Plan>, epoch: usize, start_batch: usize) -> Self {
        let order = plan.order(epoch);
        let numbers = start_batch..plan.batches();
        let (workers, prefetch) = (plan.config.workers, plan.config.prefetch);
        Self(Ordered::start(
            numbers,
            workers,
            prefetch,
            move |number, go_on| plan.make(&order, epoch, number, go_on),
        ))
    }

    /// How long the consumer has been kept waiting for batches so far. Without workers that is
    /// the whole time of loading.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.0.wait()
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}
