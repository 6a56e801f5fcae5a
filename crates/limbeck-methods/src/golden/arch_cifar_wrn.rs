//! Goldens of `arch_cifar_wrn`.

use super::{
    Adapter,
    network::{TOLERANCE, cifar_tap, full},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "full",
    tolerance: TOLERANCE,
    run: |case| full(case, str::to_owned, cifar_tap),
}];
