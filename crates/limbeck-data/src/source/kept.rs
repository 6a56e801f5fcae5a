//! What was decoded once and is kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Decoded images and masks are kept in memory up to this many bytes for a whole data set, which
/// saves decoding small ones again in every epoch.
const KEPT_BYTES: usize = 512 << 20;

/// Bytes that may still be kept, shared by the parts of a data set.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<AtomicUsize>);

impl Room {
    /// Room for a data set.
    pub fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(KEPT_BYTES)))
    }

    /// Keeps `value`, which takes so many bytes, in its `place`, if there is room.
    pub fn keep<T>(&self, place: &OnceLock<Arc<T>>, value: &Arc<T>, bytes: usize) {
        let left = |room: usize| room.checked_sub(bytes);
        if self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
            .is_ok()
            && place.set(Arc::clone(value)).is_err()
        {
            // Another worker has just kept the same.
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}
