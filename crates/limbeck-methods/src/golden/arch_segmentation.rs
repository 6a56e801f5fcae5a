//! Goldens of `arch_pspnet`, `arch_deeplabv3` and `arch_deeplabv3plus`: each a file that lists its
//! backbones as `nets`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData};
use limbeck_nn::{Feature, InputShape, Network, Outputs, Taps, model};

use super::{
    Adapter,
    case::{Case, Values},
    network::{TOLERANCE, feature, nets, no_loss},
    recipe::{as_stored, fill, stream},
    run::values,
};

/// All cases of `arch_pspnet`.
pub const PSPNET: &[Adapter] = &[Adapter {
    case: "full",
    tolerance: TOLERANCE,
    run: |case| all(case, "pspnet", cirkd_backbone, cirkd_output),
}];

/// CIRKD's backbones have the deep stem, but for those that it calls vanilla.
fn cirkd_backbone(net: &str) -> String {
    match net.strip_suffix("_vanilla") {
        Some(backbone) => backbone.to_owned(),
        None => format!("{net}_deep"),
    }
}

fn cirkd_output(outputs: &Outputs, output: &str, _: [usize; 2]) -> Values {
    match output {
        "logits" => map(&outputs.prediction),
        "aux_logits" => feature(outputs, "auxiliary"),
        "feature" => feature(outputs, "feature"),
        stage => feature(outputs, &stage.replace('c', "stage")),
    }
}

fn map(prediction: &Feature) -> Values {
    match prediction {
        Feature::Map(map) => values(map),
        other => panic!("the network predicts a {}", other.kind()),
    }
}

/// Every net of the file. `backbone` translates its names of backbones, `read` finds an output by
/// the file's name of it, for images of that height and width.
fn all(
    case: &Case,
    family: &str,
    backbone: fn(&str) -> String,
    read: fn(&Outputs, &str, [usize; 2]) -> Values,
) -> BTreeMap<String, Values> {
    let mut found = BTreeMap::from([no_loss()]);
    for net in nets(case) {
        let name = format!("{family}_{}", backbone(net));
        let (network, images) = filled(case, &format!("{family}_{net}"), &name);
        let [_, _, height, width] = images.dims();
        let outputs = network.evaluate(images, &Taps::all());
        let prefix = format!("out.{net}.");
        for name in case.tensors.keys() {
            if let Some(output) = name.strip_prefix(&prefix) {
                let values = read(&outputs, output, [height, width]);
                found.insert(name.clone(), as_stored(case.values(name), values));
            }
        }
    }
    found
}

/// The zoo's network `name` filled as `net`, and the images it is fed with.
pub fn filled(case: &Case, net: &str, name: &str) -> (Network, Tensor<4>) {
    let shape: [usize; 4] = serde_json::from_value(case.setting("input").clone()).unwrap();
    let [_, channels, height, width] = shape;
    let input = InputShape {
        channels,
        height,
        width,
        classes: case.count("num_classes"),
    };
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
