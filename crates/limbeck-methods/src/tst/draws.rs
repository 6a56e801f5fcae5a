//! What is drawn for a batch.

use burn::tensor::{Tensor, TensorData};
use limbeck_nn::Init;

use super::{
    geometry::GeometricDraws,
    policy::{ALL, COLOURS, GEOMETRIES, PolicyDraws},
};

impl PolicyDraws {
    /// Draws `count` operators and all that they need for a batch of `images` `[B, 3, H, W]`; the
    /// side of the cutout is `cutout` pixels.
    pub fn draw(seed: u64, images: &Tensor<4>, count: usize, cutout: usize) -> Self {
        let [batch, _, height, width] = images.dims();
        let options = (&images.device(), images.dtype());
        let uniform = |name: &str, count: usize| {
            let numbers = Init::Uniform(1.0).draw(seed, name, count);
            // Inside (0, 1), where the logarithms are finite.
            let inside = numbers
                .into_iter()
                .map(|x| (0.5 * (x + 1.0)).clamp(1e-7, 1.0 - 1e-7));
            inside.collect::<Vec<f64>>()
        };
        let normal = |name: &str, count: usize| Init::Normal(1.0).draw(seed, name, count);
        let order = uniform("order", ALL);
        let mut operators: Vec<usize> = (0..ALL).collect();
        operators.sort_by(|&a, &b| order[a].total_cmp(&order[b]));
        operators.truncate(count);
        operators.sort_unstable();
        let tensor = |numbers: Vec<f64>| {
            let count = numbers.len();
            Tensor::<1>::from_data(TensorData::new(numbers, [count]), options)
        };
        let name = |what: &str, operator: usize| format!("{what}.{operator}");
        let mut colours = Vec::new();
        let mut geometries = Vec::new();
        for &operator in &operators {
            let gates = tensor(uniform(&name("gate", operator), batch));
            if operator < COLOURS {
                let noise = tensor(normal(&name("noise", operator), 10));
                colours.push((operator, noise, gates.reshape([batch, 1, 1, 1])));
            } else if operator < COLOURS + GEOMETRIES {
                let noise = tensor(normal(&name("noise", operator), 7 * batch));
                let drawn = GeometricDraws {
                    noise: noise.reshape([batch, 7]),
                    uniform: gates.reshape([batch, 1, 1]),
                };
                geometries.push((operator - COLOURS, drawn));
            }
        }
        let centre = uniform("centre", 2);
        Self {
            operators,
            uniform: tensor(uniform("applied", ALL)),
            colours,
            geometries,
            cutout_centre: [
                (centre[0] * height as f64) as usize,
                (centre[1] * width as f64) as usize,
            ],
            cutout_size: cutout,
        }
    }
}
