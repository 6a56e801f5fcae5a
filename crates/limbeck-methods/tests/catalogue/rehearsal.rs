//! Real but small networks to try procedures on, and the plainest trainer there is.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use limbeck_data::VOID;
use limbeck_methods::{
    Batch, Cast, Classification, Classifier, Follower, HeldOut, Interlude, MethodEntry,
    MethodError, Normalisation, Origin, Played, Pretraining, Probe, Procedure, Progress, Scene,
    Section, Segmentation, Setting, Stage, Target, Task, TaskKind, Teacher, TeacherNetwork, Term,
    TrainingPart, cast, detection::TargetBox, entries, pretrains,
};
use limbeck_nn::{
    Init, InputShape, Mode, Network, Outputs, Pass, Store, Tap, Taps, layer::resize_bilinear, model,
};
use serde_json::Value;

use super::scene::{OF_TRANSFORMERS, detection, scene_of};

/// What the networks see.
pub const INPUT: InputShape = InputShape {
    channels: 3,
    height: 16,
    width: 16,
    classes: 4,
};
/// Images of a batch.
pub const BATCH: usize = 4;

/// Settings by method.
pub type Settings = BTreeMap<String, Value>;

/// A network of the zoo in f64.
pub fn network(model: &str, seed: u64) -> Network {
    model::build(model, INPUT, seed, &Device::flex(), DType::F64).unwrap()
}

/// The same without a head: it predicts its embedding.
fn headless(model: &str, seed: u64) -> Network {
    let (input, device) = (INPUT.headless(), Device::flex());
    model::build(model, input, seed, &device, DType::F64).unwrap()
}

/// Student and teacher that a method is tried with: of what it pre-trains, without heads;
/// transformers where it takes no other.
pub fn pair_of(method: &str) -> [Network; 2] {
    let pretrains = pretrains(method).unwrap();
    let make = |[student, teacher]: [&str; 2]| match pretrains {
        true => [headless(student, 1), headless(teacher, 2)],
        false => [network(student, 1), network(teacher, 2)],
    };
    let models = match pretrains {
        true => [
            ["resnet8", "resnet14"],
            ["vit_nano", "vit_micro"],
            ["vq_autoencoder", "vq_autoencoder"],
        ]
        .as_slice(),
        false => &[
            ["resnet8", "resnet14"],
            ["resnet8", "vit_nano"],
            ["vit_nano_d3", "vit_nano"],
        ],
    };
    let fits = |models: &&[&str; 2]| {
        let [student, teacher] = make(**models);
        let probe = probe_of(&student, Some(&teacher));
        cast(method, &Settings::new(), &probe, student).is_ok()
    };
    make(*models.iter().find(fits).unwrap_or(&models[0]))
}

/// What a method learns that is tried with such networks.
pub fn task_of(method: &str) -> Box<dyn Task> {
    match pretrains(method).unwrap() {
        true => Box::new(Pretraining),
        false => Box::new(Classification::PLAIN),
    }
}

/// The teacher of all rehearsals.
pub struct FrozenNetwork(pub Network, pub Asked);

/// What a teacher has been asked.
#[derive(Default)]
pub struct Asked {
    /// Taps of the batch's own images.
    pub taps: Mutex<Taps>,
    /// Whether it has been shown anything else.
    pub beyond: AtomicBool,
}

impl Teacher for FrozenNetwork {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn taps(&self) -> Vec<Tap> {
        self.0.taps()
    }

    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, MethodError> {
        self.1.beyond.store(true, Ordering::Relaxed);
        Ok(self.0.evaluate(images.inner(), taps))
    }

    fn outputs_of(
        &self,
        _origin: &Origin,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        self.1.taps.lock().unwrap().merge(taps);
        Ok(self.0.evaluate(images.inner(), taps))
    }

    fn outputs_through(&self, images: Tensor<4>, taps: &Taps) -> Option<Outputs> {
        self.1.beyond.store(true, Ordering::Relaxed);
        Some(self.0.evaluate(images, taps))
    }

    fn tokens_of_patches(
        &self,
        images: Tensor<4>,
        visible: &Tensor<2, Int>,
        block: usize,
    ) -> Option<Tensor<3>> {
        self.1.beyond.store(true, Ordering::Relaxed);
        let transformer = self.0.transformer()?;
        let mut pass = Pass::new(&self.0.store, Mode::Evaluate, Taps::none(), 0);
        let tokens = transformer.visible_tokens(&mut pass, images.inner(), visible);
        let grid = [1, visible.dims()[1]];
        Some(transformer.run_blocks(&mut pass, tokens, 0..block + 1, grid))
    }
}

/// Held-out images: two batches.
pub struct Few(pub TaskKind);

