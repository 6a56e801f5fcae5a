//! A network that moves pixels: imitates shear, translation or rotation of a given strength.

use burn::tensor::{Int, Tensor};
use limbeck_nn::{Builder, Init, ParameterId, Pass, Role, Store, layer::Linear};

use super::gate::gate;

/// Names `H`, `fc.{weight,bias}`, `logits`.
#[derive(Clone, Debug)]
pub struct GeometricNetwork {
    feature: ParameterId,
    fc: Linear,
    logits: ParameterId,
}

/// Where a geometric network moves pixels.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct Maps {
    /// Affine maps from output to source coordinates, `[B, 2, 3]`, before the gate.
    pub theta: Tensor<3>,
    /// How far each image is moved, in (0, 1), `[B, 1, 1]`; `None` without a gate.
    pub gate: Option<Tensor<3>>,
    /// The same maps after the gate.
    pub gated: Tensor<3>,
}

/// Random draws of one geometric network.
#[derive(Clone, Debug)]
pub struct GeometricDraws {
    /// Standard normal, `[B, 7]`.
    pub noise: Tensor<2>,
    /// Uniform in (0, 1), `[B, 1, 1]`.
    pub uniform: Tensor<3>,
}

impl GeometricNetwork {
    /// Moves nothing before it has learnt, once [`GeometricNetwork::reset`] has been called.
    pub fn new(builder: &mut Builder<'_>) -> Self {
        let zero = Init::Constant(0.0);
        Self {
            feature: builder.parameter("H", &[6], Role::Weight, Init::Normal(1.0)),
            fc: Linear::with_init(builder.sub("fc"), 7, 6, zero, Some(zero)),
            logits: builder.parameter("logits", &[1], Role::Bias, zero),
        }
    }

    /// Puts the identity into the bias called `<path>.fc.bias`, which no distribution draws.
    pub fn reset(store: &mut Store, path: &str) {
        if let Some(bias) = store.find(&format!("{path}.fc.bias")) {
            store.set_values(bias, vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        }
    }

    /// Moves `images` `[B, C, H, W]` by `magnitude` `[B, 1]`. Without draws, there is neither
    /// noise nor gate.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
        magnitude: Tensor<2>,
        draws: Option<&GeometricDraws>,
    ) -> Tensor<4> {
        affine_sample(images, self.maps(pass, magnitude, draws).gated)
    }

    /// Where [`GeometricNetwork::forward`] takes pixels from.
    pub fn maps(
        &self,
        pass: &mut Pass<'_>,
        magnitude: Tensor<2>,
        draws: Option<&GeometricDraws>,
    ) -> Maps {
        let [batch, _] = magnitude.dims();
        let feature = pass.get::<1>(self.feature).reshape([1, 6]);
        let mut h = Tensor::cat(vec![feature.expand([batch, 6]), magnitude], 1);
        if let Some(draws) = draws {
            h = h + draws.noise.clone().mul_scalar(0.01);
        }
        let theta = self.fc.forward(pass, h).reshape([batch, 2, 3]);
        let Some(draws) = draws else {
            return Maps {
                gated: theta.clone(),
                gate: None,
                theta,
            };
        };
        let logits = pass.get::<1>(self.logits).reshape([1, 1, 1]);
        let share = gate(draws.uniform.clone(), logits);
        let gated =
            theta.clone() * share.clone() + (-share.clone()).add_scalar(1.0) * identity(&theta);
        Maps {
            theta,
            gate: Some(share),
            gated,
        }
    }
}

/// The map that moves nothing, `[1, 2, 3]`, where and of the type that `like` is.
pub fn identity(like: &Tensor<3>) -> Tensor<3> {
    Tensor::from_data(
        [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]],
        (&like.device(), like.dtype()),
    )
}

/// Bilinear sampling of `images` `[B, C, H, W]` where the affine maps `theta` `[B, 2, 3]` lead:
/// coordinates from −1 to 1 over the pixel areas, zeros outside. Gradients reach both arguments.
pub fn affine_sample(images: Tensor<4>, theta: Tensor<3>) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let (device, dtype) = (theta.device(), theta.dtype());
    let positions = height * width;
    let base: Vec<f64> = (0..positions)
        .flat_map(|place| {
            let (row, column) = (place / width, place % width);
            [
                (2 * column + 1) as f64 / width as f64 - 1.0,
                (2 * row + 1) as f64 / height as f64 - 1.0,
                1.0,
            ]
        })
        .collect();
    let base = burn::tensor::TensorData::new(base, [1, positions, 3]);
    let base = Tensor::<3>::from_data(base, (&device, dtype)).expand([batch, positions, 3]);
    // [B, HW, 2]
    let source = base.matmul(theta.swap_dims(1, 2));
    let pixel = |axis: usize, size: usize| {
        let coordinate = source
            .clone()
            .narrow(2, axis, 1)
            .reshape([batch, positions]);
        let scaled = coordinate.add_scalar(1.0).mul_scalar(size as f64);
        scaled.sub_scalar(1.0).mul_scalar(0.5)
    };
    let (x, y) = (pixel(0, width), pixel(1, height));
    let (left, top) = (x.clone().inner().floor(), y.clone().inner().floor());
    let (right_share, lower_share) = (x - left.clone(), y - top.clone());
    let flat = images.reshape([batch, channels, positions]);
    let inside = |at: &Tensor<2>, size: usize| {
        let within = at
            .clone()
            .greater_equal_elem(0.0)
            .bool_and(at.clone().lower_equal_elem((size - 1) as f64));
        within.float().cast(dtype)
    };
    let mut sum: Option<Tensor<3>> = None;
    for (across, down) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let (column, row) = (
            left.clone().add_scalar(across),
            top.clone().add_scalar(down),
        );
        let share = |share: &Tensor<2>, far: f64| match far {
            0.0 => (-share.clone()).add_scalar(1.0),
            _ => share.clone(),
        };
        let weight = share(&right_share, across)
            * share(&lower_share, down)
            * inside(&column, width)
            * inside(&row, height);
        let column = column.clamp(0.0, (width - 1) as f64);
        let row = row.clamp(0.0, (height - 1) as f64);
        let index: Tensor<2, Int> = (row.mul_scalar(width as f64) + column).int();
        let index = index
            .reshape([batch, 1, positions])
            .expand([batch, channels, positions]);
        let part = flat.clone().gather(2, index) * weight.reshape([batch, 1, positions]);
        sum = Some(match sum {
            Some(sum) => sum + part,
            None => part,
        });
    }
    let sum = sum.unwrap_or(flat);
    sum.reshape([batch, channels, height, width])
}

/// A strength between 0 and 1 for each image, `[B, 1]`, from one number `[1]`.
pub fn for_each_image(magnitude: Tensor<1>, batch: usize) -> Tensor<2> {
    magnitude.reshape([1, 1]).expand([batch, 1])
}
