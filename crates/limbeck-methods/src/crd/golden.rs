//! Goldens of `crd`: two steps with the memory between them.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::TapKind;

use crate::{
    Criterion, TrainingPart,
    crd::{Crd, CrdConfig},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{build, pass, probe},
        run::{Run, values},
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "two_steps",
    tolerance: Tolerance::TIGHT,
    run: steps,
}];

const MEMORIES: [&str; 2] = ["memory_v1", "memory_v2"];

fn steps(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let students = run.inputs::<2>("student_feature");
    let teachers: Vec<Tensor<2>> = (0..case.list_length("in.teacher_feature"))
        .map(|k| case.tensor(&format!("in.teacher_feature.{k}")))
        .collect();
    let width = |x: &Tensor<2>| x.dims()[1];
    let config = CrdConfig {
        negatives: case.count("nce_k"),
        dimensions: case.count("feat_dim"),
        temperature: case.number("nce_t"),
        momentum: case.number("nce_m"),
        ..CrdConfig::default()
    };
    let tap = |x: &Tensor<2>| vec![("pooled".to_owned(), TapKind::Vector(width(x)))];
    let batch = students[0].dims()[0];
    let mut probe = probe(2, batch, tap(&students[0]), tap(&teachers[0]));
    // The picks are in the file: classes do not matter.
    probe.training =
        TrainingPart::labelled((0..case.count("n_data") as i64).map(|i| i % 2).collect());
    let (mut method, mut store) = build(&probe, |p, b| Crd::new(config, p, b));

    // The memory is state, not parameters.
    let mut modules = case.clone();
    let mut state = method.state();
    for memory in MEMORIES {
        let Values { shape, numbers } = modules
            .tensors
            .remove(&format!("param.contrast.{memory}"))
            .unwrap();
        let flat = Tensor::<1>::from_data(numbers.as_slice(), (&probe.device, probe.dtype));
        state.insert(format!("contrast.{memory}"), (shape, flat));
    }
    method.load_state(state).unwrap();
    Run::new(&modules).fill(&mut store);

    let tracked = store.tracked();
    let mut losses = Vec::new();
    for (k, (student, teacher)) in students.into_iter().zip(teachers).enumerate() {
        let picks = case.integers(&format!("in.contrast_index.{k}"));
        let positions = &case.values(&format!("in.index.{k}")).numbers;
        let positions: Vec<usize> = positions
            .iter()
            .map(|&position| position as usize)
            .collect();
        let embedded = method.embed(&mut pass(&tracked), student, teacher).unwrap();
        let loss = method.contrast(&embedded, &picks).unwrap();
        let [student_scores, teacher_scores] = method.scores(&embedded, &picks);
        method.remember(&embedded, &positions).unwrap();
        run.out(&format!("score_s.{k}"), &student_scores);
        run.out(&format!("score_t.{k}"), &teacher_scores);
        run.out(&format!("step_loss.{k}"), &loss);
        let mut state = method.state();
        for memory in MEMORIES {
            let (shape, flat) = state.remove(&format!("contrast.{memory}")).unwrap();
            let numbers = values(&flat).numbers;
            run.set(&format!("out.{memory}.{k}"), Values { shape, numbers });
        }
        for z in ["z_v1", "z_v2"] {
            run.out(
                z,
                &state.remove(&format!("contrast.log_{z}")).unwrap().1.exp(),
            );
        }
        losses.push(loss);
    }
    run.track(&tracked);
    run.finish(&Tensor::cat(losses, 0).sum())
}
