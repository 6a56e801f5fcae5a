//! Modules that bring features of one shape to another: trained along, then thrown away.

use burn::tensor::Tensor;
pub(crate) use limbeck_nn::layer::mean_squared_error;
use limbeck_nn::{
    Builder, Pass,
    layer::{
        BatchNorm2d, Conv2d, Conv2dConfig, ConvTranspose2d, adaptive_avg_pool2d, resize_bilinear,
    },
};

/// FitNet's regressor: a convolution to the teacher's shape, batch norm, and a ReLU if wanted.
/// State-dict names `conv.*`, `bn.*`.
#[derive(Debug)]
pub(crate) struct Regressor {
    conv: Conv,
    bn: BatchNorm2d,
    use_relu: bool,
}

#[derive(Debug)]
enum Conv {
    Plain(Conv2d),
    Transposed(ConvTranspose2d),
    /// 1×1, with the map brought to this size.
    Resizing(Conv2d, [usize; 2]),
}

/// Which convolution brings a student map to the teacher's size.
#[derive(Debug)]
enum Geometry {
    /// 3×3, stride 2, padding 1.
    Halving,
    /// Transposed 4×4, stride 2, padding 1.
    Doubling,
    /// This kernel, stride 1, no padding.
    Shrinking([usize; 2]),
}

impl Geometry {
    /// The heights decide; the width has to follow.
    fn between(student: [usize; 3], teacher: [usize; 3]) -> Result<Self, String> {
        let [_, height, width] = student;
        let [_, out_height, out_width] = teacher;
        let (geometry, reached) = if height == 2 * out_height {
            (Self::Halving, width.div_ceil(2))
        } else if 2 * height == out_height {
            (Self::Doubling, 2 * width)
        } else if height >= out_height && width >= out_width {
            let kernel = [1 + height - out_height, 1 + width - out_width];
            (Self::Shrinking(kernel), out_width)
        } else {
            return Err(
                "the student's map may not be smaller, unless it is exactly half as high and \
                 wide; name an earlier student layer or a later teacher layer with `pairs` in \
                 [method]"
                    .to_owned(),
            );
        };
        if reached == out_width {
            return Ok(geometry);
        }
        Err(format!(
            "the heights call for a convolution that makes the student's map {reached} wide, \
             the teacher's is {out_width}; name other layers with `pairs` in [method]"
        ))
    }
}

impl Regressor {
    /// Whether there is one from student `[C, H, W]` to teacher `[C, H, W]`.
    ///
    /// # Errors
    /// Why not.
    pub fn check(student: [usize; 3], teacher: [usize; 3]) -> Result<(), String> {
        Geometry::between(student, teacher).map(drop)
    }

    /// From student `[C, H, W]` to teacher `[C, H, W]`. Which convolution, the heights decide:
    /// 3×3 of stride 2 where the student's is twice the teacher's, transposed 4×4 of stride 2
    /// where it is half of it, otherwise one whose kernel is as much larger than 1×1 as the
    /// student's map is larger than the teacher's.
    ///
    /// # Errors
    /// Why there is none for these shapes.
    pub fn new(
        builder: &mut Builder<'_>,
        student: [usize; 3],
        teacher: [usize; 3],
        use_relu: bool,
    ) -> Result<Self, String> {
        let (input, output) = (student[0], teacher[0]);
        let level = builder.sub("conv");
        let conv = match Geometry::between(student, teacher)? {
            Geometry::Halving => {
                let config = Conv2dConfig::new(input, output, 3).stride(2).padding(1);
                Conv::Plain(Conv2d::new(level, config.bias()))
            }
            Geometry::Doubling => {
                Conv::Transposed(ConvTranspose2d::new(level, input, output, 4, 2, 1))
            }
            Geometry::Shrinking(kernel) => {
                let mut config = Conv2dConfig::new(input, output, 1).bias();
                config.kernel = kernel;
                Conv::Plain(Conv2d::new(level, config))
            }
        };
        Ok(Self {
            conv,
            bn: BatchNorm2d::new(builder.sub("bn"), output),
            use_relu,
        })
    }

