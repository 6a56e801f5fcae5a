//! Goldens of `rkd`: distances and angles, metric learning, samplers and recall.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{Feature, TapKind};

use crate::{
    Criterion,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, features, pass, probe, step},
        run::Run,
    },
    recall_at,
    rkd::{Rkd, RkdConfig},
    triplets::{NegativeSampler, Triplets, distance_weights, sample_triplets},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "distance",
        tolerance: Tolerance::USUAL,
        run: |case| {
            relations(case, 0, |method, run, student, teacher| {
                run.out("student_distance", &method.distances(student));
                run.out("teacher_distance", &method.distances(teacher));
            })
        },
    },
    Adapter {
        case: "angle",
        tolerance: Tolerance::USUAL,
        run: |case| {
            relations(case, 1, |method, run, student, teacher| {
                run.out("student_angle", &method.angles(student));
                run.out("teacher_angle", &method.angles(teacher));
            })
        },
    },
    Adapter {
        case: "metric",
        tolerance: Tolerance::USUAL,
        run: metric,
    },
    Adapter {
        case: "sampler_recall",
        tolerance: Tolerance::USUAL,
        run: sampler_recall,
    },
];

const TAP: &str = "pooled";

/// The loss is the term at `index`, without its weight.
fn relations(
    case: &Case,
    index: usize,
    between: fn(&Rkd, &mut Run<'_>, Tensor<2>, Tensor<2>),
) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<2>("student_feature");
    let teacher = run.input::<2>("teacher_feature");
    let [batch, _] = student.dims();
    let tap = |x: &Tensor<2>| vec![(TAP.to_owned(), TapKind::Vector(x.dims()[1]))];
    let probe = probe(2, batch, tap(&student), tap(&teacher));
    let config = RkdConfig::default();
    let (mut method, store) = build(&probe, |probe, builder| Rkd::new(config, probe, builder));
    between(
        &method,
        &mut run,
        student.clone().inner(),
        teacher.clone().inner(),
    );
    let outputs = |x| features(batch, 2, vec![(TAP.to_owned(), Feature::Vector(x))]);
    let (student, teacher) = (outputs(student), outputs(teacher));
    let terms = method
        .terms(&step(&student, &teacher, &Target::None), &mut pass(&store))
        .unwrap();
    run.finish(&terms[index].value)
}

fn labels(case: &Case) -> Vec<i64> {
    let numbers = &case.values("in.labels").numbers;
    numbers.iter().map(|&label| label as i64).collect()
}

fn set_triplets(run: &mut Run<'_>, prefix: &str, triplets: &Triplets) {
    for (name, places) in [
        ("anchor", &triplets.anchors),
        ("positive", &triplets.positives),
        ("negative", &triplets.negatives),
    ] {
        let places = Values {
            shape: vec![places.len()],
            numbers: places.iter().map(|&place| place as f64).collect(),
        };
        run.set(&format!("out.{prefix}{name}"), places);
    }
}

fn metric(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<2>("student_feature");
    let teacher = case.tensor::<2>("in.teacher_feature");
    let [batch, _] = student.dims();
    let config = RkdConfig {
        distance_weight: case.number("dist_ratio"),
        angle_weight: case.number("angle_ratio"),
        triplet_weight: case.number("triplet_ratio"),
        margin: case.number("margin"),
        sampler: serde_json::from_value(case.setting("sampler").clone()).unwrap(),
        normalize: case.flag("l2normalize"),
        ..RkdConfig::default()
    };
    let tap = |x: &Tensor<2>| vec![(TAP.to_owned(), TapKind::Vector(x.dims()[1]))];
    let probe = probe(2, batch, tap(&student), tap(&teacher));
    let (method, _) = build(&probe, |p, b| Rkd::new(config.clone(), p, b));
    let embedding = method.embedding(student);
    let triplets = method.triplets(&embedding, &labels(case), 0).unwrap();
    set_triplets(&mut run, "", &triplets);
    let triplet = method.triplet(embedding.clone(), &triplets);
    let [distance, angle] = method.relations(embedding, teacher);
    run.out("triplet", &triplet);
    run.out("distance", &distance);
    run.out("angle", &angle);
    let loss = triplet.mul_scalar(config.triplet_weight)
        + distance.mul_scalar(config.distance_weight)
        + angle.mul_scalar(config.angle_weight);
    run.finish(&loss)
}

fn sampler_recall(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = case.tensor::<2>("in.student_feature");
    let labels = labels(case);
    for (name, sampler) in [
        ("hard.", NegativeSampler::Hard),
        ("semihard.", NegativeSampler::Semihard),
    ] {
        set_triplets(
            &mut run,
            name,
            &sample_triplets(&student, &labels, sampler, 0),
        );
    }
    let weights = distance_weights(&student, &labels).concat();
    let sum = weights.iter().sum();
    let batch = labels.len();
    let weights = Values {
        shape: vec![batch, batch],
        numbers: weights,
    };
    run.set("out.distance_weight", weights);
    let ks: Vec<usize> = serde_json::from_value(case.setting("recall_k").clone()).unwrap();
    let recall = Values {
        shape: vec![ks.len()],
        numbers: recall_at(&student, &labels, &ks).unwrap(),
    };
    run.set("out.recall", recall);
    let loss = Values {
        shape: Vec::new(),
        numbers: vec![sum],
    };
    run.set("out.loss", loss);
    run.finish_without_loss()
}
