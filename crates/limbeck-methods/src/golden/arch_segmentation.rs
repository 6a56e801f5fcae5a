//! Goldens of `arch_pspnet`, `arch_deeplabv3` and `arch_deeplabv3plus`: each a file that lists its
//! backbones as `nets`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData};
use limbeck_nn::{
    Feature, InputShape, Network, Outputs, Taps,
    layer::resize_bilinear,
    model::{
        self, BackboneKind, OutputStride,
        deeplabv3::{DeepLabV3, DeepLabV3Config},
    },
};

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
    run: |case| all(case, "pspnet", pspnet, cirkd_output),
}];

/// All cases of `arch_deeplabv3`.
pub const DEEPLABV3: &[Adapter] = &[Adapter {
    case: "full",
    tolerance: TOLERANCE,
    run: |case| all(case, "deeplabv3", deeplabv3, cirkd_output),
}];

/// All cases of `arch_deeplabv3plus`.
pub const DEEPLABV3PLUS: &[Adapter] = &[Adapter {
    case: "full",
    tolerance: TOLERANCE,
    run: |case| all(case, "deeplabv3plus", deeplabv3plus, vainf_output),
}];

/// Builds the network that a file has under a backbone's name.
type Blank = fn(&Case, &str, InputShape) -> Network;

fn zoo(name: &str, input: InputShape) -> Network {
    model::blank(name, input, &Case::device(), DType::F64).unwrap()
}

fn pspnet(_: &Case, net: &str, input: InputShape) -> Network {
    zoo(&format!("pspnet_{}", cirkd_backbone(net)), input)
}

/// The files' pyramids have as many channels as CIRKD's code, not its paper, has; `feature` shows
/// how many.
fn deeplabv3(case: &Case, net: &str, input: InputShape) -> Network {
    let backbone = match net {
        "resnet18" => BackboneKind::RESNET18.deep(),
        "resnet18_vanilla" => BackboneKind::RESNET18,
        "resnet50" => BackboneKind::RESNET50.deep(),
        "resnet50_vanilla" => BackboneKind::RESNET50,
        "resnet101" => BackboneKind::RESNET101.deep(),
        "resnet101_vanilla" => BackboneKind::RESNET101,
        other => panic!("no backbone `{other}`"),
    };
    let feature: [usize; 4] = shape(case, &format!("{net}.feature.shape"));
    let config = DeepLabV3Config {
        backbone,
        output_stride: OutputStride::Eight,
        aspp_channels: feature[1],
    };
    Network::blank(
        "deeplabv3",
        input,
        &Case::device(),
        DType::F64,
        |builder, input| Ok(Box::new(DeepLabV3::new(builder, input, config)?)),
    )
    .unwrap()
}

fn deeplabv3plus(case: &Case, net: &str, input: InputShape) -> Network {
    let stride = case.count("output_stride");
    zoo(&format!("deeplabv3plus_{net}_os{stride}"), input)
}

fn vainf_output(outputs: &Outputs, output: &str, size: [usize; 2]) -> Values {
    match (output, &outputs.prediction) {
        ("low_level", _) => feature(outputs, "stage1"),
        ("out", _) => feature(outputs, "stage4"),
        ("logits", Feature::Map(logits)) => values(&resize_bilinear(logits.clone(), size, false)),
        (_, prediction) => map(prediction),
    }
}

fn shape(case: &Case, key: &str) -> [usize; 4] {
    serde_json::from_value(case.setting(key).clone()).unwrap()
}

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

/// Every net of the file. `read` finds an output by the file's name of it, for images of that height
/// and width.
fn all(
    case: &Case,
    family: &str,
    blank: Blank,
    read: fn(&Outputs, &str, [usize; 2]) -> Values,
) -> BTreeMap<String, Values> {
    let mut found = BTreeMap::from([no_loss()]);
    for net in nets(case) {
        let (network, images) = filled_as(case, &format!("{family}_{net}"), |input| {
            blank(case, net, input)
        });
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
    filled_as(case, net, |input| zoo(name, input))
}

/// What `blank` makes, filled as `net`, and the images it is fed with.
fn filled_as(
    case: &Case,
    net: &str,
    blank: impl FnOnce(InputShape) -> Network,
) -> (Network, Tensor<4>) {
    let [batch, channels, height, width] = shape(case, "input");
    let input = InputShape {
        channels,
        height,
        width,
        classes: case.count("num_classes"),
    };
    let mut network = blank(input);
    let salt = case.text("salt");
    fill(&mut network.store, &format!("{salt}/{net}/"));
    let pixels = stream(&format!("{salt}/input"))
        .take(batch * channels * height * width)
        .collect();
    let images = Tensor::from_data(
        TensorData::new::<f64, _>(pixels, [batch, channels, height, width]),
        (&Case::device(), DType::F64),
    );
    (network, images)
}
