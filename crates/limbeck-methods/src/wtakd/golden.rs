//! Goldens of `wtakd`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde_json::{Value, json};

use crate::{
    Cast,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, probe, small_network},
        run::{Run, values},
    },
    wtakd::{
        HeldOutPredictions, Wtakd, WtakdConfig,
        evolution::{Evolution, Trial},
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    adapter("evolve", evolve),
    adapter("student", student),
    adapter("takd_step", chain_step),
    adapter("dgkd_step", dense_step),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn method(settings: Value) -> Wtakd {
    let config: WtakdConfig = serde_json::from_value(settings).unwrap();
    let mut cast = Cast::new(small_network());
    Wtakd::new(config, &probe(2, 4, Vec::new(), Vec::new()), &mut cast).unwrap()
}

fn step_method(case: &Case) -> Wtakd {
    method(case.settings(&[
        ("temperature", "temperature"),
        ("kd_weight", "kd_weight"),
        ("kl_reduction", "kl_reduction"),
    ]))
}

/// The rows of a matrix.
fn rows(values: &Values) -> Vec<Vec<f64>> {
    let width = *values.shape.last().unwrap();
    values.numbers.chunks(width).map(<[f64]>::to_vec).collect()
}

fn evolve(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.text("updating"), "deferred");
    assert_eq!(*case.setting("bounds"), json!([0, 1]));
    let strategy = case.text("strategy");
    assert_eq!(strategy, "rand1bin", "no factors are drawn in the file");
    let probabilities = case.values("in.assistant_probs");
    let [assistants, images, classes] = probabilities.shape[..] else {
        panic!("in.assistant_probs has shape {:?}", probabilities.shape);
    };
    let each: Vec<Vec<f64>> = probabilities
        .numbers
        .chunks(images * classes)
        .map(<[f64]>::to_vec)
        .collect();
    let whole = |name: &str| -> Vec<usize> {
        let numbers = case.values(name).numbers.iter();
        numbers.map(|&number| number as usize).collect()
    };
    let labels: Vec<i64> = whole("in.labels").into_iter().map(|l| l as i64).collect();
    let predictions = HeldOutPredictions::new(&each, &labels).unwrap();
    let kind = serde_json::from_value(case.setting("objective").clone()).unwrap();
    let objective = |weights: &[f64]| predictions.objective(kind, weights);

    let population = rows(case.values("in.population"));
    let members = population.len();
    let (index, cross) = (whole("in.draw_index"), rows(case.values("in.draw_cross")));
    let genes = whole("in.draw_j");
    let mut evolution = Evolution::new(population, objective);
    let mut best = Vec::new();
    for generation in 0..case.count("generations") {
        let trials: Vec<Trial> = (generation * members..(generation + 1) * members)
            .map(|at| Trial {
                members: [index[3 * at], index[3 * at + 1], index[3 * at + 2]],
                factor: case.number("mutation"),
                cross: cross[at].clone(),
                gene: genes[at],
            })
            .collect();
        evolution.advance(&trials, case.number("crossover"), objective);
        best.push(evolution.fitness[evolution.best()]);
    }
    let found = evolution.best();
    let mut run = Run::new(case);
    let mut set = |name: &str, shape: Vec<usize>, numbers: Vec<f64>| {
        run.set(name, Values { shape, numbers });
    };
    set("out.best_per_generation", vec![best.len()], best);
    set("out.loss", vec![1], vec![evolution.fitness[found]]);
    set("out.weights", vec![assistants], evolution.weights());
    set(
        "out.final_population",
        vec![members, assistants],
        evolution.members.concat(),
    );
    set("out.final_fitness", vec![members], evolution.fitness);
    run.finish_without_loss()
}

fn assistants(case: &Case) -> Vec<Tensor<2>> {
    (0..)
        .map(|index| format!("in.assistant_logits_{index}"))
        .take_while(|name| case.has(name))
        .map(|name| case.tensor(&name))
        .collect()
}

/// (1 − λ) CE + λ T² · divergence, and `out.ce`.
fn loss(
    case: &Case,
    run: &mut Run<'_>,
    method: &Wtakd,
    logits: &Tensor<2>,
    divergence: Tensor<1>,
) -> Tensor<1> {
    let ce = cross_entropy(logits.clone(), case.integers::<1>("in.labels"));
    run.out("ce", &ce);
    ce.mul_scalar(1.0 - case.number("kd_weight")) + divergence.mul_scalar(method.factor())
}

fn student(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = run.input::<2>("student_logits");
    let method = method(case.settings(&[
        ("temperature", "temperature"),
        ("kd_weight", "kd_weight"),
        ("kl_reduction", "kl_reduction"),
        ("average", "average"),
    ]));
    let weights = case.tensor::<1>("in.weights");
    let target = method.average(&assistants(case), &weights).unwrap();
    run.out("target", &target);
    let divergence = method.divergence(&logits, target);
    let squared = case.number("temperature").powi(2);
    run.out("kd", &divergence.clone().mul_scalar(squared));
    let loss = loss(case, &mut run, &method, &logits, divergence);
    run.finish(&loss)
}

fn chain_step(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = run.input::<2>("student_logits");
    let method = step_method(case);
    let target = method.soften(&case.tensor("in.teacher_logits"));
    let divergence = method.divergence(&logits, target);
    run.out("kl", &divergence);
    let loss = loss(case, &mut run, &method, &logits, divergence);
    run.finish(&loss)
}

fn dense_step(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = run.input::<2>("student_logits");
    let method = step_method(case);
    let mut sources = vec![case.tensor::<2>("in.teacher_logits")];
    sources.extend(assistants(case));
    let each: Vec<Tensor<1>> = sources
        .iter()
        .map(|source| method.divergence(&logits, method.soften(source)))
        .collect();
    let numbers = each.iter().flat_map(|value| values(value).numbers);
    run.set(
        "out.kl_each",
        Values {
            shape: vec![each.len()],
            numbers: numbers.collect(),
        },
    );
    let dropped: Vec<usize> = case
        .values("in.dropped")
        .numbers
        .iter()
        .map(|&index| index as usize)
        .collect();
    let kept = each.into_iter().enumerate();
    let kept = kept.filter(|(index, _)| !dropped.contains(index));
    let sum = kept.map(|(_, value)| value).reduce(|a, b| a + b).unwrap();
    let loss = loss(case, &mut run, &method, &logits, sum);
    run.finish(&loss)
}
