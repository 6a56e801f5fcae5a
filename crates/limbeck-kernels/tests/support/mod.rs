//! What the tests of several operations share.
#![allow(dead_code)] // Each test binary uses its own part.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// A tensor of `values` on the CPU, in `dtype`, tracked.
pub fn tracked<const D: usize>(values: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
    plain(values, shape, dtype).autodiff().require_grad()
}

/// A tensor of `values` on the CPU, in `dtype`.
pub fn plain<const D: usize>(values: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
    let device = Device::flex();
    let data = TensorData::new(values.to_vec(), shape);
    Tensor::from_data(data, (&device, dtype))
}

/// The numbers of a tensor, in order.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor
        .into_data()
        .convert::<f64>()
        .try_into_vec()
        .expect("converted to f64")
}

/// The bits of an `f32` tensor, in order.
pub fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    let values: Vec<f32> = tensor.into_data().try_into_vec().expect("an f32 tensor");
    values.into_iter().map(f32::to_bits).collect()
}

/// Numbers from −0.5 to 0.5 that are exact in `f32`; the same for the same seed.
pub fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 41) as f64 / (1u64 << 23) as f64 - 0.5
        })
        .collect()
}

/// Fails where a number differs from the expected one by more than `tolerance` times the largest
/// expected one.
pub fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    let scale = expected.iter().fold(1e-6, |most: f64, v| most.max(v.abs()));
    assert_within(what, found, expected, tolerance * scale);
}

/// Fails where a number differs from the expected one by more than `most`: for sums whose terms may
/// cancel, which are as exact as their terms are large, not as they are.
pub fn assert_within(what: &str, found: &[f64], expected: &[f64], most: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(
            difference <= most,
            "{what}: {found} instead of {expected} at {i}"
        );
    }
}

/// Runs `work` in a pool of `threads` threads.
pub fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a pool of a few threads")
        .install(work)
}
