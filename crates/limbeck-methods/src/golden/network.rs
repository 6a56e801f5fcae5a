//! Whole networks filled by the recipe, in evaluation mode and through one training step.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData};
use limbeck_nn::{Feature, InputShape, Network, Outputs, Taps, model};

use super::{
    case::{Case, Values},
    compare::Tolerance,
    fixture::cross_entropy,
    recipe::{as_stored, fill, stream},
    run::values,
};

/// Long chains of layers in f64: what is left is the order of summation.
pub const TOLERANCE: Tolerance = Tolerance {
    relative: 1e-9,
    absolute: 1e-9,
    of_maximum: 1e-9,
};

/// The networks of a file by the file's names.
pub fn nets(case: &Case) -> Vec<&str> {
    let nets = case.setting("nets").as_array().unwrap();
    nets.iter().map(|name| name.as_str().unwrap()).collect()
}

/// The network that the file calls `net` and the zoo `name`, and the images it is fed with; what
/// it gives out begins with `prefix` in the file.
pub fn filled(case: &Case, net: &str, name: &str, prefix: &str) -> (Network, Tensor<4>) {
    let &[batch, classes] = case.shape(&format!("{prefix}logits")) else {
        panic!("`{prefix}logits` is no matrix");
    };
    let shape = match case.config.get("input") {
        Some(shape) => serde_json::from_value(shape.clone()).unwrap(),
        None => [batch, 3, case.count("size"), case.count("size")],
    };
    let [_, channels, height, width] = shape;
    let input = InputShape {
        channels,
        height,
        width,
        classes,
    };
    // Nothing is drawn for what the recipe fills.
    let mut network = model::blank(name, input, &Case::device(), DType::F64).unwrap();
    let salt = case.text("salt");
    fill(&mut network.store, &format!("{salt}/{net}/"));
    let pixels = stream(&format!("{salt}/input"))
        .take(shape.iter().product())
        .collect();
    let images = Tensor::from_data(
        TensorData::new::<f64, _>(pixels, shape),
        (&Case::device(), DType::F64),
    );
    (network, images)
}

/// The numbers of a tap.
pub fn feature(outputs: &Outputs, tap: &str) -> Values {
    match outputs.feature(tap) {
        Some(Feature::Map(map)) => values(map),
        Some(Feature::Tokens { tokens, .. }) => values(tokens),
        Some(Feature::Vector(vector)) => values(vector),
        Some(Feature::Attention(attention)) => values(attention),
        Some(Feature::Cells { cells, .. }) => values(cells),
        None => panic!("the network has no tap `{tap}`"),
    }
}

/// Everything that the file has under `prefix` for one network. `tap` translates the file's names
/// of features.
pub fn outputs(
    case: &Case,
    net: &str,
    name: &str,
    prefix: &str,
    tap: fn(&str) -> String,
) -> BTreeMap<String, Values> {
    let (network, images) = filled(case, net, name, prefix);
    let evaluated = network.evaluate(images.clone(), &Taps::all());
    let wanted: Vec<(&String, &str)> = case
        .tensors
        .keys()
        .filter_map(|name| Some((name, name.strip_prefix(prefix)?)))
        .collect();
    let trains = wanted.iter().any(|(_, output)| *output == "train_logits");
    let trained = trains.then(|| train_step(case, network, images));
    wanted
        .into_iter()
        .filter(|&(_, output)| output != "loss")
        .map(|(name, output)| {
            let step = trained.as_ref();
            let found = match step.and_then(|found| found.get(output)) {
                Some(found) => found.clone(),
                None if output == "logits" => values(&evaluated.logits()),
                None => feature(&evaluated, &tap(output)),
            };
            (name.clone(), as_stored(case.values(name), found))
        })
        .collect()
}

/// `train_logits`, `train_loss`, `grad_digest.*` (whole) and `after.*` of one training step with
/// the mean cross entropy.
fn train_step(case: &Case, mut network: Network, images: Tensor<4>) -> BTreeMap<String, Values> {
    let tracked = network.store.tracked();
    let (outputs, updates) = network.train(&tracked, images, &Taps::none(), 0);
    let loss = cross_entropy(outputs.logits(), case.integers("in.labels"));
    let mut gradients = loss.backward();
    let gradients = tracked.gradients(&mut gradients);
    network.store.apply(updates);
    let mut found = BTreeMap::from([
        ("train_logits".to_owned(), values(&outputs.logits())),
        (
            "train_loss".to_owned(),
            Values {
                shape: Vec::new(),
                numbers: values(&loss).numbers,
            },
        ),
    ]);
    for (entry, gradient) in network.store.entries().iter().zip(gradients) {
        let (name, numbers) = match gradient {
            Some(gradient) => (format!("grad_digest.{}", entry.name), values(&gradient)),
            None => (format!("after.{}", entry.name), values(&entry.value)),
        };
        found.insert(name, numbers);
    }
    found
}

/// A file that lists its `nets`, whose outputs begin with `out.<net>.`; `zoo` translates names of
/// networks.
pub fn full(
    case: &Case,
    zoo: fn(&str) -> String,
    tap: fn(&str) -> String,
) -> BTreeMap<String, Values> {
    let mut found = BTreeMap::from([no_loss()]);
    for net in nets(case) {
        let prefix = format!("out.{net}.");
        found.extend(outputs(case, net, &zoo(net), &prefix, tap));
    }
    found
}

/// Files of whole networks have a zero where others have their loss.
pub fn no_loss() -> (String, Values) {
    let zero = Values {
        shape: Vec::new(),
        numbers: vec![0.0],
    };
    ("out.loss".to_owned(), zero)
}

/// `feat0` and `preact0` are the stem, `feat1` is the first stage.
pub fn cifar_tap(output: &str) -> String {
    match output {
        "feat0" | "preact0" => "stem".to_owned(),
        _ => match (output.strip_prefix("feat"), output.strip_prefix("preact")) {
            (Some(stage), _) => format!("stage{stage}"),
            (_, Some(stage)) => format!("stage{stage}.preact"),
            _ => output.to_owned(),
        },
    }
}
