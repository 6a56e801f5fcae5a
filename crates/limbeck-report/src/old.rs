//! Results of the first format, which had no version: measures by fixed names, of classifiers alone.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::evaluation::{Classification, Details, Evaluation};
use crate::measure::{AGREEMENT, Measure};
use crate::results::{
    DataSummary, Disagreement, EpochRow, Gain, NetworkSummary, Results, SeedResult, TRAIN,
    VALIDATION,
};
use crate::version::Version;

#[derive(Deserialize)]
struct OldResults {
    run: String,
    method: String,
    data: DataSummary,
    teacher: Option<OldNetwork>,
    student: OldNetwork,
    students: Vec<OldSeed>,
    baselines: Vec<OldSeed>,
    gain: Option<Gain>,
    pairs: Vec<(String, String)>,
    disagreements: Vec<Disagreement>,
    seconds: f64,
    recipe: String,
    command: String,
    environment: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct OldNetwork {
    name: String,
    params: u64,
    macs: u64,
    activations: u64,
    bytes: u64,
    latency_ms: f64,
    test: Option<OldEvaluation>,
}

#[derive(Deserialize)]
struct OldEvaluation {
    top1: f64,
    top5: f64,
    loss: Option<f64>,
    calibration_error: f64,
    agreement: Option<f64>,
    #[serde(default)]
    recall: Vec<(usize, f64)>,
    calibration: Vec<(u64, f64, f64)>,
    confusion: Vec<Vec<u64>>,
}

#[derive(Deserialize)]
struct OldSeed {
    seed: u64,
    test: OldEvaluation,
    best_epoch: usize,
    epochs: Vec<OldRow>,
    seconds: f64,
}

#[derive(Deserialize)]
struct OldRow {
    epoch: usize,
    #[serde(default)]
    stage: String,
    learning_rate: f64,
    loss: Option<f64>,
    terms: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    weights: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    shares: BTreeMap<String, Option<f64>>,
    train_top1: f64,
    validation_top1: f64,
    validation_loss: Option<f64>,
    #[serde(default)]
    validation_recall: Option<f64>,
    agreement: Option<f64>,
    images_per_second: f64,
    data_wait: f64,
}

/// Reads `results.json` of the first format.
pub(crate) fn read(text: &str) -> Result<Results, serde_json::Error> {
    let old: OldResults = serde_json::from_str(text)?;
    let seeds = |seeds: Vec<OldSeed>| seeds.into_iter().map(seed).collect();
    Ok(Results {
        version: Version,
        run: old.run,
        method: old.method,
        data: old.data,
        teacher: old.teacher.map(network),
        student: network(old.student),
        students: seeds(old.students),
        baselines: seeds(old.baselines),
        bounds: Vec::new(),
        gain: old.gain,
        pairs: old.pairs,
        disagreements: old.disagreements,
        segmented: Vec::new(),
        detected: Vec::new(),
        pretrained: None,
        prototypes: Vec::new(),
        warnings: Vec::new(),
        generated: Vec::new(),
        beside: None,
        seconds: old.seconds,
        recipe: old.recipe,
        command: old.command,
        environment: old.environment,
    })
}

fn network(old: OldNetwork) -> NetworkSummary {
    NetworkSummary {
        name: old.name,
        params: old.params,
        macs: old.macs,
        activations: old.activations,
        bytes: old.bytes,
        latency_ms: old.latency_ms,
        test: old.test.map(evaluation),
        other_classes: Vec::new(),
        few_bits: None,
    }
}

fn seed(old: OldSeed) -> SeedResult {
    SeedResult {
        right: String::new(),
        seed: old.seed,
        test: evaluation(old.test),
        best_epoch: old.best_epoch,
        chosen_epoch: old.best_epoch,
        choice: "the epoch that is best on the validation part".into(),
        epochs: old.epochs.into_iter().map(row).collect(),
        seconds: old.seconds,
        memory: None,
    }
}

fn evaluation(old: OldEvaluation) -> Evaluation {
    let classes = old.confusion.len();
    let recall = old.recall.into_iter().map(|(k, value)| {
        let meaning = "an image of the class is among the nearest";
        Measure::percent(
            &format!("recall_at_{k}"),
            &format!("Recall@{k}"),
            meaning,
            value,
        )
    });
    let mut measures: Vec<Measure> = recall.collect();
    let top1 = Measure::percent(
        "top1",
        "top-1 accuracy",
        "most probable class is right",
        old.top1,
    );
    measures.push(match classes {
        0 => top1,
        _ => top1.with_chance(100.0 / classes as f64),
    });
    // Of five classes or fewer, it says nothing.
    if classes > 5 {
        let meaning = "right class among the five most probable";
        measures.push(Measure::percent(
            "top5",
            "top-5 accuracy",
            meaning,
            old.top5,
        ));
    }
    let loss = old.loss.unwrap_or(f64::NAN);
    measures.push(Measure::cost(
        "loss",
        "cross entropy",
        "with the right classes",
        "nats",
        loss,
    ));
    let meaning = "15 bins of confidence";
    let error = Measure::percent(
        "calibration_error",
        "calibration error",
        meaning,
        old.calibration_error,
    );
    measures.push(error.lower_is_better());
    if let Some(agreement) = old.agreement {
        let title = "agreement with the teacher";
        measures.push(Measure::percent(
            AGREEMENT,
            title,
            "same class chosen",
            agreement,
        ));
    }
    let share = |(class, row): (usize, &Vec<u64>)| {
        let images: u64 = row.iter().sum();
        let right = row.get(class).copied().unwrap_or(0);
        (images > 0).then(|| 100.0 * right as f64 / images as f64)
    };
    let counted = |row: Vec<u64>| {
        row.into_iter()
            .enumerate()
            .filter(|(_, n)| *n > 0)
            .collect()
    };
    Evaluation {
        measures,
        per_class: old.confusion.iter().enumerate().map(share).collect(),
        details: Details::Classification(Classification {
            calibration: old.calibration,
            confusion: old.confusion.into_iter().map(counted).collect(),
        }),
    }
}

fn row(old: OldRow) -> EpochRow {
    let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let numbers = |old: BTreeMap<String, Option<f64>>| {
        old.into_iter()
            .map(|(name, value)| (name, known(value)))
            .collect()
    };
    let mut measures = BTreeMap::from([
        (format!("{TRAIN}top1"), old.train_top1),
        (format!("{VALIDATION}top1"), old.validation_top1),
        (format!("{VALIDATION}loss"), known(old.validation_loss)),
    ]);
    let recall = old.validation_recall.map(|value| ("recall_at_1", value));
    let agreement = old.agreement.map(|value| (AGREEMENT, value));
    for (name, value) in recall.into_iter().chain(agreement) {
        measures.insert(format!("{VALIDATION}{name}"), value);
    }
    EpochRow {
        epoch: old.epoch,
        stage: old.stage,
        learning_rate: old.learning_rate,
        loss: known(old.loss),
        terms: numbers(old.terms),
        weights: numbers(old.weights),
        shares: numbers(old.shares),
        measures,
        images_per_second: old.images_per_second,
        data_wait: old.data_wait,
    }
}
