//! How fast convolutions, networks, losses, training steps, trainings side by side, stored outputs,
//! neighbours and the arithmetic of detection are on this machine.
//!
//! Work is counted in floating point operations, those of the definition, a multiply-add as two; a
//! training step as three forward passes, since the backward pass has two products for each of the
//! forward pass's.

mod cache;
mod cached_teacher;
mod cells;
mod convolution;
mod data;
mod detection;
mod feed;
mod learner;
mod loss;
mod machine;
mod neighbours;
mod network;
mod noise;
mod side;
mod step;
mod stopwatch;
mod stored;

pub use crate::memory::peak_memory;
pub use cache::{CacheBench, CacheTimes};
pub use convolution::{Convolution, ConvolutionTimes, measure_convolutions};
pub use data::{DataBench, DataRates};
pub use detection::{PrecisionBench, PrecisionTimes, SuppressionBench, SuppressionTimes};
pub use loss::{LossBench, LossTime};
pub use machine::Machine;
pub use neighbours::{NeighboursBench, NeighboursTimes};
pub use network::{NetworkBench, NetworkTimes};
pub use side::{SideBench, SideTimes};
pub use step::{StepBench, StepTimes, TeacherTimes};
