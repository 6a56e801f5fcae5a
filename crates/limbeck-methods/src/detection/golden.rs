//! Goldens of detection, filed under `ssdayolo`.

mod network;

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{Builder, Init, Role, Store};
use serde_json::Value;

use super::{
    AdaptationConfig, AdaptationMaps, AnchorLevel, Anchors, Assigned, DetectionLoss,
    DetectionLossConfig, Gains, Kept, PSEUDO_LABELS, SuppressionConfig, TargetBox, adapt, assign,
    average_precision::{Detection, GroundTruth, coco, voc, yolov5},
    ciou, decode, diou, giou, iou, pseudo_labels, suppress,
};
use crate::{
    Cast, Follower,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::small_network,
        run::{Run, values},
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    adapter("assign", assigned),
    adapter("ciou", overlaps),
    adapter("decode", decoded),
    adapter("det_loss", loss),
    adapter("map", precision),
    adapter("nms", kept),
    adapter("ssda_step", adaptation),
    network::ADAPTER,
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn list(numbers: Vec<f64>, width: usize) -> Values {
    Values {
        shape: vec![numbers.len() / width, width],
        numbers,
    }
}

fn scalar(number: f64) -> Values {
    Values {
        shape: Vec::new(),
        numbers: vec![number],
    }
}

/// Rows of the tensor `name`.
fn rows<'a>(case: &'a Case, name: &str) -> impl Iterator<Item = &'a [f64]> + use<'a> {
    let values = case.values(name);
    let width = values.shape.last().copied().unwrap_or(1);
    values.numbers.chunks(width)
}

fn anchors(case: &Case) -> Anchors {
    let setting = |key: &str| case.setting(key).clone();
    let sizes: Vec<Vec<f64>> = serde_json::from_value(setting("anchors_px")).unwrap();
    let strides: Vec<usize> = serde_json::from_value(setting("strides")).unwrap();
    let level = |(sizes, stride): (Vec<f64>, usize)| AnchorLevel {
        stride,
        sizes: sizes.chunks(2).map(|size| [size[0], size[1]]).collect(),
    };
    Anchors::new(sizes.into_iter().zip(strides).map(level).collect()).unwrap()
}

fn loss_of(case: &Case) -> DetectionLoss {
    DetectionLoss::new(loss_config(case), anchors(case)).unwrap()
}

fn targets(case: &Case) -> Vec<TargetBox> {
    rows(case, "in.targets")
        .map(|row| TargetBox {
            image: row[0] as usize,
            class: row[1] as usize,
            center: [row[2], row[3]],
            size: [row[4], row[5]],
        })
        .collect()
}

fn set_assigned(run: &mut Run<'_>, prefix: &str, levels: &[Vec<Assigned>]) {
    for (i, level) in levels.iter().enumerate() {
        let mut set = |what: &str, width: usize, of: fn(&Assigned) -> Vec<f64>| {
            let numbers = level.iter().flat_map(of).collect();
            run.set(&format!("{prefix}{what}.{i}"), list(numbers, width));
        };
        set("index", 4, |a| {
            [a.image, a.anchor, a.cell[0], a.cell[1]]
                .map(|i| i as f64)
                .to_vec()
        });
        set("tbox", 4, |a| a.bounds.to_vec());
        set("tcls", 1, |a| vec![a.class as f64]);
        set("anchor", 2, |a| a.anchor_size.to_vec());
    }
}

fn overlaps(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.text("format"), "cxcywh");
    let mut run = Run::new(case);
    let a: Tensor<2> = run.input("boxes_a");
    let b = case.tensor::<2>("in.boxes_b");
    let ciou = ciou(a.clone(), b.clone()).unwrap();
    run.out("iou", &iou(a.clone(), b.clone()).unwrap());
    run.out("giou", &giou(a.clone(), b.clone()).unwrap());
    run.out("diou", &diou(a, b).unwrap());
    run.out("ciou", &ciou);
    let [count] = ciou.dims();
    run.finish(
        &ciou
            .neg()
            .add_scalar(1.0)
            .sum()
            .mul_scalar(1.0 / count as f64),
    )
}

