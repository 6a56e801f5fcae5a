//! Goldens of `rkd`: distances and angles.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_methods::{Criterion, Rkd, RkdConfig};
use limbeck_nn::{Feature, TapKind};

use super::{
    Adapter,
    case::{Case, Values},
    compare::Tolerance,
    fixture::{blank_labels, build, features, pass, probe, step},
    run::Run,
};

/// All cases but those of metric learning.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        method: "rkd",
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
        method: "rkd",
        case: "angle",
        tolerance: Tolerance::USUAL,
        run: |case| {
            relations(case, 1, |method, run, student, teacher| {
                run.out("student_angle", &method.angles(student));
                run.out("teacher_angle", &method.angles(teacher));
            })
        },
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
    let labels = blank_labels(batch);
    let terms = method
        .terms(&step(&student, &teacher, &labels), &mut pass(&store))
        .unwrap();
    run.finish(&terms[index].value)
}
