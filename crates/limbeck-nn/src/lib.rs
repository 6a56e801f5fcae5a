//! Layers, the model zoo, named taps and weights of Limbeck.
//!
//! A network is two things kept apart: an [`Architecture`] (which operations, in which order) and
//! a [`Store`] (the numbers, under their PyTorch state-dict names). A forward pass is a [`Pass`]:
//! it reads a store, records the taps that were asked for and collects what training would change
//! in the store's statistics; nothing is changed behind the caller's back. The same architecture
//! therefore runs on trained, averaged, folded or freshly read numbers.

pub mod layer;
pub mod model;
pub mod quantise;
pub mod seed;
pub mod weights;

mod builder;
mod burn_module;
mod cost;
mod detector;
mod error;
mod init;
mod integer;
mod network;
mod outputs;
mod pass;
mod store;
mod task;

pub use builder::Builder;
pub use burn_module::{ImageModule, module_architecture};
pub use cost::Cost;
pub use detector::Detector;
pub use error::NnError;
pub use init::Init;
pub use integer::IntegerLayers;
pub use limbeck_kernels::Largest;
pub use network::{Architecture, InputShape, Network};
pub use outputs::{Feature, Outputs, Tap, TapKind, Taps};
pub use pass::{IMAGE, Mode, NormInput, Pass, STEM_CONVOLUTION};
pub use store::{Entry, ParameterId, Role, Store};
pub use task::TaskKind;
