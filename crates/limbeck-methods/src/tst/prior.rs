//! The first stage: operator networks imitate their operators.

use burn::tensor::{Tensor, TensorData};
use limbeck_nn::Init;

use crate::{MethodError, Scene, Term, connector::mean_squared_error};

use super::{
    COLOUR_MEMBER, GEOMETRY_MEMBER, Tst,
    geometry::for_each_image,
    operators::{OPERATORS, Pixels},
    policy::{self, COLOURS, GEOMETRIES},
};

impl Tst {
    /// Terms of the prior: what each network of act 0 (colours) or 1 (geometry) misses.
    pub(super) fn imitate(
        &self,
        act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let images = scene.batch().images.clone();
        let [batch, _, height, width] = images.dims();
        let seed = scene.seed();
        let pixels = policy::pixels(&self.normalisation, &images);
        let (member, first, count) = match act {
            0 => (COLOUR_MEMBER, 0, COLOURS),
            _ => (GEOMETRY_MEMBER, COLOURS, GEOMETRIES),
        };
        scene.modules(member, |pass| {
            let mut terms = Vec::new();
            for (place, operator) in OPERATORS[first..first + count].iter().enumerate() {
                let name = format!("{operator:?}").to_lowercase();
                let drawn = Init::Uniform(1.0).draw(seed, &name, 2);
                let mut magnitude = 0.5 * (drawn[0] + 1.0);
                let mut strength = operator.strength(magnitude, height, width);
                if operator.is_signed() && drawn[1] < 0.0 {
                    (magnitude, strength) = (-magnitude, -strength);
                }
                let changed: Vec<Pixels> = pixels
                    .iter()
                    .map(|picture| operator.apply(picture, strength))
                    .collect();
                let target = policy::images(&self.normalisation, &changed, &images);
                let options = (&images.device(), images.dtype());
                let magnitude = Tensor::<1>::from_data([magnitude], options);
                let magnitude = for_each_image(magnitude, batch);
                let made = if act == 0 {
                    let noise = Init::Normal(1.0).draw(seed, &format!("{name}.noise"), 10);
                    let noise = Tensor::from_data(TensorData::new(noise, [10]), options);
                    let network = &self.networks.colours[place];
                    network
                        .forward(pass, images.clone(), magnitude, noise, None)
                        .images
                } else {
                    let network = &self.networks.geometries[place];
                    network.forward(pass, images.clone(), magnitude, None)
                };
                let value = mean_squared_error(made, target);
                terms.push(Term::new(&format!("prior.{name}"), value, 1.0));
            }
            terms
        })
    }
}