fn assigned(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let anchors = anchors(case);
    let side: [usize; 2] = case.counts("img_hw");
    let levels = anchors.levels().iter();
    let grids: Vec<[usize; 2]> = levels.map(|level| side.map(|s| s / level.stride)).collect();
    let found = assign(&anchors, &grids, &targets(case), case.number("anchor_t")).unwrap();
    set_assigned(&mut run, "out.", &found);
    let count: usize = found.iter().map(Vec::len).sum();
    run.set("out.loss", scalar(count as f64));
    run.finish_without_loss()
}

fn decoded(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let raw = run.inputs::<5>("raw");
    let predictions = decode(&anchors(case), &raw).unwrap();
    run.out("pred", &predictions);
    run.finish(&(predictions * case.tensor::<3>("in.weight")).sum())
}

fn loss_config(case: &Case) -> DetectionLossConfig {
    let settings = case.setting("hyp");
    let number = |key: &str| settings[key].as_f64().unwrap();
    let mut config = DetectionLossConfig {
        gains: Gains {
            bounds: number("box"),
            objectness: number("obj"),
            classes: number("cls"),
        },
        anchor_ratio: number("anchor_t"),
        objectness_positive_weight: number("obj_pw"),
        class_positive_weight: number("cls_pw"),
        focal_gamma: number("fl_gamma"),
        label_smoothing: number("label_smoothing"),
        ..Default::default()
    };
    // Files that do not say them have YOLOv5's.
    if let Some(balance) = case.config.get("balance") {
        config.balance = serde_json::from_value(balance.clone()).unwrap();
    }
    if let Some(share) = case.config.get("gr").and_then(Value::as_f64) {
        config.objectness_overlap = share;
    }
    config
}

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let raw = run.inputs::<5>("raw");
    let loss = loss_of(case);
    let targets = targets(case);
    set_assigned(
        &mut run,
        "out.assign.",
        &loss.assign(&raw, &targets).unwrap(),
    );
    let terms = loss.terms(&raw, &targets).unwrap();
    let parts = [
        terms.bounds.clone(),
        terms.objectness.clone(),
        terms.classes.clone(),
    ];
    let [bounds, objectness, classes] = parts.clone();
    let sum = bounds + objectness + classes;
    run.out("items", &Tensor::cat([&parts[..], &[sum]].concat(), 0));
    run.finish(&terms.total())
}

fn set_kept(run: &mut Run<'_>, name: &str, kept: &[Kept]) {
    let numbers = kept.iter().flat_map(|kept| {
        let [left, top, right, bottom] = kept.bounds;
        [left, top, right, bottom, kept.score, kept.class as f64]
    });
    run.set(name, list(numbers.collect(), 6));
}

fn kept(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let [_, rows, width] = case.shape("in.pred").try_into().unwrap();
    let images = case.values("in.pred").numbers.chunks(rows * width);
    let mut count = 0;
    for (i, image) in images.enumerate() {
        for (name, multi_label) in [("multi", true), ("single", false)] {
            let config = SuppressionConfig {
                confidence: case.number("conf_thres"),
                iou: case.number("iou_thres"),
                multi_label,
                agnostic: case.flag("agnostic"),
                candidates: case.count("max_nms"),
                detections: case.count("max_det"),
            };
            let kept = suppress(image, case.count("nc"), &config).unwrap();
            set_kept(&mut run, &format!("out.{name}.{i}"), &kept);
            count += kept.len();
        }
    }
    run.set("out.loss", scalar(count as f64));
    run.finish_without_loss()
}

