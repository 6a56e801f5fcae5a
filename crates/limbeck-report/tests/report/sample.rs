//! Results as a run could have found them, made up, and the same for the same arguments.

use std::collections::BTreeMap;
use std::io::Cursor;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, Rgb, RgbImage};
use limbeck_report::{
    AGREEMENT, Classification, Confusion, DataSummary, Details, Disagreement, EpochRow, Evaluation,
    Measure, NetworkSummary, Results, SeedResult, Version, paired_gain,
};

const CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// A small generator (64-bit linear congruential, constants of Knuth's MMIX), for made-up noise.
pub struct Noise(pub u64);

impl Noise {
    /// Evenly from −1 to 1.
    pub fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// A distilled run with a teacher, `seeds` students and baselines, `epochs` epochs.
pub fn distilled(classes: usize, seeds: usize, epochs: usize) -> Results {
    let mut noise = Noise(7);
    let student_top1 = 88.0;
    let baseline_top1 = 86.6;
    let run = |top1: f64, seed: usize, distilled: bool, noise: &mut Noise| {
        seed_result(
            top1 + 0.35 * noise.next(),
            seed,
            classes,
            epochs,
            distilled,
            noise,
        )
    };
    let students: Vec<_> = (0..seeds)
        .map(|seed| run(student_top1, seed, true, &mut noise))
        .collect();
    let baselines: Vec<_> = (0..seeds)
        .map(|seed| run(baseline_top1, seed, false, &mut noise))
        .collect();
    let teacher = evaluation(91.4, classes, 2.1, None, &mut noise);
    let mut results = Results {
        version: Version,
        run: "kd-resnet8x4-20261121-2314".into(),
        method: "kd".into(),
        data: DataSummary {
            name: "fashion-mnist (IDX)".into(),
            classes: (0..classes).map(class).collect(),
            train: 54_000,
            validation: 6_000,
            test: 10_000,
            shape: [1, 28, 28],
        },
        teacher: Some(NetworkSummary {
            name: "resnet32x4".into(),
            params: 7_433_860,
            macs: 1_083_000_000,
            activations: 2_410_000,
            bytes: 29_800_000,
            latency_ms: 31.4,
            test: Some(teacher),
            other_classes: Vec::new(),
            few_bits: None,
        }),
        student: NetworkSummary {
            name: "resnet8x4".into(),
            params: 1_233_540,
            macs: 177_000_000,
            activations: 612_000,
            bytes: 4_960_000,
            latency_ms: 5.62,
            test: None,
            other_classes: Vec::new(),
            few_bits: None,
        },
        students,
        baselines,
        bounds: Vec::new(),
        beside: None,
        gain: None,
        pairs: vec![
            ("layer1".into(), "layer1".into()),
            ("layer2".into(), "layer2".into()),
            ("layer3".into(), "layer3".into()),
        ],
        disagreements: (0..12).map(|place| disagreement(place, classes, &mut noise)).collect(),
        generated: Vec::new(),
        segmented: Vec::new(),
        detected: Vec::new(),
        pretrained: None,
        prototypes: Vec::new(),
        warnings: Vec::new(),
        seconds: 8_143.0,
        recipe: RECIPE.into(),
        command: "limbeck distill /usr/share/datasets/fashion-mnist --teacher runs/resnet32x4 --student resnet8x4 --method kd --baseline --seeds 3 --epochs 30".into(),
        environment: BTreeMap::from([
            ("limbeck".into(), "0.1.0".into()),
            ("processor".into(), "AMD EPYC 7B13".into()),
            ("cores".into(), "2".into()),
            ("threads".into(), "2".into()),
            ("system".into(), "linux x86_64".into()),
        ]),
    };
    pair(&mut results);
    results
}

/// Sets the gain from the runs.
pub fn pair(results: &mut Results) {
    let score = |runs: &[SeedResult]| runs.iter().map(|run| run.test.score()).collect::<Vec<_>>();
    results.gain = paired_gain(&score(&results.students), &score(&results.baselines));
}

/// The measure called `name`, to be changed.
pub fn value<'a>(test: &'a mut Evaluation, name: &str) -> &'a mut f64 {
    let mut measures = test.measures.iter_mut();
    &mut measures.find(|measure| measure.name == name).unwrap().value
}

/// What a classifier's page shows, to be changed.
pub fn details(test: &mut Evaluation) -> &mut Classification {
    match &mut test.details {
        Details::Classification(details) => details,
        _ => panic!("not of a classifier"),
    }
}

/// A network trained on labels alone.
pub fn plain() -> Results {
    let mut results = distilled(10, 1, 20);
    results.run = "none-resnet8x4-20261120-0904".into();
    results.method = "none".into();
    results.teacher = None;
    results.baselines.clear();
    results.gain = None;
    for row in &mut results.students[0].epochs {
        row.terms.remove("kd");
    }
    results.pairs.clear();
    results.disagreements.clear();
    forget_the_teacher(&mut results);
    results
}

