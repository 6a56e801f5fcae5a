//! Goldens of `hssakd`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{Builder, Store};

use crate::{
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, cross_entropy, pass, supervision},
        run::Run,
    },
    hssakd::{
        AuxiliaryBranches, BranchBlock, BranchPlan, JointRows,
        branches::BranchStage,
        joint::{class_scores, joint_labels},
    },
    rotation::rotations,
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "aux_branches",
        tolerance: Tolerance::TIGHT,
        run: aux_branches,
    },
    Adapter {
        case: "teacher",
        tolerance: Tolerance::TIGHT,
        run: teacher,
    },
    Adapter {
        case: "offline",
        tolerance: Tolerance::TIGHT,
        run: offline,
    },
    Adapter {
        case: "online",
        tolerance: Tolerance::TIGHT,
        run: online,
    },
];

/// Rows whose tensors begin with `prefix`, recording gradients.
fn rows(run: &mut Run<'_>, prefix: &str) -> JointRows {
    JointRows {
        logits: run.input(&format!("{prefix}logits")),
        joint_logits: run.inputs(&format!("{prefix}joint_logits")),
    }
}

/// The reference's stages halve the size but for the first.
fn plan(case: &Case) -> BranchPlan {
    let (block, layers) = match case.text("block") {
        "basicblock" => (BranchBlock::Basic, 6),
        "bottleneck" => (BranchBlock::Bottleneck, 9),
        other => panic!("unknown block `{other}`"),
    };
    let blocks = (case.count("depth") - 2) / layers;
    let stages = (0..case.list_length("in.feature")).map(|index| BranchStage {
        channels: case.shape(&format!("in.feature.{index}"))[1],
        stride: if index == 0 { 1 } else { 2 },
        blocks,
    });
    BranchPlan {
        stages: stages.collect(),
        block,
        joint_classes: case.count("joint_classes"),
    }
}

fn aux_branches(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    assert_eq!(case.text("bn_mode"), "train");
    let mut store = Store::new(&Case::device(), DType::F64);
    let branches = AuxiliaryBranches::new(&mut Builder::new(&mut store, 0), &plan(case));
    run.fill(&mut store);
    let tracked = store.tracked();
    let features = run.inputs::<4>("feature");
    let labels = case.integers::<1>("in.joint_labels");
    let mut pass = pass(&tracked);
    let logits = branches.forward(&mut pass, features).unwrap();
    store.apply(pass.into_updates());
    for (index, logits) in logits.iter().enumerate() {
        run.out(&format!("joint_logits.{index}"), logits);
    }
    run.after(&store);
    run.track(&tracked);
    let losses = logits.into_iter().map(|q| cross_entropy(q, labels.clone()));
    run.finish(&losses.reduce(|a, b| a + b).unwrap())
}

fn teacher(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let labels = case.integers::<1>("in.labels");
    let target = Target::labels(labels.clone());
    let rows = rows(&mut run, "");
    run.out("rotated", &rotations(case.tensor::<4>("in.image")));
    let joint: Tensor<1> = joint_labels(&labels).float();
    run.out("joint_labels", &joint);
    for (index, logits) in rows.joint_logits.iter().enumerate() {
        let scores = class_scores(logits.clone()).unwrap();
        run.out(&format!("class_logits.{index}"), &scores);
    }
    let ce = cross_entropy(rows.upright(), labels.clone());
    let joint = rows.joint_loss(supervision(&target)).unwrap();
    run.out("ce", &ce);
    run.out("joint", &joint);
    run.finish(&(ce + joint))
}

fn offline(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let labels = case.integers::<1>("in.labels");
    let student = rows(&mut run, "student_");
    let teacher = rows(&mut run, "teacher_");
    let found = student
        .imitate(&teacher, case.number("temperature"))
        .unwrap();
    let ce = cross_entropy(student.upright(), labels);
    run.out("ce", &ce);
    run.out("kd", &found.kd);
    run.out("joint_kd", &found.joint_kd);
    run.finish(&(ce + found.kd + found.joint_kd))
}

fn online(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let labels = case.integers::<1>("in.labels");
    let target = Target::labels(labels.clone());
    assert_eq!(case.count("peers"), 2);
    let [first, second] = ["net0.", "net1."].map(|prefix| rows(&mut run, prefix));
    let classification = |rows: &JointRows| {
        let joint = rows.joint_loss(supervision(&target)).unwrap();
        cross_entropy(rows.upright(), labels.clone()) + joint
    };
    let mutual = |own: &JointRows, other: &JointRows| {
        let found = own.imitate(other, case.number("temperature")).unwrap();
        found.kd + found.joint_kd
    };
    let classification = classification(&first) + classification(&second);
    let mutual = mutual(&first, &second) + mutual(&second, &first);
    run.out("classification", &classification);
    run.out("mutual", &mutual);
    run.finish(&(classification + mutual))
}
