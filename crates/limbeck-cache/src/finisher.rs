//! Finishing shards beside the work on the next.

use std::thread::{Scope, ScopedJoinHandle};

use crate::{CacheError, ShardWriter};

/// Finishes shards on a thread of their own, one at a time: while the disk takes one, which is some
/// milliseconds, the next is filled. Whether the last one could be finished is known to
/// [`Finisher::wait`] alone.
#[derive(Debug)]
#[must_use = "without a last wait nobody learns whether the last shard is there"]
pub struct Finisher<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    last: Option<ScopedJoinHandle<'scope, Result<(), CacheError>>>,
}

impl<'scope, 'env> Finisher<'scope, 'env> {
    /// One without work, whose threads end with `scope`.
    pub fn new(scope: &'scope Scope<'scope, 'env>) -> Self {
        Self { scope, last: None }
    }

    /// Waits for the shard before, then begins to finish this one; see [`ShardWriter::finish`].
    ///
    /// # Errors
    /// Those of the shard before, which is then not there; this one is then given up too.
    pub fn finish(&mut self, writer: ShardWriter<'scope>) -> Result<(), CacheError> {
        self.wait()?;
        self.last = Some(self.scope.spawn(move || writer.finish()));
        Ok(())
    }

    /// Waits for the last shard.
    ///
    /// # Errors
    /// Those of [`ShardWriter::finish`].
    pub fn wait(&mut self) -> Result<(), CacheError> {
        match self.last.take().map(ScopedJoinHandle::join) {
            None => Ok(()),
            Some(Ok(finished)) => finished,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}
