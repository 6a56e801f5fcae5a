//! Where the windows of a pooling lie.

use super::Pool2dOptions;

/// Windows over maps of one size.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    /// Maps: batch times channels.
    pub maps: usize,
    /// Size of a map, `[height, width]`.
    pub input: [usize; 2],
    /// Windows of a map, `[height, width]`.
    pub output: [usize; 2],
    pub options: Pool2dOptions,
}

impl Windows {
    /// # Panics
    /// Where a size is zero, or the windows do not fit the maps.
    pub fn new(shape: [usize; 4], options: Pool2dOptions) -> Self {
        let [batch, channels, height, width] = shape;
        let Pool2dOptions {
            kernel,
            stride,
            padding,
        } = options;
        assert!(
            shape.iter().chain(&kernel).chain(&stride).all(|&n| n > 0),
            "maps of shape {shape:?} cannot be pooled by {options:?}: every size must be at least 1"
        );
        let input = [height, width];
        let output = std::array::from_fn(|axis| {
            let (size, kernel, padding) = (input[axis], kernel[axis], padding[axis]);
            assert!(
                padding <= kernel / 2,
                "a padding of {padding} is more than half of a window of {kernel}"
            );
            assert!(
                size + 2 * padding >= kernel,
                "a window of {kernel} does not fit maps of {size} with a padding of {padding}"
            );
            (size + 2 * padding - kernel) / stride[axis] + 1
        });
        Self {
            maps: batch * channels,
            input,
            output,
            options,
        }
    }

    /// Positions of a map.
    pub fn input_size(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Windows of a map.
    pub fn output_size(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Positions of a window.
    pub fn area(&self) -> usize {
        self.options.kernel[0] * self.options.kernel[1]
    }
}
