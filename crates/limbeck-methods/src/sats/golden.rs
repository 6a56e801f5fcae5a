//! Goldens of `sats`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::{
    Pooling, RowLayout,
    attention::{AttentionTransfer, Labels},
    unbiased,
};
use crate::golden::{
    Adapter,
    case::{Case, Values},
    compare::Tolerance,
    run::Run,
};

/// Attention with the rows of the released code and of the paper, without classes, and logits.
pub const ADAPTERS: &[Adapter] = &[
    adapter("sat", attention),
    adapter("sat_fixed", attention),
    adapter("sat_np", attention),
    adapter("unkd", logits),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn numbers(case: &Case, key: &str) -> Vec<usize> {
    serde_json::from_value(case.setting(key).clone()).unwrap()
}

fn attention(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.text("norm"), "l2");
    assert_eq!(
        numbers(case, "ignore"),
        [0, usize::from(limbeck_data::VOID)]
    );
    let mut run = Run::new(case);
    let sides = numbers(case, "grid");
    let grids: Vec<[usize; 2]> = sides.iter().map(|&side| [side; 2]).collect();
    let mut maps = |side: &str| -> Vec<Tensor<4>> {
        let stages = 0..grids.len();
        stages
            .map(|stage| run.input(&format!("{side}_attn{stage}")))
            .collect()
    };
    let (student, teacher) = (maps("student"), maps("teacher"));
    let teacher: Vec<Tensor<4>> = teacher.into_iter().map(Tensor::inner).collect();
    let labels = Labels::of(&case.integers::<3>("in.labels"));
    for (stage, &grid) in grids.iter().enumerate() {
        let ids: Vec<f64> = labels
            .reduced(grid)
            .concat()
            .iter()
            .map(|&id| id as f64)
            .collect();
        let shape = vec![ids.len() / (grid[0] * grid[1]), grid[0], grid[1]];
        let values = Values {
            shape,
            numbers: ids,
        };
        run.set(&format!("out.labels{stage}"), values);
    }
    let setting = |key| case.setting(key).clone();
    let layout: RowLayout = serde_json::from_value(setting("row_layout")).unwrap();
    let transfer = |pooling| AttentionTransfer { pooling, layout };
    let pooling: Pooling = serde_json::from_value(setting("pooling")).unwrap();
    let loss = transfer(pooling).loss(&student, &teacher, &grids, &labels);
    run.out("unweighted", &loss);
    let global = transfer(Pooling::Global).loss(&student, &teacher, &grids, &labels);
    run.out("global_unweighted", &global);
    run.finish(&loss.mul_scalar(case.number("weight")))
}

fn logits(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<4>("student_logits");
    let teacher = run.input::<4>("teacher_logits");
    assert_eq!(student.dims()[1], case.count("new_total"));
    assert_eq!(teacher.dims()[1], case.count("old_classes"));
    let map = unbiased::distillation(student, teacher.inner(), case.number("alpha"));
    run.out("map", &map);
    run.finish(&map.mean().mul_scalar(case.number("weight")))
}
