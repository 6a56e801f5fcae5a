//! Goldens of `patchssl`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::{
    dino::{
        self, Crop, ViewPair, ViewTokens, moved_centre, objective, sharpened, teacher_temperature,
    },
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        run::Run,
    },
    patchssl::{Patchssl, matched_tokens},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "head",
        tolerance: Tolerance::TIGHT,
        run: dino::golden::head,
    },
    Adapter {
        case: "matching",
        tolerance: Tolerance::TIGHT,
        run: matching,
    },
    Adapter {
        case: "loss",
        tolerance: Tolerance::TIGHT,
        run: loss,
    },
];

/// Rows (top, left, height, width, flip, patches of a side).
fn crops(case: &Case, name: &str) -> Vec<Crop> {
    let Values { shape, numbers } = case.values(name);
    let rows = numbers.chunks_exact(shape[1]);
    rows.map(|row| {
        let whole = |at: usize| row[at] as usize;
        Crop {
            top: whole(0),
            left: whole(1),
            height: whole(2),
            width: whole(3),
            flipped: whole(4) == 1,
            grid: [whole(5); 2],
        }
    })
    .collect()
}

/// Lists one after the other as `out.tokens1` and `out.tokens2`, their lengths as `out.count`.
fn set_lists(run: &mut Run<'_>, lists: &[(Vec<usize>, Vec<usize>)]) {
    let mut set = |name: &str, numbers: Vec<usize>| {
        let values = Values {
            shape: vec![numbers.len()],
            numbers: numbers.iter().map(|&number| number as f64).collect(),
        };
        run.set(name, values);
    };
    set(
        "out.tokens1",
        lists.iter().flat_map(|list| list.0.clone()).collect(),
    );
    set(
        "out.tokens2",
        lists.iter().flat_map(|list| list.1.clone()).collect(),
    );
    set("out.count", lists.iter().map(|list| list.0.len()).collect());
}

fn matching(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let pairs = crops(case, "in.crop1")
        .into_iter()
        .zip(crops(case, "in.crop2"));
    let lists: Vec<_> = pairs.map(|(a, b)| matched_tokens(&a, &b)).collect();
    set_lists(&mut run, &lists);
    // Every file has a loss; lists have none.
    let nothing = Values {
        shape: Vec::new(),
        numbers: vec![0.0],
    };
    run.set("out.loss", nothing);
    run.finish_without_loss()
}

/// Views of one size with all of their tokens.
fn views(logits: &Tensor<3>, count: usize) -> Vec<ViewTokens> {
    let [rows, tokens, _] = logits.dims();
    let batch = rows / count;
    (0..count)
        .map(|view| ViewTokens {
            tokens: (0..tokens).collect(),
            logits: logits.clone().narrow(0, view * batch, batch),
        })
        .collect()
}

fn loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (large, small) = (case.count("global_views"), case.count("local_views"));
    let mut student = views(&run.input("student_global"), large);
    student.extend(views(&run.input("student_local"), small));
    let teacher: Tensor<3> = case.tensor("in.teacher");
    let centre: Tensor<3> = case.tensor("param.center");
    let centre = centre.squeeze_dim::<2>(0);
    let temperature = teacher_temperature(
        case.count("epoch"),
        case.number("warmup_teacher_temp"),
        case.number("teacher_temp"),
        case.count("warmup_teacher_temp_epochs"),
    );
    let crops = crops(case, "in.views");
    let (mut pairs, mut lists) = (Vec::new(), Vec::new());
    for (q, own) in crops.iter().take(large).enumerate() {
        for (v, other) in crops.iter().enumerate() {
            if q == v {
                lists.push((Vec::new(), Vec::new()));
                continue;
            }
            let (teacher_tokens, student_tokens) = matched_tokens(own, other);
            lists.push((teacher_tokens.clone(), student_tokens.clone()));
            pairs.push(ViewPair {
                teacher: q,
                student: v,
                teacher_tokens,
                student_tokens,
            });
        }
    }
    let sharp: Vec<ViewTokens> = views(&teacher, large)
        .iter()
        .map(|view| sharpened(Patchssl::ID, view, &centre, temperature).unwrap())
        .collect();
    let student_temperature = case.number("student_temp");
    let parts = objective(Patchssl::ID, &pairs, &student, &sharp, student_temperature).unwrap();
    let mean = teacher.mean_dim(0).squeeze_dim::<2>(0);
    let centre = moved_centre(centre, mean, case.number("center_momentum"));
    run.out("center", &centre.unsqueeze::<3>());
    let temperature = Values {
        shape: Vec::new(),
        numbers: vec![temperature],
    };
    run.set("out.teacher_temp", temperature);
    set_lists(&mut run, &lists);
    run.finish(&(parts.class_token + parts.patches))
}
