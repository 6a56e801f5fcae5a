//! What an adapter computes for a golden file.

use std::collections::BTreeMap;

use burn::tensor::{Gradients, Tensor};
use limbeck_nn::{ParameterId, Role, Store};

use super::case::{Case, Values};

/// Reads the gradient of one input.
type GradientOf = Box<dyn Fn(&Gradients) -> Values>;

/// Collects what comes out of one case, under the names that the file has.
pub struct Run<'a> {
    /// The file.
    pub case: &'a Case,
    found: BTreeMap<String, Values>,
    inputs: Vec<(String, GradientOf)>,
    stores: Vec<Store>,
}

impl<'a> Run<'a> {
    /// Starts with nothing found.
    pub fn new(case: &'a Case) -> Self {
        Self {
            case,
            found: BTreeMap::new(),
            inputs: Vec::new(),
            stores: Vec::new(),
        }
    }

    /// The input `in.<name>`, recording gradients: [`Run::finish`] gives `grad.in.<name>`.
    pub fn input<const D: usize>(&mut self, name: &str) -> Tensor<D> {
        let name = format!("in.{name}");
        let tensor = self.case.tensor::<D>(&name).autodiff().require_grad();
        let leaf = tensor.clone();
        let gradient = move |gradients: &Gradients| match leaf.grad(gradients) {
            Some(gradient) => values(&gradient),
            None => Values {
                shape: leaf.dims().to_vec(),
                numbers: vec![0.0; leaf.shape().num_elements()],
            },
        };
        self.inputs
            .push((format!("grad.{name}"), Box::new(gradient)));
        tensor
    }

    /// The inputs `in.<name>.0`, `in.<name>.1`, … recording gradients.
    pub fn inputs<const D: usize>(&mut self, name: &str) -> Vec<Tensor<D>> {
        (0..self.case.list_length(&format!("in.{name}")))
            .map(|i| self.input(&format!("{name}.{i}")))
            .collect()
    }

    /// Copies every `param.*` of the file into the entry of that name. What the file has and the
    /// store has not, or the other way round, is an error; only batch counters may be left out.
    pub fn fill(&self, store: &mut Store) {
        let mut left: Vec<&str> = Vec::new();
        let ids: Vec<ParameterId> = store.ids().collect();
        for id in ids {
            let entry = store.entry(id);
            match self.case.tensors.get(&format!("param.{}", entry.name)) {
                Some(values) => {
                    assert_eq!(values.shape, entry.shape, "shape of `{}`", entry.name);
                    store.set_values(id, values.numbers.clone());
                }
                None if entry.role == Role::Counter => {}
                None => panic!("the file has no `param.{}`", entry.name),
            }
        }
        for name in self.case.tensors.keys() {
            if let Some(name) = name.strip_prefix("param.")
                && store.find(name).is_none()
            {
                left.push(name);
            }
        }
        assert!(left.is_empty(), "no parameters called {left:?}");
    }

    /// Notes that `tracked` is a [`Store::tracked`] copy that the loss depends on:
    /// [`Run::finish`] gives its `grad.param.*`.
    pub fn track(&mut self, tracked: &Store) {
        self.stores.push(tracked.clone());
    }

    /// Gives `out.after.*` for the statistics of `store`, which a training step has updated.
    pub fn after(&mut self, store: &Store) {
        for entry in store.entries().iter().filter(|e| !e.role.is_trained()) {
            let numbers = values(&entry.value).numbers;
            let shape = entry.shape.clone();
            self.found.insert(
                format!("out.after.{}", entry.name),
                Values { shape, numbers },
            );
        }
    }

    /// Gives `out.<name>`.
    pub fn out<const D: usize>(&mut self, name: &str, tensor: &Tensor<D>) {
        self.found.insert(format!("out.{name}"), values(tensor));
    }

    /// Gives a tensor under its whole name, such as `grad.param.fc.weight`, where none of the
    /// other functions fits.
    pub fn set(&mut self, name: &str, values: Values) {
        self.found.insert(name.to_owned(), values);
    }

    /// Gives `out.loss` and, by going back from it, every `grad.*` of tracked inputs and stores.
    pub fn finish(mut self, loss: &Tensor<1>) -> BTreeMap<String, Values> {
        self.out("loss", loss);
        if !loss.is_tracked() {
            return self.found;
        }
        let mut gradients = loss.backward();
        for (name, gradient) in &self.inputs {
            self.found.insert(name.clone(), gradient(&gradients));
        }
        for store in &self.stores {
            let found = store.gradients(&mut gradients);
            for (entry, gradient) in store.entries().iter().zip(found) {
                if !entry.role.is_trained() {
                    continue;
                }
                let count = entry.shape.iter().product();
                let numbers = match gradient {
                    Some(gradient) => values(&gradient).numbers,
                    None => vec![0.0; count],
                };
                let shape = entry.shape.clone();
                self.found.insert(
                    format!("grad.param.{}", entry.name),
                    Values { shape, numbers },
                );
            }
        }
        self.found
    }

    /// What was found, without a loss to go back from.
    pub fn finish_without_loss(self) -> BTreeMap<String, Values> {
        self.found
    }
}

/// The numbers of a tensor.
pub fn values<const D: usize>(tensor: &Tensor<D>) -> Values {
    Values {
        shape: tensor.dims().to_vec(),
        numbers: tensor.clone().try_into_vec_as::<f64>().unwrap(),
    }
}
