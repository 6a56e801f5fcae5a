//! Small networks' outputs to try methods on.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};
use limbeck_data::VOID;
use limbeck_methods::{
    Classification, Detection, METHODS, Method, MethodEntry, MethodError, Pretraining, Probe,
    Progress, Segmentation, Step, Supervision, Target, Task, TaskKind, Term, TrainingPart, build,
    detection::{Anchors, DetectionLoss, DetectionLossConfig},
};
use limbeck_nn::{Feature, Init, Mode, Outputs, Pass, Store, Tap, TapKind, Taps};
use serde_json::Value;

/// All methods that serve `task`.
pub fn serving(task: TaskKind) -> impl Iterator<Item = &'static MethodEntry> {
    METHODS
        .iter()
        .filter(move |entry| entry.tasks.contains(&task))
}

/// Methods that compare what hierarchical transformers alone show.
pub const OF_TRANSFORMERS: [&str; 2] = ["sats", "transkd"];

/// The first scene whose networks all of these methods are made for.
pub fn scene_of(entries: &[&MethodEntry]) -> Scene {
    let mut scenes = scenes().into_iter();
    let found = scenes.find(|scene| entries.iter().all(|entry| scene.takes(entry)));
    found.unwrap()
}

/// All methods for classifiers that are criteria.
pub fn criteria() -> impl Iterator<Item = &'static MethodEntry> {
    serving(TaskKind::Classification).filter(|entry| !entry.is_procedure())
}

/// Number of classes in all scenes.
pub const CLASSES: usize = 5;
/// Images of the training part in all scenes.
pub const TRAINING: usize = 12;
/// Images per step in all scenes.
pub const BATCH: usize = 4;

/// Two networks that are never run: their taps, and numbers that depend on names alone.
#[derive(Clone)]
pub struct Scene {
    /// For messages.
    pub name: &'static str,
    /// Taps of the student, without logits.
    pub student: Vec<Tap>,
    /// Taps of the teacher, without logits.
    pub teacher: Vec<Tap>,
    /// Kinds of the logits of student and teacher: vectors of classifiers, maps of networks that
    /// segment.
    pub logits: [TapKind; 2],
    /// Element type of everything.
    pub dtype: DType,
}

fn tap(name: &str, kind: TapKind) -> Tap {
    Tap {
        name: name.to_owned(),
        kind,
    }
}

fn cnn(stages: &[[usize; 3]], embedding: usize) -> Vec<Tap> {
    let stages = (1..).zip(stages).flat_map(|(i, &shape)| {
        [format!("stage{i}.preact"), format!("stage{i}")]
            .map(|name| tap(&name, TapKind::Map(shape)))
    });
    stages
        .chain([tap("pooled", TapKind::Vector(embedding))])
        .collect()
}

fn vit(grid: [usize; 2], width: usize) -> Vec<Tap> {
    let kind = TapKind::Tokens {
        shape: [1 + grid[0] * grid[1], width],
        prefix: 1,
        grid,
    };
    (1..=4)
        .map(|i| tap(&format!("stage{i}"), kind.clone()))
        .chain([tap("pooled", TapKind::Vector(width))])
        .collect()
}

/// A network that segments: stages, and what its classifier reads.
fn dense_cnn(stages: &[[usize; 3]], feature: [usize; 3]) -> Vec<Tap> {
    let stages = (1..).zip(stages).flat_map(|(i, &shape)| {
        [format!("stage{i}.preact"), format!("stage{i}")]
            .map(|name| tap(&name, TapKind::Map(shape)))
    });
    stages
        .chain([tap("feature", TapKind::Map(feature))])
        .collect()
}

