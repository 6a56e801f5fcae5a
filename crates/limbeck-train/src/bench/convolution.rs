//! How fast convolutions and their gradients are, each alone.

use limbeck_kernels::{Conv2dOptions, conv2d, conv2d_input_gradient, conv2d_weight_gradient};

use super::{noise, stopwatch::Stopwatch};
use crate::TrainError;

/// Most numbers of one tensor: 4 GiB.
const MOST_NUMBERS: usize = 1 << 30;

/// A convolution with square kernel and equal geometry in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Input `[B, C, H, W]`.
    pub input: [usize; 4],
    /// Output channels.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between output positions.
    pub stride: usize,
    /// Zeros on every side.
    pub padding: usize,
    /// Channel groups.
    pub groups: usize,
}

/// Medians of one convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvolutionTimes {
    /// Output from input and weight.
    pub forward_ms: f64,
    /// Gradient of the input from weight and the output's gradient.
    pub input_gradient_ms: f64,
    /// Gradient of the weight from input and the output's gradient.
    pub weight_gradient_ms: f64,
}

impl Convolution {
    /// The convolutions of the usual networks: 3×3 of the CIFAR ResNets, 1×1 of bottlenecks, a
    /// strided 3×3, the stem of the ImageNet ResNets, and depthwise ones of the MobileNets.
    pub fn usual(batch: usize) -> Vec<Self> {
        let case = |[channels, outputs, size]: [usize; 3], kernel, stride, groups| Self {
            input: [batch, channels, size, size],
            outputs,
            kernel,
            stride,
            padding: kernel / 2,
            groups,
        };
        vec![
            case([32, 32, 32], 3, 1, 1),
            case([64, 64, 32], 3, 1, 1),
            case([128, 128, 16], 3, 1, 1),
            case([256, 256, 8], 3, 1, 1),
            case([64, 256, 16], 1, 1, 1),
            case([256, 64, 16], 1, 1, 1),
            case([64, 128, 32], 3, 2, 1),
            case([3, 64, 224], 7, 2, 1),
            case([64, 64, 32], 3, 1, 64),
            case([64, 64, 32], 3, 2, 64),
            case([144, 144, 56], 3, 1, 144),
        ]
    }

    /// Such as `3x3 64->128 32x32 stride 2`.
    pub fn name(&self) -> String {
        let Self {
            input: [_, channels, height, width],
            outputs,
            kernel,
            stride,
            padding,
            groups,
        } = *self;
        let mut name = format!("{kernel}x{kernel} {channels}->{outputs} {height}x{width}");
        if groups > 1 && groups == channels && groups == outputs {
            name = format!("depthwise {kernel}x{kernel} {channels} {height}x{width}");
        } else if groups > 1 {
            name += &format!(" groups {groups}");
        }
        if stride > 1 {
            name += &format!(" stride {stride}");
        }
        if padding != kernel / 2 {
            name += &format!(" padding {padding}");
        }
        name
    }

    /// Floating point operations of each of the three; products with padding count.
    pub fn flops(&self) -> f64 {
        let products = self.weight()[1..].iter().product::<usize>();
        let outputs = self.output().map_or(0, |shape| shape.iter().product());
        2.0 * outputs as f64 * products as f64
    }

    /// Whether it can be computed.
    ///
    /// # Errors
    /// Sizes that are zero, do not fit each other or do not fit into memory.
    pub fn check(&self) -> Result<(), TrainError> {
        let refuse = |reason: String| Err(TrainError::Setting(reason));
        let Self {
            input: [_, channels, height, width],
            outputs,
            kernel,
            stride,
            padding,
            groups,
        } = *self;
        let sizes = [outputs, kernel, stride, groups];
        if self.input.iter().chain(&sizes).any(|&size| size == 0) {
            return refuse(format!(
                "every size of a convolution must be at least 1, found {self:?}"
            ));
        }
        if !channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return refuse(format!(
                "{groups} groups do not divide {channels} input and {outputs} output channels"
            ));
        }
        let Some(output) = self.output() else {
            return refuse(format!(
                "a kernel of {kernel}x{kernel} does not fit an input of {height}x{width} with {padding} zeros on every side"
            ));
        };
        for shape in [self.input, self.weight(), output] {
            let count = shape
                .iter()
                .try_fold(1usize, |count, &size| count.checked_mul(size));
            if count.is_none_or(|count| count > MOST_NUMBERS) {
                return refuse(format!(
                    "a tensor of {shape:?} is larger than {MOST_NUMBERS} numbers"
                ));
            }
        }
        Ok(())
    }

    fn weight(&self) -> [usize; 4] {
        [
            self.outputs,
            self.input[1] / self.groups,
            self.kernel,
            self.kernel,
        ]
    }

    /// Output `[B, O, H', W']`, if the kernel fits.
    fn output(&self) -> Option<[usize; 4]> {
        let [batch, _, height, width] = self.input;
        let size = |size: usize| {
            let padded = size.checked_add(self.padding.checked_mul(2)?)?;
            Some(padded.checked_sub(self.kernel)? / self.stride + 1)
        };
        Some([batch, self.outputs, size(height)?, size(width)?])
    }

    fn options(&self) -> Conv2dOptions {
        Conv2dOptions {
            stride: [self.stride; 2],
            padding: [self.padding; 2],
            dilation: [1; 2],
            groups: self.groups,
        }
    }
}

