//! The model zoo: one file per architecture family, one registry of names.

mod cifar_resnet;
mod registry;

pub use registry::{MODELS, ModelEntry, build, find};