/// A transformer of stages on ever smaller grids.
fn pyramid(stages: &[(usize, [usize; 2])], feature: [usize; 3]) -> Vec<Tap> {
    let stages = (1..).zip(stages).map(|(i, &(width, grid))| {
        let kind = TapKind::Tokens {
            shape: [grid[0] * grid[1], width],
            prefix: 0,
            grid,
        };
        tap(&format!("stage{i}"), kind)
    });
    stages
        .chain([tap("feature", TapKind::Map(feature))])
        .collect()
}

/// The same with all that SegFormer shows: patch embeddings, attention, and stages as maps.
fn hierarchical(stages: &[(usize, [usize; 2])], feature: [usize; 3]) -> Vec<Tap> {
    let stages = (1..)
        .zip(stages)
        .flat_map(|(i, &(width, [rows, columns]))| {
            let tokens = TapKind::Tokens {
                shape: [rows * columns, width],
                prefix: 0,
                grid: [rows, columns],
            };
            let attention = TapKind::Attention([2, rows * columns, 3]);
            [
                tap(&format!("embed{i}"), tokens),
                tap(&format!("attention{i}"), attention),
                tap(&format!("stage{i}"), TapKind::Map([width, rows, columns])),
            ]
        });
    stages
        .chain([tap("feature", TapKind::Map(feature))])
        .collect()
}

/// Networks alike, networks with other sizes and stage counts, and a ViT as the teacher; networks
/// that segment alike, with other strides, widths and tokens in place of maps, and two transformers
/// of the same grids.
pub fn scenes() -> Vec<Scene> {
    let mut scenes = classifiers();
    let map = |[height, width]: [usize; 2]| TapKind::Map([CLASSES, height, width]);
    scenes.push(Scene {
        name: "equal maps",
        student: dense_cnn(&[[2, 6, 8], [3, 3, 4], [4, 3, 4]], [4, 3, 4]),
        teacher: dense_cnn(&[[3, 6, 8], [4, 3, 4], [6, 3, 4]], [6, 3, 4]),
        logits: [map([3, 4]), map([3, 4])],
        dtype: DType::F64,
    });
    scenes.push(Scene {
        name: "a pyramid of tokens as the teacher",
        student: dense_cnn(&[[2, 8, 8], [3, 4, 4], [4, 4, 4], [5, 4, 4]], [4, 4, 4]),
        teacher: pyramid(
            &[(3, [8, 8]), (4, [4, 4]), (6, [2, 2]), (8, [2, 2])],
            [6, 8, 8],
        ),
        logits: [map([4, 4]), map([8, 8])],
        dtype: DType::F64,
    });
    let grids = [[8, 8], [4, 4], [2, 2], [2, 2]];
    let transformer = |widths: [usize; 4], feature| {
        let stages: Vec<_> = widths.into_iter().zip(grids).collect();
        hierarchical(&stages, [feature, 8, 8])
    };
    scenes.push(Scene {
        name: "hierarchical transformers",
        student: transformer([2, 3, 4, 5], 4),
        teacher: transformer([3, 4, 6, 8], 6),
        logits: [map([8, 8]), map([8, 8])],
        dtype: DType::F64,
    });
    scenes.push(detectors());
    scenes
}

/// Two detectors with the same cells and levels of other widths.
fn detectors() -> Scene {
    let grids = [[4, 6], [2, 3], [1, 2]];
    let levels = |widths: [usize; 3]| {
        let shapes = widths.into_iter().zip(grids);
        let named = (3..).zip(shapes);
        named
            .map(|(i, (width, [rows, columns]))| {
                tap(&format!("p{i}"), TapKind::Map([width, rows, columns]))
            })
            .collect()
    };
    let cells = || TapKind::Cells {
        shape: [3 * (24 + 6 + 2), 5 + CLASSES],
        anchors: 3,
        levels: grids.to_vec(),
    };
    Scene {
        name: "detectors",
        student: levels([2, 3, 4]),
        teacher: levels([3, 4, 6]),
        logits: [cells(), cells()],
        dtype: DType::F64,
    }
}

