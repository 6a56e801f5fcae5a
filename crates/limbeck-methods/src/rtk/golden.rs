//! Goldens of `rtk` and of its base method.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::{
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{build, map_taps, pass, probe},
        run::Run,
    },
    rtk::{LayerChoice, Rtk, RtkConfig},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "afd",
        tolerance: Tolerance::USUAL,
        run: |case| attention(case, LayerChoice::Afd),
    },
    Adapter {
        case: "loss",
        tolerance: Tolerance::USUAL,
        run: |case| attention(case, LayerChoice::Rtk),
    },
];

fn attention(case: &Case, choice: LayerChoice) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.inputs::<4>("student_feature");
    let teacher: Vec<Tensor<4>> = (0..case.list_length("in.teacher_feature"))
        .map(|j| case.tensor(&format!("in.teacher_feature.{j}")))
        .collect();
    let config = RtkConfig {
        attention: choice,
        width: case.count("qk_dim"),
        keep: match choice {
            LayerChoice::Rtk => Some(case.count("keep")),
            LayerChoice::Afd => None,
        },
        ..RtkConfig::default()
    };
    let [batch, ..] = student[0].dims();
    let probe = probe(2, batch, map_taps(&student), map_taps(&teacher));
    let (method, mut store) = build(&probe, |p, b| Rtk::new(config, p, b));
    run.fill(&mut store);
    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let attended = method.attend(&mut training, &student, &teacher);
    store.apply(training.into_updates());
    run.after(&store);
    match choice {
        LayerChoice::Afd => run.out("attention", &attended.weights.clone().swap_dims(1, 2)),
        LayerChoice::Rtk => {
            run.out("attention_full", &attended.full);
            run.out("attention", &attended.weights);
            run.out("distance", &attended.distances);
            run.set("out.kept", kept(&attended.weights));
        }
    }
    run.track(&tracked);
    run.finish(&attended.loss())
}

/// Indices of the weights that are not zero, ascending: `[B, S, J]` → `[B, S, keep]`.
fn kept(weights: &Tensor<3>) -> Values {
    let [batch, student, teacher] = weights.dims();
    let numbers: Vec<f64> = weights.clone().try_into_vec_as().unwrap();
    let indices: Vec<f64> = numbers
        .chunks(teacher)
        .flat_map(|row| (0..teacher).filter(|&j| row[j] > 0.0).map(|j| j as f64))
        .collect();
    Values {
        shape: vec![batch, student, indices.len() / (batch * student)],
        numbers: indices,
    }
}
