//! How much memory a frozen network's forward pass needs. A test binary of its own: it counts all
//! that the process allocates.

#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Distribution, Tensor};
use limbeck_nn::{InputShape, Taps, model};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Most megabytes held at once during a forward pass, without what was held before.
fn peak(name: &str) -> f32 {
    let input = InputShape {
        channels: 3,
        height: 32,
        width: 32,
        classes: 10,
    };
    let device = Device::flex();
    let network = model::build(name, input, 0, &device, DType::F32)
        .unwrap()
        .frozen();
    let images = Tensor::random([16, 3, 32, 32], Distribution::Default, &device);
    let run = || network.evaluate(images.clone(), &Taps::none());
    // What threads keep for themselves is there after the first pass.
    run();
    let before = ALLOCATOR.current_usage_as_mb();
    ALLOCATOR.reset_peak_usage();
    run();
    ALLOCATOR.peak_usage_as_mb() - before
}

#[test]
fn memory_does_not_grow_with_depth() {
    // 16 images of 16 channels at 32×32 take a megabyte; a block holds its input, what is in
    // between, its output, and a copy on its way through the kernels.
    let (shallow, deep) = (peak("resnet8"), peak("resnet56"));
    assert!(
        deep < shallow + 0.5,
        "{shallow} MB with 8 layers and {deep} MB with 56"
    );
    assert!(deep < 6.0, "{deep} MB");
}