/// Measures each of `convolutions` on made-up numbers, `runs` times in turn with the others.
///
/// # Errors
/// See [`Convolution::check`].
pub fn measure_convolutions(
    convolutions: &[Convolution],
    runs: usize,
) -> Result<Vec<ConvolutionTimes>, TrainError> {
    for convolution in convolutions {
        convolution.check()?;
    }
    let mut stopwatches: Vec<[Stopwatch; 3]> = convolutions
        .iter()
        .map(|_| [const { Stopwatch::new() }; 3])
        .collect();
    for _ in 0..runs {
        for (convolution, stopwatches) in convolutions.iter().zip(&mut stopwatches) {
            measure(convolution, stopwatches)?;
        }
    }
    Ok(stopwatches
        .into_iter()
        .map(|stopwatches| {
            let [forward_ms, input_gradient_ms, weight_gradient_ms] =
                stopwatches.map(Stopwatch::median);
            ConvolutionTimes {
                forward_ms,
                input_gradient_ms,
                weight_gradient_ms,
            }
        })
        .collect())
}

/// One run of each of the three.
fn measure(
    convolution: &Convolution,
    [forward, input_gradient, weight_gradient]: &mut [Stopwatch; 3],
) -> Result<(), TrainError> {
    let options = convolution.options();
    let x = noise::tensor(convolution.input);
    let weight = noise::tensor(convolution.weight());
    let gradient = conv2d(x.clone(), weight.clone(), None, options);
    forward.measure(
        || (x.clone(), weight.clone()),
        |(x, weight)| {
            conv2d(x, weight, None, options);
            Ok(())
        },
    )?;
    input_gradient.measure(
        || (weight.clone(), gradient.clone()),
        |(weight, gradient)| {
            conv2d_input_gradient(convolution.input, weight, gradient, options);
            Ok(())
        },
    )?;
    weight_gradient.measure(
        || (x.clone(), gradient.clone()),
        |(x, gradient)| {
            conv2d_weight_gradient(x, convolution.weight(), gradient, options);
            Ok(())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Convolution = Convolution {
        input: [2, 4, 5, 5],
        outputs: 6,
        kernel: 3,
        stride: 1,
        padding: 1,
        groups: 1,
    };

    #[test]
    fn the_usual_ones_fit_and_are_told_apart() {
        let usual = Convolution::usual(1);
        let mut names: Vec<String> = usual.iter().map(Convolution::name).collect();
        assert!(usual.iter().all(|convolution| convolution.check().is_ok()));
        assert!(names.contains(&"3x3 64->64 32x32".to_owned()));
        assert!(names.contains(&"depthwise 3x3 64 32x32 stride 2".to_owned()));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), usual.len());
    }

    #[test]
    fn work_is_counted_by_hand() {
        // 2 images × 6 maps × 25 positions × 4 channels × 9 taps, two operations each.
        assert_eq!(SMALL.flops(), 2.0 * 10_800.0);
        // Depthwise: one channel for each output.
        let depthwise = Convolution {
            outputs: 4,
            groups: 4,
            ..SMALL
        };
        assert_eq!(depthwise.flops(), 2.0 * 1_800.0);
    }

    #[test]
    fn what_cannot_be_computed_is_refused() {
        for (convolution, words) in [
            (Convolution { groups: 0, ..SMALL }, "at least 1"),
            (Convolution { groups: 3, ..SMALL }, "do not divide"),
            (Convolution { kernel: 8, ..SMALL }, "does not fit"),
            (
                Convolution {
                    padding: usize::MAX,
                    ..SMALL
                },
                "does not fit",
            ),
            (
                Convolution {
                    input: [1 << 20, 4, 1 << 20, 1 << 30],
                    ..SMALL
                },
                "larger than",
            ),
        ] {
            let error = measure_convolutions(&[convolution], 1).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn each_is_measured() {
        let strided = Convolution { stride: 2, ..SMALL };
        let times = measure_convolutions(&[SMALL, strided], 2).unwrap();
        assert_eq!(times.len(), 2);
        for times in times {
            assert!(times.forward_ms > 0.0);
            assert!(times.input_gradient_ms > 0.0);
            assert!(times.weight_gradient_ms > 0.0);
        }
    }
}