/// What detectors learn.
pub fn detection() -> Detection {
    let loss = DetectionLoss::new(DetectionLossConfig::default(), Anchors::yolov5());
    Detection::new(loss.unwrap())
}

/// Images without an object: what is learnt of boxes that are there has a constant in it that follows the
/// prediction, through which differences would see a slope that gradients have not.
fn background() -> Target {
    Target::Boxes {
        boxes: Vec::new(),
        images: BATCH,
    }
}

/// The scenes of classifiers.
pub fn classifiers() -> Vec<Scene> {
    let scene = |name, student, teacher| Scene {
        name,
        student,
        teacher,
        logits: [TapKind::Vector(CLASSES), TapKind::Vector(CLASSES)],
        dtype: DType::F64,
    };
    vec![
        scene(
            "equal stages",
            cnn(&[[2, 8, 8], [3, 4, 4], [4, 2, 2]], 4),
            cnn(&[[3, 8, 8], [4, 4, 4], [6, 2, 2]], 6),
        ),
        scene(
            "a deeper teacher",
            cnn(&[[2, 8, 12], [3, 4, 6], [4, 2, 3]], 4),
            cnn(&[[3, 8, 12], [4, 4, 6], [5, 2, 3], [6, 1, 2]], 6),
        ),
        scene(
            "a teacher of tokens",
            cnn(&[[2, 16, 16], [3, 8, 8], [4, 4, 4]], 4),
            vit([7, 7], 6),
        ),
    ]
}

/// Standard normal numbers that depend on `name` alone.
pub fn draw(name: &str, count: usize) -> Vec<f64> {
    Init::Normal(1.0).draw(11, name, count)
}

/// Numbers of the student's taps and logits, by tap.
pub type Numbers = BTreeMap<String, Vec<f64>>;

impl Scene {
    /// What the networks are for.
    pub fn task(&self) -> TaskKind {
        TaskKind::of(&self.logits[0]).unwrap()
    }

    /// Whether the method is made for such networks.
    pub fn takes(&self, entry: &MethodEntry) -> bool {
        let shows = |taps: &[Tap]| taps.iter().any(|tap| tap.name == "embed1");
        let transformers = shows(&self.student) && shows(&self.teacher);
        let fits = transformers || !OF_TRANSFORMERS.contains(&entry.id);
        fits && entry.tasks.contains(&self.task())
    }

