//! What the methods' own tests share.

use std::sync::LazyLock;

use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};
use limbeck_nn::{
    Builder, Feature, Init, InputShape, Mode, Network, Outputs, Pass, Store, Tap, TapKind, Taps,
    model,
};

use crate::{
    Classification, Classifier, Criterion, MethodError, Normalisation, Probe, Progress,
    Segmentation, Step, Supervision, Target, Term, TrainingPart,
};

/// Positions 0, 1, … of as many images as any test has.
pub const POSITIONS: [usize; 256] = {
    let mut positions = [0; 256];
    let mut i = 0;
    while i < positions.len() {
        positions[i] = i;
        i += 1;
    }
    positions
};

/// Standard normal numbers that depend on `name` alone, in f64.
pub fn random<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let numbers = Init::Normal(1.0).draw(1, name, shape.iter().product());
    tensor(numbers, shape)
}

/// These numbers, in f64.
pub fn tensor<const D: usize>(numbers: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(
        TensorData::new(numbers, shape),
        (&Device::flex(), DType::F64),
    )
}

/// The same, recording its gradient.
pub fn leaf<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.autodiff().require_grad()
}

/// These labels.
pub fn labels(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(
        TensorData::new(labels.to_vec(), [labels.len()]),
        &Device::flex(),
    )
}

/// All numbers of a tensor.
pub fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.clone().try_into_vec_as().unwrap()
}

/// The number of a scalar.
pub fn number(tensor: &Tensor<1>) -> f64 {
    let numbers = numbers(tensor);
    assert_eq!(numbers.len(), 1);
    numbers[0]
}

/// The gradient of a leaf; `None` if none has arrived.
pub fn gradient<const D: usize>(leaf: &Tensor<D>, gradients: &Gradients) -> Option<Vec<f64>> {
    leaf.grad(gradients).map(|gradient| numbers(&gradient))
}

/// Whether two lists agree to ten digits.
#[track_caller]
pub fn assert_close(left: &[f64], right: &[f64]) {
    assert_eq!(left.len(), right.len());
    for (i, (a, b)) in left.iter().zip(right).enumerate() {
        let allowed = 1e-10 * (1.0 + a.abs().max(b.abs()));
        assert!((a - b).abs() <= allowed, "at {i}: {a} and {b}");
    }
}

/// A map tap.
pub fn map(name: &str, shape: [usize; 3]) -> Tap {
    Tap {
        name: name.to_owned(),
        kind: TapKind::Map(shape),
    }
}

/// A vector tap.
pub fn vector(name: &str, width: usize) -> Tap {
    Tap {
        name: name.to_owned(),
        kind: TapKind::Vector(width),
    }
}

/// A tap of patches on a grid behind one class token.
pub fn tokens(name: &str, width: usize, grid: [usize; 2]) -> Tap {
    Tap {
        name: name.to_owned(),
        kind: TapKind::Tokens {
            shape: [1 + grid[0] * grid[1], width],
            prefix: 1,
            grid,
        },
    }
}

/// A probe for these taps, 5 classes, 4 images a step.
pub fn probe(student: &[Tap], teacher: &[Tap]) -> Probe {
    let with_logits = |taps: &[Tap]| {
        let mut taps = taps.to_vec();
        taps.push(vector("logits", 5));
        taps
    };
    Probe {
        student: with_logits(student),
        teacher: Some(with_logits(teacher)),
        classes: 5,
        batch: 4,
        pairs: None,
        seed: 3,
        device: Device::flex(),
        dtype: DType::F64,
        training: TrainingPart::default(),
        teacher_classifier: None,
        teacher_network: None,
    }
}

/// Random outputs with these taps, `batch` images, 5 classes.
pub fn outputs(name: &str, batch: usize, taps: &[Tap]) -> Outputs {
    let feature = |tap: &Tap| {
        let name = format!("{name}/{}", tap.name);
        match tap.kind {
            TapKind::Map([c, h, w]) => Feature::Map(random(&name, [batch, c, h, w])),
            TapKind::Vector(width) => Feature::Vector(random(&name, [batch, width])),
            TapKind::Tokens {
                shape: [n, d],
                prefix,
                grid,
            } => Feature::Tokens {
                tokens: random(&name, [batch, n, d]),
                prefix,
                grid,
            },
            TapKind::Attention([h, n, m]) => Feature::Attention(random(&name, [batch, h, n, m])),
            TapKind::Cells {
                shape: [n, d],
                anchors,
                ref levels,
            } => Feature::Cells {
                cells: random(&name, [batch, n, d]),
                anchors,
                levels: levels.clone(),
            },
        }
    };
    Outputs {
        prediction: Feature::Vector(random(&format!("{name}/logits"), [batch, 5])),
        features: taps
            .iter()
            .map(|tap| (tap.name.clone(), feature(tap)))
            .collect(),
    }
}

/// A method made by its `new`, and the store that its modules are in.
pub fn build<M>(
    probe: &Probe,
    new: impl FnOnce(&Probe, &mut Builder<'_>) -> Result<M, MethodError>,
) -> Result<(M, Store), MethodError> {
    let mut store = Store::new(&probe.device, probe.dtype);
    let method = new(probe, &mut Builder::new(&mut store, probe.seed))?;
    Ok((method, store))
}

/// A training pass over `store`.
pub fn pass(store: &Store) -> Pass<'_> {
    Pass::new(store, Mode::Train, Taps::none(), 0)
}