    /// As [`Regressor::new`] for maps of any sizes: a 1×1 convolution and [`resize_map`]. Kernels as
    /// large as maps differ in size would cost too much on the maps of networks that segment.
    pub fn resizing(
        builder: &mut Builder<'_>,
        student: [usize; 3],
        teacher: [usize; 3],
        use_relu: bool,
    ) -> Self {
        let ([input, ..], [output, height, width]) = (student, teacher);
        let config = Conv2dConfig::new(input, output, 1).bias();
        Self {
            conv: Conv::Resizing(Conv2d::new(builder.sub("conv"), config), [height, width]),
            bn: BatchNorm2d::new(builder.sub("bn"), output),
            use_relu,
        }
    }

    /// Student map → the shape of the teacher's.
    pub fn forward(&self, pass: &mut Pass<'_>, x: Tensor<4>) -> Tensor<4> {
        let x = match &self.conv {
            Conv::Plain(conv) => conv.forward(pass, x),
            Conv::Transposed(conv) => conv.forward(pass, x),
            Conv::Resizing(conv, size) => {
                // Both are linear: the convolution goes over the smaller map.
                let [_, _, height, width] = x.dims();
                match height * width > size[0] * size[1] {
                    true => conv.forward(pass, resize_map(x, *size)),
                    false => resize_map(conv.forward(pass, x), *size),
                }
            }
        };
        match self.use_relu {
            true => self.bn.forward_relu(pass, x),
            false => self.bn.forward(pass, x),
        }
    }
}

/// Brings a map to `size` `[height, width]`: averaged over adaptive windows along the axes on
/// which it is larger, interpolated bilinearly (pixel areas aligned) along those on which it is
/// smaller. `[B, C, H, W]` → `[B, C, size[0], size[1]]`.
pub(crate) fn resize_map(map: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = map.dims();
    let pooled = [height.min(size[0]), width.min(size[1])];
    resize_bilinear(pool_map(map, pooled), size, false)
}

/// Averages a map over adaptive windows to `size` `[height, width]`, which may be its own.
pub(crate) fn pool_map(map: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = map.dims();
    if [height, width] == size {
        return map;
    }
    adaptive_avg_pool2d(map, size)
}

#[cfg(test)]
mod tests {
    use limbeck_nn::Store;

    use super::*;
    use crate::testing::{assert_close, numbers, pass, probe, random, tensor};

    fn regressor(student: [usize; 3], teacher: [usize; 3]) -> Result<Vec<usize>, String> {
        let probe = probe(&[], &[]);
        let mut store = Store::new(&probe.device, probe.dtype);
        let regressor = Regressor::new(&mut Builder::new(&mut store, 0), student, teacher, true)?;
        let [c, h, w] = student;
        let output = regressor.forward(&mut pass(&store), random("x", [2, c, h, w]));
        Ok(output.dims().to_vec())
    }

    #[test]
    fn a_regressor_reaches_the_teachers_shape_in_all_three_ways() {
        for (student, teacher) in [
            ([3, 8, 8], [4, 4, 4]),
            ([3, 8, 7], [4, 4, 4]),
            ([3, 4, 6], [4, 8, 12]),
            ([3, 5, 5], [4, 5, 5]),
            ([3, 8, 7], [4, 7, 4]),
        ] {
            let [c, h, w] = teacher;
            assert_eq!(regressor(student, teacher), Ok(vec![2, c, h, w]));
        }
    }

    #[test]
    fn a_regressor_that_would_miss_the_shape_is_refused() {
        for (student, teacher) in [
            ([3, 4, 4], [4, 5, 5]),
            ([3, 8, 9], [4, 4, 4]),
            ([3, 4, 4], [4, 8, 7]),
            ([3, 6, 4], [4, 5, 5]),
        ] {
            assert!(regressor(student, teacher).is_err());
        }
    }

    #[test]
    fn resizing_keeps_constants_and_averages_what_gets_smaller() {
        let constant = random("c", [2, 3, 1, 1]).expand([2, 3, 8, 5]);
        let resized = resize_map(constant.clone(), [3, 7]);
        assert_eq!(resized.dims(), [2, 3, 3, 7]);
        let expected = constant
            .slice([0..2, 0..3, 0..1, 0..1])
            .expand([2, 3, 3, 7]);
        assert_close(&numbers(&resized), &numbers(&expected));
        let ramp = tensor((0..8).map(f64::from).collect(), [1, 1, 1, 8]);
        assert_eq!(numbers(&resize_map(ramp.clone(), [1, 2])), [1.5, 5.5]);
        // Windows overlap where 3 does not divide 8: 0..3, 2..6, 5..8.
        assert_eq!(numbers(&resize_map(ramp, [1, 3])), [1.0, 3.5, 6.0]);
    }
}
