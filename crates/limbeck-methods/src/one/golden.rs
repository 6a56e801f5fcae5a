//! Goldens of `one`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Store,
    layer::{Conv2d, Conv2dConfig, Linear, avg_pool2d},
};
use serde_json::json;

use crate::{
    Cast,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, map_taps, pass, probe, small_network},
        run::Run,
    },
    one::One,
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    case: "gate_loss",
    tolerance: Tolerance::TIGHT,
    run: gate_loss,
}];

/// The file's stand-in for a branch: a convolution of stride 2, pooling, a classifier.
struct Branch {
    convolution: Conv2d,
    classifier: Linear,
}

impl Branch {
    fn new(case: &Case, builder: &mut Builder<'_>, index: usize) -> Self {
        let (layer, classifier) = (format!("layer3_{index}"), format!("classfier3_{index}"));
        let &[output, input, kernel, _] = case.shape(&format!("param.{layer}.weight")) else {
            panic!("{layer} is no convolution");
        };
        let &[classes, width] = case.shape(&format!("param.{classifier}.weight")) else {
            panic!("{classifier} is no linear map");
        };
        let config = Conv2dConfig::new(input, output, kernel).stride(2);
        Self {
            convolution: Conv2d::new(builder.sub(layer), config),
            classifier: Linear::new(builder.sub(classifier), width, classes),
        }
    }

    fn logits(&self, pass: &mut limbeck_nn::Pass<'_>, trunk: Tensor<4>) -> Tensor<2> {
        let map = avg_pool2d(self.convolution.forward(pass, trunk), 8, 8, 0);
        let batch = map.dims()[0];
        let flat = map.shape().num_elements() / batch;
        self.classifier.forward(pass, map.reshape([batch, flat]))
    }
}

/// Copies what the file has for the entries of `store`.
fn fill(case: &Case, store: &mut Store) {
    let ids: Vec<_> = store.ids().collect();
    for id in ids {
        let values = case.values(&format!("param.{}", store.entry(id).name));
        assert_eq!(values.shape, store.entry(id).shape);
        store.set_values(id, values.numbers.clone());
    }
}

fn gate_loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let trunk = run.input::<4>("trunk_feature");
    let labels = case.integers("in.labels");
    let branches = case.count("branches");
    let epoch = case.count("epoch");
    assert!(case.flag("detach_target"));
    let settings = json!({
        "branches": branches,
        "temperature": case.setting("temperature"),
        "rampup_epochs": case.setting("rampup_length"),
        "tap": "stage1",
    });
    let batch = trunk.dims()[0];
    let taps = map_taps(std::slice::from_ref(&trunk));
    let probe = probe(2, batch, taps, Vec::new());
    let mut cast = Cast::new(small_network());
    let method = One::new(serde_json::from_value(settings).unwrap(), &probe, &mut cast).unwrap();

    let mut store = Store::new(&probe.device, probe.dtype);
    let mut builder = Builder::new(&mut store, 0);
    let stands: Vec<Branch> = (1..=branches)
        .map(|index| Branch::new(case, &mut builder, index))
        .collect();
    fill(case, &mut store);
    fill(case, cast.store_mut("gate").unwrap());

    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let logits: Vec<Tensor<2>> = stands
        .iter()
        .map(|branch| branch.logits(&mut training, trunk.clone()))
        .collect();
    drop(training);
    let gate_store = cast.store("gate").unwrap().tracked();
    let mut training = pass(&gate_store);
    let gate = method.gate(&mut training, trunk);
    let updates = training.into_updates();
    let after = cast.store_mut("gate").unwrap();
    after.apply(updates);
    for name in ["bn_v1.running_mean", "bn_v1.running_var"] {
        let id = after.find(name).unwrap();
        run.out(name, &after.entry(id).value);
    }
    run.track(&tracked);
    run.track(&gate_store);
    run.out("gate", &gate);
    for (index, logits) in (1..).zip(&logits) {
        run.out(&format!("logits_{index}"), logits);
    }
    let ensemble = method.ensemble(&gate, &logits).unwrap();
    run.out("logits_ensemble", &ensemble);

    let terms = method.losses(&logits, &ensemble, epoch);
    run.out("consistency_weight", &scalar(terms[0].weight));
    let kl = terms.into_iter().map(|t| t.value.mul_scalar(t.weight));
    let kl = kl.reduce(|sum, term| sum + term).unwrap();
    let own = logits.into_iter().chain([ensemble]);
    let ce = own.map(|z| cross_entropy(z, labels.clone()));
    let ce = ce.reduce(|sum, term| sum + term).unwrap();
    run.out("loss_ce", &ce);
    run.out("loss_kl", &kl);
    run.finish(&(ce + kl))
}

fn scalar(value: f64) -> Tensor<1> {
    Tensor::from_data([value], (&Case::device(), burn::tensor::DType::F64))
}
