//! Goldens of `sskd`.

use std::collections::BTreeMap;

use limbeck_nn::{Builder, Store};

use crate::{
    Cast,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, map_taps, pass, probe, small_network},
        run::Run,
    },
    sskd::{
        ProjectionHead, RotatedRows, Selection, Sskd, SskdConfig, pretext::pretext_targets,
        pretext_loss, similarity,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "pretext",
        tolerance: Tolerance::TIGHT,
        run: pretext,
    },
    Adapter {
        case: "student",
        tolerance: Tolerance::TIGHT,
        run: student,
    },
];

/// Indices as numbers.
fn list(indices: &[usize]) -> Values {
    Values {
        shape: vec![indices.len()],
        numbers: indices.iter().map(|&index| index as f64).collect(),
    }
}

fn pretext(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let feature = run.input::<2>("feature");
    let [rows, width] = feature.dims();
    let mut store = Store::new(&Case::device(), burn::tensor::DType::F64);
    let head = ProjectionHead::new(&mut Builder::new(&mut store, 0), width);
    run.fill(&mut store);
    let tracked = store.tracked();
    let projection = head.forward(&mut pass(&tracked), feature);
    let found = similarity(projection.clone());
    let targets: Vec<usize> = pretext_targets(rows / 4, &Case::device())
        .to_data()
        .iter::<i64>()
        .map(|target| target as usize)
        .collect();
    run.out("projection", &projection);
    run.out("similarity", &found);
    run.set("out.target", list(&targets));
    run.track(&tracked);
    run.finish(&pretext_loss(found))
}

fn student(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let config = SskdConfig {
        ce_weight: case.number("ce_weight"),
        kd_weight: case.number("kd_weight"),
        transfer_weight: case.number("tf_weight"),
        similarity_weight: case.number("ss_weight"),
        kd_temperature: case.number("kd_T"),
        transfer_temperature: case.number("tf_T"),
        similarity_temperature: case.number("ss_T"),
        transfer_ratio: case.number("ratio_tf"),
        similarity_ratio: case.number("ratio_ss"),
        ..SskdConfig::default()
    };
    let student = RotatedRows {
        logits: run.input("student_logits"),
        projection: run.input("student_projection"),
    };
    let teacher = RotatedRows {
        logits: case.tensor("in.teacher_logits"),
        projection: case.tensor("in.teacher_projection"),
    };
    let labels = case.integers::<1>("in.labels");
    let mut cast = Cast::new(small_network());
    let pooled = || {
        let map = burn::tensor::Tensor::zeros([1, 2, 1, 1], &Case::device());
        let (_, kind) = map_taps(&[map]).remove(0);
        vec![("pooled".to_owned(), kind)]
    };
    let [_, classes] = student.logits.dims();
    let probe = probe(classes, labels.dims()[0], pooled(), pooled());
    let method = Sskd::new(config.clone(), &probe, &mut cast).unwrap();
    let ce = cross_entropy(student.upright(), labels.clone());
    run.out(
        "student_similarity",
        &similarity(student.projection.clone()),
    );
    run.out(
        "teacher_similarity",
        &similarity(teacher.projection.clone()),
    );
    let found = method.student_terms(&student, &teacher, &labels).unwrap();
    let mut note = |name: &str, selection: &Selection| {
        run.set(&format!("out.rank_{name}"), list(&selection.ranks));
        run.set(&format!("out.index_{name}"), list(&selection.kept));
    };
    note("tf", &found.transfer);
    note("ss", &found.similarity);
    run.out("ce", &ce);
    let mut loss = ce.mul_scalar(config.ce_weight);
    for (name, term) in ["kd", "tf", "ss"].iter().zip(found.terms) {
        run.out(name, &term.value);
        loss = loss + term.value.mul_scalar(term.weight);
    }
    run.finish(&loss)
}
