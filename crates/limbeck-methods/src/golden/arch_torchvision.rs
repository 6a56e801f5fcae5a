//! Goldens of `arch_torchvision`.

use std::collections::BTreeMap;

use super::{
    Adapter,
    case::{Case, Values},
    network::{TOLERANCE, full, no_loss, outputs},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "resnet",
        tolerance: TOLERANCE,
        run: |case| {
            full(case, str::to_owned, |output| {
                output.replace("layer", "stage")
            })
        },
    },
    Adapter {
        case: "mobilenet_v2",
        tolerance: TOLERANCE,
        run: |case| {
            one(case, "mobilenet_v2", |output| {
                output.replace("features", "features.")
            })
        },
    },
    Adapter {
        case: "mobilenet_v1",
        tolerance: TOLERANCE,
        run: |case| one(case, "mobilenet_v1", stage_counted_from_zero),
    },
];

/// A file of one network, whose outputs begin with `out.`.
fn one(case: &Case, net: &str, tap: fn(&str) -> String) -> BTreeMap<String, Values> {
    let mut found = outputs(case, net, net, "out.", tap);
    found.extend([no_loss()]);
    found
}

/// `feat0` is the first stage.
fn stage_counted_from_zero(output: &str) -> String {
    let (index, suffix) = match (output.strip_prefix("feat"), output.strip_prefix("preact")) {
        (Some(index), _) => (index, ""),
        (_, Some(index)) => (index, ".preact"),
        _ => return output.to_owned(),
    };
    let index: usize = index.parse().unwrap();
    format!("stage{}{suffix}", index + 1)
}