impl HeldOut for Few {
    fn look(
        &self,
        look: &mut dyn FnMut(&Batch) -> Result<(), MethodError>,
    ) -> Result<(), MethodError> {
        look(&batch_for(self.0, "held out 1"))?;
        look(&batch_for(self.0, "held out 2"))
    }
}

/// How images are normalised, the teacher's too.
fn normalisation() -> Normalisation {
    Normalisation {
        mean: vec![0.5; INPUT.channels],
        std: vec![0.25; INPUT.channels],
    }
}

/// What procedures are built for whose student is `resnet8`.
pub fn probe(teacher: Option<&Network>) -> Probe {
    probe_of(&network("resnet8", 1), teacher)
}

/// What procedures are built for.
pub fn probe_of(student: &Network, teacher: Option<&Network>) -> Probe {
    Probe {
        student: student.taps(),
        teacher: teacher.map(Network::taps),
        classes: student.input().classes,
        batch: BATCH,
        pairs: None,
        seed: 5,
        device: Device::flex(),
        dtype: DType::F64,
        training: TrainingPart {
            normalisation: normalisation(),
            ..TrainingPart::labelled((0..40).map(|i| i % INPUT.classes as i64).collect())
        },
        teacher_classifier: teacher.and_then(Classifier::of),
        teacher_network: teacher.map(|network| TeacherNetwork {
            network: network.clone(),
            normalisation: normalisation(),
        }),
    }
}

/// Builds a method with these settings: a criterion for the first scene, a procedure for the
/// small networks.
pub fn assemble(entry: &MethodEntry, settings: Value) -> Result<(), MethodError> {
    assemble_named(entry.id, &[(entry.id.to_owned(), settings)].into())
}

/// The same for one or several joined.
pub fn assemble_named(name: &str, settings: &Settings) -> Result<(), MethodError> {
    let entries = entries(name)?;
    let of_images = [TaskKind::Classification, TaskKind::Pretraining];
    let looks = |entry: &&MethodEntry| entry.tasks.iter().any(|task| of_images.contains(task));
    let rehearsed = |entry: &&MethodEntry| entry.is_procedure() && looks(entry);
    if !entries.iter().any(rehearsed) {
        let scene = scene_of(&entries);
        let student = match scene.task() {
            TaskKind::Detection => detector(1),
            _ => network("resnet8", 1),
        };
        return cast(name, settings, &scene.probe(), student).map(drop);
    }
    let [student, teacher] = pair_of(name);
    let probe = probe_of(&student, Some(&teacher));
    cast(name, settings, &probe, student).map(drop)
}

/// Numbers that depend on `name` alone.
fn images(name: &str) -> Tensor<4> {
    let shape = [BATCH, INPUT.channels, INPUT.height, INPUT.width];
    let numbers = Init::Normal(1.0).draw(11, name, shape.iter().product());
    Tensor::from_data(
        TensorData::new(numbers, shape),
        (&Device::flex(), DType::F64),
    )
}

/// A batch with everything that a stage may ask for.
pub fn batch(name: &str) -> Batch {
    let labels: Vec<i64> = (0..BATCH).map(|i| (i % INPUT.classes) as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &Device::flex());
    let indices: Vec<usize> = (0..BATCH).collect();
    let alone = |name: &str| {
        Batch::new(
            images(name),
            Target::labels(labels.clone()),
            indices.clone(),
        )
    };
    Batch {
        views: (1..8)
            .map(|view| images(&format!("{name}, view {view}")))
            .collect(),
        origin: Some(Origin {
            section: Section::Train,
            view: 0,
            samples: indices.clone(),
            share: None,
        }),
        partners: Some(Box::new(alone(&format!("{name}, partners")))),
        replay: Some(Box::new(alone(&format!("{name}, replay")))),
        large: Some(resize_bilinear(
            images(name),
            [2 * INPUT.height, 2 * INPUT.width],
            false,
        )),
        ..alone(name)
    }
}

/// What networks that find objects see.
const OBJECTS: InputShape = InputShape {
    channels: 3,
    height: 32,
    width: 32,
    classes: 5,
};

/// A small network of the zoo that finds objects.
fn detector(seed: u64) -> Network {
    let device = Device::flex();
    model::build("yolov5n_x0.25", OBJECTS, seed, &device, DType::F64).unwrap()
}

/// Images with boxes: none on the first, one and two and three on the others.
fn boxed(name: &str) -> Batch {
    let InputShape {
        channels,
        height,
        width,
        classes,
    } = OBJECTS;
    let shape = [BATCH, channels, height, width];
    let numbers = Init::Normal(0.5).draw(11, name, shape.iter().product());
    let boxes = (0..BATCH).flat_map(|image| {
        (0..image).map(move |number| TargetBox {
            image,
            class: (image + number) % classes,
            center: [0.3 + 0.2 * number as f64, 0.4 + 0.1 * image as f64],
            size: [0.4, 0.3 + 0.1 * number as f64],
        })
    });
    Batch::new(
        Tensor::from_data(
            TensorData::new(numbers, shape),
            (&Device::flex(), DType::F64),
        ),
        Target::Boxes {
            boxes: boxes.collect(),
            images: BATCH,
        },
        (0..BATCH).collect(),
    )
}