/// A student of pictures without labels.
pub fn unlabelled() -> Results {
    let mut results = distilled(10, 2, 12);
    results.run = "kd-resnet8x4-20261124-0700".into();
    results.baselines.clear();
    results.gain = None;
    results.teacher.as_mut().unwrap().test = None;
    for case in &mut results.disagreements {
        case.label = None;
    }
    for seed in &mut results.students {
        let agreement = seed.test.measure(AGREEMENT).unwrap().clone();
        let (title, meaning) = ("divergence from the teacher", "Kullback-Leibler");
        let divergence = Measure::cost("divergence", title, meaning, "nats", 0.21);
        seed.test = Evaluation {
            measures: vec![agreement, divergence],
            ..Evaluation::default()
        };
        for row in &mut seed.epochs {
            row.measures
                .retain(|name, _| name == "validation_agreement");
        }
    }
    results
}

/// A self-distilled network: a baseline, no teacher.
pub fn self_distilled() -> Results {
    let mut results = distilled(10, 3, 30);
    results.run = "dsr-resnet8x4-20261122-1001".into();
    results.method = "dsr".into();
    results.teacher = None;
    results.disagreements.clear();
    forget_the_teacher(&mut results);
    // About as good as the baseline.
    for (place, seed) in results.students.iter_mut().enumerate() {
        let baseline = results.baselines[place].test.score();
        *value(&mut seed.test, "top1") = baseline + [0.5, -0.3, 0.2][place % 3];
    }
    pair(&mut results);
    results
}

fn forget_the_teacher(results: &mut Results) {
    for seed in results.students.iter_mut().chain(&mut results.baselines) {
        seed.test
            .measures
            .retain(|measure| measure.name != AGREEMENT);
        for row in &mut seed.epochs {
            row.measures.remove("validation_agreement");
        }
    }
}

/// The name of a class.
pub fn class(number: usize) -> String {
    CLASSES
        .get(number)
        .map_or_else(|| format!("species {number}"), |name| (*name).into())
}

fn seed_result(
    top1: f64,
    seed: usize,
    classes: usize,
    epochs: usize,
    distilled: bool,
    noise: &mut Noise,
) -> SeedResult {
    let rows: Vec<EpochRow> = (1..=epochs)
        .map(|epoch| {
            let done = epoch as f64 / epochs as f64;
            let learnt = 1.0 - (-5.0 * done).exp() * (1.0 - 0.3 * done);
            let shake = 2.2 * (1.0 - done) * noise.next();
            let task = 0.22 + 1.7 * (1.0 - learnt) + 0.03 * noise.next();
            let mut terms = BTreeMap::from([("task".into(), task)]);
            let mut loss = task;
            if distilled {
                let term = 0.6 + 9.0 * (1.0 - learnt) + 0.1 * noise.next();
                terms.insert("kd".into(), term);
                loss = 0.1 * task + 0.9 * term;
            }
            EpochRow {
                epoch,
                learning_rate: 0.05 * (1.0 + (std::f64::consts::PI * done).cos()),
                loss,
                terms,
                measures: BTreeMap::from([
                    (
                        "train_top1".into(),
                        40.0 + (top1 - 38.0) * learnt + 0.5 * noise.next(),
                    ),
                    (
                        "validation_top1".into(),
                        45.0 + (top1 - 45.0) * learnt + shake,
                    ),
                    (
                        "validation_loss".into(),
                        0.33 + 1.1 * (1.0 - learnt) - shake / 60.0,
                    ),
                    (
                        "validation_agreement".into(),
                        46.0 + (top1 - 44.0) * learnt + shake,
                    ),
                ]),
                images_per_second: 812.0 + 9.0 * noise.next(),
                data_wait: 1.3 + noise.next(),
                ..EpochRow::default()
            }
        })
        .collect();
    let best = rows
        .iter()
        .max_by(|a, b| a.measures["validation_top1"].total_cmp(&b.measures["validation_top1"]));
    SeedResult {
        right: String::new(),
        seed: seed as u64,
        best_epoch: best.map_or(0, |row| row.epoch),
        chosen_epoch: best.map_or(0, |row| row.epoch),
        choice: "the epoch that is best on the validation part".into(),
        test: evaluation(
            top1,
            classes,
            if distilled { 1.6 } else { 4.8 },
            Some(if distilled { 92.1 } else { 88.3 }),
            noise,
        ),
        epochs: rows,
        seconds: 1210.0 + 25.0 * noise.next(),
        memory: None,
    }
}

