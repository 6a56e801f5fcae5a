//! A burn [`Module`] as an architecture: its parameters are visited once into the store, filled back
//! for each pass, and the running statistics that a training pass leaves in it are collected.
//!
//! The module itself stays as it was made; all numbers are the store's. So a module is trained,
//! averaged, saved and resumed as a network of the zoo is, under the names of its fields
//! (`block.conv.weight`).

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Tensor};

use crate::{
    Architecture, Builder, Feature, InputShape, Network, NnError, ParameterId, Pass, Role, TapKind,
    Taps, TaskKind,
};

/// A burn module that predicts something of images.
pub trait ImageModule: Module + Sync + 'static {
    /// Runs `images` `[B, C, H, W]` and returns the prediction, as
    /// [`Architecture::forward`] does. What is to be compared with
    /// another network is recorded in `pass` by [`Pass::tap`] under the names of
    /// [`ImageModule::tap_names`].
    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature;

    /// Names of all taps in forward order, `logits` left out.
    fn tap_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Multiply-accumulates of one image; 0 where nobody has counted them.
    fn macs(&self) -> u64 {
        0
    }
}

/// The architecture of a burn module, with the numbers that the module has: for a builder whose
/// seed its parameters were drawn from.
pub fn module_architecture(
    builder: &mut Builder<'_>,
    module: impl ImageModule,
) -> Box<dyn Architecture> {
    Box::new(ModuleArchitecture::new(builder, module))
}

impl Network {
    /// A network of a burn module, with the numbers that the module has. It is called `name` in
    /// files and reports.
    ///
    /// # Errors
    /// A module whose prediction for an image of `input` has not as many channels as classes.
    pub fn of_module(
        name: &str,
        input: InputShape,
        device: &Device,
        dtype: DType,
        module: impl ImageModule,
    ) -> Result<Self, NnError> {
        let network = Self::new(name, input, 0, device, dtype, |builder, _| {
            Ok(module_architecture(builder, module))
        })?;
        let outputs = network.evaluate(network.blank_image(), &Taps::none());
        let (kind, rows) = (outputs.prediction.kind(), outputs.logits().dims());
        let of_one_image = !matches!(kind, TapKind::Vector(_)) || rows[0] == 1;
        if TaskKind::of(&kind).is_none() || rows[1] != input.classes || !of_one_image {
            return Err(NnError::Unsupported {
                model: name.to_owned(),
                reason: format!(
                    "it predicts a {kind} for each image ({rows:?} for one), and a vector [{0}] or \
                     a map [{0}, h, w] is needed for {0} classes",
                    input.classes
                ),
            });
        }
        Ok(network)
    }
}

/// The module without its numbers, and where they are.
#[derive(Debug)]
struct ModuleArchitecture<M> {
    module: M,
    places: HashMap<ParamId, ParameterId>,
}

impl<M: ImageModule> ModuleArchitecture<M> {
    fn new(builder: &mut Builder<'_>, module: M) -> Self {
        let mut visitor = Adopt {
            builder,
            path: Vec::new(),
            places: HashMap::new(),
        };
        // Only a module in training tells which of its parameters are trained.
        let module = module.train();
        module.visit(&mut visitor);
        let places = visitor.places;
        Self {
            module: module.valid(),
            places,
        }
    }
}

impl<M: ImageModule> Architecture for ModuleArchitecture<M> {
    fn tap_names(&self) -> Vec<String> {
        self.module.tap_names()
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        // Copies of a module share their running statistics; `valid` and `train` make new ones, so
        // that passes on several threads do not meet.
        let fresh = self.module.valid();
        let fresh = match pass.is_training() {
            true => fresh.train(),
            false => fresh,
        };
        let tracked = self
            .places
            .values()
            .any(|&id| pass.store().entry(id).value.is_tracked());
        let filled = fresh.map(&mut Fill {
            pass,
            places: &self.places,
        });
        if pass.is_counting() {
            pass.count(self.module.macs() as usize, 0);
        }
        if !pass.is_training() {
            return filled.forward(pass, images);
        }
        // burn's layers are in training where their images are on a device that records gradients.
        let images = match images.device().is_autodiff() {
            true => images,
            false => images.autodiff(),
        };
        let through = images.is_tracked();
        let prediction = filled.forward(pass, images);
        filled.valid().visit(&mut Collect {
            pass,
            places: &self.places,
        });
        match tracked || through {
            true => prediction,
            false => {
                pass.detach_taps();
                prediction.detach()
            }
        }
    }
}

/// Makes an entry of the store for each parameter.
struct Adopt<'a, 'b> {
    builder: &'a mut Builder<'b>,
    /// Names of the fields that lead to what is visited.
    path: Vec<String>,
    places: HashMap<ParamId, ParameterId>,
}

impl Adopt<'_, '_> {
    /// What the innermost field is for. Constants and running statistics are not trained.
    fn role(&self, trained: bool) -> Role {
        let field = self.path.last().map_or("", String::as_str);
        match field {
            _ if !trained => Role::Statistic,
            "gamma" => Role::NormScale,
            "beta" => Role::NormShift,
            "bias" => Role::Bias,
            _ => Role::Weight,
        }
    }
}

impl ModuleVisitor for Adopt<'_, '_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // A parameter that two layers share is one entry, under the first name.
        if self.places.contains_key(&param.id) {
            return;
        }
        let value = param.val();
        let role = self.role(value.is_require_grad());
        let shape = value.dims();
        let values: Vec<f64> = value.inner().into_data().iter::<f64>().collect();
        let id = self
            .builder
            .given(&self.path.join("."), &shape, role, values);
        self.places.insert(param.id, id);
    }
}

/// Puts the store's numbers into a copy of the module.
struct Fill<'a, 'b> {
    pass: &'a Pass<'b>,
    places: &'a HashMap<ParamId, ParameterId>,
}

impl ModuleMapper for Fill<'_, '_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.places.get(&param.id) {
            Some(&id) => Param::initialized(param.id, self.value(id)),
            None => param,
        }
    }
}

impl Fill<'_, '_> {
    /// Statistics as the pass has left them by now, everything else as the store has it.
    fn value<const D: usize>(&self, id: ParameterId) -> Tensor<D> {
        let entry = self.pass.store().entry(id);
        if entry.role.is_trained() {
            return self.pass.get(id);
        }
        let mut shape = [1; D];
        shape.copy_from_slice(&entry.shape);
        let value = self.pass.current(id).reshape(shape);
        match self.pass.is_training() {
            true => value.autodiff(),
            false => value,
        }
    }
}

/// Notes the running statistics that a training pass has left in its copy of the module.
struct Collect<'a, 'b> {
    pass: &'a mut Pass<'b>,
    places: &'a HashMap<ParamId, ParameterId>,
}

impl ModuleVisitor for Collect<'_, '_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(&id) = self.places.get(&param.id) else {
            return;
        };
        if self.pass.store().entry(id).role == Role::Statistic {
            let value = param.val().inner();
            let count = value.shape().num_elements();
            self.pass.update(id, value.reshape([count]));
        }
    }
}
