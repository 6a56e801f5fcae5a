//! Goldens of `vqae`: there are none of its own. Its quantisation is `ota__vq_rerepresent`, which
//! `ota/golden.rs` computes by the same function.

use crate::golden::Adapter;

/// All cases.
pub const ADAPTERS: &[Adapter] = &[];