/// Whole images of these classes.
pub fn target(classes: &[i64]) -> Target {
    Target::labels(labels(classes))
}

/// Mixed images with these shares `[B, K]`, of which `classes` have the greatest.
pub fn mixed_target(classes: &[i64], shares: Tensor<2>) -> Target {
    Target::Classes {
        labels: labels(classes),
        shares: Some(shares),
    }
}

/// Classification of images of which `target` is known, without smoothing.
pub fn supervision(target: &Target) -> Supervision<'_> {
    let task = &Classification::PLAIN;
    Supervision { task, target }
}

/// The terms of a step in epoch `epoch` (counted from 0); the labels are 0, 1, 2, …
pub fn terms_at(
    epoch: usize,
    method: &mut dyn Criterion,
    store: &Store,
    student: &Outputs,
    teacher: &Outputs,
) -> Vec<Term> {
    let [batch, classes] = student.logits().dims();
    let classes = classes as i64;
    let labels = labels(&(0..batch as i64).map(|i| i % classes).collect::<Vec<_>>());
    let target = Target::labels(labels);
    let step = Step {
        student,
        teacher: Some(teacher),
        supervision: supervision(&target),
        indices: &POSITIONS[..batch],
        progress: Progress {
            epoch,
            epochs: 100,
            step: 0,
            steps: 10,
        },
    };
    method.terms(&step, &mut pass(store)).unwrap()
}

/// The terms of a step of the first epoch.
pub fn terms(
    method: &mut dyn Criterion,
    store: &Store,
    student: &Outputs,
    teacher: &Outputs,
) -> Vec<Term> {
    terms_at(0, method, store, student, teacher)
}

/// A probe for networks that segment with these taps: logits of 5 classes at `size`, 4 images a step.
pub fn dense_probe(size: [usize; 2], student: &[Tap], teacher: &[Tap]) -> Probe {
    let mut probe = probe(student, teacher);
    let logits = map("logits", [probe.classes, size[0], size[1]]);
    let sides = [Some(&mut probe.student), probe.teacher.as_mut()];
    for last in sides
        .into_iter()
        .flatten()
        .filter_map(|taps| taps.last_mut())
    {
        *last = logits.clone();
    }
    probe
}

/// Random outputs of a network that segments: these taps and logits of 5 classes at `size`, 4
/// images.
pub fn dense_outputs(name: &str, size: [usize; 2], taps: &[Tap]) -> Outputs {
    let logits = random(&format!("{name}/logits"), [4, 5, size[0], size[1]]);
    Outputs {
        prediction: Feature::Map(logits),
        ..outputs(name, 4, taps)
    }
}

/// Masks `[B, H, W]` of the classes 0 to 4 in turn, every seventh pixel void.
pub fn masks(shape: [usize; 3]) -> Target {
    let class = |i: usize| match i % 7 {
        6 => 255,
        _ => ((i / 3) % 5) as i64,
    };
    let ids = (0..shape.iter().product()).map(class).collect::<Vec<_>>();
    Target::Masks(Tensor::from_data(
        TensorData::new(ids, shape),
        &Device::flex(),
    ))
}

/// Segmentation of images of which `target` is known, as it comes.
pub fn dense_supervision(target: &Target) -> Supervision<'_> {
    static TASK: LazyLock<Segmentation> = LazyLock::new(Segmentation::default);
    let task = &*TASK;
    Supervision { task, target }
}

/// The terms of a step of networks that segment, with masks of 16 by 20 pixels.
pub fn dense_terms(
    method: &mut dyn Criterion,
    store: &Store,
    student: &Outputs,
    teacher: &Outputs,
) -> Vec<Term> {
    dense_terms_of(method, store, student, teacher, &masks([4, 16, 20]))
}

/// The same with this target of 4 images.
pub fn dense_terms_of(
    method: &mut dyn Criterion,
    store: &Store,
    student: &Outputs,
    teacher: &Outputs,
    target: &Target,
) -> Vec<Term> {
    let step = Step {
        student,
        teacher: Some(teacher),
        supervision: dense_supervision(target),
        indices: &POSITIONS[..4],
        progress: Progress {
            epoch: 0,
            epochs: 100,
            step: 0,
            steps: 10,
        },
    };
    method.terms(&step, &mut pass(store)).unwrap()
}

/// What the networks of procedures see in tests: 16×16 pixels in 3 channels, 5 classes.
pub const INPUT: InputShape = InputShape {
    channels: 3,
    height: 16,
    width: 16,
    classes: 5,
};

/// A network of the zoo in f64.
pub fn network(model: &str, seed: u64) -> Network {
    model::build(model, INPUT, seed, &Device::flex(), DType::F64).unwrap()
}

/// A probe for `resnet8` that learns from `resnet14`, 4 images a step.
pub fn network_probe() -> Probe {
    Probe {
        student: network("resnet8", 1).taps(),
        teacher: Some(network("resnet14", 2).taps()),
        training: TrainingPart {
            normalisation: Normalisation {
                mean: vec![0.5; 3],
                std: vec![0.25; 3],
            },
            ..TrainingPart::labelled((0..20).map(|i| i % 5).collect())
        },
        teacher_classifier: Classifier::of(&network("resnet14", 2)),
        ..probe(&[], &[])
    }
}
