//! Networks that segment are trained, chosen, measured and resumed as those that classify.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this crate is tests"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use limbeck::burn::tensor::Tensor;
use limbeck::data::{
    Annotation, DataError, Found, Image, Labelling, Normalisation, OpenOptions, Source, open,
};
use limbeck::nn::layer::{Conv2d, Conv2dConfig};
use limbeck::nn::{Architecture, Builder, Feature, InputShape, NnError, Pass};
use limbeck::report::{Details, Results};
use limbeck::train::blueprint::Blueprint;
use limbeck::train::experiment::{OwnTeacher, Plan, RunEnd, Stock, execute, run};
use limbeck::train::observer::{Moment, Observer, Silent};
use limbeck::train::recipe::{Recipe, ScheduleName};
use limbeck::train::run_folder::RunFolder;

/// Two convolutions, the first with stride 2; an auxiliary head reads the first.
#[derive(Debug)]
struct Tiny {
    stem: Conv2d,
    head: Conv2d,
    auxiliary: Conv2d,
}

fn build(
    channels: usize,
    at: &mut Builder<'_>,
    input: InputShape,
) -> Result<Box<dyn Architecture>, NnError> {
    let stem = Conv2dConfig::new(input.channels, channels, 3)
        .stride(2)
        .padding(1);
    let head = Conv2dConfig::new(channels, input.classes, 1);
    Ok(Box::new(Tiny {
        stem: Conv2d::new(at.sub("stem"), stem),
        head: Conv2d::new(at.sub("head"), head),
        auxiliary: Conv2d::new(at.sub("auxiliary"), head),
    }))
}

impl Architecture for Tiny {
    fn tap_names(&self) -> Vec<String> {
        vec!["stage1".to_owned(), "auxiliary".to_owned()]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let map = limbeck::burn::tensor::activation::relu(self.stem.forward(pass, images));
        pass.tap_map("stage1", &map);
        if pass.wants("auxiliary") {
            let logits = self.auxiliary.forward(pass, map.clone());
            pass.tap_map("auxiliary", &logits);
        }
        Feature::Map(self.head.forward(pass, map))
    }
}

fn blueprint(channels: usize) -> Blueprint {
    let identity = format!("{channels} channels");
    Blueprint::own("tiny", 32, &identity, move |at, input| {
        build(channels, at, input)
    })
}

fn stock() -> Stock {
    Stock::new()
        .with_student(blueprint(8))
        .with_teacher(OwnTeacher::Untrained(blueprint(24)))
}

fn recipe() -> Recipe {
    let mut recipe = Recipe::default();
    recipe.data.path = "scenes:40".to_owned();
    recipe.data.batch = 4;
    recipe.augment.pad_crop = None;
    recipe.augment.size = [48, 48];
    recipe.augment.flip = 0.5;
    recipe.train.epochs = 2;
    recipe.train.baseline = true;
    recipe.method.name = "kd".to_owned();
    recipe
}

fn trained(recipe: Recipe, folder: &Path) -> Results {
    run(recipe, &mut stock(), folder, &mut Silent).unwrap()
}

#[test]
fn a_student_learns_from_masks_and_a_teacher_and_is_measured_in_their_size() {
    let out = tempfile::tempdir().unwrap();
    let results = trained(recipe(), &out.path().join("run"));
    let (student, baseline) = (&results.students[0].test, &results.baselines[0].test);
    let teacher = results.teacher.as_ref().unwrap().test.as_ref().unwrap();
    for test in [student, baseline, teacher] {
        assert_eq!(test.first().unwrap().name, "miou");
        for name in ["miou", "pixel_accuracy", "mean_accuracy", "boundary_iou"] {
            let value = test.value(name).unwrap();
            assert!((0.0..=100.0).contains(&value), "{name} {value}");
        }
        let occurring: Vec<f64> = test.per_class.iter().copied().flatten().collect();
        let mean = occurring.iter().sum::<f64>() / occurring.len() as f64;
        assert!((test.value("miou").unwrap() - mean).abs() < 1e-9);
        assert_eq!(test.per_class.len(), results.data.classes.len());
    }
    assert!(student.value("agreement").is_some());
    let row = &results.students[0].epochs[1];
    assert!(row.train("pixel_accuracy").is_some() && row.validation("miou").is_some());
    assert!(row.terms.contains_key("auxiliary") && row.terms.contains_key("kd"));
    let gain = results.gain.as_ref().unwrap();
    assert_eq!(gain.resampled.as_ref().unwrap().units, results.data.test);
    let Details::Segmentation(details) = &student.details else {
        panic!("those of a network that segments")
    };
    let pixels: u64 = details.confusion.iter().flat_map(|row| row.values()).sum();
    assert!(pixels > 0);
    assert!(!results.segmented.is_empty());
    let first = &results.segmented[0];
    assert!(first.truth.is_some() && first.baseline.is_some() && !first.png.is_empty());
}

#[test]
fn workers_change_no_bit() {
    let out = tempfile::tempdir().unwrap();
    let weights = |workers: usize| {
        let mut recipe = recipe();
        recipe.train.baseline = false;
        recipe.data.workers = workers;
        let folder = out.path().join(workers.to_string());
        trained(recipe, &folder);
        std::fs::read(folder.join("student/model.safetensors")).unwrap()
    };
    assert_eq!(weights(0), weights(3));
}

