//! The augmentation module: how strong and how likely each operator is.

use burn::tensor::{Tensor, TensorData, activation::sigmoid};
use limbeck_nn::{Builder, Init, ParameterId, Pass, Role};

use crate::Normalisation;

use super::{
    colour::ColourNetwork,
    gate::gate,
    geometry::{GeometricDraws, GeometricNetwork, for_each_image},
    operators::Pixels,
};

/// Colour networks.
pub const COLOURS: usize = 6;
/// Geometric networks.
pub const GEOMETRIES: usize = 5;
/// Operators with networks, which have a magnitude.
pub const NETWORKS: usize = COLOURS + GEOMETRIES;
/// All operators: those with networks, then equalize, invert and cutout.
pub const ALL: usize = NETWORKS + 3;

/// The eleven operator networks: `learning_color_model_list.i.*`, `learning_stn_model_list.i.*`.
#[derive(Clone, Debug)]
pub struct OperatorNetworks {
    /// In the order of [`super::operators::OPERATORS`].
    pub colours: Vec<ColourNetwork>,
    /// The same.
    pub geometries: Vec<GeometricNetwork>,
}

/// Where the colour networks' names begin.
pub const COLOUR_PATH: &str = "learning_color_model_list";
/// Where the geometric networks' names begin.
pub const GEOMETRY_PATH: &str = "learning_stn_model_list";

impl OperatorNetworks {
    /// The colour networks.
    pub fn colours(builder: &mut Builder<'_>) -> Vec<ColourNetwork> {
        let mut list = builder.sub(COLOUR_PATH);
        let networks = (0..COLOURS).map(|i| ColourNetwork::new(&mut list.sub(i)));
        networks.collect()
    }

    /// The geometric networks.
    pub fn geometries(builder: &mut Builder<'_>) -> Vec<GeometricNetwork> {
        let mut list = builder.sub(GEOMETRY_PATH);
        let networks = (0..GEOMETRIES).map(|i| GeometricNetwork::new(&mut list.sub(i)));
        networks.collect()
    }
}

/// The two vectors that the search moves: `probabilities` `[14]`, `magnitudes` `[11]`.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    probabilities: ParameterId,
    magnitudes: ParameterId,
}

/// What is drawn for one batch.
#[derive(Clone, Debug)]
pub struct PolicyDraws {
    /// Operators that are applied.
    pub operators: Vec<usize>,
    /// Uniform in (0, 1), `[14]`.
    pub uniform: Tensor<1>,
    /// For each drawn colour network: its number, noise `[10]` and uniforms `[B, 1, 1, 1]`.
    pub colours: Vec<(usize, Tensor<1>, Tensor<4>)>,
    /// For each drawn geometric network: its number and draws.
    pub geometries: Vec<(usize, GeometricDraws)>,
    /// Row and column of the cutout's centre.
    pub cutout_centre: [usize; 2],
    /// Side of the cutout, in pixels.
    pub cutout_size: usize,
}

/// The policy's numbers as they are used.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct PolicyNumbers {
    /// σ(probabilities), `[14]`.
    pub probabilities: Tensor<1>,
    /// σ(magnitudes), `[11]`.
    pub magnitudes: Tensor<1>,
    /// How far each operator is applied, `[14]`.
    pub applied: Tensor<1>,
}

impl Policy {
    /// All zeros.
    pub fn new(builder: &mut Builder<'_>) -> Self {
        let zero = Init::Constant(0.0);
        Self {
            probabilities: builder.parameter("probabilities", &[ALL], Role::Weight, zero),
            magnitudes: builder.parameter("magnitudes", &[NETWORKS], Role::Weight, zero),
        }
    }

    /// The policy's numbers for the uniform draws `[14]`. With `true_logit` the logit of the draw
    /// is the probability's own; without, as in the authors' code, its sigmoid. Both vectors are taken
    /// no further from 0 than `bound`, where there is one.
    pub fn numbers(
        &self,
        pass: &Pass<'_>,
        uniform: Tensor<1>,
        true_logit: bool,
        bound: Option<f64>,
    ) -> PolicyNumbers {
        let bounded = |numbers: Tensor<1>| match bound {
            Some(bound) => numbers.clamp(-bound, bound),
            None => numbers,
        };
        let raw = bounded(pass.get::<1>(self.probabilities));
        let probabilities = sigmoid(raw.clone());
        let logits = match true_logit {
            true => raw,
            false => probabilities.clone(),
        };
        PolicyNumbers {
            magnitudes: sigmoid(bounded(pass.get::<1>(self.magnitudes))),
            applied: gate(uniform, logits),
            probabilities,
        }
    }
}

