//! Pooling of feature maps.

use burn::tensor::Tensor;
use limbeck_kernels::Pool2dOptions;

use crate::{Pass, integer::PoolCall};

pub use limbeck_kernels::{adaptive_avg_pool2d, global_avg_pool2d};

/// Largest value of each window. `[B, C, H, W]` → `[B, C, H', W']`.
pub fn max_pool2d(
    pass: &mut Pass<'_>,
    x: Tensor<4>,
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let [height, width] = [height, width].map(|n| (n + 2 * padding - kernel) / stride + 1);
    let options = square(kernel, stride, padding);
    let call = PoolCall { options, x: &x };
    match pass.max_pool_in_bytes(&call, [batch, channels, height, width]) {
        Some(y) => y,
        None => limbeck_kernels::max_pool2d(x, options),
    }
}

/// Largest value of each of the windows of `kernel` `[height, width]` that lie side by side; the last
/// ones may be smaller (PyTorch's `ceil_mode`, stride and kernel alike).
/// `[B, C, H, W]` → `[B, C, ⌈H / height⌉, ⌈W / width⌉]`.
pub fn max_pool2d_windows(x: Tensor<4>, kernel: [usize; 2]) -> Tensor<4> {
    // What is repeated is in the window already, so that the largest stays what it is.
    let x = whole_windows(x, 2, kernel[0]);
    let x = whole_windows(x, 3, kernel[1]);
    let options = Pool2dOptions {
        kernel,
        stride: kernel,
        padding: [0; 2],
    };
    limbeck_kernels::max_pool2d(x, options)
}

/// Repeats the last value of an axis until windows of `length` fill it.
fn whole_windows(x: Tensor<4>, axis: usize, length: usize) -> Tensor<4> {
    let size = x.dims()[axis];
    let missing = size.next_multiple_of(length) - size;
    if missing == 0 {
        return x;
    }
    let last = x
        .clone()
        .narrow(axis, size - 1, 1)
        .repeat_dim(axis, missing);
    Tensor::cat(vec![x, last], axis)
}

/// Mean of each window; added zeros count. `[B, C, H, W]` → `[B, C, H', W']`.
pub fn avg_pool2d(x: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
    limbeck_kernels::avg_pool2d(x, square(kernel, stride, padding))
}

fn square(kernel: usize, stride: usize, padding: usize) -> Pool2dOptions {
    Pool2dOptions {
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;

    #[test]
    fn windows_side_by_side_may_be_cut_off_at_the_end() {
        let numbers: Vec<f32> = (0..15).map(|i| (i * 7 % 15) as f32).collect();
        // 0 7 14 6 13 / 5 12 4 11 3 / 10 2 9 1 8
        let x = Tensor::<1>::from_data(numbers.as_slice(), (&Device::flex(), DType::F32));
        let pooled = max_pool2d_windows(x.reshape([1, 1, 3, 5]), [2, 2]);
        assert_eq!(pooled.dims(), [1, 1, 2, 3]);
        let found: Vec<f32> = pooled.into_data().iter().collect();
        assert_eq!(found, [12.0, 14.0, 13.0, 10.0, 9.0, 8.0]);
    }
}