/// Stops a run after some steps.
struct Stop<'a>(usize, &'a AtomicBool);

impl Observer for Stop<'_> {
    fn step(&mut self, _moment: &Moment) {
        self.0 = self.0.saturating_sub(1);
        self.1.store(self.0 == 0, Ordering::Relaxed);
    }
}

#[test]
fn a_run_that_is_stopped_goes_on_to_the_same_bits() {
    let out = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    recipe.train.baseline = false;
    let whole = out.path().join("whole");
    trained(recipe.clone(), &whole);
    let path = out.path().join("stopped");
    let folder = RunFolder::create(Some(&path), "stopped").unwrap();
    folder.write_recipe(&recipe).unwrap();
    let mut stops = 0;
    loop {
        let plan = Plan::of(recipe.clone(), &mut stock()).unwrap();
        let interrupt = AtomicBool::new(false);
        let mut observer = Stop(3, &interrupt);
        match execute(&plan, &folder, "test", &mut observer, &interrupt).unwrap() {
            RunEnd::Finished(_) => break,
            RunEnd::Interrupted => stops += 1,
        }
    }
    assert!(stops > 3, "{stops}");
    for file in [
        "jobs/student-0/last.safetensors",
        "jobs/teacher/last.safetensors",
    ] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert_eq!(read(&whole), read(&path), "{file}");
    }
}

#[test]
fn networks_and_methods_of_another_task_are_refused_with_those_that_fit() {
    let told = |change: &dyn Fn(&mut Recipe), stock: &mut Stock| {
        let mut recipe = recipe();
        change(&mut recipe);
        Plan::of(recipe, stock).err().unwrap().to_string()
    };
    let classifier = &mut Stock::new();
    let error = told(
        &|recipe| recipe.student.model = "resnet8".to_owned(),
        classifier,
    );
    assert!(
        error.contains("student `resnet8` is for classification")
            && error.contains("models that fit"),
        "{error}"
    );
    let error = told(
        &|recipe| recipe.method.name = "crd".to_owned(),
        &mut stock(),
    );
    assert!(error.contains("`crd`") && error.contains("kd"), "{error}");
    let classes = &mut Stock::new().with_student(blueprint(4));
    let error = told(&|recipe| recipe.data.path = "shapes:40".to_owned(), classes);
    assert!(error.contains("`tiny` is for segmentation"), "{error}");
}

/// Counts steps.
struct Count(usize);

impl Observer for Count {
    fn step(&mut self, _moment: &Moment) {
        self.0 += 1;
    }
}

#[test]
fn iterations_end_within_an_epoch() {
    let out = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    recipe.method.name = "none".to_owned();
    recipe.train.baseline = false;
    recipe.train.iterations = Some(11);
    recipe.schedule.name = ScheduleName::Polynomial;
    recipe.schedule.power = 1.0;
    let mut stock = Stock::new().with_student(blueprint(4));
    let mut counted = Count(0);
    let results = run(
        recipe.clone(),
        &mut stock,
        &out.path().join("run"),
        &mut counted,
    )
    .unwrap();
    assert_eq!(counted.0, 11);
    let steps = results.data.train / recipe.data.batch;
    let epochs = &results.students[0].epochs;
    assert_eq!(epochs.len(), 11_usize.div_ceil(steps));
    let last = epochs.last().unwrap().learning_rate;
    let expected = recipe.optimizer.learning_rate / 11.0;
    assert!((last - expected).abs() < 1e-12, "{last} {expected}");
}

/// The pictures of a source, of which nothing is known.
#[derive(Debug)]
struct Unlabelled(Arc<dyn Source>);

impl Source for Unlabelled {
    fn classes(&self) -> &[String] {
        &[]
    }

    fn labelling(&self) -> Labelling {
        Labelling::None
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn annotation(&self, _index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::None)
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        self.0.image(index)
    }
}

#[test]
fn pictures_without_labels_are_learnt_from_a_teacher_and_chosen_by_agreement_of_pixels() {
    let out = tempfile::tempdir().unwrap();
    let scenes = open(Path::new("scenes:30"), &OpenOptions::default()).unwrap();
    let pictures = Unlabelled(scenes.train.source);
    let data = Found::whole("pictures", pictures);
    let data = data.split(&OpenOptions::default()).unwrap();
    let input = InputShape {
        channels: 3,
        height: 48,
        width: 48,
        classes: 5,
    };
    let teacher = OwnTeacher::Trained {
        network: Box::new(blueprint(12).network(input, 7).unwrap()),
        normalisation: Normalisation::new(&[0.4; 3], &[0.3; 3]),
        identity: "drawn from 7".to_owned(),
    };
    let stock = Stock::new().with_data(data).with_student(blueprint(4));
    let mut recipe = recipe();
    recipe.train.baseline = false;
    let folder = out.path().join("run");
    let results = run(
        recipe,
        &mut stock.with_teacher(teacher),
        &folder,
        &mut Silent,
    )
    .unwrap();
    let test = &results.students[0].test;
    assert_eq!(test.first().unwrap().name, "agreement");
    assert!(test.value("miou_with_teacher").is_some() && test.value("miou").is_none());
    assert_eq!(results.data.classes.len(), 5);
    assert!(results.students[0].epochs[0].terms.keys().eq(["kd"]));
    let first = &results.segmented[0];
    assert!(first.truth.is_none() && first.teacher.is_some() && first.student.is_some());
}