    /// All methods for such networks that are criteria and have terms.
    pub fn criteria(&self) -> impl Iterator<Item = &'static MethodEntry> {
        METHODS
            .iter()
            .filter(|entry| self.takes(entry) && !entry.is_procedure() && entry.id != "none")
    }

    /// What a method is built for.
    pub fn probe(&self) -> Probe {
        let [student, teacher] = self.logits.clone().map(|kind| tap("logits", kind));
        let labels = (0..TRAINING).map(|i| (i % CLASSES) as i64).collect();
        Probe {
            student: [&self.student[..], &[student]].concat(),
            teacher: Some([&self.teacher[..], &[teacher]].concat()),
            classes: CLASSES,
            batch: BATCH,
            pairs: None,
            seed: 5,
            device: Device::flex(),
            dtype: self.dtype,
            training: match self.task() {
                TaskKind::Classification => TrainingPart::labelled(labels),
                TaskKind::Segmentation | TaskKind::Detection | TaskKind::Pretraining => {
                    TrainingPart::unlabelled(TRAINING)
                }
            },
            teacher_classifier: None,
            teacher_network: None,
        }
    }

    /// The method `name` with these settings of the method `id`.
    pub fn build(&self, name: &str, id: &str, settings: Value) -> Result<Method, MethodError> {
        build(name, &[(id.to_owned(), settings)].into(), &self.probe())
    }

    /// The method `id` with its defaults.
    pub fn build_default(&self, id: &str) -> Method {
        match build(id, &BTreeMap::new(), &self.probe()) {
            Ok(method) => method,
            Err(error) => panic!("{}: {error}", self.name),
        }
    }

    /// Numbers for the student's taps and logits.
    pub fn numbers(&self, name: &str) -> Numbers {
        let mut numbers: Numbers = self
            .student
            .iter()
            .map(|tap| {
                let count = BATCH * shape(&tap.kind).iter().product::<usize>();
                (
                    tap.name.clone(),
                    draw(&format!("{name}/{}", tap.name), count),
                )
            })
            .collect();
        let count = BATCH * shape(&self.logits[0]).iter().product::<usize>();
        let logits = draw(&format!("{name}/logits"), count);
        numbers.insert("logits".to_owned(), logits);
        numbers
    }

    /// The student's outputs made of these numbers, every tensor recording its gradient.
    pub fn student(&self, numbers: &Numbers) -> Outputs {
        let number_of = |name: &str| numbers[name].clone();
        outputs(&self.student, &self.logits[0], self.dtype, number_of, true)
    }

    /// The teacher's outputs, recording gradients or not.
    pub fn teacher(&self, records: bool) -> Outputs {
        let number_of = |name: &str| {
            let tap = self.teacher.iter().find(|tap| tap.name == name);
            let kind = tap.map_or(&self.logits[1], |tap| &tap.kind);
            let each: usize = shape(kind).iter().product();
            draw(&format!("teacher/{name}"), BATCH * each)
        };
        outputs(
            &self.teacher,
            &self.logits[1],
            self.dtype,
            number_of,
            records,
        )
    }

    /// The terms of the step that follows a first one, in an epoch of which neither is the first.
    /// The first step is made with the method's own numbers, so that what is remembered from it does
    /// not depend on `store`, which may be a copy of them that is tracked or moved.
    pub fn second_step(
        &self,
        method: &mut Method,
        store: &Store,
        student: &Outputs,
        teacher: &Outputs,
    ) -> Vec<Term> {
        method.start_epoch();
        let earlier = self.student(&self.numbers("earlier"));
        let own = method.store().clone();
        self.step(method, &own, &earlier, teacher);
        self.step(method, store, student, teacher)
    }

    /// The terms of one step. Statistics are not updated.
    pub fn step(
        &self,
        method: &mut Method,
        store: &Store,
        student: &Outputs,
        teacher: &Outputs,
    ) -> Vec<Term> {
        let target = match self.task() {
            TaskKind::Classification | TaskKind::Pretraining => classes(),
            TaskKind::Detection => background(),
            TaskKind::Segmentation => masks(|i| match i % 7 {
                6 => VOID,
                _ => (i / 5 % CLASSES) as u8,
            }),
        };
        self.step_on(&target, method, store, student, teacher)
    }

    /// The same for images of which `target` is known.
    pub fn step_on(
        &self,
        target: &Target,
        method: &mut Method,
        store: &Store,
        student: &Outputs,
        teacher: &Outputs,
    ) -> Vec<Term> {
        let segmentation = Segmentation::default();
        let detection = detection();
        let task: &dyn Task = match self.task() {
            TaskKind::Classification => &Classification::PLAIN,
            TaskKind::Pretraining => &Pretraining,
            TaskKind::Segmentation => &segmentation,
            TaskKind::Detection => &detection,
        };
        let step = Step {
            student,
            teacher: Some(teacher),
            supervision: Supervision { task, target },
            indices: &[0, 1, 2, 3],
            progress: Progress {
                epoch: 3,
                epochs: 10,
                step: 1,
                steps: 9,
            },
        };
        let mut pass = Pass::new(store, Mode::Train, Taps::none(), 0);
        match method.terms(&step, &mut pass) {
            Ok(terms) => terms,
            Err(error) => panic!("{}: {error}", self.name),
        }
    }
}

/// A class of each image.
fn classes() -> Target {
    let labels: Vec<i64> = (0..BATCH).map(|i| (2 * i % CLASSES) as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &Device::flex());
    Target::labels(labels)
}

