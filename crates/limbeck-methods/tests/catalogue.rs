//! What every method of the catalogue has to have and to hold to, checked over the registry.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this crate is tests"
)]

mod catalogue {
    mod combinations;
    mod company;
    mod detection;
    mod documents;
    mod gradients;
    mod joint_task;
    mod labels;
    mod procedures;
    mod recompute;
    mod rehearsal;
    mod resume;
    mod scene;
    mod segmentation;
    mod soundness;
    mod void;
    mod zoo;
}