fn precision(case: &Case) -> BTreeMap<String, Values> {
    let bounds = |row: &[f64]| [row[0], row[1], row[2], row[3]];
    let truth: Vec<GroundTruth> = rows(case, "in.gt")
        .map(|row| GroundTruth::new(row[0] as usize, row[1] as usize, bounds(&row[2..])))
        .collect();
    let found: Vec<Detection> = rows(case, "in.det")
        .map(|row| Detection {
            image: row[0] as usize,
            class: row[1] as usize,
            score: row[2],
            bounds: bounds(&row[3..]),
        })
        .collect();
    let classes = case.count("nc");
    let coco = coco(&truth, &found, classes).unwrap();
    let yolov5 = yolov5(&truth, &found, classes).unwrap();
    let voc = voc(&truth, &found, classes).unwrap();
    let number = |value: Option<f64>| value.unwrap_or(-1.0);
    let mut run = Run::new(case);
    run.set(
        "out.coco_stats",
        list(coco.twelve().map(number).to_vec(), 1),
    );
    let coco_ap = coco.classes.iter().flat_map(|ap| ap.unwrap_or([-1.0; 10]));
    run.set("out.coco_ap", list(coco_ap.collect(), 10));
    run.set("out.loss", scalar(number(coco.precision)));
    let chosen: Vec<usize> = serde_json::from_value(case.setting("yolov5_cls").clone()).unwrap();
    let yolo_ap = chosen
        .iter()
        .flat_map(|&class| yolov5.classes[class].unwrap());
    run.set("out.yolo_ap", list(yolo_ap.collect(), 10));
    run.set("out.yolo_map50", scalar(number(yolov5.precision_50)));
    run.set("out.yolo_map", scalar(number(yolov5.precision)));
    let voc_ap = voc.classes.iter().flat_map(|ap| ap.unwrap_or([-1.0; 2]));
    run.set("out.voc_ap", list(voc_ap.collect(), 2));
    run.finish_without_loss()
}

fn adaptation(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let levels = case.list_length("in.teacher_target_fake");
    let teacher: Vec<Tensor<5>> = (0..levels)
        .map(|i| case.tensor(&format!("in.teacher_target_fake.{i}")))
        .collect();
    let kept = SuppressionConfig {
        confidence: case.number("conf_thres"),
        iou: case.number("iou_thres"),
        detections: case.count("max_gt_boxes"),
        ..PSEUDO_LABELS
    };
    let pseudo = pseudo_labels(&anchors(case), &teacher, case.counts("img_hw"), &kept).unwrap();
    let numbers = pseudo.iter().flat_map(|t| {
        let [[x, y], [w, h]] = [t.center, t.size];
        [t.image as f64, t.class as f64, x, y, w, h]
    });
    run.set("out.pseudo", list(numbers.collect(), 6));

    let config = AdaptationConfig {
        pseudo_weight: case.number("lambda_weight"),
        consistency_weight: case.number("alpha_weight"),
    };
    let [source_real, source_fake, target_real] = ["source_real", "source_fake", "target_real"]
        .map(|name| run.inputs::<5>(&format!("student_{name}")));
    let maps = AdaptationMaps {
        source_real: &source_real,
        source_fake: &source_fake,
        target_real: &target_real,
    };
    let terms = adapt(&loss_of(case), maps, &targets(case), &pseudo, &config).unwrap();
    run.out("loss_source_real", &terms.source_real);
    run.out("loss_source_fake", &terms.source_fake);
    run.out("loss_distill", &terms.distillation);
    run.out("loss_consistency", &terms.consistency);

    // The mean teacher follows as any member of a cast does.
    let member = |name: &str| {
        let mut store = Store::new(&Case::device(), DType::F64);
        let values = case.values(&format!("in.{name}"));
        let mut builder = Builder::blank(&mut store);
        let id = builder.parameter("weight", &values.shape, Role::Weight, Init::Normal(1.0));
        store.set_values(id, values.numbers.clone());
        (store, id)
    };
    let ((student, _), (teacher, id)) = (member("ema_student"), member("ema_teacher"));
    let mut cast = Cast::new(small_network());
    cast.add_store("student_of_file", student);
    cast.add_store("teacher", teacher);
    let follower = Follower {
        member: "teacher".to_owned(),
        follows: "student_of_file".to_owned(),
        momentum: case.number("teacher_ema"),
        statistics: false,
    };
    cast.follow(&follower).unwrap();
    let entry = cast.store("teacher").unwrap().entry(id);
    let found = Values {
        shape: entry.shape.clone(),
        numbers: values(&entry.value).numbers,
    };
    run.set("out.ema_teacher", found);
    run.finish(&terms.total)
}
