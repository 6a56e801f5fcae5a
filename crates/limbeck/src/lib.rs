//! Vision knowledge distillation: the façade that library users import.

pub use limbeck_cache as cache;
pub use limbeck_data as data;
pub use limbeck_kernels as kernels;
pub use limbeck_methods as methods;
pub use limbeck_nn as nn;
pub use limbeck_report as report;
pub use limbeck_train as train;
