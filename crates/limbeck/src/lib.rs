//! Vision knowledge distillation: the façade that library users import.
//!
//! One module for each room of the project: [`data`] reads and augments images, [`nn`] has the
//! networks, [`methods`] the catalogue, [`train`] the trainer and whole experiments, [`report`] what
//! a run found and the page made of it. [`burn`] is the tensor library that all of them speak, in
//! the version that they speak.
//!
//! Who uses the library alone leaves the command line out:
//!
//! ```toml
//! limbeck = { version = "0.1", default-features = false }
//! ```

pub use burn;
pub use limbeck_cache as cache;
pub use limbeck_data as data;
pub use limbeck_kernels as kernels;
pub use limbeck_methods as methods;
pub use limbeck_nn as nn;
pub use limbeck_report as report;
pub use limbeck_train as train;
