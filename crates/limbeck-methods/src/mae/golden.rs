//! Goldens of `mae`: there are none of its own. Its step is the part of `dmae__step` without
//! alignment, which `dmae/golden.rs` computes by the same autoencoder.

use crate::golden::Adapter;

/// All cases.
pub const ADAPTERS: &[Adapter] = &[];
