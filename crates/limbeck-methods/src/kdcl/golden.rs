//! Goldens of `kdcl`.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor};
use serde_json::json;

use crate::{
    Cast,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, probe, small_network},
        run::{Run, values},
    },
    kdcl::{ErrorMatrix, Kdcl},
};

/// All cases: the configuration tells the targets apart.
pub const ADAPTERS: &[Adapter] = &[
    adapter("naive", Tolerance::TIGHT),
    // The reference searches for the mixture too, and ends where nine digits are right.
    adapter("linear", Tolerance::USUAL),
    adapter("minlogit", Tolerance::TIGHT),
    adapter("general", Tolerance::TIGHT),
];

const fn adapter(case: &'static str, tolerance: Tolerance) -> Adapter {
    Adapter {
        case,
        tolerance,
        run: collaborate,
    }
}

fn collaborate(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let networks = case.count("num_models");
    let logits: Vec<Tensor<2>> = (0..networks)
        .map(|i| run.input(&format!("logits_{i}")))
        .collect();
    let labels = case.integers("in.labels");
    let [batch, classes] = logits[0].dims();
    let variant = case.text("variant");
    let mut settings = json!({
        "peers": vec!["resnet8"; networks - 1].join("+"),
        "ensemble": variant,
        "temperature": case.setting("temperature"),
        "kd_weight": case.setting("kd_weight"),
    });
    if variant == "linear" {
        settings["linear_scope"] = case.setting("linear_scope").clone();
    }
    assert!(case.flag("detach_target"));
    // Whatever network: the logits are the file's.
    let mut cast = Cast::new(small_network());
    let probe = probe(classes, batch, Vec::new(), Vec::new());
    let config = serde_json::from_value(settings).unwrap();
    let mut method = Kdcl::new(config, &probe, &mut cast).unwrap();

    if variant == "general" {
        let errors = errors(case);
        let matrix: Vec<f64> = errors.mean().into_iter().flatten().collect();
        let shape = vec![networks, networks];
        let numbers = matrix;
        run.set("out.error_matrix", Values { shape, numbers });
        method.weigh(&errors).unwrap();
        run.set("out.weights", flat(method.weights().clone()));
    }
    let target = method.target(&logits, &labels).unwrap();
    run.out("target", &target.logits);
    if let Some(shares) = &target.shares {
        run.set("out.alpha", flat(shares.clone()));
        if variant == "naive" {
            let picked: Tensor<1, Int> = shares.clone().argmax(1).reshape([batch]);
            let numbers = picked.into_data().iter::<f64>().collect();
            let shape = vec![batch];
            run.set("out.picked", Values { shape, numbers });
        }
    }
    let objective = cross_entropy(target.logits.clone(), labels.clone());
    run.out("objective", &objective);

    let ce: Vec<Tensor<1>> = logits
        .iter()
        .map(|z| cross_entropy(z.clone(), labels.clone()))
        .collect();
    let terms = method.losses(&logits, &target);
    let kd = terms.iter().map(|term| term.value.clone()).collect();
    run.out("ce", &Tensor::cat(ce.clone(), 0));
    run.out("kd", &Tensor::cat(kd, 0));
    let kd = terms.into_iter().map(|t| t.value.mul_scalar(t.weight));
    let loss = ce.into_iter().chain(kd).reduce(|sum, term| sum + term);
    run.finish(&loss.unwrap())
}

/// The networks' errors on the held-out images of the file.
fn errors(case: &Case) -> ErrorMatrix {
    let probabilities = case.tensor::<3>("in.val_probs");
    let [networks, images, classes] = probabilities.dims();
    let of = |i: usize| {
        let one = probabilities
            .clone()
            .slice([i..i + 1, 0..images, 0..classes]);
        one.reshape([images, classes])
    };
    let probabilities: Vec<Tensor<2>> = (0..networks).map(of).collect();
    let mut errors = ErrorMatrix::new(networks);
    errors.add(&probabilities, &case.integers("in.val_labels"));
    errors
}

/// Shares that are the same for all images, as a vector.
fn flat(shares: Tensor<2>) -> Values {
    let mut values = values(&shares);
    if values.shape[0] == 1 {
        values.shape.remove(0);
    }
    values
}
