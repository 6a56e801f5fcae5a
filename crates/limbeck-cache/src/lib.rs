//! Stored outputs of a teacher: written once, read in any order.
//!
//! A frozen teacher gives the same outputs for the same view of the same image, and views are pure
//! functions of seed, number and sample. So its work can be done once. A cache is a folder:
//!
//! ```text
//! manifest.json          what was asked (teacher, data, augmentation, seed) and what is stored
//! shards/000000.cache    header, then records of one fixed size
//! shards/000001.cache    …
//! ```
//!
//! What a teacher that segments gives out for a view is a map `[K, h, w]`, stored as numbers are, or the
//! most probable classes of each of its positions.
//!
//! Every record has a position: sections (training, validation, test images) follow one another,
//! within a section view follows view, within a view sample follows sample. A record holds the
//! outputs one after the other, each starting at a multiple of 4 bytes, and a CRC-32 of its
//! position and them, so a record that is damaged or in the wrong place is found when it is read.
//! All numbers are little-endian.
//!
//! [`Build`] writes: shard by shard, each under a temporary name and a lock, synced, then renamed; a
//! [`Finisher`] syncs one while the next is filled. A shard is whole or absent, so a build can be
//! killed at any moment and goes on; several processes share the work, and shards of several
//! machines are merged by being put in one folder.
//! [`Cache`] reads: it maps a shard when its first record is read, and holds nothing for each view.
//!
//! Everything that is read from a cache is taken for made by somebody else: sizes are bounded and
//! compared before anything is allocated, and damage is an error, never a panic.

mod build;
mod cache;
mod checksum;
mod encoding;
mod error;
mod files;
mod finisher;
mod half_precision;
mod layout;
mod manifest;
mod record;
mod shard;
mod sparse;
pub mod tinyvit;

pub use build::{Build, ShardPlan, ShardWriter, Share};
pub use cache::{Cache, Record};
pub use encoding::Encoding;
pub use error::CacheError;
pub use files::{LOCK, lock};
pub use finisher::Finisher;
pub use layout::{record_bytes, shard_records};
pub use manifest::{DataFacts, Difference, FORMAT, Manifest, TeacherFacts};
pub use record::{Output, Section};
pub use shard::Damage;
pub use sparse::Minor;
