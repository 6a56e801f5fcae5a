//! Networks that learn beside the student and are thrown away afterwards.

use burn::tensor::Tensor;
use limbeck_nn::{Outputs, Taps};

use crate::{Act, Cast, MethodError, Probe, STUDENT, Scene, Stage, Term, member_seed};

/// The student and its peers, each a network of its own, which all learn in the same act.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    /// Names in the cast, the student first.
    names: Vec<String>,
}

impl Peers {
    /// Adds peers to the student of `cast` until there are `count` networks, each freshly drawn
    /// from a seed of its own. They are the zoo's `model`, or where that is `None` the student's.
    ///
    /// # Errors
    /// A model that cannot be built.
    pub fn new(
        count: usize,
        model: Option<&str>,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        let own = cast.network(STUDENT)?.name().to_owned();
        let mut names = vec![STUDENT.to_owned()];
        for index in 1..count {
            let name = format!("peer-{index}");
            cast.add_model(&name, model.unwrap_or(&own), member_seed(probe.seed, index))?;
            names.push(name);
        }
        Ok(Self { names })
    }

    /// How many networks there are, the student among them.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Names in the cast, the student first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// One stage in which all networks learn at once.
    pub fn stage(&self, epochs: usize) -> Stage {
        Stage::new("train", epochs, vec![Act::training(self.names())])
    }

    /// What each network gives out for the batch's first view, in training mode.
    ///
    /// # Errors
    /// A member that is not there.
    pub fn train(&self, scene: &mut Scene<'_>, taps: &Taps) -> Result<Vec<Outputs>, MethodError> {
        let images = &scene.batch().images;
        self.names()
            .map(|name| scene.train(name, images.clone(), taps))
            .collect()
    }

    /// The supervised loss of each network's logits `[B, K]`, with weight `weight`: the student's
    /// is called `task`.
    pub fn task(&self, scene: &mut Scene<'_>, logits: &[Tensor<2>], weight: f64) -> Vec<Term> {
        let values = logits.iter().map(|logits| scene.task(logits.clone()));
        self.terms("task", values, weight)
    }

    /// A term of each network: the student's is called `name`, that of a peer `name.peer-1` and so
    /// on.
    pub fn terms(
        &self,
        name: &str,
        values: impl IntoIterator<Item = Tensor<1>>,
        weight: f64,
    ) -> Vec<Term> {
        let named = self.names().zip(values).map(|(member, value)| {
            let name = match member {
                STUDENT => name.to_owned(),
                peer => format!("{name}.{peer}"),
            };
            Term::new(&name, value, weight)
        });
        named.collect()
    }
}

/// Mean of logits `[B, K]` over the networks. At least one.
pub(crate) fn mean_logits(logits: &[Tensor<2>]) -> Tensor<2> {
    let sum = logits[1..]
        .iter()
        .fold(logits[0].clone(), |sum, more| sum + more.clone());
    sum.mul_scalar(1.0 / logits.len() as f64)
}

/// Refuses outputs of networks whose shapes, listed in the order of the networks, differ, or that
/// are not `count`.
pub(crate) fn require_alike<const D: usize>(
    method: &'static str,
    what: &str,
    outputs: &[Tensor<D>],
    count: usize,
) -> Result<(), MethodError> {
    let shapes: Vec<[usize; D]> = outputs.iter().map(Tensor::dims).collect();
    let reason = if shapes.len() != count {
        format!(
            "{what} of {count} networks are compared, found {}",
            shapes.len()
        )
    } else if shapes.windows(2).any(|pair| pair[0] != pair[1]) {
        format!("{what} of all networks must have the same shape, found {shapes:?}")
    } else {
        return Ok(());
    };
    Err(MethodError::Batch { method, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rehearsal::cast,
        testing::{assert_close, numbers, probe, random},
    };

    #[test]
    fn peers_are_the_students_architecture_with_numbers_of_their_own() {
        let mut cast = cast(5);
        let peers = Peers::new(3, None, &probe(&[], &[]), &mut cast).unwrap();
        let names: Vec<&str> = peers.names().collect();
        assert_eq!(names, ["student", "peer-1", "peer-2"]);
        let first = |name| {
            let store = cast.store(name).unwrap();
            assert_eq!(cast.network(name).unwrap().name(), "resnet8");
            numbers(&store.entries()[0].value)
        };
        assert_ne!(first("student"), first("peer-1"));
        assert_ne!(first("peer-1"), first("peer-2"));
    }

    #[test]
    fn unknown_models_are_refused() {
        let error = Peers::new(2, Some("resnet9"), &probe(&[], &[]), &mut cast(5));
        assert!(error.unwrap_err().to_string().contains("resnet9"));
    }

    #[test]
    fn terms_are_named_after_their_network() {
        let peers = Peers::new(2, None, &probe(&[], &[]), &mut cast(5)).unwrap();
        let terms = peers.terms("kd", [random("a", [1]), random("b", [1])], 0.5);
        let names: Vec<(&str, f64)> = terms.iter().map(|t| (t.name.as_str(), t.weight)).collect();
        assert_eq!(names, [("kd", 0.5), ("kd.peer-1", 0.5)]);
    }

    #[test]
    fn the_mean_is_that_of_all_networks() {
        let (a, b) = (random("a", [2, 3]), random("b", [2, 3]));
        let expected = (a.clone() + b.clone()).div_scalar(2.0);
        assert_close(&numbers(&mean_logits(&[a, b])), &numbers(&expected));
    }

    #[test]
    fn shapes_and_counts_that_differ_are_told() {
        let two = [random("a", [2, 3]), random("b", [4, 3])];
        let error = require_alike("one", "logits", &two, 2)
            .unwrap_err()
            .to_string();
        assert!(error.contains("[[2, 3], [4, 3]]"), "{error}");
        let error = require_alike("one", "logits", &two, 3)
            .unwrap_err()
            .to_string();
        assert!(error.contains("of 3 networks"), "{error}");
    }
}