fn evaluation(
    top1: f64,
    classes: usize,
    error: f64,
    agreement: Option<f64>,
    noise: &mut Noise,
) -> Evaluation {
    let images = 10_000 / classes.max(1) as u64;
    let confusion: Confusion = (0..classes)
        .map(|label| {
            let hard = [0.5, 0.1, 1.4, 0.8, 1.3, 0.2, 2.8, 0.4, 0.2, 0.4][label % 10];
            let wrong = (images as f64 * (100.0 - top1) / 100.0
                * hard
                * (1.0 + 0.15 * noise.next())) as u64;
            let mut row = BTreeMap::new();
            let mut left = wrong;
            for step in [4, 6, 2, 1, 3] {
                let other = (label + step) % classes;
                let part = left / 2;
                if other != label && part > 0 {
                    *row.entry(other).or_default() += part;
                    left -= part;
                }
            }
            row.insert(label, images - (wrong - left));
            row
        })
        .collect();
    let right = |(class, row): (usize, &BTreeMap<usize, u64>)| {
        let right = row.get(&class).copied().unwrap_or(0) as f64;
        Some(100.0 * right / row.values().sum::<u64>() as f64)
    };
    let top1 = Measure::percent(
        "top1",
        "top-1 accuracy",
        "most probable class is right",
        top1,
    )
    .with_chance(100.0 / classes.max(1) as f64);
    let five = "right class among the five most probable";
    let mut measures = vec![
        top1,
        Measure::percent("top5", "top-5 accuracy", five, 99.5 + 0.1 * noise.next()),
        Measure::cost(
            "loss",
            "cross entropy",
            "with the right classes",
            "nats",
            0.36 + 0.02 * noise.next(),
        ),
        Measure::percent(
            "calibration_error",
            "calibration error",
            "15 bins of confidence",
            error + 0.2 * noise.next(),
        )
        .lower_is_better(),
    ];
    let title = "agreement with the teacher";
    measures.extend(
        agreement.map(|value| Measure::percent(AGREEMENT, title, "same class chosen", value)),
    );
    Evaluation {
        measures,
        per_class: confusion.iter().enumerate().map(right).collect(),
        details: Details::Classification(Classification {
            calibration: (0..15)
                .map(|bin| {
                    let confidence = (bin as f64 + 0.5) / 15.0;
                    let right = confidence - error / 60.0 * (1.0 + 0.5 * noise.next());
                    let images = if bin < 2 {
                        0
                    } else {
                        20 + bin * bin * bin / 2
                            + if bin == 14 {
                                (300.0 * error) as usize
                            } else {
                                0
                            }
                    };
                    (images as u64, confidence, right.clamp(0.0, 1.0))
                })
                .collect(),
            confusion,
        }),
    }
}

fn disagreement(place: usize, classes: usize, noise: &mut Noise) -> Disagreement {
    let classes = classes.max(1);
    let label = (place * 7 + 3) % classes;
    let other = (label + 4) % classes;
    let third = (label + 6) % classes;
    let (student, teacher) = match place % 3 {
        0 => (other, label),
        1 => (label, other),
        _ => (other, third),
    };
    Disagreement {
        index: place * 811 + 37,
        label: Some(label),
        student: (student, 0.93 - 0.02 * place as f64),
        teacher: (teacher, 0.97 - 0.015 * place as f64),
        png: picture(place, noise),
    }
}

/// A small picture as a PNG file, base64.
pub fn picture(place: usize, noise: &mut Noise) -> String {
    let image = RgbImage::from_fn(28, 28, |x, y| {
        let (x, y) = (f64::from(x) - 13.5, f64::from(y) - 13.5);
        let inside = match place % 3 {
            0 => x.abs() < 6.0 + y / 5.0 && y.abs() < 11.0,
            1 => x.hypot(y) < 10.0,
            _ => x.abs() + y.abs() < 12.0,
        };
        let grey = if inside { 170.0 + 5.0 * y } else { 16.0 };
        Rgb([(grey + 14.0 * noise.next()) as u8; 3])
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    STANDARD.encode(bytes.into_inner())
}

const RECIPE: &str = r#"# limbeck 0.1.0
epochs = 30
batch = 128
seeds = [0, 1, 2]
baseline = true

[data]
path = "/usr/share/datasets/fashion-mnist"
validation = 0.1
limit = 0

[data.augment]
crop = { pad = 4 }
flip = true

[teacher]
run = "runs/resnet32x4"

[student]
model = "resnet8x4"

[method]
name = "kd"
temperature = 4.0
weight = 0.9

[optimizer]
name = "sgd"
learning_rate = 0.05
momentum = 0.9
nesterov = true
weight_decay = 0.0005

[schedule]
name = "cosine"
warmup_epochs = 1
"#;
