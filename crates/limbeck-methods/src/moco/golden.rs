//! Goldens of momentum contrast and instance discrimination, which `dilo` builds on.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{
    Builder, Mode, Pass, Store, Taps,
    layer::{Linear, relu},
};

use crate::{
    Cast, Follower,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{pass, small_network},
        run::{Run, values},
    },
    moco::{Head, MocoConfig, ProjectionHead, head::unit, instances::Instances, queue::KeyQueue},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[MOCO, INSTDISC];

/// A step with the queue.
pub const MOCO: Adapter = Adapter {
    case: "moco",
    tolerance: Tolerance::TIGHT,
    run: moco,
};

/// A step with the memory.
pub const INSTDISC: Adapter = Adapter {
    case: "instdisc",
    tolerance: Tolerance::TIGHT,
    run: instance_discrimination,
};

/// A linear body, ReLU, and the head, under `prefix`.
struct Encoder {
    body: Linear,
    head: ProjectionHead,
}

impl Encoder {
    fn new(case: &Case, prefix: &str) -> (Self, Store) {
        let mut store = Store::new(&Case::device(), DType::F64);
        let mut builder = Builder::new(&mut store, 0);
        let mut level = builder.sub(prefix);
        let &[hidden, width] = case.shape(&format!("param.{prefix}.body.weight")) else {
            panic!("the body is no linear map");
        };
        let head = match case.flag("mlp") {
            true => Head::Mlp,
            false => Head::Linear,
        };
        let made = Self {
            body: Linear::new(level.sub("body"), width, hidden),
            head: ProjectionHead::new(&mut level, head, hidden, case.count("dim")),
        };
        let ids: Vec<_> = store.ids().collect();
        for id in ids {
            let numbers = case.values(&format!("param.{}", store.entry(id).name));
            store.set_values(id, numbers.numbers.clone());
        }
        (made, store)
    }

    fn vectors(&self, pass: &mut Pass<'_>, images: Tensor<2>) -> Tensor<2> {
        let hidden = relu(self.body.forward(pass, images));
        unit(self.head.forward(pass, hidden))
    }
}

fn moco(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (query_encoder, queries) = Encoder::new(case, "encoder_q");
    let (key_encoder, keys) = Encoder::new(case, "encoder_k");
    let mut cast = Cast::new(small_network());
    cast.add_store("query", queries);
    cast.add_store("key", keys);
    let follower = Follower {
        member: "key".to_owned(),
        follows: "query".to_owned(),
        momentum: case.number("momentum"),
        statistics: false,
    };
    cast.follow(&follower).unwrap();

    let tracked = cast.store("query").unwrap().tracked();
    let queries = query_encoder.vectors(&mut pass(&tracked), run.input("im_q"));
    let store = cast.store("key").unwrap();
    let mut constant = Pass::new(store, Mode::Evaluate, Taps::none(), 0);
    let keys = key_encoder.vectors(&mut constant, case.tensor("in.im_k"));
    let next = case.values("param.queue_ptr").numbers[0] as usize;
    let mut queue = KeyQueue::of(case.tensor::<2>("param.queue").transpose(), next);
    let found = queue.contrast(queries, &keys, case.number("temperature"));
    queue.push(keys);

    run.out("logits", &found.logits);
    for entry in store.entries() {
        let numbers = values(&entry.value).numbers;
        let shape = entry.shape.clone();
        run.set(
            &format!("out.key.{}", entry.name),
            Values { shape, numbers },
        );
    }
    let (rows, next) = queue.parts();
    run.out("queue", &rows.clone().transpose());
    let numbers = vec![next as f64];
    run.set(
        "out.queue_ptr",
        Values {
            shape: vec![1],
            numbers,
        },
    );
    run.track(&tracked);
    run.finish(&found.loss)
}

fn instance_discrimination(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let memory = case.tensor::<2>("param.memory");
    let [count, dimensions] = memory.dims();
    let config = MocoConfig {
        dimensions,
        negatives: case.count("negatives"),
        temperature: case.number("temperature"),
        memory_momentum: case.number("momentum"),
        ..MocoConfig::default()
    };
    let like = Tensor::zeros([1], (&Case::device(), DType::F64));
    let mut instances = Instances::drawn(0, &like, count, &config);
    instances.bank.rows = memory;
    let queries = run.input::<2>("feature");
    let picks = case.integers::<2>("in.index");
    let loss = instances.contrast(queries.clone(), &picks);
    let scores = instances.bank.scores(&queries, &picks, config.temperature);
    run.out("p", &scores);
    run.out("Z", &instances.bank.log_normaliser.clone().unwrap().exp());
    let positives = &case.values("in.positive").numbers;
    let positions: Vec<usize> = positives.iter().map(|&row| row as usize).collect();
    instances.remember(&positions, queries);
    let rows = case.integers::<1>("in.positive");
    run.out("memory_rows", &instances.bank.rows.clone().select(0, rows));
    run.finish(&loss)
}
