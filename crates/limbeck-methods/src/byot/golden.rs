//! Goldens of `byot`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{Store, TapKind};

use crate::{
    Criterion, Probe,
    byot::{Branch, BranchOutput, Byot, ByotConfig, ByotForm},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, cross_entropy, pass, probe, supervision},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "branch",
        tolerance: Tolerance::TIGHT,
        run: branch,
    },
    Adapter {
        case: "loss",
        tolerance: Tolerance::TIGHT,
        run: loss,
    },
    Adapter {
        case: "journal",
        tolerance: Tolerance::TIGHT,
        run: journal,
    },
];

fn branch(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let feature = run.input::<4>("feature");
    let labels = case.integers("in.labels");
    let [batch, channels, height, width] = feature.dims();
    let (kernel, stride, output) = (
        case.count("kernel"),
        case.count("stride"),
        case.count("out_channels"),
    );
    assert_eq!(kernel, stride);
    assert_eq!(case.count("mid_channels"), output / 4);
    let probe = probe(case.count("num_classes"), batch, Vec::new(), Vec::new());
    let last = [output, height / stride, width / stride];
    let from = [channels, height, width];
    let (branch, mut store) = build(&probe, |probe, builder| {
        Ok(Branch::bottleneck(builder.sub_self(), from, last, output, probe).unwrap())
    });
    run.fill(&mut store);
    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let output = branch.forward(&mut training, feature);
    store.apply(training.into_updates());
    run.after(&store);
    run.track(&tracked);
    run.out("branch_feature", &output.feature);
    run.out("branch_logits", &output.logits);
    run.finish(&cross_entropy(output.logits, labels))
}

/// What the losses are made of.
struct Given {
    logits: Tensor<2>,
    feature: Tensor<2>,
    branches: Vec<BranchOutput>,
    probe: Probe,
}

fn given(run: &mut Run<'_>) -> Given {
    let logits = run.input::<2>("logits");
    let feature = run.input::<2>("feature");
    let features = run.inputs::<2>("branch_feature");
    let branches: Vec<BranchOutput> = features
        .into_iter()
        .zip(run.inputs::<2>("branch_logits"))
        .map(|(feature, logits)| BranchOutput { feature, logits })
        .collect();
    assert_eq!(branches.len(), run.case.count("branches"));
    // The branches' maps do not matter where their outputs are given; their widths do.
    let ([batch, classes], [_, width]) = (logits.dims(), feature.dims());
    let stage = |i| (format!("stage{i}"), TapKind::Map([width, 4, 4]));
    let embedding = [("pooled".to_owned(), TapKind::Vector(width))];
    let taps = (0..=branches.len()).map(stage).chain(embedding).collect();
    Given {
        probe: probe(classes, batch, taps, Vec::new()),
        logits,
        feature,
        branches,
    }
}

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let mut given = given(&mut run);
    let labels = case.integers("in.labels");
    let target = Target::labels(labels.clone());
    // Branches are only built for embeddings of a multiple of 4; the losses know no such limit.
    for tap in &mut given.probe.student {
        if tap.name == "pooled" {
            tap.kind = TapKind::Vector(4);
        }
    }
    let config = ByotConfig {
        form: ByotForm::Conference,
        temperature: case.number("temperature"),
        kd_share: Some(case.number("alpha")),
        feature_weight: Some(case.number("beta")),
    };
    let (method, store) = build(&given.probe, |p, b| Byot::new(config, p, b));
    let ce = cross_entropy(given.logits.clone(), labels.clone());
    let terms = method
        .losses(
            &mut pass(&store),
            &given.logits,
            &given.feature,
            &given.branches,
            supervision(&target),
        )
        .unwrap();
    run.out("ce", &(ce.clone() + terms[0].value.clone()));
    run.out("kd", &terms[1].value);
    run.out("feature", &terms[2].value);
    let more = terms.into_iter().map(|t| t.value.mul_scalar(t.weight));
    let loss = more.fold(ce.mul_scalar(method.task_weight()), |sum, term| sum + term);
    run.finish(&loss)
}

fn journal(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let given = given(&mut run);
    let labels = case.integers("in.labels");
    let target = Target::labels(labels.clone());
    let weight = case.number("feature_loss_coefficient");
    let config = ByotConfig {
        form: ByotForm::Journal,
        temperature: case.number("temperature"),
        kd_share: Some(case.number("loss_coefficient")),
        feature_weight: Some(weight),
    };
    let (method, mut store) = build(&given.probe, |p, b| Byot::new(config, p, b));
    fill_adaptations(case, &mut store);
    let tracked = store.tracked();
    run.track(&tracked);
    let mut training = pass(&tracked);
    for (i, branch) in given.branches.iter().enumerate() {
        let feature = branch.feature.clone();
        if let Some(distance) = method.distance(&mut training, i, feature, &given.feature) {
            run.out(&format!("feature.{i}"), &distance.mul_scalar(weight));
        }
    }
    let ce = cross_entropy(given.logits.clone(), labels.clone());
    let terms = method
        .losses(
            &mut training,
            &given.logits,
            &given.feature,
            &given.branches,
            supervision(&target),
        )
        .unwrap();
    let more = terms.into_iter().map(|t| t.value.mul_scalar(t.weight));
    let loss = more.fold(ce.mul_scalar(method.task_weight()), |sum, term| sum + term);
    run.finish(&loss)
}

/// The file has no branches, only what comes after them.
fn fill_adaptations(case: &Case, store: &mut Store) {
    let ids: Vec<_> = store.ids().collect();
    for id in ids {
        let name = store.entry(id).name.clone();
        if name.starts_with("adaptation_layers.") {
            let values = case.values(&format!("param.{name}"));
            store.set_values(id, values.numbers.clone());
        }
    }
}
