//! `limbeck bench nms` and `limbeck bench ap`.

use std::io::{Write, stdout};

use limbeck::{
    methods::detection::SuppressionConfig,
    train::bench::{Machine, PrecisionBench, SuppressionBench},
};
use serde_json::{Map, json};

use super::{
    MOST_RUNS, check,
    report::{print_json, write_heading, write_memory},
    threads,
};
use crate::{
    arguments::{PrecisionArguments, SuppressionArguments},
    command::inspect::MOST_CLASSES,
    exit::Usage,
};

/// As many boxes as anyone has of an image, and of a data set.
const MOST_BOXES: usize = 1_000_000;
const MOST_DETECTIONS: usize = 100_000_000;
/// Predictions of all classes that fit the memory of most machines: 3 GB.
const MOST_NUMBERS: usize = 400_000_000;

/// Measures how fast boxes are suppressed.
pub fn suppression(arguments: &SuppressionArguments) -> anyhow::Result<()> {
    let runs = arguments.measure.runs;
    check("--predictions", arguments.predictions, MOST_BOXES)?;
    check("--classes", arguments.classes, MOST_CLASSES)?;
    check("--detections", arguments.detections, MOST_BOXES)?;
    check("--runs", runs, MOST_RUNS)?;
    if arguments.predictions * (5 + arguments.classes) > MOST_NUMBERS {
        return Err(Usage(format!(
            "{} predictions of {} classes are more than {MOST_NUMBERS} numbers: ask for fewer (--predictions, --classes)",
            arguments.predictions, arguments.classes
        ))
        .into());
    }
    if !(3.0..=640.0).contains(&arguments.longest) {
        return Err(Usage(format!(
            "--longest must be 3 to 640 pixels, found {}",
            arguments.longest
        ))
        .into());
    }
    threads::set(arguments.measure.threads)?;
    let machine = Machine::measured();
    let bench = SuppressionBench {
        predictions: arguments.predictions,
        classes: arguments.classes,
        longest: arguments.longest,
        crowded: arguments.crowded,
        config: SuppressionConfig {
            confidence: arguments.confidence,
            iou: arguments.iou,
            detections: arguments.detections,
            ..Default::default()
        },
        runs,
    };
    let times = threads::compute(|| bench.run())?;
    if arguments.measure.json {
        let keys = [
            ("predictions", json!(bench.predictions)),
            ("classes", json!(bench.classes)),
            ("longest", json!(bench.longest)),
            ("crowded", json!(bench.crowded)),
            ("confidence", json!(bench.config.confidence)),
            ("iou", json!(bench.config.iou)),
            ("detections", json!(bench.config.detections)),
            ("kept", json!(times.kept)),
            ("scores", json!(times.scores)),
            ("suppression_ms", json!(times.suppression_ms)),
        ];
        let keys = keys.map(|(key, value)| (key.to_owned(), value));
        return print_json(Map::from_iter(keys), runs, &machine);
    }
    let mut out = stdout().lock();
    let title = format!(
        "non-maximum suppression of {} boxes of {} classes",
        bench.predictions, bench.classes
    );
    write_heading(&mut out, &title, runs, &machine)?;
    writeln!(out, "suppression  {:>10.3} ms", times.suppression_ms)?;
    writeln!(out, "boxes kept   {:>10}", times.kept)?;
    write_memory(&mut out)
}

/// Measures how fast average precision is found.
pub fn precision(arguments: &PrecisionArguments) -> anyhow::Result<()> {
    let runs = arguments.measure.runs;
    check("--images", arguments.images, MOST_BOXES)?;
    check("--detections", arguments.detections, MOST_BOXES)?;
    check("--classes", arguments.classes, MOST_CLASSES)?;
    check("--runs", runs, MOST_RUNS)?;
    if arguments.images * arguments.detections > MOST_DETECTIONS {
        return Err(Usage(format!(
            "{} detections in each of {} images are more than {MOST_DETECTIONS}: ask for fewer (--images, --detections)",
            arguments.detections, arguments.images
        ))
        .into());
    }
    threads::set(arguments.measure.threads)?;
    let machine = Machine::measured();
    let bench = PrecisionBench {
        images: arguments.images,
        detections: arguments.detections,
        classes: arguments.classes,
        runs,
    };
    let times = threads::compute(|| bench.run())?;
    if arguments.measure.json {
        let keys = [
            ("images", json!(bench.images)),
            ("detections", json!(bench.detections)),
            ("classes", json!(bench.classes)),
            ("objects", json!(times.objects)),
            ("coco_ms", json!(times.coco_ms)),
            ("yolov5_ms", json!(times.yolov5_ms)),
            ("voc_ms", json!(times.voc_ms)),
            ("twelve", json!(times.twelve)),
        ];
        let keys = keys.map(|(key, value)| (key.to_owned(), value));
        return print_json(Map::from_iter(keys), runs, &machine);
    }
    let mut out = stdout().lock();
    let title = format!(
        "average precision of {} detections in each of {} images with {} objects of {} classes",
        bench.detections, bench.images, times.objects, bench.classes
    );
    write_heading(&mut out, &title, runs, &machine)?;
    let rows = [
        ("COCO", times.coco_ms),
        ("YOLOv5", times.yolov5_ms),
        ("VOC", times.voc_ms),
    ];
    for (name, ms) in rows {
        writeln!(out, "{name:6}  {ms:>10.3} ms")?;
    }
    write_memory(&mut out)
}
