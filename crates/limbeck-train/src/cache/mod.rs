//! A teacher whose work is done once: its outputs for the very views that training will see, and
//! for the images that are only measured on, in the files of [`limbeck_cache`]. Of a teacher that
//! segments these are measured in their own sizes: [`StoredAnswers`] has what it chose for their pixels.
//!
//! A view is a pure function of seed, number and image, so a cache says with which seed its views
//! were drawn and how many there are of each image, and a run that reads it shows the same ones:
//! `data.view_seed` and `data.views` of its recipe are the cache's.
//!
//! - [`FittedCache`] says what a run and a cache have to agree on.
//! - [`CachePlan`] is everything about a cache that can be settled before it is built.
//! - [`fill`] builds it; [`compare`] asks the teacher again; [`merge`] puts shards together.
//! - [`StoredTeacher`] answers from it.

mod answers;
mod classifier;
mod contents;
mod facts;
mod fill;
mod fit;
mod merge;
mod plan;
mod stored_teacher;
mod verify;

pub use answers::StoredAnswers;
pub use contents::CacheContents;
pub(crate) use contents::{LOGITS, taps_for};
pub use fill::{FillEnd, FillMoment, fill};
pub use fit::{CACHE_PREFIX, FittedCache, cache_folder, stored_fit};
pub use merge::{Merged, merge};
pub(crate) use plan::Material;
pub use plan::{CachePlan, CacheSource};
pub use stored_teacher::StoredTeacher;
pub use verify::{Comparison, OutputDifference, compare, damage};