/// What networks that segment see.
pub const SCENERY: InputShape = InputShape {
    channels: 3,
    height: 32,
    width: 32,
    classes: 3,
};

/// A network of the zoo that segments.
fn segmenter(model: &str, classes: usize, seed: u64) -> Network {
    let input = InputShape { classes, ..SCENERY };
    model::build(model, input, seed, &Device::flex(), DType::F32).unwrap()
}

/// Images with masks, every seventh pixel void.
fn scenery(name: &str) -> Batch {
    let InputShape {
        channels,
        height,
        width,
        classes,
    } = SCENERY;
    let shape = [BATCH, channels, height, width];
    let numbers = Init::Normal(1.0).draw(11, name, shape.iter().product());
    let device = (&Device::flex(), DType::F32);
    let class = |i: usize| match i % 7 {
        6 => i64::from(VOID),
        _ => (i / 50 % classes) as i64,
    };
    let ids = (0..BATCH * height * width).map(class).collect::<Vec<_>>();
    let masks = TensorData::new(ids, [BATCH, height, width]);
    Batch::new(
        Tensor::from_data(TensorData::new(numbers, shape), device),
        Target::Masks(Tensor::from_data(masks, device.0)),
        (0..BATCH).collect(),
    )
}

/// Images with all that is known of them for the task `kind`.
fn batch_for(kind: TaskKind, name: &str) -> Batch {
    match kind {
        TaskKind::Classification | TaskKind::Pretraining => batch(name),
        TaskKind::Segmentation => scenery(name),
        TaskKind::Detection => boxed(name),
    }
}

/// A method with its cast and teacher, trained by plain gradient descent.
pub struct Rehearsal {
    /// What happens.
    pub procedure: Box<dyn Procedure>,
    /// Whom it happens to.
    pub cast: Cast,
    /// The teacher.
    pub teacher: FrozenNetwork,
    /// Of three epochs.
    pub stages: Vec<Stage>,
    /// What is learnt.
    task: Box<dyn Task>,
}

impl Rehearsal {
    /// The method `id`.
    pub fn new(id: &str, settings: Value) -> Self {
        let [student, teacher] = pair_of(id);
        let probe = probe_of(&student, Some(&teacher));
        Self::of((id, settings), &probe, [student, teacher], task_of(id))
    }

    /// The method `id` between small networks that segment.
    pub fn segmenting(id: &str, settings: Value) -> Self {
        Self::segmenting_after(id, settings, SCENERY.classes)
    }

    /// The same with a teacher that tells `classes` classes apart.
    pub fn segmenting_after(id: &str, settings: Value, classes: usize) -> Self {
        let models = match OF_TRANSFORMERS.contains(&id) {
            true => ["segformer_b0_x0.25", "segformer_b0_x0.25"],
            false => ["pspnet_resnet18_x0.06", "pspnet_resnet18_x0.04"],
        };
        let teacher = segmenter(models[0], classes, 2);
        let student = segmenter(models[1], SCENERY.classes, 1);
        let probe = Probe {
            student: student.taps(),
            teacher: Some(teacher.taps()),
            classes: SCENERY.classes,
            dtype: DType::F32,
            training: TrainingPart::unlabelled(40),
            teacher_classifier: None,
            teacher_network: None,
            ..probe(None)
        };
        let task = Segmentation {
            auxiliary_weight: 0.4,
            ..Segmentation::default()
        };
        Self::of((id, settings), &probe, [student, teacher], Box::new(task))
    }

    /// The method `id` between small networks that find objects.
    pub fn detecting(id: &str, settings: Value) -> Self {
        let (student, teacher) = (detector(1), detector(2));
        let probe = Probe {
            student: student.taps(),
            teacher: Some(teacher.taps()),
            classes: OBJECTS.classes,
            training: TrainingPart {
                normalisation: normalisation(),
                ..TrainingPart::unlabelled(40)
            },
            teacher_classifier: None,
            teacher_network: None,
            ..probe(None)
        };
        let task = Box::new(detection());
        Self::of((id, settings), &probe, [student, teacher], task)
    }

    /// The method of this id and settings, fitted to `probe`.
    fn of(
        (id, settings): (&str, Value),
        probe: &Probe,
        [student, teacher]: [Network; 2],
        task: Box<dyn Task>,
    ) -> Self {
        let settings = [(id.to_owned(), settings)].into();
        let (procedure, cast) = match cast(id, &settings, probe, student) {
            Ok(made) => made,
            Err(error) => panic!("{id}: {error}"),
        };
        Self {
            stages: procedure.stages(3),
            procedure,
            cast,
            teacher: FrozenNetwork(teacher, Asked::default()),
            task,
        }
    }

