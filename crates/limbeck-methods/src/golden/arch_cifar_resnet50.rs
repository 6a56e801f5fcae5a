//! Goldens of `arch_cifar_resnet50`.

use super::{
    Adapter,
    network::{TOLERANCE, cifar_tap, full},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "full",
    tolerance: TOLERANCE,
    run: |case| {
        full(
            case,
            |net| format!("cifar_{}", net.to_lowercase()),
            cifar_tap,
        )
    },
}];
