//! Sizes of a convolution.

use crate::Conv2dOptions;

/// Sizes of one convolution of `[B, C, H, W]` with `[O, C / groups, kh, kw]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub batch: usize,
    pub channels: usize,
    pub outputs: usize,
    /// Input `[H, W]`.
    pub input: [usize; 2],
    /// Output `[H', W']`.
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
}

impl Geometry {
    /// # Panics
    /// Where the shapes do not fit each other: a programming error of the caller, since layers
    /// are built from the shapes that they are run with.
    pub fn new(x: [usize; 4], weight: [usize; 4], options: Conv2dOptions) -> Self {
        let [batch, channels, height, width] = x;
        let [outputs, per_group, kh, kw] = weight;
        let Conv2dOptions {
            stride,
            padding,
            dilation,
            groups,
        } = options;
        assert!(
            x.iter().all(|&n| n > 0) && weight.iter().all(|&n| n > 0),
            "a convolution of {x:?} with a weight {weight:?} is empty: every size must be at least 1"
        );
        assert!(
            groups > 0 && stride.iter().chain(&dilation).all(|&n| n > 0),
            "stride {stride:?}, dilation {dilation:?} and groups {groups} must be at least 1"
        );
        assert!(
            channels == per_group * groups && outputs.is_multiple_of(groups),
            "an input of {channels} channels and a weight {weight:?} do not fit {groups} group(s)"
        );
        let size = |axis: usize, input: usize, kernel: usize| {
            let padded = input + 2 * padding[axis];
            let reach = dilation[axis] * (kernel - 1) + 1;
            assert!(
                padded >= reach,
                "a kernel that reaches over {reach} does not fit an input of {input} with {} \
                 zeros on both sides",
                padding[axis]
            );
            (padded - reach) / stride[axis] + 1
        };
        Self {
            batch,
            channels,
            outputs,
            input: [height, width],
            output: [size(0, height, kh), size(1, width, kw)],
            kernel: [kh, kw],
            stride,
            padding,
            dilation,
            groups,
        }
    }

    /// Multiply-adds by the definition; each of the two gradients has as many.
    pub fn multiply_adds(&self) -> usize {
        let [kh, kw] = self.kernel;
        let of_output = self.channels / self.groups * kh * kw;
        self.batch * self.outputs * self.output_size() * of_output
    }

    /// Positions of one input map.
    pub fn input_size(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Positions of one output map.
    pub fn output_size(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements of one kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Input channels that one output channel reads.
    pub fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    /// Output channels of one group.
    pub fn group_outputs(&self) -> usize {
        self.outputs / self.groups
    }

    /// Whether every output reads the input at its own position alone.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// Whether no two outputs read the same position of the input, and none reads padding.
    pub fn is_patchwise(&self) -> bool {
        self.padding == [0, 0]
            && (0..2).all(|axis| {
                let dense = self.dilation[axis] == 1 || self.kernel[axis] == 1;
                dense && self.kernel[axis] <= self.stride[axis]
            })
    }

    /// Whether every channel has a kernel and an output of its own.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.channels && self.groups == self.outputs
    }
}