/// x + Σ over drawn operators k of applied_k · (operator_k(x) − x). `colours` and `geometries` are
/// passes over the networks' stores.
pub fn augment(
    networks: &OperatorNetworks,
    passes: (&mut Pass<'_>, &mut Pass<'_>),
    images: Tensor<4>,
    numbers: &PolicyNumbers,
    draws: &PolicyDraws,
    normalisation: &Normalisation,
) -> Tensor<4> {
    let [batch, ..] = images.dims();
    let (colour_pass, geometry_pass) = passes;
    let magnitude = |index| for_each_image(numbers.magnitudes.clone().narrow(0, index, 1), batch);
    let mut sum = images.clone();
    for &operator in &draws.operators {
        let x = images.clone();
        let changed = if let Some((_, noise, uniform)) =
            draws.colours.iter().find(|(index, ..)| *index == operator)
        {
            let (noise, uniform) = (noise.clone(), Some(uniform.clone()));
            let network = &networks.colours[operator];
            let strength = magnitude(operator);
            network
                .forward(colour_pass, x, strength, noise, uniform)
                .images
        } else if let Some((_, drawn)) = draws
            .geometries
            .iter()
            .find(|(index, _)| COLOURS + index == operator)
        {
            let network = &networks.geometries[operator - COLOURS];
            let strength = magnitude(operator);
            network.forward(geometry_pass, x, strength, Some(drawn))
        } else {
            match operator - NETWORKS {
                0 => on_pixels(normalisation, &x, Pixels::equalize),
                1 => on_pixels(normalisation, &x, Pixels::invert),
                _ => cutout(x, draws.cutout_centre, draws.cutout_size),
            }
        };
        let applied = numbers.applied.clone().narrow(0, operator, 1);
        sum = sum + (changed - images.clone()) * applied.reshape([1, 1, 1, 1]);
    }
    sum
}

/// A square of zeros, cut at the border.
fn cutout(images: Tensor<4>, [row, column]: [usize; 2], size: usize) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    let half = size / 2;
    let covers = |at: usize, centre: usize| at + half >= centre && at < centre + half;
    let mask: Vec<f64> = (0..height * width)
        .map(|at| f64::from(!(covers(at / width, row) && covers(at % width, column))))
        .collect();
    let mask = TensorData::new(mask, [1, 1, height, width]);
    let mask = Tensor::<4>::from_data(mask, (&images.device(), images.dtype()));
    images * mask
}

/// Each image as whole pixel values.
pub(super) fn pixels(normalisation: &Normalisation, images: &Tensor<4>) -> Vec<Pixels> {
    let [_, channels, height, width] = images.dims();
    let numbers: Vec<f64> = images.to_data().iter().collect();
    let area = height * width;
    let images = numbers.chunks_exact((channels * area).max(1));
    images
        .map(|image| {
            let values = image.iter().enumerate().map(|(at, number)| {
                let channel = at / area;
                let value = number * normalisation.std[channel] + normalisation.mean[channel];
                (value * 255.0 + 0.5).floor().clamp(0.0, 255.0)
            });
            Pixels {
                values: values.collect(),
                channels,
                height,
                width,
            }
        })
        .collect()
}

/// Back to what networks see, in the shape of `like`.
pub(super) fn images(
    normalisation: &Normalisation,
    pixels: &[Pixels],
    like: &Tensor<4>,
) -> Tensor<4> {
    let [_, _, height, width] = like.dims();
    let area = height * width;
    let numbers: Vec<f64> = pixels
        .iter()
        .flat_map(|picture| {
            picture.values.iter().enumerate().map(|(at, value)| {
                let channel = at / area;
                (value / 255.0 - normalisation.mean[channel]) / normalisation.std[channel]
            })
        })
        .collect();
    let data = TensorData::new(numbers, like.dims());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

/// Changes whole pixel values; no gradient passes.
fn on_pixels(
    normalisation: &Normalisation,
    images: &Tensor<4>,
    change: impl Fn(&Pixels) -> Pixels,
) -> Tensor<4> {
    let plain = images.clone().inner();
    let changed: Vec<Pixels> = pixels(normalisation, &plain).iter().map(change).collect();
    self::images(normalisation, &changed, &plain)
}
