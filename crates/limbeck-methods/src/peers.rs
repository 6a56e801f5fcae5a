//! Networks that learn beside the student and are thrown away afterwards.

use burn::tensor::Tensor;
use limbeck_nn::{Outputs, Tap, Taps};

use crate::{
    Act, Cast, MethodError, OptimizerChange, Probe, STUDENT, Scene, Stage, Term, Trained,
    member_seed,
    pairs::{map_shape, stages},
};

/// The student and its peers, each a network of its own, which all learn in the same act.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    /// Names in the cast, the student first.
    names: Vec<String>,
}

impl Peers {
    /// Adds `peer1`, `peer2`, … of these models of the zoo to the student of `cast`, each freshly
    /// drawn from a seed of its own.
    ///
    /// # Errors
    /// A model that is not in the zoo or does not take the student's images.
    pub fn new<'a>(
        models: impl IntoIterator<Item = &'a str>,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        let mut names = vec![STUDENT.to_owned()];
        for (index, model) in (1..).zip(models) {
            let name = format!("peer{index}");
            cast.add_model(&name, model, member_seed(probe.seed, index))?;
            names.push(name);
        }
        Ok(Self { names })
    }

    /// The student and the peers that a setting names, joined by `+`; one more network like the
    /// student where it is missing.
    ///
    /// # Errors
    /// As [`Peers::new`].
    pub fn named(
        setting: Option<&str>,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        match setting {
            Some(models) => Self::new(models.split('+').map(str::trim), probe, cast),
            None => Self::alike(2, probe, cast),
        }
    }

    /// The student and networks like it, `count` in all.
    ///
    /// # Errors
    /// No student.
    pub fn alike(count: usize, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        let model = cast.network(STUDENT)?.name().to_owned();
        Self::new((1..count).map(|_| model.as_str()), probe, cast)
    }

    /// How many networks there are, the student among them.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Names in the cast, the student first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// One stage in which all networks learn at once, and with them `modules` under its own pull of
    /// weights towards zero, if it has one.
    pub fn stage(&self, epochs: usize, modules: &[(&str, Option<f64>)]) -> Stage {
        let mut act = Act::training(self.names());
        act.trains
            .extend(modules.iter().map(|&(member, weight_decay)| Trained {
                member: member.to_owned(),
                optimizer: OptimizerChange {
                    weight_decay,
                    ..OptimizerChange::default()
                },
                ..Trained::default()
            }));
        Stage::new("train", epochs, vec![act])
    }

    /// What each network gives out for the batch's first view, in training mode; `taps` says what
    /// is read of a network by its place, the student's being 0.
    ///
    /// # Errors
    /// A member that is not there.
    pub fn train(
        &self,
        scene: &mut Scene<'_>,
        taps: impl Fn(usize) -> Taps,
    ) -> Result<Vec<Outputs>, MethodError> {
        let images = &scene.batch().images;
        self.names()
            .enumerate()
            .map(|(index, name)| scene.train(name, images.clone(), &taps(index)))
            .collect()
    }

    /// The last stage of each network, with `[C, H, W]` of its map. Networks of the student's model
    /// have the taps that the probe has for the student.
    ///
    /// # Errors
    /// A network without stages.
    pub fn last_stages(
        &self,
        method: &'static str,
        probe: &Probe,
        cast: &Cast,
    ) -> Result<Vec<(String, [usize; 3])>, MethodError> {
        let own = cast.network(STUDENT)?.name();
        self.names()
            .map(|name| {
                let network = cast.network(name)?;
                match network.name() == own {
                    true => stage_map(method, &probe.student, 0),
                    false => stage_map(method, &network.taps(), 0),
                }
            })
            .collect()
    }

    /// Refuses last stages of which one does not go with the student's: `fits` compares the shapes,
    /// `wanted` says in words what is wanted.
    pub fn require_fitting(
        &self,
        method: &'static str,
        stages: &[(String, [usize; 3])],
        fits: impl Fn([usize; 3], [usize; 3]) -> bool,
        wanted: &str,
    ) -> Result<(), MethodError> {
        let (own_tap, own) = &stages[0];
        let mut unlike = self.names().zip(stages);
        match unlike.find(|(_, (_, shape))| !fits(*own, *shape)) {
            None => Ok(()),
            Some((name, (tap, shape))) => Err(MethodError::Shape {
                method,
                feature: format!("the map {shape:?} of `{tap}` of {name}"),
                reason: format!(
                    "it wants {wanted}, and the student's `{own_tap}` is {own:?}; choose other \
                     `peers`"
                ),
            }),
        }
    }

    /// The supervised loss of each network's logits `[B, K]`, with weight `weight`: the student's
    /// is called `task`.
    ///
    /// # Errors
    /// As [`Scene::task`].
    pub fn task(
        &self,
        scene: &mut Scene<'_>,
        logits: &[Tensor<2>],
        weight: f64,
    ) -> Result<Vec<Term>, MethodError> {
        let values = logits.iter().map(|logits| scene.task(logits.clone()));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        Ok(self.terms("task", values, weight))
    }

    /// A term of each network: the student's is called `name`, that of a peer `name.peer1` and so
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