    /// Names of all members.
    pub fn members(&self) -> Vec<String> {
        let members = self.cast.members();
        members.map(|(name, _)| name.to_owned()).collect()
    }

    /// All numbers of the teacher, by entry.
    pub fn teacher_numbers(&self) -> Vec<Vec<f64>> {
        numbers_of(&self.teacher.0.store)
    }

    /// Images with all that is known of them for the task.
    pub fn batch(&self, name: &str) -> Batch {
        batch_for(self.task.kind(), name)
    }

    /// Begins a stage and its first epoch.
    pub fn begin(&mut self, stage: usize) {
        let mut interlude = Interlude {
            cast: &mut self.cast,
            teacher: Some(&self.teacher),
            held_out: Some(&Few(self.task.kind())),
        };
        self.procedure.begin_stage(stage, &mut interlude).unwrap();
        self.procedure.begin_epoch(stage, &mut interlude).unwrap();
    }

    /// Ends an epoch of a stage.
    pub fn end_epoch(&mut self, stage: usize) {
        let mut interlude = Interlude {
            cast: &mut self.cast,
            teacher: Some(&self.teacher),
            held_out: Some(&Few(self.task.kind())),
        };
        self.procedure.end_epoch(stage, &mut interlude).unwrap();
    }

    /// Terms of an act on a batch, and what it leaves behind. Nothing is updated.
    pub fn play(&mut self, stage: usize, act: usize, batch: &Batch) -> (Vec<Term>, Played) {
        let progress = Progress {
            epoch: 0,
            epochs: self.stages[stage].epochs.max(1),
            step: 0,
            steps: 10,
        };
        let mut scene = Scene::new(Setting {
            cast: &self.cast,
            act: &self.stages[stage].acts[act],
            batch,
            teacher: Some(&self.teacher),
            stage: progress,
            run: progress,
            task: self.task.as_ref(),
            seed: 7,
        });
        let terms = match self.procedure.play(stage, act, &mut scene) {
            Ok(terms) => terms,
            Err(error) => panic!("stage {stage}, act {act}: {error}"),
        };
        (terms, scene.finish())
    }

    /// One step of a stage: every act, each followed by an update with a learning rate of 0.01.
    /// Gives the numbers of all terms.
    pub fn step(&mut self, stage: usize, name: &str) -> Vec<f64> {
        let batch = self.batch(name);
        let mut numbers = Vec::new();
        for act in 0..self.stages[stage].acts.len() {
            let (terms, played) = self.play(stage, act, &batch);
            numbers.extend(terms.iter().map(|term| super::scene::number(&term.value)));
            let total = super::scene::total(&terms);
            for (member, updates) in played.updates {
                self.cast.store_mut(&member).unwrap().apply(updates);
            }
            if !total.is_tracked() {
                continue;
            }
            let mut gradients = total.backward();
            for (member, tracked) in &played.tracked {
                let found = tracked.gradients(&mut gradients);
                let store = self.cast.store_mut(member).unwrap();
                let ids: Vec<_> = store.ids().collect();
                for (id, gradient) in ids.into_iter().zip(found) {
                    if let Some(gradient) = gradient {
                        let value = store.entry(id).value.clone();
                        store.set(id, value - gradient.mul_scalar(0.01));
                    }
                }
            }
        }
        let progress = Progress {
            epoch: 0,
            epochs: self.stages[stage].epochs.max(1),
            step: 0,
            steps: 10,
        };
        for follower in self.procedure.followers(stage, progress) {
            self.follow(&follower);
        }
        numbers
    }

    /// Draws a member's trained numbers to those of the one that it follows.
    fn follow(&mut self, follower: &Follower) {
        let other = self.cast.store(&follower.follows).unwrap().clone();
        let own = self.cast.store_mut(&follower.member).unwrap();
        let ids: Vec<_> = own.ids().collect();
        for id in ids {
            if !own.entry(id).role.is_trained() {
                continue;
            }
            let value = own.entry(id).value.clone().mul_scalar(follower.momentum);
            let pull = other.entry(id).value.clone();
            own.set(id, value + pull.mul_scalar(1.0 - follower.momentum));
        }
    }
}

/// All numbers of a member, by entry.
pub fn numbers(cast: &Cast, member: &str) -> Vec<Vec<f64>> {
    numbers_of(cast.store(member).unwrap())
}

fn numbers_of(store: &Store) -> Vec<Vec<f64>> {
    let entries = store.entries().iter();
    entries
        .map(|entry| entry.value.clone().try_into_vec_as().unwrap())
        .collect()
}
