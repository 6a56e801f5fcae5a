//! The catalogue of distillation methods: one file per published method.
//!
//! A method of the usual kind is a [`Criterion`]: it looks at what student and teacher gave out
//! for a batch and returns named loss terms. Its file begins with the method's documentation page
//! (`limbeck methods NAME` prints it), then come configuration, implementation and tests.
//! [`METHODS`] lists them all; [`build`] makes one, or several joined by `+`, ready to train with.

mod at;
mod connector;
mod criterion;
mod dkd;
mod drg;
mod dsr;
mod error;
mod fitnet;
mod kd;
mod method;
mod none;
mod pairs;
mod registry;
mod reviewkd;
mod rkd;
mod softmax;
mod tat;
#[cfg(test)]
mod testing;

pub use at::{At, AtConfig};
pub use criterion::{Criterion, Needs, Probe, Progress, State, Step, Term};
pub use dkd::{Dkd, DkdConfig};
pub use drg::{Auxiliary, Drg, DrgConfig};
pub use dsr::{Dsr, DsrConfig};
pub use error::MethodError;
pub use fitnet::{FitNet, FitNetConfig};
pub use kd::{Kd, KdConfig};
pub use method::{Method, build, entries};
pub use none::{Baseline, BaselineConfig};
pub use pairs::propose_pairs;
pub use registry::{METHODS, MethodEntry, find};
pub use reviewkd::{ReviewKd, ReviewKdConfig};
pub use rkd::{Rkd, RkdConfig};
pub use tat::{Orientation, Rebuilt, Tat, TatConfig};
