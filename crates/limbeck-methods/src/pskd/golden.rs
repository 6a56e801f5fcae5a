//! Goldens of `pskd`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::Outputs;

use crate::{
    Criterion, Progress, Step, TrainingPart,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, cross_entropy, pass, probe, supervision},
        run::Run,
    },
    pskd::{Pskd, PskdConfig},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "epochs",
    tolerance: Tolerance::TIGHT,
    run: epochs,
}];

fn epochs(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let all_labels = case.values("in.labels").numbers.clone();
    let classes = case.count("num_classes");
    assert_eq!(all_labels.len(), case.count("n_data"));
    let mut probe = probe(classes, all_labels.len(), Vec::new(), Vec::new());
    probe.training = TrainingPart::labelled(all_labels.iter().map(|&label| label as i64).collect());
    let config = PskdConfig {
        final_share: case.number("alpha_T"),
    };
    let (mut method, store) = build(&probe, |probe, builder| Pskd::new(config, probe, builder));
    let mut losses = Vec::new();
    for epoch in case.setting("epochs").as_array().unwrap() {
        let epoch = epoch.as_u64().unwrap() as usize;
        for batch in 0..case.count("batches_per_epoch") {
            let name = format!("{epoch}.{batch}");
            let indices = &case.values(&format!("in.index.{name}")).numbers;
            let indices: Vec<usize> = indices.iter().map(|&index| index as usize).collect();
            let student = Outputs::from_logits(run.input(&format!("logits.{name}")));
            let logits = student.logits();
            let labels = case.integers::<1>("in.labels");
            let chosen = case.integers::<1>(&format!("in.index.{name}"));
            let labels = labels.select(0, chosen);
            let target = Target::labels(labels.clone());
            let progress = Progress {
                epoch,
                epochs: case.count("end_epoch"),
                step: batch,
                steps: case.count("batches_per_epoch"),
            };
            let share = method.share(progress);
            run.out(&format!("alpha.{epoch}"), &case_scalar(share));
            let hard = labels.clone().one_hot::<2>(classes).float();
            let earlier = method.remembered(&indices).unwrap();
            let hard = hard.cast(earlier.dtype());
            let targets = hard.mul_scalar(1.0 - share) + earlier.mul_scalar(share);
            run.out(&format!("soft_targets.{name}"), &targets);
            let step = Step {
                student: &student,
                teacher: None,
                supervision: supervision(&target),
                indices: &indices,
                progress,
            };
            let term = method.terms(&step, &mut pass(&store)).unwrap().remove(0);
            let ce = cross_entropy(logits, labels.clone());
            let loss = ce.mul_scalar(method.task_weight()) + term.value.mul_scalar(term.weight);
            run.out(&format!("step_loss.{name}"), &loss);
            losses.push(loss);
        }
    }
    let (shape, flat) = method.state().remove("predictions").unwrap();
    let numbers = flat.try_into_vec_as().unwrap();
    run.set("out.predictions", Values { shape, numbers });
    run.finish(&Tensor::cat(losses, 0).sum())
}

fn case_scalar(number: f64) -> Tensor<1> {
    Tensor::from_data([number], (&Case::device(), burn::tensor::DType::F64))
}
