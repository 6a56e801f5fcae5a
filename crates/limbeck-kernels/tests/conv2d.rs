//! The convolution and its gradients against the definition, in `f32` (the kernels) and in `f64`
//! (burn's own operation).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

mod conv2d {
    mod definition;
    mod layers;
    mod promises;
    mod random;
    mod refusals;
}
