//! Goldens of `sharedhead`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{Store, layer::Linear};

use crate::{
    Classifier,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, cross_entropy, pass, probe, supervision},
        run::Run,
    },
    sharedhead::{SharedHeadConfig, SharedHeadInputs, SharedHeadLoss, SharedHeadLosses},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "th_kd",
        tolerance: Tolerance::TIGHT,
        run: teacher_head,
    },
    Adapter {
        case: "kde_th",
        tolerance: Tolerance::TIGHT,
        run: with_embeddings,
    },
    Adapter {
        case: "paper_mix",
        tolerance: Tolerance::TIGHT,
        run: paper,
    },
    Adapter {
        case: "sh_teacher",
        tolerance: Tolerance::TIGHT,
        run: teacher_under_the_head,
    },
];

/// The classifier called `name` in `store`, with or without bias.
fn classifier(store: &Store, name: &str) -> Classifier {
    let find = |part: &str| store.find(&format!("{name}.{part}"));
    Classifier {
        weight: store.get(find("weight").unwrap()),
        bias: find("bias").map(|id| store.get(id)),
    }
}

/// The student's classifier `fc` and the teacher's `t_head`, whose numbers stay as they are.
struct Heads {
    student: Linear,
    teacher: Classifier,
    tracked: Store,
}

impl Heads {
    fn new(run: &mut Run<'_>) -> Self {
        let [classes, width] = *run.case.shape("param.fc.weight") else {
            panic!("`fc.weight` is no matrix");
        };
        let probe = probe(classes, 2, Vec::new(), Vec::new());
        let ((student, _), mut store) = build(&probe, |_, builder| {
            let mut linear = |name| Linear::new(builder.sub(name), width, classes);
            Ok((linear("fc"), linear("t_head")))
        });
        run.fill(&mut store);
        let tracked = store.tracked();
        run.track(&tracked);
        Self {
            student,
            teacher: classifier(&store, "t_head"),
            tracked,
        }
    }

    fn inputs(&self, run: &mut Run<'_>) -> SharedHeadInputs {
        let embedding = run.input::<2>("student_embedding");
        let teacher_embedding = run.input::<2>("teacher_embedding");
        let mut pass = pass(&self.tracked);
        SharedHeadInputs {
            logits: self.student.forward(&mut pass, embedding.clone()),
            head_logits: Some(self.teacher.logits(embedding.clone())),
            embedding,
            teacher_logits: self.teacher.logits(teacher_embedding.clone()),
            teacher_embedding,
        }
    }
}

/// The file's loss from its parts, of which `more` adds outputs of its own.
fn loss(
    case: &Case,
    config: &SharedHeadConfig,
    more: fn(&mut Run<'_>, &SharedHeadLosses, &SharedHeadInputs, &BTreeMap<String, Tensor<1>>),
) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let heads = Heads::new(&mut run);
    let inputs = heads.inputs(&mut run);
    let labels = case.integers::<1>("in.labels");
    let target = Target::labels(labels.clone());
    let losses = SharedHeadLosses::new(config).unwrap();
    let task = cross_entropy(inputs.logits.clone(), labels.clone());
    let mut loss = task.clone().mul_scalar(losses.task_weight());
    let mut parts: BTreeMap<String, Tensor<1>> = [("ce".to_owned(), task)].into();
    for term in losses.terms(&inputs, supervision(&target)).unwrap() {
        loss = loss + term.value.clone().mul_scalar(term.weight);
        parts.insert(term.name, term.value);
    }
    more(&mut run, &losses, &inputs, &parts);
    run.finish(&loss)
}

fn teacher_head(case: &Case) -> BTreeMap<String, Values> {
    let config = SharedHeadConfig {
        temperature: case.number("temperature"),
        ce_weight: case.number("gamma"),
        kd_weight: case.number("alpha"),
        head_weight: case.number("beta"),
        ..SharedHeadConfig::default()
    };
    loss(case, &config, |run, _, inputs, parts| {
        run.out("ce", &parts["ce"]);
        run.out("kl", &parts["kd"]);
        run.out("th", &parts["head"]);
        run.out("student_logits", &inputs.logits);
        run.out("teacher_logits", &inputs.teacher_logits);
        run.out("th_logits", inputs.head_logits.as_ref().unwrap());
    })
}

fn with_embeddings(case: &Case) -> BTreeMap<String, Values> {
    let config = SharedHeadConfig {
        temperature: case.number("temperature"),
        ce_weight: case.number("gamma"),
        kd_weight: case.number("alpha"),
        head_weight: case.number("delta"),
        embedding_weight: case.number("beta"),
        ..SharedHeadConfig::default()
    };
    loss(case, &config, |run, _, _, parts| {
        run.out("ce", &parts["ce"]);
        run.out("kl", &parts["kd"]);
        run.out("th", &parts["head"]);
        run.out("kde", &parts["embedding"]);
        let share = run.case.number("delta") / run.case.number("beta");
        let combined = parts["embedding"].clone() + parts["head"].clone().mul_scalar(share);
        run.out("combined", &combined);
    })
}

fn paper(case: &Case) -> BTreeMap<String, Values> {
    let config = SharedHeadConfig {
        loss: SharedHeadLoss::Paper,
        temperature: case.number("temperature"),
        ce_weight: 1.0,
        kd_weight: case.number("alpha"),
        embedding_weight: case.number("beta"),
        head_share: case.number("alpha_th"),
        ..SharedHeadConfig::default()
    };
    loss(case, &config, |run, losses, inputs, parts| {
        let share = run.case.number("alpha_th");
        let mix = |own: &str, head: &str| {
            parts[own].clone().mul_scalar(1.0 - share) + parts[head].clone().mul_scalar(share)
        };
        run.out("ce_mix", &mix("ce", "head_task"));
        run.out("h_mix", &mix("kd", "head"));
        run.out("d", &parts["embedding"]);
        let head_logits = inputs.head_logits.clone().unwrap();
        let mixed = losses.mixed_probabilities(inputs.logits.clone(), head_logits);
        run.out("mixed_probs", &mixed);
    })
}

fn teacher_under_the_head(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let embedding = run.input::<2>("teacher_embedding");
    let [classes, width] = *case.shape("param.fc.weight") else {
        panic!("`fc.weight` is no matrix");
    };
    let probe = probe(classes, 2, Vec::new(), Vec::new());
    let (_, mut store) = build(&probe, |_, builder| {
        Ok(Linear::new(builder.sub("fc"), width, classes))
    });
    run.fill(&mut store);
    let logits = classifier(&store, "fc").logits(embedding);
    run.out("logits", &logits);
    run.finish(&cross_entropy(logits, case.integers("in.labels")))
}