/// The class that `class` gives each pixel of 12 by 16, counted over all images.
pub fn masks(class: impl Fn(usize) -> u8) -> Target {
    let shape = [BATCH, 12, 16];
    let ids = (0..shape.iter().product()).map(|i| i64::from(class(i)));
    let ids = ids.collect::<Vec<_>>();
    Target::Masks(Tensor::from_data(
        TensorData::new(ids, shape),
        &Device::flex(),
    ))
}

fn shape(kind: &TapKind) -> Vec<usize> {
    match kind {
        TapKind::Map(shape) => shape.to_vec(),
        TapKind::Tokens { shape, .. } | TapKind::Cells { shape, .. } => shape.to_vec(),
        TapKind::Vector(width) => vec![*width],
        TapKind::Attention(shape) => shape.to_vec(),
    }
}

fn outputs(
    taps: &[Tap],
    logits: &TapKind,
    dtype: DType,
    numbers: impl Fn(&str) -> Vec<f64>,
    records: bool,
) -> Outputs {
    let feature = |name: &str, kind: &TapKind| {
        let numbers = numbers(name);
        match *kind {
            TapKind::Map([c, h, w]) => {
                Feature::Map(tensor(numbers, [BATCH, c, h, w], dtype, records))
            }
            TapKind::Tokens {
                shape: [n, d],
                prefix,
                grid,
            } => Feature::Tokens {
                tokens: tensor(numbers, [BATCH, n, d], dtype, records),
                prefix,
                grid,
            },
            TapKind::Vector(d) => Feature::Vector(tensor(numbers, [BATCH, d], dtype, records)),
            TapKind::Attention([h, n, m]) => {
                Feature::Attention(tensor(numbers, [BATCH, h, n, m], dtype, records))
            }
            TapKind::Cells {
                shape: [n, d],
                anchors,
                ref levels,
            } => Feature::Cells {
                cells: tensor(numbers, [BATCH, n, d], dtype, records),
                anchors,
                levels: levels.clone(),
            },
        }
    };
    Outputs {
        prediction: feature("logits", logits),
        features: taps
            .iter()
            .map(|tap| (tap.name.clone(), feature(&tap.name, &tap.kind)))
            .collect(),
    }
}

fn tensor<const D: usize>(
    numbers: Vec<f64>,
    shape: [usize; D],
    dtype: DType,
    records: bool,
) -> Tensor<D> {
    let tensor = Tensor::from_data(TensorData::new(numbers, shape), (&Device::flex(), dtype));
    match records {
        true => tensor.autodiff().require_grad(),
        false => tensor,
    }
}

/// The gradient that arrived at the tap `name` (or `logits`); `None` if none did.
pub fn gradient_of(outputs: &Outputs, name: &str, gradients: &Gradients) -> Option<Vec<f64>> {
    fn of<const D: usize>(leaf: &Tensor<D>, gradients: &Gradients) -> Option<Vec<f64>> {
        let gradient = leaf.grad(gradients)?;
        Some(gradient.try_into_vec_as().unwrap())
    }
    match outputs.feature(name).unwrap_or(&outputs.prediction) {
        Feature::Map(map) => of(map, gradients),
        Feature::Tokens { tokens, .. } => of(tokens, gradients),
        Feature::Vector(vector) => of(vector, gradients),
        Feature::Attention(attention) => of(attention, gradients),
        Feature::Cells { cells, .. } => of(cells, gradients),
    }
}

/// Sum of the terms with their weights.
pub fn total(terms: &[Term]) -> Tensor<1> {
    let weighted = terms.iter().map(|t| t.value.clone().mul_scalar(t.weight));
    weighted.reduce(|sum, term| sum + term).unwrap()
}

/// The number of a scalar.
pub fn number(value: &Tensor<1>) -> f64 {
    value.clone().try_into_scalar().unwrap()
}