/// The stage that is followed by `after` others, with `[C, H, W]` of its map; in a network with
/// fewer stages the first.
///
/// # Errors
/// A network without stages.
pub(crate) fn stage_map(
    method: &'static str,
    taps: &[Tap],
    after: usize,
) -> Result<(String, [usize; 3]), MethodError> {
    let stages = stages(taps);
    let chosen = stages.len().saturating_sub(1 + after);
    let found = stages
        .get(chosen)
        .and_then(|tap| Some((tap.name.clone(), map_shape(&tap.kind)?)));
    found.ok_or_else(|| MethodError::Pairs {
        method: method.to_owned(),
        reason: "it reads the map of a stage, and a network has no stages".to_owned(),
    })
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

/// Refuses batch norms that would see a single value of each channel in a step.
pub(crate) fn require_several(method: &'static str, values: usize) -> Result<(), MethodError> {
    if values > 1 {
        return Ok(());
    }
    Err(MethodError::Batch {
        method,
        reason: "its batch norms need at least 2 values of each channel in a step, found 1; raise \
                 `batch` in [data]"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rehearsal::cast,
        testing::{assert_close, network_probe, numbers, random},
    };

    #[test]
    fn peers_are_the_students_architecture_with_numbers_of_their_own() {
        let mut cast = cast();
        let peers = Peers::alike(3, &network_probe(), &mut cast).unwrap();
        let names: Vec<&str> = peers.names().collect();
        assert_eq!(names, ["student", "peer1", "peer2"]);
        let first = |name| {
            let store = cast.store(name).unwrap();
            assert_eq!(cast.network(name).unwrap().name(), "resnet8");
            numbers(&store.entries()[0].value)
        };
        assert_ne!(first("student"), first("peer1"));
        assert_ne!(first("peer1"), first("peer2"));
    }

    #[test]
    fn unknown_models_are_refused() {
        let error = Peers::new(["resnet9"], &network_probe(), &mut cast());
        assert!(error.unwrap_err().to_string().contains("resnet9"));
    }

    #[test]
    fn terms_are_named_after_their_network() {
        let peers = Peers::alike(2, &network_probe(), &mut cast()).unwrap();
        let terms = peers.terms("kd", [random("a", [1]), random("b", [1])], 0.5);
        let names: Vec<(&str, f64)> = terms.iter().map(|t| (t.name.as_str(), t.weight)).collect();
        assert_eq!(names, [("kd", 0.5), ("kd.peer1", 0.5)]);
    }

    #[test]
    fn the_mean_is_that_of_all_networks() {
        let (a, b) = (random("a", [2, 3]), random("b", [2, 3]));
        let expected = (a.clone() + b.clone()).div_scalar(2.0);
        assert_close(&numbers(&mean_logits(&[a, b])), &numbers(&expected));
    }

    #[test]
    fn stages_are_counted_from_the_end() {
        let taps = network_probe().student;
        let (last, [_, height, _]) = stage_map("one", &taps, 0).unwrap();
        let (before, [_, before_height, _]) = stage_map("one", &taps, 1).unwrap();
        assert_eq!((last.as_str(), before.as_str()), ("stage3", "stage2"));
        assert_eq!(before_height, 2 * height);
        assert_eq!(stage_map("one", &taps, 9).unwrap().0, "stage1");
        assert!(stage_map("one", &[], 0).is_err());
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
