//! Goldens of `arch_cifar_vgg`.

use super::{
    Adapter,
    network::{TOLERANCE, cifar_tap, full},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "full",
        tolerance: TOLERANCE,
        run: |case| full(case, str::to_owned, cifar_tap),
    },
    Adapter {
        case: "size64",
        tolerance: TOLERANCE,
        run: |case| full(case, str::to_owned, cifar_tap),
    },
];
