//! What a method is built for and fed with when a golden file is its only source.

use burn::tensor::{DType, Int, Tensor};
use limbeck_nn::{Builder, Feature, InputShape, Network, Outputs, Store, Tap, TapKind, model};

use super::case::Case;
use crate::{
    Classification, MethodError, Probe, Progress, Step, Supervision, TrainingPart,
    testing::{self, POSITIONS},
};

pub use crate::{Target, testing::pass};

/// A probe for these taps; `logits` of `classes` are added to both sides.
pub fn probe(
    classes: usize,
    batch: usize,
    student: Vec<(String, TapKind)>,
    teacher: Vec<(String, TapKind)>,
) -> Probe {
    let taps = |features: Vec<(String, TapKind)>| {
        features
            .into_iter()
            .chain([("logits".to_owned(), TapKind::Vector(classes))])
            .map(|(name, kind)| Tap { name, kind })
            .collect::<Vec<_>>()
    };
    Probe {
        student: taps(student),
        teacher: Some(taps(teacher)),
        classes,
        batch,
        pairs: None,
        seed: 0,
        device: Case::device(),
        dtype: DType::F64,
        training: TrainingPart::default(),
        teacher_classifier: None,
        teacher_network: None,
    }
}

/// The same for networks that segment: what they predict is a map.
pub fn segmenting(mut probe: Probe) -> Probe {
    let both = [Some(&mut probe.student), probe.teacher.as_mut()];
    for logits in both
        .into_iter()
        .flatten()
        .filter_map(|taps| taps.last_mut())
    {
        logits.kind = TapKind::Map([probe.classes, 1, 1]);
    }
    probe
}

/// A method made by its `new`, and the store that its modules are in.
pub fn build<M>(
    probe: &Probe,
    new: impl FnOnce(&Probe, &mut Builder<'_>) -> Result<M, MethodError>,
) -> (M, Store) {
    match testing::build(probe, new) {
        Ok(made) => made,
        Err(error) => panic!("the method refuses the file: {error}"),
    }
}

/// A student for procedures whose goldens need none of its outputs.
pub fn small_network() -> Network {
    let input = InputShape {
        channels: 3,
        height: 16,
        width: 16,
        classes: 2,
    };
    model::build("resnet8", input, 0, &Case::device(), DType::F64).unwrap()
}

/// Classification of images of which `target` is known, without smoothing.
pub fn supervision(target: &Target) -> Supervision<'_> {
    let task = &Classification::PLAIN;
    Supervision { task, target }
}

/// The first step of the first epoch of a run of one.
pub fn step<'a>(student: &'a Outputs, teacher: &'a Outputs, target: &'a Target) -> Step<'a> {
    Step {
        indices: &POSITIONS[..student.logits().dims()[0]],
        ..step_of(student, teacher, target)
    }
}

fn step_of<'a>(student: &'a Outputs, teacher: &'a Outputs, target: &'a Target) -> Step<'a> {
    Step {
        student,
        teacher: Some(teacher),
        supervision: supervision(target),
        indices: &[],
        progress: Progress {
            epoch: 0,
            epochs: 1,
            step: 0,
            steps: 1,
        },
    }
}

/// A probe for networks that segment, with logits of these shapes `[B, K, h, w]` besides the taps.
pub fn dense_probe(
    student_logits: &Tensor<4>,
    teacher_logits: &Tensor<4>,
    student: Vec<(String, TapKind)>,
    teacher: Vec<(String, TapKind)>,
) -> Probe {
    let [batch, classes, ..] = student_logits.dims();
    let mut probe = probe(classes, batch, student, teacher);
    let sides = [Some(&mut probe.student), probe.teacher.as_mut()];
    for (taps, logits) in sides.into_iter().zip([student_logits, teacher_logits]) {
        if let Some(last) = taps.and_then(|taps| taps.last_mut()) {
            last.kind = map_kind(logits);
        }
    }
    probe
}

/// Outputs of a network that segments: `map` `[B, C, H, W]` is its tap `feature` and its logits.
pub fn dense_outputs(map: Tensor<4>) -> Outputs {
    Outputs {
        prediction: Feature::Map(map.clone()),
        features: [("feature".to_owned(), Feature::Map(map))].into(),
    }
}

/// As [`step`], of networks that segment.
pub fn dense_step<'a>(student: &'a Outputs, teacher: &'a Outputs, target: &'a Target) -> Step<'a> {
    let batch = match &student.prediction {
        Feature::Map(logits) => logits.dims()[0],
        _ => 0,
    };
    Step {
        supervision: testing::dense_supervision(target),
        indices: &POSITIONS[..batch],
        ..step_of(student, teacher, target)
    }
}

/// Outputs that have these taps; the logits are blank, `[B, classes]`.
pub fn features(batch: usize, classes: usize, taps: Vec<(String, Feature)>) -> Outputs {
    Outputs {
        prediction: Feature::Vector(Tensor::zeros(
            [batch, classes],
            (&Case::device(), DType::F64),
        )),
        features: taps.into_iter().collect(),
    }
}

/// Kind of a tap that carries `map` `[B, C, H, W]`.
pub fn map_kind(map: &Tensor<4>) -> TapKind {
    let [_, channels, height, width] = map.dims();
    TapKind::Map([channels, height, width])
}

/// Taps `stage1`, `stage2`, … that carry `maps`.
pub fn map_taps(maps: &[Tensor<4>]) -> Vec<(String, TapKind)> {
    (1..)
        .zip(maps)
        .map(|(i, map)| (format!("stage{i}"), map_kind(map)))
        .collect()
}

/// Outputs whose taps `stage1`, `stage2`, … are `maps`.
pub fn map_features(batch: usize, maps: Vec<Tensor<4>>) -> Outputs {
    let taps = (1..)
        .zip(maps)
        .map(|(i, map)| (format!("stage{i}"), Feature::Map(map)))
        .collect();
    features(batch, 2, taps)
}

/// Mean over the batch of the cross entropy of logits `[B, K]` with labels `[B]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let batch = labels.dims()[0];
    burn::tensor::activation::log_softmax(logits, 1)
        .gather(1, labels.reshape([batch, 1]))
        .mean()
        .neg()
}
