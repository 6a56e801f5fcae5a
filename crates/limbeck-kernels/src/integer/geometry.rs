//! Where windows of a map lie.

use super::IntegerError;
use crate::Conv2dOptions;

/// Sizes of a convolution or pooling over `[B, H, W, C]`, `[height, width]` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub batch: usize,
    pub channels: usize,
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
}

impl Geometry {
    pub fn new(
        shape: [usize; 4],
        kernel: [usize; 2],
        options: &Conv2dOptions,
    ) -> Result<Self, IntegerError> {
        let [batch, height, width, channels] = shape;
        let size = |axis: usize, input: usize| {
            let reach = options.dilation[axis].checked_mul(kernel[axis] - 1)?;
            let padded = options.padding[axis].checked_mul(2)?.checked_add(input)?;
            let room = padded.checked_sub(reach.checked_add(1)?)?;
            Some(room / options.stride[axis] + 1)
        };
        let empty = batch == 0 || height == 0 || width == 0 || channels == 0;
        match [size(0, height), size(1, width)] {
            [Some(rows), Some(columns)] if !empty => Ok(Self {
                batch,
                channels,
                input: [height, width],
                output: [rows, columns],
                kernel,
                stride: options.stride,
                padding: options.padding,
                dilation: options.dilation,
            }),
            _ => Err(IntegerError::Shape {
                what: "the input",
                expected: format!(
                    "maps [B, H, W, C] without empty sizes that a kernel of {kernel:?}, dilated by {:?} and padded \
                     by {:?}, fits into",
                    options.dilation, options.padding
                ),
                found: format!("{shape:?}"),
            }),
        }
    }

    /// Rows of all images' outputs.
    pub fn output_rows(&self) -> usize {
        self.batch * self.output[0]
    }
}

/// That kernel and options are such that there can be windows.
pub(super) fn check_options(
    kernel: [usize; 2],
    options: &Conv2dOptions,
) -> Result<(), IntegerError> {
    let positive = [kernel, options.stride, options.dilation];
    if options.groups > 0 && positive.iter().flatten().all(|&n| n > 0) {
        return Ok(());
    }
    Err(IntegerError::Shape {
        what: "the windows",
        expected: "kernel, stride, dilation and groups of at least 1".to_owned(),
        found: format!("a kernel of {kernel:?} with {options:?}"),
    })
}
