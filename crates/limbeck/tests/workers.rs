//! The same recipe gives the same bits with any number of loader workers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use support::{Place, bytes, tiny};

#[test]
fn zero_one_and_four_workers_give_the_same_weights() {
    let place = Place::new();
    let mut weights = Vec::new();
    for workers in ["0", "1", "4"] {
        let arguments = tiny(
            "train",
            &["--model", "resnet8", "--workers", workers, "--out", workers],
        );
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.succeed(&arguments);
        weights.push(bytes(
            &place.path(workers).join("jobs/student-0/last.safetensors"),
        ));
    }
    assert_eq!(weights[0], weights[1]);
    assert_eq!(weights[0], weights[2]);
}
